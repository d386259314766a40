import { expect, test } from 'vitest'
import { Scenario } from '../src/index.ts'

const world = (seed: number): Scenario =>
  new Scenario({
    seed,
    apps: {
      'demo/echo': {
        minConcurrency: 10,
        maxConcurrency: 12,
        startupTimeoutSeconds: 5,
        healthCheck: { path: '/health', intervalSeconds: 5 },
      },
    },
    life: { startAfterMs: 100 },
    traffic: [
      {
        app: 'demo/echo',
        perSecond: 20,
        outcome: (_, draw) => (draw < 0.99 ? 'healthy' : 'server_error'),
      },
    ],
  })

test('the same seed is the same world', () => {
  const [one, two] = [world(7).run(60_000), world(7).run(60_000)]
  expect(one.journal).toEqual(two.journal)
  expect(one.commands).toEqual(two.commands)
  expect(one.journal.length).toBeGreaterThan(100)
})

test('another seed is another world', () => {
  expect(world(7).run(60_000).journal).not.toEqual(world(8).run(60_000).journal)
})

test('runners that end are replaced, and the pool comes back to its size', () => {
  const scenario = world(7).run(60_000)
  const ended = scenario.runners({ states: new Set(['gone']) })
  expect(ended.length).toBeGreaterThan(0)
  expect(new Set(ended.map((runner) => runner.reason))).toEqual(new Set(['server_error']))
  scenario.run(1_000)
  expect(
    scenario.runners({ states: new Set(['ready', 'starting']) }).length,
  ).toBeGreaterThanOrEqual(10)
})

test('a hanging runner is found by its checks', () => {
  const scenario = world(3)
  scenario.run(2_000)
  const [first] = scenario.runners({ states: new Set(['ready']) })
  scenario.prober.answer(first!.id, 'regular', 'silent')
  scenario.run(60_000)
  const gone = scenario.runners({ states: new Set(['gone']) }).find(({ id }) => id === first!.id)
  expect(gone?.reason).toBe('health_check_failed')
})
