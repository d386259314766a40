/** The fleet is never harmed by its own doctor: storms, sick checkers and standstills, each as a story with a known end. */
import { type Decision, views } from '@health/core'
import { expect, test } from 'vitest'
import { live } from '../src/world.ts'
import type { WorldOptions, WorldRun } from '../src/world-options.ts'

const app = (size: number, more: Partial<WorldOptions> = {}): WorldOptions => ({
  seed: 7,
  until: 600_000,
  apps: [
    {
      id: 'demo/app',
      options: {
        healthCheck: { path: '/health', intervalSeconds: 5, timeoutSeconds: 2 },
        startupTimeoutSeconds: 10,
        minConcurrency: size,
        maxConcurrency: size,
      },
    },
  ],
  ...more,
})
const endings = ({ decisions }: WorldRun): readonly Decision[] =>
  decisions.filter(
    ({ from, to }) =>
      !/^(starting|stopping|killing|backoff|setup|provisioning)/.test(from) &&
      /^(stopping|killing|gone)/.test(to),
  )
const byDoubt = (run: WorldRun): readonly Decision[] =>
  endings(run).filter(({ rule }) => rule === 'health.threshold')
const because = ({ decisions }: WorldRun): ReadonlySet<string | null> =>
  new Set(decisions.map((each) => each.because))
const alerts = ({ commands }: WorldRun): readonly string[] =>
  commands.flatMap((each) => (each.type === 'alert' ? [each.name] : []))

/** The most places out at once, looked at after every step. */
function watched(options: WorldOptions): { readonly run: WorldRun; readonly most: number } {
  let most = 0
  const run = live({
    ...options,
    watch: (fleet) => {
      // The first starts are nobody's loss.
      if (fleet.now > 50_000) most = Math.max(most, fleet.apps.get('demo/app')!.outs)
    },
  })
  return { run, most }
}

test('nine of twenty runners turn bad at once: all are replaced, at most four places out', () => {
  const { run, most } = watched(
    app(20, {
      policy: { doubtPerSecond: 100, doubtBurst: 100 },
      sick: ({ life }, at) => (life <= 9 && at > 60_000 ? { share: 1, why: 'status' } : null),
    }),
  )
  expect(byDoubt(run)).toHaveLength(9)
  expect(most).toBe(4)
  expect([...because(run)]).toEqual(expect.arrayContaining(['guard.cap']))
  expect([...because(run)]).not.toContain('guard.panic')
  expect([...views(run.fleet, { states: new Set(['ready']) })]).toHaveLength(20)
})

test('twenty of twenty turn bad at once: they go one at a time, each successor ready before', () => {
  const { run, most } = watched(
    app(20, {
      until: 1_500_000,
      sick: ({ life }, at) => (life <= 20 && at > 60_000 ? { share: 1, why: 'status' } : null),
    }),
  )
  // Below half of them doubted the panic ends, and the cap alone holds.
  expect(byDoubt(run)).toHaveLength(20)
  expect(most).toBeLessThanOrEqual(4)
  expect(alerts(run)).toContain('guard.panic')
  expect([...views(run.fleet, { states: new Set(['ready']) })]).toHaveLength(20)
})

test('three sick of three still heal, one at a time, the first with its successor ready before', () => {
  const ready: number[] = []
  const options = app(3, {
    sick: ({ life }, at) => (life <= 3 && at > 60_000 ? { share: 1, why: 'status' } : null),
  })
  const run = live({
    ...options,
    watch: (fleet, _event, { decisions }) => {
      // At the moment a canary ends its successor serves: three runners are in service all the time.
      if (decisions.some(({ rule, to }) => rule === 'health.threshold' && to === 'stopping'))
        ready.push(
          [...views(fleet)].filter(({ state }) => state === 'ready' || state === 'suspect').length,
        )
    },
  })
  expect(byDoubt(run)).toHaveLength(3)
  // Below half of them doubted the panic is over, and the cap of one holds.
  expect(ready).toEqual([3, 2, 2])
  const [first, second] = byDoubt(run).map(({ at }) => at)
  expect(second! - first!).toBeGreaterThanOrEqual(30_000)
  expect([...views(run.fleet, { states: new Set(['ready']) })]).toHaveLength(3)
})

test('three sick of three heal even when the host has no capacity for a fourth', () => {
  const run = live(
    app(3, {
      until: 1_500_000,
      refusedStarts: 0,
      sick: ({ life }, at) => (life <= 3 && at > 60_000 ? { share: 1, why: 'status' } : null),
      capacity: 3,
    }),
  )
  expect(byDoubt(run)).toHaveLength(3)
  expect([...views(run.fleet, { states: new Set(['ready']) })]).toHaveLength(3)
})

test('a fault in our own checker ends nobody, and says so once', () => {
  const run = live(
    app(10, {
      sick: (_runner, at) => (at > 60_000 && at < 180_000 ? { share: 1, why: 'timeout' } : null),
      blind: (at) => at > 60_000 && at < 180_000,
    }),
  )
  expect(endings(run)).toEqual([])
  expect(because(run)).toContain('guard.self')
  expect(alerts(run).filter((name) => name === 'checker.unwell')).toHaveLength(1)
  expect([...views(run.fleet, { states: new Set(['ready']) })]).toHaveLength(10)
})

test('checks that we cannot make accuse nobody', () => {
  const run = live(app(5, { errored: 1, until: 900_000 }))
  expect(endings(run)).toEqual([])
  expect(run.decisions.filter(({ to }) => to === 'failing')).toEqual([])
})

test('a standstill of our own ends nobody, whatever the checks of that moment say', () => {
  const resumed = 120_000
  const run = live(
    app(5, {
      gapEveryMs: 20_000,
      sick: (_runner, at) =>
        at > resumed && at < resumed + 60_000 ? { share: 1, why: 'timeout' } : null,
      blind: () => false,
      until: resumed + 60_000,
    }),
  )
  expect(
    byDoubt(run).filter(({ at }) =>
      run.journal.some(
        (event) => event.type === 'clock.resumed' && at >= event.at && at - event.at < 5_000,
      ),
    ),
  ).toEqual([])
})

test('one sick runner of many is ended after three counted failures, and replaced', () => {
  const run = live(
    app(10, {
      sick: ({ life }, at) => (life === 4 && at > 60_000 ? { share: 1, why: 'refused' } : null),
    }),
  )
  const [ending, ...others] = byDoubt(run)
  expect(others).toEqual([])
  expect(ending!.compared.map(({ name, value, threshold }) => [name, value >= threshold])).toEqual(
    expect.arrayContaining([['failures', true]]),
  )
  const strikes = ending!.events.map((seq) => run.journal.find((event) => event.seq === seq)!)
  expect(strikes.map(({ type }) => type)).toEqual(['probe.failed', 'probe.failed', 'probe.failed'])
  // The seed's time: three strikes are two whole intervals apart, less the jitter.
  expect(strikes[2]!.at - strikes[0]!.at).toBeGreaterThanOrEqual(9_000)
  const successor = run.commands.find(
    (each) => each.type === 'provision' && each.replaces === ending!.subject.id,
  )
  expect(successor).toBeDefined()
})
