/** Semantics 2: the life of a runner, its words, what it gets in each, and how it ends. */
import { expect, test } from 'vitest'
import { runnerTable } from '../src/state.ts'
import { falState, traits } from '../src/word.ts'
import { ready, Stage } from './stage.ts'

const words = [
  'provisioning',
  'setup',
  'backoff',
  'ready',
  'verifying',
  'failing',
  'held',
  'stopping',
  'killing',
  'gone',
]
const duties = ['', '+draining', '+paused']

test('every configuration has one word of the closed set, with the duty behind it', () => {
  const serving = ['ready', 'verifying', 'failing', 'held']
  const all = words.flatMap((word) =>
    serving.includes(word) ? duties.map((duty) => word + duty) : [word],
  )
  expect(runnerTable.configurations.map(({ word }) => word).toSorted()).toEqual(all.toSorted())
})

test.for([
  ['backoff', 'starting', false, 'none', 'CRASH_BACKOFF'],
  ['provisioning', 'starting', false, 'none', 'PENDING'],
  ['setup', 'starting', false, 'port', 'SETUP'],
  ['ready', 'ready', true, 'regular', 'IDLE'],
  ['verifying', 'suspect', true, 'regular', 'IDLE'],
  ['failing', 'suspect', true, 'fast', 'IDLE'],
  ['held', 'suspect', true, 'fast', 'IDLE'],
  ['ready+paused', 'ready', false, 'regular', 'IDLE'],
  ['failing+draining', 'suspect', false, 'fast', 'DRAINING'],
  ['stopping', 'terminated', false, 'none', 'TERMINATING'],
  ['killing', 'terminated', false, 'none', 'TERMINATING'],
  ['gone', 'gone', false, 'none', 'TERMINATED'],
] as const)(
  '%s is %s; takes work: %s; probes: %s; fal says %s',
  ([word, stage, accepts, probe, fal]) => {
    const configuration = runnerTable.find(word)
    expect(traits(configuration)).toMatchObject({ stage, accepting: accepts, probe })
    expect(falState(configuration, 0)).toBe(fal)
    expect(falState(configuration, 2)).toBe(fal === 'IDLE' ? 'RUNNING' : fal)
  },
)

test('idle and busy are words for the gauge, not transitions', () => {
  const stage = ready()
  expect(stage.word()).toBe('idle')
  stage.load(1, 1)
  expect([stage.word(), stage.said()]).toEqual(['busy', []])
})

/** How to bring the first runner into a word. */
const roads: Readonly<Record<string, () => Stage>> = {
  provisioning: () => new Stage({ options: { minConcurrency: 1 } }),
  setup: () => {
    const stage = roads['provisioning']!()
    stage.begin()
    return stage
  },
  idle: () => ready(),
  busy: () => {
    const stage = ready()
    stage.load(1, 1)
    return stage
  },
  verifying: () => {
    const stage = ready()
    stage.end('error')
    return stage
  },
  failing: () => {
    const stage = ready()
    stage.strike()
    return stage
  },
  held: () => {
    const stage = ready(1, { policy: { capMin: 0, capPercent: 0 } })
    for (let i = 0; i < 3; i++) stage.strike()
    return stage
  },
  draining: () => {
    const stage = ready()
    stage.order('order.drain', 1, { inFlight: 1 })
    return stage
  },
  stopping: () => {
    const stage = ready()
    stage.order('order.stop')
    return stage
  },
  killing: () => {
    const stage = ready()
    stage.order('order.kill')
    return stage
  },
}

test.for([
  ['provisioning', 'gone', 'start.failed', 'setup_failed'],
  ['setup', 'gone', 'start.failed', 'setup_failed'],
  ['idle', 'gone', 'outcome.crashed', 'crashed'],
  ['verifying', 'gone', 'outcome.crashed', 'crashed'],
  ['failing', 'gone', 'outcome.crashed', 'crashed'],
  ['held', 'gone', 'outcome.crashed', 'crashed'],
  ['draining', 'gone', 'outcome.crashed', 'crashed'],
  ['stopping', 'gone', 'stop.exited', 'stopped'],
  ['killing', 'gone', 'stop.exited', 'killed'],
] as const)('the process ends while %s: %s by %s, reason %s', ([from, to, rule, reason]) => {
  const stage = roads[from]!()
  stage.exit()
  expect(stage.word()).toBe(to)
  expect(stage.last.decisions[0]).toMatchObject({ to, rule, enforced: true })
  expect(stage.fleet.apps.get('demo/app')!.gone.at(-1)).toMatchObject({ reason })
})

test.for([
  ['provisioning', 'killing'],
  ['setup', 'killing'],
  ['idle', 'killing'],
  ['verifying', 'killing'],
  ['failing', 'killing'],
  ['held', 'killing'],
  ['draining', 'killing'],
  ['stopping', 'killing'],
] as const)('order.kill while %s does not wait: %s', ([from, to]) => {
  const stage = roads[from]!()
  stage.order('order.kill')
  expect([stage.word(), stage.orders('kill').length]).toEqual([to, 1])
})

test.for([
  ['order.stop', 'stopped', 'order.stop'],
  ['order.drain', 'drained', 'order.drain'],
] as const)(
  '%s lets work in flight end first, then stops with reason %s',
  ([order, reason, rule]) => {
    const stage = ready()
    stage.load(1, 2)
    stage.order(order, 1, { inFlight: 2 })
    expect([stage.word(), stage.said()]).toEqual([
      'busy+draining',
      [`busy → busy+draining ${rule}`],
    ])
    expect(stage.orders('count')).toHaveLength(1)
    stage.end('healthy', 1, { inFlight: 1 })
    expect(stage.word()).toBe('busy+draining')
    stage.end('healthy', 1, { inFlight: 0 })
    expect([stage.word(), stage.said()]).toEqual(['stopping', [`idle+draining → stopping ${rule}`]])
    expect(stage.orders('stop')).toEqual([expect.objectContaining({ reason, graceMs: 5_000 })])
  },
)

test('a drain ends after drainTimeoutSeconds at the latest', () => {
  const stage = ready(1, { policy: { drainTimeoutSeconds: 30 } })
  stage.load(1, 1)
  stage.order('order.drain', 1, { inFlight: 1 })
  stage.wait(29.9)
  expect(stage.word()).toBe('busy+draining')
  stage.wait(0.1)
  expect([stage.word(), stage.said()]).toEqual([
    'stopping',
    ['busy+draining → stopping order.drain'],
  ])
})

test('an idle runner is stopped at once, without a drain', () => {
  const stage = ready()
  stage.order('order.drain')
  expect([stage.word(), stage.said()]).toEqual(['stopping', ['idle → stopping order.drain']])
})

test('health rules go on judging a draining runner', () => {
  const stage = roads['draining']!()
  stage.strike()
  expect(stage.word()).toBe('failing+draining')
  stage.strike()
  stage.strike()
  expect(stage.word()).toBe('stopping')
  expect(stage.said()).toContain('failing+draining → stopping health.threshold')
})

test('the grace ends in a kill, and the kill has its own record', () => {
  const stage = roads['stopping']!()
  stage.wait(4.9)
  expect(stage.word()).toBe('stopping')
  stage.wait(0.1)
  expect([stage.word(), stage.said()]).toEqual(['killing', ['stopping → killing stop.grace']])
  expect(stage.orders('kill').map(({ id }) => id)).toEqual([`kill:${stage.id()}.1`])
})

test('a fact about an old incarnation, or about nobody, is stale and is not journaled', () => {
  const stage = ready()
  const before = stage.fleet.stale
  expect(
    stage.tell({
      type: 'process.exited',
      runner: stage.id(),
      incarnation: 7,
      code: 0,
      signal: null,
    }),
  ).toEqual({
    seq: 0,
    commands: [],
    decisions: [],
  })
  stage.tell({ type: 'heartbeat.received', runner: 'nobody', incarnation: 1 })
  expect(stage.fleet.stale).toBe(before + 2)
  expect(stage.word()).toBe('idle')
})

test('a command runner gets a new id per process; a url runner keeps its id and its incarnation grows', () => {
  const stage = ready()
  const first = stage.id(1)
  stage.exit()
  expect(stage.orders('provision')).toEqual([
    expect.objectContaining({ replaces: first, incarnation: 1 }),
  ])
  expect(stage.id(2)).not.toBe(first)

  const adopted = new Stage({ urls: ['http://127.0.0.1:9001'] })
  adopted.open()
  expect(adopted.word()).toBe('idle')
  adopted.end('connection_lost')
  adopted.exit()
  // The same server that was ill is not asked again at once: back-off, as for a failed start.
  expect(adopted.orders('provision')).toEqual([])
  adopted.wait(29)
  expect(adopted.orders('provision')).toEqual([])
  adopted.wait(4)
  expect(adopted.orders('provision')).toEqual([
    expect.objectContaining({ runner: adopted.id(), incarnation: 2, url: 'http://127.0.0.1:9001' }),
  ])
  adopted.open()
  expect(adopted.life()).toEqual({ runner: adopted.id(), incarnation: 2 })
})

test('the age of an adopted server counts from the first connection of its incarnation', () => {
  const stage = new Stage({ urls: ['http://127.0.0.1:9001'] })
  stage.begin()
  stage.wait(15)
  stage.answer('probe.passed')
  expect(stage.runner().context.startedAt).toBe(15_000)
})
