// Why, and what if, end to end: a real gateway's journal proves the nearest policy for a runner, a request and a node, and the command
// shows each on one screen.
import { views } from '@health/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'
import { run } from './terminal.ts'

const app = (more: object): object => ({
  command: ['node', RUNNER],
  startupTimeoutSeconds: 20,
  minConcurrency: 1,
  maxConcurrency: 1,
  ...more,
})

let gateway: RunningGateway
beforeAll(async () => {
  gateway = await startGateway({
    policy: { retryBaseSeconds: 0.01, retryMaxSeconds: 0.02 },
    apps: {
      'test/echo': app({ policy: { maxAttempts: 2 } }),
      'test/ten': app({}),
      // It ends before its port opens, each time.
      'test/never': app({ command: ['false'] }),
      // Its check fails from the beginning, and the guard lets nobody go.
      'test/held': app({
        startupTimeoutSeconds: 2,
        healthCheck: { path: '/x?status=500', intervalSeconds: 0.2, startPeriodSeconds: 0 },
        policy: { capPercent: 0, capMin: 0 },
      }),
    },
  })
})
afterAll(() => gateway.close())

const settled = async (path: string): Promise<string> => {
  const init = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }
  const answer = await fetch(`${gateway.url}/queue/${path}`, init)
  const { request_id: id } = (await answer.json()) as { request_id: string }
  await gateway.until(() => (gateway.queue.entry(id)?.status === 'COMPLETED' ? true : null))
  return id
}

/** What the API says, and the lines that the command shows. */
async function explained(kind: string, id: string): Promise<{ why: any; screen: string[] }> {
  const why = await (await fetch(`${gateway.url}/v1/${kind}/${id}/explain`)).json()
  const { out } = await run(['explain', id], { env: { HEALTH_URL: gateway.url } })
  const screen = out.trimEnd().split('\n')
  expect(screen.length).toBeLessThanOrEqual(24)
  expect(screen.filter((line) => line.length > 80)).toEqual([])
  return { why, screen }
}

test('a request that ran into the ceiling: one attempt more would have been made', async () => {
  const id = await settled('test/echo?status=504')
  const { why, screen } = await explained('requests', id)
  expect(why).toMatchObject({
    decision: { rule: 'retry.ceiling', to: 'delivered' },
    counterfactual: { option: 'maxAttempts', actual: 2, needed: 3 },
  })
  expect(screen.join(' ')).toContain(
    'with maxAttempts 3 in place of 2 it would have gone otherwise',
  )
})

test('ten attempts are the most there may be: no number would have changed it, and why', async () => {
  const id = await settled('test/ten?status=504')
  const { why, screen } = await explained('requests', id)
  expect(why).toMatchObject({ decision: { rule: 'retry.ceiling' }, counterfactual: null })
  expect(screen.at(-1)).toBe(
    'no policy number would have changed this: maxAttempts is 10, and may be 1 to 10',
  )
  expect(screen.some((line) => /^ {2}… \d+ earlier$/.test(line))).toBe(true)
})

test('a termination that a guard withheld: what the guard said, and the number of the rule', async () => {
  const seen = (): string | null =>
    [...views(gateway.supervisor.fleet, { app: 'test/held' })].find(
      ({ substate }) => substate === 'held',
    )?.id ?? null
  const { why, screen } = await explained('runners', await gateway.until(seen))
  expect(why.decision).toMatchObject({
    rule: 'health.threshold',
    enforced: false,
    because: 'guard.cap',
  })
  expect(['failureThreshold', 'startupTimeoutSeconds']).toContain(why.counterfactual.option)
  expect(screen.slice(0, 3)).toContain('not enforced, because of guard.cap')
  expect(screen.join(' ').replace(/ +/g, ' ')).toContain(
    '1 place of the app would be out and 0 may be (capPercent, capMin)',
  )
})

test('a held runner that may go at last: the number of the rule is still proved', async () => {
  const { fleet } = gateway.supervisor
  const held = await gateway.until(
    () =>
      [...views(fleet, { app: 'test/held' })].find(({ substate }) => substate === 'held') ?? null,
  )
  gateway.supervisor.tell({
    type: 'policy.changed',
    app: 'test/held',
    change: { capMin: 1 },
    by: 'me',
  })
  const { why } = await explained('runners', held.id)
  expect(why.decision).toMatchObject({ from: 'held', rule: 'health.threshold', enforced: true })
  expect(why.counterfactual).not.toBeNull()
})

test('a runner that waits for its start: what it waits for, and whom to ask about instead', async () => {
  const waiting = await gateway.until(
    () =>
      [...views(gateway.supervisor.fleet)].find(
        (each) => each.app === 'test/never' && each.substate === 'backoff',
      ) ?? null,
  )
  const said = await run(['explain', waiting.id], { env: { HEALTH_URL: gateway.url } })
  expect([said.code, said.out]).toEqual([5, ''])
  expect(said.err).toMatch(
    new RegExp(
      `Runner ${waiting.id} has not begun: the last \\d+ starts of test/never failed, the next may begin at \\d{4}-.*Z\\. Ask why never-\\S+ ended\\.`,
    ),
  )
})

test('a node that was hot: the reading, the limit, what followed, and the limit that it needed', async () => {
  for (let n = 0; n < 3; n++)
    gateway.supervisor.tell({
      type: 'gpu.sampled',
      node: 'local',
      devices: [{ uuid: 'GPU-0', temperatureC: 90 }],
    })
  const { why, screen } = await explained('nodes', 'local')
  expect(why).toMatchObject({
    decision: { rule: 'temp.critical', to: 'cordoned' },
    counterfactual: { option: 'tempCriticalC', actual: 88, needed: 91 },
  })
  expect(screen.join('\n')).toMatch(/readings of node local: GPU-0 90 °C\n/)
  expect(screen.join('\n')).toMatch(/ temperature 90 °C >= 88 °C \(tempCriticalC\)\n/)
  expect(screen.join('\n')).toMatch(/ cordoned → draining by node\.drain\n/)
})
