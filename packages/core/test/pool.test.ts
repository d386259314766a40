/** Semantics 8: how many runners an app has, who is replaced, who stops for want of work. */
import { expect, test } from 'vitest'
import {
  type AppOptions,
  apps,
  createFleet,
  resolvePolicy,
  restore,
  snapshot,
  step,
  targetOf,
  view,
  views,
} from '../src/index.ts'
import { APP, ready, Stage } from './stage.ts'

const app = (stage: Stage) => stage.fleet.apps.get(APP)!
const words = (stage: Stage) => Array.from({ length: stage.started }, (_, i) => stage.word(i + 1))
const demand = (stage: Stage, waiting: number, queued = 0) =>
  stage.tell({
    type: 'traffic.counted',
    app: APP,
    runners: [],
    started: [],
    ended: [],
    served: [],
    inFlight: [],
    waiting,
    queued,
  })

/** The host has room for none of the starts that were just ordered. */
function refuseAll(stage: Stage): void {
  for (const { runner } of stage.orders('provision'))
    stage.tell({
      type: 'provision.refused',
      runner,
      incarnation: 1,
      why: 'no_capacity',
      detail: 'full',
    })
}

test.for([
  // active, options, target
  [0, {}, 0],
  [1, {}, 1],
  [5, {}, 1],
  [5, { maxConcurrency: 10 }, 5],
  [5, { maxConcurrency: 10, maxMultiplexing: 2 }, 3],
  [0, { maxConcurrency: 10, minConcurrency: 2 }, 2],
  [0, { maxConcurrency: 10, concurrencyBuffer: 2 }, 2],
  [4, { maxConcurrency: 10, concurrencyBuffer: 2 }, 6],
  [4, { maxConcurrency: 10, concurrencyBufferPercent: 50 }, 6],
  [4, { maxConcurrency: 10, concurrencyBuffer: 3, concurrencyBufferPercent: 50 }, 7],
  [3, { maxConcurrency: 10, concurrencyBufferPercent: 1 }, 4],
  [9, { maxConcurrency: 10, concurrencyBuffer: 5 }, 10],
  [3000, { maxConcurrency: 10_000, concurrencyBufferPercent: 1.1 }, 3033],
  [1, { maxConcurrency: 10, minConcurrency: 4, concurrencyBuffer: 1 }, 4],
  [3, { maxConcurrency: 0 }, 0],
] as const satisfies readonly (readonly [number, AppOptions, number])[])(
  '%i active with %j need %i runners',
  ([active, options, target]) => {
    expect(targetOf(resolvePolicy(options, {}), active)).toBe(target)
  },
)

test('demand starts runners at once, up to the maximum', () => {
  const stage = new Stage({ options: { maxConcurrency: 3 } })
  expect(stage.started).toBe(0)
  demand(stage, 2)
  expect(stage.started).toBe(2)
  demand(stage, 2, 5)
  expect(stage.started).toBe(3)
})

test('scalingDelaySeconds waits before it starts, minConcurrency never does', () => {
  const stage = new Stage({
    options: { minConcurrency: 1, maxConcurrency: 4, scalingDelaySeconds: 5 },
  })
  expect(stage.started).toBe(1)
  demand(stage, 3)
  stage.wait(4.9)
  expect(stage.started).toBe(1)
  stage.wait(0.1)
  expect(stage.started).toBe(3)
  demand(stage, 4)
  demand(stage, 0)
  stage.wait(20)
  expect(stage.started).toBe(3)
})

test('pool.keep_alive: idle runners above the target stop after keepAliveSeconds, the youngest first', () => {
  const stage = ready(3, { options: { keepAliveSeconds: 60 } })
  stage.configure({ minConcurrency: 1 })
  const ends = () =>
    stage.decisions.filter(({ rule, to }) => rule === 'pool.keep_alive' && to.includes('draining'))
  stage.run(90, () => ends().length > 0)
  expect(stage.at).toBe(60_000)
  expect(ends().map(({ subject }) => subject.id)).toEqual([stage.id(3), stage.id(2)])
  stage.run(90)
  expect(words(stage)[0]).toBe('idle')
})

test('a start that has waited for keepAliveSeconds is given up when nobody needs it any more', () => {
  const stage = new Stage({ options: { maxConcurrency: 3, keepAliveSeconds: 60 } })
  demand(stage, 3)
  for (const n of [1, 2, 3])
    stage.tell({
      type: 'provision.refused',
      ...stage.life(n),
      why: 'no_capacity',
      detail: 'full',
    })
  expect(words(stage)).toEqual(['backoff', 'backoff', 'backoff'])
  demand(stage, 1)
  stage.wait(10)
  expect(words(stage)).toEqual(['backoff', 'backoff', 'backoff'])
  for (let i = 0; i < 3; i++) {
    stage.wait(20)
    refuseAll(stage)
  }
  expect(app(stage).places).toHaveLength(1)
  expect(app(stage).gone.map(({ reason }) => reason)).toEqual([
    'keep_alive_expired',
    'keep_alive_expired',
  ])
  expect(stage.word(1)).toBe('backoff')
})

test('a successor that has waited for keepAliveSeconds is given up when nobody needs its place any more', () => {
  const full = (stage: Stage) =>
    stage.tell({ type: 'provision.refused', ...stage.life(2), why: 'no_capacity', detail: 'full' })
  const lost = ready(1)
  lost.configure({ minConcurrency: 0 })
  lost.exit()
  full(lost)
  for (let i = 0; i < 3; i++) {
    lost.wait(19.9)
    expect(app(lost).outs).toBe(1)
    lost.wait(0.1)
    refuseAll(lost)
  }
  expect([app(lost).places, app(lost).outs, app(lost).established]).toEqual([[], 0, 0])
  // It is not needed any more either: the runner it was to replace stops as one that is idle.
  const rolling = ready(1)
  rolling.configure({ minConcurrency: 0 }, 'r2')
  full(rolling)
  for (let i = 0; i < 3; i++) {
    rolling.wait(20)
    refuseAll(rolling)
  }
  rolling.tell({ type: 'work.counted', ...rolling.life(), inFlight: 0 })
  rolling.exit()
  expect(app(rolling).gone.map(({ id, reason }) => [id, reason])).toEqual([
    [rolling.id(2), 'keep_alive_expired'],
    [rolling.id(1), 'keep_alive_expired'],
  ])
  expect(app(rolling).places).toEqual([])
})

test('a runner with work does not stop, and starts its idle time anew', () => {
  const stage = ready(1, { options: { keepAliveSeconds: 30 } })
  stage.load(1, 1)
  stage.configure({ minConcurrency: 0 })
  stage.run(100)
  expect(stage.word()).toBe('busy')
  stage.load(1, 0)
  stage.run(29.9)
  expect(stage.word()).toBe('idle')
  stage.run(0.2)
  expect(stage.word()).toBe('idle+draining')
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  expect(stage.orders('stop')).toEqual([expect.objectContaining({ reason: 'keep_alive_expired' })])
  stage.exit()
  expect([stage.started, app(stage).places]).toEqual([1, []])
})

test('pool.scaled_down: a smaller maximum stops the youngest at once, work in flight ends first', () => {
  const stage = ready(4)
  stage.load(4, 1)
  stage.configure({ minConcurrency: 1, maxConcurrency: 2 })
  expect(words(stage)).toEqual(['idle', 'idle', 'idle+draining', 'busy+draining'])
  stage.tell({ type: 'work.counted', ...stage.life(3), inFlight: 0 })
  expect(stage.orders('stop')).toEqual([expect.objectContaining({ reason: 'scaled_down' })])
})

test('a replacement that is owed is not started above a smaller maximum', () => {
  const stage = ready(3)
  stage.end('server_error', 3)
  stage.configure({ minConcurrency: 0, maxConcurrency: 2 })
  stage.exit(3)
  stage.run(60)
  expect(app(stage).places).toHaveLength(2)
})

test.for([
  ['outcome.server_error', (stage: Stage) => stage.end('server_error')],
  ['outcome.connection_lost', (stage: Stage) => stage.end('connection_lost')],
  ['outcome.stop_header', (stage: Stage) => stage.end('healthy', 1, { headers: { stop: true } })],
  ['outcome.request_timeout', (stage: Stage) => stage.end('request_timeout')],
  ['outcome.crashed', (stage: Stage) => stage.exit()],
] as const)('%s is replaced even when nothing waits', ([, end]) => {
  const stage = ready(1)
  stage.configure({ minConcurrency: 0 })
  end(stage)
  expect(stage.commands.findLast(({ type }) => type === 'provision')).toMatchObject({
    runner: stage.id(2),
    replaces: stage.id(1),
  })
})

test.for(['order.stop', 'order.kill', 'order.drain'] as const)(
  'after %s the pool refills to its target, and no further',
  (order) => {
    const stage = ready(1)
    stage.order(order)
    stage.exit()
    expect(stage.started).toBe(2)
    const idle = ready(1)
    idle.configure({ minConcurrency: 0 })
    idle.order(order)
    idle.exit()
    expect(idle.started).toBe(1)
  },
)

test('a runner that drains fills its place no more: the pool refills beside it, up to the maximum', () => {
  const stage = ready(2, { options: { maxConcurrency: 4 } })
  for (const n of [1, 2]) stage.load(n, 1)
  stage.order('order.drain', 1, { inFlight: 1 })
  expect([words(stage), stage.started]).toEqual([['busy+draining', 'busy', 'provisioning'], 3])
  stage.load(2, 1, { waiting: 9 })
  // Two serve or start for the four that are allowed: the one that drains still runs.
  expect([words(stage).length, stage.started]).toEqual([4, 4])
  stage.end('healthy', 1, { inFlight: 0 })
  expect(stage.started).toBe(5)
})

test('beside runners that drain none is started above the maximum', () => {
  const stage = ready(3)
  stage.configure({ minConcurrency: 2 })
  for (const n of [1, 2]) {
    stage.load(n, 1)
    stage.order('order.drain', n, { inFlight: 1 })
  }
  stage.load(3, 0)
  expect([words(stage), stage.started]).toEqual([['busy+draining', 'busy+draining', 'idle'], 3])
  stage.end('healthy', 1, { inFlight: 0 })
  stage.exit(1)
  expect(stage.started).toBe(4)
})

test.for(['order.stop', 'order.drain'] as const)(
  '%s with replace: the successor is ready before the runner takes its last request',
  (order) => {
    const stage = ready(1)
    stage.load(1, 1)
    stage.order(order, 1, { replace: true, inFlight: 1 })
    expect([stage.word(1), stage.orders('provision')]).toEqual([
      'busy',
      [expect.objectContaining({ replaces: stage.id(1) })],
    ])
    stage.open(2)
    expect([stage.word(1), stage.word(2), stage.said(1)]).toEqual([
      'busy+draining',
      'idle',
      [`busy → busy+draining ${order}`],
    ])
    stage.end('healthy', 1, { inFlight: 0 })
    expect(stage.orders('stop')).toEqual([expect.objectContaining({ reason: 'replaced' })])
    stage.exit(1)
    expect([stage.started, app(stage).places.length]).toEqual([2, 1])
  },
)

test('a successor that fails to start is tried again; the runner stays in service', () => {
  const stage = ready(1)
  stage.order('order.drain', 1, { replace: true })
  stage.begin(2)
  stage.exit(2)
  expect(stage.word(1)).toBe('idle')
  stage.run(40)
  expect(stage.word(3)).toBe('provisioning')
  stage.open(3)
  expect(stage.word(1)).toBe('idle+draining')
})

test('a runner that crashes while its successor starts is followed by that one', () => {
  const stage = ready(1)
  stage.order('order.drain', 1, { replace: true })
  stage.exit(1)
  expect(stage.started).toBe(2)
  stage.open(2)
  expect([stage.word(2), app(stage).outs]).toEqual(['idle', 0])
})

test('pool.replaced: a new revision replaces one runner at a time, successor first', () => {
  const stage = ready(3)
  stage.configure({}, 'r2')
  expect(stage.started).toBe(4)
  for (let n = 4; n <= 6; n++) {
    expect(stage.commands.findLast((each) => each.type === 'provision')).toMatchObject({
      runner: stage.id(n),
      revision: 'r2',
      replaces: stage.id(n - 3),
    })
    stage.open(n)
    expect(stage.said(n - 3)).toEqual(['idle → idle+draining pool.replaced'])
    stage.answer('probe.passed', n)
    stage.tell({ type: 'work.counted', ...stage.life(n - 3), inFlight: 0 })
    stage.exit(n - 3)
  }
  expect([stage.started, app(stage).rolling, words(stage).slice(3)]).toEqual([
    6,
    false,
    ['idle', 'idle', 'idle'],
  ])
})

test('a successor that still waits for its start when the configuration changes again is of the newest: nobody replaces it', () => {
  const stage = ready(1)
  stage.configure({}, 'r2')
  stage.tell({
    type: 'provision.refused',
    ...stage.life(2),
    why: 'bad_config',
    detail: 'no such command',
  })
  expect(stage.word(2)).toBe('backoff')
  stage.configure({}, 'r3')
  expect(stage.commands.findLast((each) => each.type === 'provision')).toMatchObject({
    runner: stage.id(2),
    revision: 'r3',
  })
  stage.open(2)
  stage.tell({ type: 'work.counted', ...stage.life(1), inFlight: 0 })
  stage.exit(1)
  stage.answer('probe.passed', 2)
  expect([stage.started, stage.word(2), app(stage).rolling]).toEqual([2, 'idle', false])
})

test('a new revision of adopted servers replaces nobody', () => {
  const stage = ready(0, { urls: ['http://127.0.0.1:9001'] })
  stage.configure({}, 'r2')
  expect([app(stage).rolling, stage.word(), stage.last.commands]).toEqual([false, 'idle', []])
})

test('addresses come and go with the configuration', () => {
  const stage = ready(0, { urls: ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'] })
  stage.tell({
    type: 'app.configured',
    app: APP,
    options: {},
    policy: {},
    revision: 'r1',
    urls: ['http://127.0.0.1:9002', 'http://127.0.0.1:9003'],
  })
  // The one that leaves serves until the one that came does.
  expect([stage.word(1), stage.word(2), stage.orders('provision').map(({ url }) => url)]).toEqual([
    'idle',
    'idle',
    ['http://127.0.0.1:9003'],
  ])
  stage.open(3)
  expect(words(stage)).toEqual(['idle+draining', 'idle', 'idle'])
  stage.tell({ type: 'work.counted', ...stage.life(1), inFlight: 0 })
  stage.exit(1)
  expect(app(stage).places.map(({ url }) => url)).toEqual([
    'http://127.0.0.1:9002',
    'http://127.0.0.1:9003',
  ])
})

const adopt = (stage: Stage, urls: readonly string[]) =>
  stage.tell({ type: 'app.configured', app: APP, options: {}, policy: {}, revision: 'r9', urls })
const run = (stage: Stage, count: number) =>
  stage.tell({
    type: 'app.configured',
    app: APP,
    options: { minConcurrency: count, maxConcurrency: count },
    policy: {},
    revision: 'r9',
  })

test('an app that adopts servers no longer has processes instead, each before its server leaves', () => {
  const stage = ready(0, { urls: ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'] })
  run(stage, 2)
  // One at a time, as with every other revision.
  expect([words(stage), app(stage).places.length]).toEqual([['idle', 'idle', 'provisioning'], 2])
  stage.open(3)
  expect(words(stage)).toEqual(['idle+draining', 'idle', 'idle', 'provisioning'])
  stage.open(4)
  for (const n of [1, 2]) {
    stage.tell({ type: 'work.counted', ...stage.life(n), inFlight: 0 })
    stage.exit(n)
  }
  expect(app(stage).runners.map(({ id, fixedUrl }) => [id, fixedUrl])).toEqual([
    [stage.life(3).runner, null],
    [stage.life(4).runner, null],
  ])
})

test.for([
  ['that backs off', (stage: Stage) => stage.exit(1), 'backoff'],
  ['that starts', () => undefined, 'setup'],
] as const)('a server %s gives way to a process at once', ([, before, word]) => {
  const stage = new Stage({ urls: ['http://127.0.0.1:9001'] })
  stage.tell({ type: 'process.started', ...stage.life(1), pid: null, url: 'http://127.0.0.1:9001' })
  before(stage)
  expect(stage.word(1)).toBe(word)
  run(stage, 1)
  if (word === 'setup') stage.exit(1)
  stage.wait(20)
  expect(app(stage).runners.map(({ fixedUrl, incarnation }) => [fixedUrl, incarnation])).toEqual([
    [null, 1],
  ])
})

test('an app that adopts servers from now on lets its processes go', () => {
  const stage = ready(2)
  adopt(stage, ['http://127.0.0.1:9001'])
  // One server is wanted: one process is enough until it serves.
  expect(words(stage)).toEqual(['idle+draining', 'idle', 'provisioning'])
  stage.open(3)
  expect(words(stage)).toEqual(['idle+draining', 'idle+draining', 'idle'])
  for (const n of [1, 2]) {
    stage.tell({ type: 'work.counted', ...stage.life(n), inFlight: 0 })
    stage.exit(n)
  }
  expect(app(stage).places.map(({ url }) => url)).toEqual(['http://127.0.0.1:9001'])
  expect(
    stage.decisions.filter(({ to }) => to.endsWith('+draining')).map(({ rule }) => rule),
  ).toEqual(['pool.replaced', 'pool.replaced'])
})

test('an app that adopts servers from now on awaits no successor of a process: the servers stood behind one that waited for room', () => {
  const stage = new Stage({ options: { minConcurrency: 1, devices: 1 } })
  const can = { canReset: false, canReboot: false, canValidate: false }
  stage.tell({ type: 'node.configured', node: 'local', devices: ['GPU-1'], ...can })
  stage.wait(20)
  stage.openAll().configure({}, 'r2')
  expect(app(stage).runners.map(({ configuration: { word } }) => word)).toEqual([
    'ready',
    'backoff',
  ])
  adopt(stage, ['http://127.0.0.1:9001'])
  expect(words(stage)).toEqual(['idle', 'provisioning'])
  stage.open(2)
  expect(words(stage)).toEqual(['idle+draining', 'idle'])
})

test('an address without one in its place leaves at once', () => {
  const stage = ready(0, { urls: ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'] })
  adopt(stage, ['http://127.0.0.1:9002'])
  expect(words(stage)).toEqual(['idle+draining', 'idle'])
})

test('a server taken from the list stays gone, whatever it was doing', () => {
  const stage = ready(0, { urls: ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'] })
  stage.exit(1)
  expect(stage.word(1)).toBe('backoff')
  adopt(stage, ['http://127.0.0.1:9002'])
  expect(app(stage).places.map(({ url }) => url)).toEqual(['http://127.0.0.1:9002'])
})

test('three thousand adopted servers are matched when their list changes, not at every fact', () => {
  const urls = Array.from({ length: 3_000 }, (_, n) => `http://127.0.0.1:${n + 1}`)
  let read = 0
  const counted = new Proxy(urls, {
    get(list, name, self) {
      if (typeof name === 'string' && /^\d+$/.test(name)) read++
      return Reflect.get(list, name, self) as unknown
    },
  })
  const stage = new Stage({ urls: counted })
  const configured = read
  for (let n = 1; n <= 100; n++) {
    stage.tell({ type: 'process.started', ...stage.life(n), pid: null, url: urls[n - 1]! })
    stage.open(n)
  }
  expect([configured >= 3_000, read - configured]).toEqual([true, 0])
})

test('pool.app_removed: every runner drains with that reason, then the app is forgotten', () => {
  const stage = ready(2)
  stage.load(1, 1)
  stage.tell({ type: 'app.removed', app: APP })
  expect(words(stage)).toEqual(['busy+draining', 'idle+draining'])
  for (const n of [1, 2]) stage.tell({ type: 'work.counted', ...stage.life(n), inFlight: 0 })
  stage.exit(1)
  stage.exit(2)
  expect([stage.fleet.apps.size, stage.fleet.runners.size]).toEqual([0, 0])
  expect(stage.commands.filter((each) => each.type === 'stop').map(({ reason }) => reason)).toEqual(
    ['app_removed', 'app_removed'],
  )
})

test.for(['order.drain', 'pool.replaced'] as const)(
  'an app that is removed while a successor starts (%s) gets no other one, and is forgotten',
  (rule) => {
    const stage = ready(1)
    stage.load(1, 1)
    if (rule === 'pool.replaced') stage.configure({ minConcurrency: 1 }, 'r2')
    else stage.order(rule, 1, { replace: true, inFlight: 1 })
    stage.tell({ type: 'app.removed', app: APP })
    expect([stage.word(1), stage.word(2), stage.started]).toEqual(['busy+draining', 'stopping', 2])
    stage.exit(2)
    stage.tell({ type: 'work.counted', ...stage.life(1), inFlight: 0 })
    stage.exit(1)
    expect([stage.started, apps(stage.fleet)]).toEqual([2, []])
  },
)

test('an app without runners is forgotten at once', () => {
  const stage = new Stage()
  stage.tell({ type: 'app.removed', app: APP })
  expect(stage.fleet.apps.size).toBe(0)
})

test('runners of a removed app stay listed a day, and one that comes back never gives their ids again', () => {
  const stage = ready(1)
  const first = stage.id(1)
  stage.tell({ type: 'app.removed', app: APP })
  stage.tell({ type: 'work.counted', ...stage.life(1), inFlight: 0 })
  stage.exit(1)
  expect(apps(stage.fleet)).toEqual([])
  expect(view(stage.fleet, first)).toMatchObject({ id: first, app: APP, reason: 'app_removed' })
  const back = restore(JSON.parse(JSON.stringify(snapshot(stage.fleet))))
  expect([...views(back, { app: APP })]).toEqual([...views(stage.fleet)])

  stage.configure()
  expect([...views(stage.fleet)].map(({ id, substate }) => `${substate} ${id}`)).toEqual([
    `provisioning ${first.replace(/1$/, '2')}`,
    `gone ${first}`,
  ])
  step(stage.fleet, { type: 'time.passed', at: stage.fleet.now + 86_400_000 })
  expect(view(stage.fleet, first)).toBeNull()
})

test('another app of the same alias does not take the ids of a removed one', () => {
  const stage = ready(1)
  const first = stage.id(1)
  stage.tell({ type: 'app.removed', app: APP })
  stage.tell({ type: 'work.counted', ...stage.life(1), inFlight: 0 })
  stage.exit(1)
  stage.tell({
    type: 'app.configured',
    app: `other/${APP.split('/')[1]}`,
    options: { minConcurrency: 1 },
    policy: {},
    revision: '1',
  })
  const ids = [...views(stage.fleet)].map(({ id }) => id)
  expect(new Set(ids).size).toBe(2)
  expect(ids).toContain(first)
})

test('an app that comes back has its own name again, and no other takes it: an id is one runner', () => {
  const other = `other/${APP.split('/')[1]}`
  let fleet = createFleet({}, { seed: 1 })
  let at = 0
  const tell = (fact: object) => step(fleet, { ...fact, at } as never).commands
  const configure = (app: string, revision = '1') =>
    tell({
      type: 'app.configured',
      app,
      options: { minConcurrency: 1, maxConcurrency: 1 },
      policy: {},
      revision,
    })
  configure(APP)
  configure(other)
  tell({ type: 'app.removed', app: APP })
  tell({ type: 'process.exited', runner: 'app-1-1', incarnation: 1, code: 0, signal: null })
  fleet = restore(JSON.parse(JSON.stringify(snapshot(fleet))))
  configure(APP)
  configure(other, '2')
  tell({ type: 'process.exited', runner: 'other~app-1-1', incarnation: 1, code: 0, signal: null })
  at = 60_000
  tell({ type: 'time.passed' })
  expect([...views(fleet)].map(({ app, id }) => `${app} ${id}`)).toEqual([
    `${other} other~app-1-2`,
    `${other} other~app-1-1`,
    `${APP} app-1-2`,
    `${APP} app-1-1`,
  ])
})

test('order.shutdown drains all and starts nothing; with keepRunners nothing moves', () => {
  const stage = ready(2)
  stage.tell({ type: 'order.shutdown', by: 'me', keepRunners: true })
  expect(words(stage)).toEqual(['idle', 'idle'])
  stage.tell({ type: 'order.shutdown', by: 'me', keepRunners: false })
  for (const n of [1, 2]) {
    stage.tell({ type: 'work.counted', ...stage.life(n), inFlight: 0 })
    expect(stage.orders('stop')).toEqual([expect.objectContaining({ reason: 'shutdown' })])
    stage.exit(n)
  }
  expect([stage.started, stage.fleet.runners.size]).toEqual([2, 0])
})

test("a count that arrives when its runner has already left service is nobody's work", () => {
  const stage = ready(1)
  stage.load(1, 2)
  stage.order('order.drain', 1, { inFlight: 2 })
  stage.order('order.kill')
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 2 })
  stage.exit()
  expect(app(stage).working).toBe(0)
})

test('runners of two apps with the same alias have ids of their own', () => {
  const fleet = createFleet({}, { seed: 7 })
  for (const [owner, urls] of [
    ['a', undefined],
    ['b', undefined],
    ['c', ['http://127.0.0.1:1']],
    ['d', ['http://127.0.0.1:2']],
  ] as const)
    step(fleet, {
      type: 'app.configured',
      at: 0,
      app: `${owner}/same`,
      options: { minConcurrency: 1 },
      policy: {},
      revision: '1',
      ...(urls !== undefined && { urls }),
    })
  expect([...views(fleet)].map(({ id, app }) => [app, id])).toEqual([
    ['a/same', 'same-7-1'],
    ['b/same', 'b~same-7-1'],
    ['c/same', 'c~same-url-1'],
    ['d/same', 'd~same-url-1'],
  ])
})
