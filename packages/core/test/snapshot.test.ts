/** Semantics 9: a snapshot taken at any point changes nothing afterwards; what is derived is rebuilt; what is not ours is refused. */
import { expect, test } from 'vitest'
import {
  beginSnapshot,
  createFleet,
  type HealthEvent,
  nextDue,
  restore,
  snapshot,
  step,
} from '../src/index.ts'
import { ready, Stage } from './stage.ts'

test.for([null, 7, 'x', {}, [], { format: 2, apps: [] }, { format: 1 }] as const)(
  '%j is refused by name',
  (json) => {
    expect(() => restore(json)).toThrow(expect.objectContaining({ code: 'HEALTH_SNAPSHOT_FORMAT' }))
  },
)

test('a word of another version is refused by name', () => {
  const saved = JSON.parse(JSON.stringify(snapshot(ready(1).fleet)))
  saved.apps[0].runners[0].word = 'levitating'
  expect(() => restore(saved)).toThrow(/levitating/)
})

test('an empty fleet comes back empty', () => {
  const fleet = createFleet({}, { seed: 3 })
  const back = restore(JSON.parse(JSON.stringify(snapshot(fleet))))
  expect([snapshot(back), nextDue(back)]).toEqual([snapshot(fleet), Infinity])
})

test('restored, it goes on as if nothing had been', () => {
  const story = (cut: boolean) => {
    const stage = ready(3)
    stage.strike(1)
    stage.end('error', 2)
    stage.order('order.drain', 3, { replace: true })
    const fleet = cut ? restore(JSON.parse(JSON.stringify(snapshot(stage.fleet)))) : stage.fleet
    const said: unknown[] = []
    for (let i = 0; i < 200; i++) {
      const at = nextDue(fleet)
      if (at > 10_000_000) break
      const { commands, decisions } = step(fleet, { type: 'time.passed', at })
      said.push(commands, decisions)
    }
    return said
  }
  expect(story(true)).toEqual(story(false))
})

test('it holds no clock, heap or counter that could be derived', () => {
  const stage = ready(3)
  for (const n of [1, 2]) stage.strike(n)
  const saved = snapshot(stage.fleet)
  const derived = [
    'suspects',
    'outs',
    'established',
    'working',
    'draining',
    'flying',
    'maxProbes',
    'stale',
  ]
  const kept = [...Object.keys(saved), ...Object.keys(saved.apps[0]!)]
  expect(kept.filter((name) => derived.includes(name))).toEqual([])
  const back = restore(JSON.parse(JSON.stringify(saved)))
  const [was, is] = [stage.fleet, back].map((fleet) => {
    const app = [...fleet.apps.values()][0]!
    return [
      app.suspects,
      app.outs,
      app.established,
      app.working,
      app.draining,
      fleet.flying,
      fleet.maxProbes,
      fleet.probes.size,
      fleet.deadlines.size,
    ]
  })
  expect(is).toEqual(was)
})

test('in slices it is the fleet at the moment it began, whatever happens meanwhile', () => {
  const stage = ready(10)
  const before = JSON.stringify(snapshot(stage.fleet))
  const writer = beginSnapshot(stage.fleet)
  let text = writer.piece(4) ?? ''
  expect(() => beginSnapshot(stage.fleet)).toThrow(/close it first/)
  stage.end('server_error', 9)
  stage.exit(8)
  stage.configure({ keepAliveSeconds: 5 })
  stage.run(40)
  // Those that changed meanwhile were written before they did.
  for (let piece: string | null = ''; piece !== null; piece = writer.piece(3)) text += piece
  expect(text === before).toBe(true)
})

test('nodes that change while it is written are written as they were', () => {
  const stage = ready(2)
  const configure = (node: string, devices: readonly string[]): void =>
    void stage.tell({
      type: 'node.configured',
      node,
      devices,
      canReset: true,
      canReboot: true,
      canValidate: false,
    })
  const sample = (node: string, temperatureC: number): void =>
    void stage.tell({
      type: 'gpu.sampled',
      node,
      devices: [{ uuid: `GPU-${node}`, index: 0, temperatureC }],
    })
  for (const node of ['a', 'b', 'c']) {
    configure(node, [`GPU-${node}`])
    sample(node, 50)
  }
  const before = JSON.stringify(snapshot(stage.fleet))
  const writer = beginSnapshot(stage.fleet)
  let text = writer.piece(1) ?? ''
  sample('b', 60)
  stage.tell({ type: 'order.cordon', node: 'c', by: 'me' })
  configure('d', ['GPU-d'])
  stage.exit(1)
  stage.run(60)
  for (let piece: string | null = ''; piece !== null; piece = writer.piece(1)) {
    text += piece
    sample('a', 50 + (text.length % 7))
  }
  expect(text === before).toBe(true)
  expect(JSON.stringify(snapshot(restore(JSON.parse(text)))) === before).toBe(true)
})

test('one that is given up keeps nothing, and the next one may begin', () => {
  const stage = ready(2)
  const writer = beginSnapshot(stage.fleet)
  writer.piece(1)
  writer.close()
  expect([stage.fleet.keeper, stage.fleet.nodes.keeper, writer.piece(9)]).toEqual([
    null,
    null,
    null,
  ])
  const next = beginSnapshot(stage.fleet)
  writer.close()
  expect(stage.fleet.keeper).not.toBeNull()
  const whole = JSON.stringify(snapshot(stage.fleet))
  expect(next.piece(1_000)).toBe(whole)
})

test('the order of those that are held survives', () => {
  const stage = ready(6, { policy: { capMin: 0, capPercent: 0, panicMin: 100 } })
  for (const n of [5, 2, 4]) {
    stage.sick.set(n, 'status')
    stage.run(90, () => stage.word(n) === 'held')
  }
  const held = (fleet: Stage['fleet']) => [...fleet.apps.values()][0]!.held.map(({ id }) => id)
  expect(held(stage.fleet)).toEqual([stage.id(5), stage.id(2), stage.id(4)])
  expect(held(restore(JSON.parse(JSON.stringify(snapshot(stage.fleet)))))).toEqual(
    held(stage.fleet),
  )
})

test('core.started voids checks in flight and gauges of before, and flips nobody', () => {
  const stage = ready(4)
  stage.load(1, 1)
  stage.strike(2)
  stage.untilProbe(4)
  stage.end('error', 3)
  const words = [1, 2, 3, 4].map((n) => stage.runner(n).configuration.word)
  const fleet = restore(JSON.parse(JSON.stringify(snapshot(stage.fleet))))
  const { decisions, commands } = step(fleet, {
    type: 'core.started',
    at: stage.at,
    version: '1',
    wall: 0,
  })
  expect(decisions).toEqual([])
  expect([...fleet.runners.values()].map(({ configuration }) => configuration.word)).toEqual(words)
  // The question that was under way is asked again.
  expect(commands.filter(({ type }) => type === 'probe')).toEqual([
    expect.objectContaining({ runner: stage.id(3), kind: 'tcp' }),
  ])
  expect([...fleet.apps.values()][0]!.working).toBe(0)
})

test('time never runs backwards, and the refusal moves nothing', () => {
  const stage = ready(1)
  const before = JSON.stringify(snapshot(stage.fleet))
  expect(() => step(stage.fleet, { type: 'time.passed', at: stage.at - 1 })).toThrow(
    expect.objectContaining({ code: 'HEALTH_TIME_BACKWARDS' }),
  )
  expect(() => step(stage.fleet, { type: 'time.passed', at: Number.NaN })).toThrow(
    expect.objectContaining({ code: 'HEALTH_TIME_BACKWARDS' }),
  )
  expect(() =>
    step(stage.fleet, {
      type: 'policy.changed',
      at: stage.at,
      app: null,
      change: { capPercent: 900 },
      by: 'me',
    }),
  ).toThrow(/capPercent/)
  expect(() =>
    step(stage.fleet, {
      type: 'policy.changed',
      at: stage.at,
      app: 'no/app',
      change: {},
      by: 'me',
    }),
  ).toThrow(/no\/app/)
  expect(JSON.stringify(snapshot(stage.fleet))).toBe(before)
})

test('it is a snapshot of before probes were counted by app: the counts begin anew', () => {
  const stage = ready(2)
  const saved = JSON.parse(JSON.stringify(snapshot(stage.fleet))) as { apps: object[] }
  saved.apps = saved.apps.map((app) =>
    Object.fromEntries(Object.entries(app).filter(([name]) => !/window/i.test(name))),
  )
  expect([...restore(saved).runners.keys()]).toEqual([...stage.fleet.runners.keys()])
})

test('runners come back in the order of their apps, and so do the orders of what follows', () => {
  const fleet = createFleet({}, { seed: 1 })
  const tell = (fact: object) => step(fleet, { at: 0, ...fact } as HealthEvent)
  const app = (id: string, count: number): void => {
    const options = { minConcurrency: count, maxConcurrency: count }
    tell({ type: 'app.configured', app: id, options, policy: {}, revision: '1' })
  }
  app('o/a', 1)
  app('o/b', 1)
  app('o/a', 2)
  for (const runner of fleet.runners.keys())
    tell({ type: 'process.started', runner, incarnation: 1, pid: 1, url: 'http://127.0.0.1:1' })
  const twin = restore(JSON.parse(JSON.stringify(snapshot(fleet))))
  const begun = { type: 'core.started', at: 0, version: '1', wall: 0 } as const
  const lived = step(fleet, begun)
  expect(lived.commands.length).toBe(3)
  expect(step(twin, begun)).toEqual(lived)
})

test('a runner of a revision without a name stays one', () => {
  const stage = new Stage({ options: { minConcurrency: 1 } })
  stage.configure({}, '')
  stage.exit()
  stage.wait(40)
  stage.openAll()
  stage.configure({}, 'r2')
  const saved = JSON.stringify(snapshot(stage.fleet))
  expect(JSON.stringify(snapshot(restore(JSON.parse(saved))))).toBe(saved)
})
