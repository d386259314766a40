/** The fleet in the words of the API; reading changes nothing. */
import { expect, test } from 'vitest'
import {
  apps,
  appView,
  openOrders,
  place,
  policyOf,
  processes,
  snapshot,
  startPending,
  view,
  views,
} from '../src/index.ts'
import { APP, ready, Stage } from './stage.ts'

test('a runner as people see it', () => {
  const stage = ready(1)
  place(stage.fleet, APP)
  expect(view(stage.fleet, stage.id())).toEqual({
    id: stage.id(),
    app: APP,
    incarnation: 1,
    state: 'ready',
    substate: 'busy',
    falState: 'RUNNING',
    suspect: false,
    accepting: true,
    reason: null,
    since: 0,
    inFlight: 1,
    node: 'local',
    url: 'http://127.0.0.1:9001',
    pid: 101,
    startedAt: 0,
    failures: 0,
    effectiveStartPeriodMs: 20_000,
    lastProbe: expect.objectContaining({ kind: 'regular', ok: true }),
    replaces: null,
  })
})

test.for([
  [
    'suspect',
    (stage: Stage) => stage.end('error'),
    { state: 'suspect', substate: 'verifying', falState: 'IDLE', suspect: true },
  ],
  [
    'draining',
    (stage: Stage) => stage.order('order.drain', 1, { inFlight: 1 }),
    { substate: 'idle+draining', falState: 'DRAINING', accepting: false },
  ],
  [
    'stopping',
    (stage: Stage) => stage.order('order.stop'),
    { state: 'terminated', substate: 'stopping', falState: 'TERMINATING', reason: 'stopped' },
  ],
  [
    'gone',
    (stage: Stage) => stage.exit(),
    {
      state: 'terminated',
      substate: 'gone',
      falState: 'TERMINATED',
      reason: 'crashed',
      accepting: false,
    },
  ],
] as const)('a runner that is %s', ([, bring, expected]) => {
  const stage = ready(1)
  bring(stage)
  expect(view(stage.fleet, stage.id())).toMatchObject(expected)
})

test('a start that was never made has no start time after its end either', () => {
  const stage = new Stage({ options: { minConcurrency: 1 } })
  const refused = { why: 'no_capacity', detail: 'full' } as const
  stage.tell({ type: 'provision.refused', ...stage.life(1), ...refused })
  stage.tell({ type: 'app.removed', app: APP })
  expect(view(stage.fleet, stage.id())).toMatchObject({ substate: 'gone', startedAt: null })
})

test('a start that was not made yet has no start time, adopted servers included', () => {
  const stage = new Stage({ urls: ['http://127.0.0.1:9001'] })
  expect(view(stage.fleet, stage.id())).toMatchObject({
    startedAt: null,
    url: 'http://127.0.0.1:9001',
  })
  stage.wait(3)
  stage.begin()
  expect(view(stage.fleet, stage.id())?.startedAt).toBe(3_000)
})

test('the next life of an adopted server is what it is since it began, not since the last one did', () => {
  const stage = ready(1, { urls: ['http://127.0.0.1:9001'] })
  stage.at += 7_000
  stage.exit()
  stage.at += 1
  expect(view(stage.fleet, stage.id())).toMatchObject({ incarnation: 2, since: stage.at - 1 })
})

test('runners that are gone stay listed a day, at most a thousand per app', () => {
  const stage = ready(1)
  const first = stage.id()
  stage.exit()
  expect([...views(stage.fleet)].map(({ substate }) => substate)).toEqual(['provisioning', 'gone'])
  stage.run(86_400 - 1)
  expect(view(stage.fleet, first)).not.toBeNull()
  stage.run(1)
  expect(view(stage.fleet, first)).toBeNull()
  const busy = ready(1)
  for (let i = 0; i < 1_005; i++) {
    const n = busy.started
    busy.order('order.kill', n)
    busy.exit(n)
  }
  expect([...views(busy.fleet, { states: new Set(['gone']) })]).toHaveLength(1_000)
})

test('filters take the app, states and substates', () => {
  const stage = ready(3)
  stage.end('error', 2)
  stage.order('order.kill', 3)
  const ids = (states: readonly string[], app?: string) =>
    [...views(stage.fleet, { states: new Set(states), ...(app !== undefined && { app }) })].map(
      ({ id }) => id,
    )
  expect(ids(['ready'])).toEqual([stage.id(1)])
  expect(ids(['suspect', 'killing'])).toEqual([stage.id(2), stage.id(3)])
  expect(ids(['ready'], 'other/app')).toEqual([])
})

test('an app as people see it', () => {
  const stage = ready(2)
  place(stage.fleet, APP)
  stage.end('error', 2)
  expect(appView(stage.fleet, APP)).toMatchObject({
    id: APP,
    degraded: false,
    broken: null,
    target: 2,
    runners: { busy: 1, verifying: 1 },
    inFlight: 1,
    waiting: 0,
    queued: 0,
  })
  expect([
    apps(stage.fleet),
    appView(stage.fleet, 'no/app'),
    policyOf(stage.fleet, 'no/app'),
  ]).toEqual([[APP], null, null])
  expect(policyOf(stage.fleet, APP)?.failureThreshold).toBe(3)
})

test('waiting has a point while a start is under way or owed, and none after a configuration error', () => {
  const stage = new Stage({ options: { minConcurrency: 1 } })
  expect(startPending(stage.fleet, APP)).toBe(true)
  stage.tell({
    type: 'provision.refused',
    ...stage.life(),
    why: 'bad_config',
    detail: 'no such file',
  })
  expect(startPending(stage.fleet, APP)).toBe(false)
  expect(startPending(ready(1).fleet, APP)).toBe(false)
})

test('live processes and open orders are what a new supervisor needs, with the ids as they were', () => {
  const stage = ready(4)
  stage.order('order.stop', 2)
  stage.order('order.kill', 3)
  stage.exit(4)
  expect(processes(stage.fleet).map(({ runner, pid }) => [runner, pid])).toEqual(
    [1, 2, 3].map((n) => [stage.id(n), 100 + n]),
  )
  const given = stage.commands
    .filter(({ type }) => ['stop', 'kill', 'provision'].includes(type))
    .map(({ id }) => id)
  const open = openOrders(stage.fleet).map(({ id }) => id)
  expect(open.toSorted()).toEqual(
    [
      `kill:${stage.id(3)}.1`,
      ...[5, 6, 7].map((n) => `provision:${stage.id(n)}.1`),
      `stop:${stage.id(2)}.1`,
    ].toSorted(),
  )
  for (const id of open) expect(given).toContain(id)
})

test('reading changes nothing', () => {
  const stage = ready(3)
  const before = JSON.stringify(snapshot(stage.fleet))
  for (const runner of views(stage.fleet)) view(stage.fleet, runner.id)
  appView(stage.fleet, APP)
  openOrders(stage.fleet)
  processes(stage.fleet)
  expect(JSON.stringify(snapshot(stage.fleet))).toBe(before)
})

test('a runner that ended before it had a process never started', () => {
  const stage = new Stage({ options: { minConcurrency: 1 } })
  stage.wait(5)
  stage.order('order.kill')
  const ended = { state: 'terminated', pid: null, startedAt: null }
  expect(view(stage.fleet, stage.id())).toMatchObject({ ...ended, substate: 'killing' })
  stage.exit()
  expect(view(stage.fleet, stage.id())).toMatchObject({ ...ended, substate: 'gone' })
})
