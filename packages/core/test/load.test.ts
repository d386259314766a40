/** Semantics 8, placement: who gets the next attempt. Traffic stays off the machines; a slot is never given twice. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  countTraffic,
  demand,
  demandChanged,
  demandOf,
  free,
  handleOf,
  hints,
  inFlight,
  judge,
  NO_RUNNER,
  place,
  type RunnerHandle,
  runnerOf,
  turn,
} from '../src/index.ts'
import { APP, ready, type Stage } from './stage.ts'

const pool = (size: number, multiplexing = 1, more = {}): Stage =>
  ready(size, {
    options: { minConcurrency: size, maxConcurrency: size, maxMultiplexing: multiplexing, ...more },
    policy: { panicMin: 1000, capMin: 0, capPercent: 0 },
  })
const take = (stage: Stage, ask: Parameters<typeof place>[2] = {}): number => {
  const handle = place(stage.fleet, APP, ask)
  if (handle === NO_RUNNER) return 0
  const { id } = runnerOf(stage.fleet, handle)
  return Array.from({ length: stage.started }, (_, i) => i + 1).find((n) => stage.id(n) === id)!
}
const give = (stage: Stage, n: number) =>
  judge(stage.fleet, handleOf(stage.fleet, stage.id(n)), 1, 'healthy', undefined, true)

test('idle before busy, and the least recently used of the idle first', () => {
  const stage = pool(3)
  expect([take(stage), take(stage), take(stage), take(stage)]).toEqual([1, 2, 3, 0])
  give(stage, 2)
  give(stage, 1)
  expect([take(stage), take(stage)]).toEqual([2, 1])
})

test('fewest in flight first', () => {
  const stage = pool(2, 3)
  expect([take(stage), take(stage), take(stage)]).toEqual([1, 2, 1])
  give(stage, 1)
  give(stage, 1)
  expect([take(stage), take(stage)]).toEqual([1, 2])
})

test('ready before verifying before failing and held', () => {
  const stage = pool(4)
  stage.sick.set(1, 'status')
  stage.run(60, () => stage.word(1) === 'held')
  stage.sick.set(2, 'status')
  stage.run(20, () => stage.word(2) === 'failing')
  stage.end('error', 3)
  expect([1, 2, 3, 4].map((n) => stage.word(n))).toEqual(['held', 'failing', 'verifying', 'idle'])
  expect([take(stage), take(stage)]).toEqual([4, 3])
  expect([take(stage), take(stage)].toSorted((a, b) => a - b)).toEqual([1, 2])
})

test('a runner that goes from verifying to failing loses its rank at once', () => {
  const stage = pool(2)
  stage.sick.set(1, 'status')
  stage.run(60, () => stage.word(1) === 'failing')
  stage.end('error', 1)
  stage.end('error', 2)
  expect(place(stage.fleet, APP)).not.toBe(NO_RUNNER)
  give(stage, 1)
  give(stage, 2)
  stage.answer('probe.passed', 1)
  expect([stage.word(1), stage.word(2), take(stage)]).toEqual(['failing', 'verifying', 2])
})

test.for(['order.drain', 'order.kill', 'order.stop'] as const)(
  '%s takes a runner out of placement at once',
  (order) => {
    const stage = pool(2, 2)
    take(stage)
    stage.order(order, 1, { inFlight: 1 })
    expect([take(stage), take(stage), take(stage)]).toEqual([2, 2, 0])
  },
)

test('in panic the difference of ready and suspect is ignored', () => {
  const stage = ready(4)
  for (const n of [1, 2, 3]) stage.sick.set(n, 'status')
  stage.run(60, () => stage.fleet.apps.get(APP)!.panic)
  expect(take(stage)).toBe(1)
})

test('a hint goes before idleness, within a tier; a full or doubted match does not count', () => {
  const stage = pool(3, 2)
  hints(stage.fleet, handleOf(stage.fleet, stage.id(2)), ['llama', 'flux'])
  expect([
    take(stage, { hint: 'llama' }),
    take(stage, { hint: 'flux' }),
    take(stage, { hint: 'llama' }),
  ]).toEqual([2, 2, 1])
  expect(take(stage, { hint: 'unknown' })).toBe(3)
  give(stage, 2)
  give(stage, 2)
  stage.sick.set(2, 'status')
  stage.run(60, () => stage.word(2) === 'failing')
  expect(take(stage, { hint: 'llama' })).not.toBe(2)
  hints(stage.fleet, handleOf(stage.fleet, stage.id(3)), ['llama'])
  expect(take(stage, { hint: 'llama' })).toBe(3)
  hints(stage.fleet, handleOf(stage.fleet, stage.id(3)), [])
  give(stage, 3)
  give(stage, 3)
  give(stage, 1)
  give(stage, 1)
  expect(take(stage, { hint: 'llama' })).toBe(3)
})

test('at most 32 hints of a runner are kept', () => {
  const stage = pool(2)
  hints(
    stage.fleet,
    handleOf(stage.fleet, stage.id(2)),
    Array.from({ length: 1000 }, (_, i) => `h${i}`),
  )
  expect([take(stage, { hint: 'h999' }), take(stage, { hint: 'h31' })]).toEqual([1, 2])
})

test('retry.other_runner: another of the same tier is preferred over the one that failed, a doubted one is not', () => {
  const stage = pool(3)
  expect(take(stage, { avoid: stage.id(1) })).toBe(2)
  expect(take(stage, { avoid: stage.id(1) })).toBe(3)
  expect(take(stage, { avoid: stage.id(1) })).toBe(1)
  const doubtful = pool(2)
  doubtful.sick.set(2, 'status')
  doubtful.run(60, () => doubtful.word(2) === 'failing')
  expect(take(doubtful, { avoid: doubtful.id(1) })).toBe(1)
})

test('runners above the target get no new work, so that they can fall idle and stop', () => {
  const stage = pool(4)
  stage.configure({ minConcurrency: 0 })
  // One call at a time needs one runner, the oldest.
  for (let i = 0; i < 6; i++) {
    expect(take(stage)).toBe(1)
    give(stage, 1)
  }
  expect([take(stage), take(stage)]).toEqual([1, 2])
})

test('adopted servers are all needed', () => {
  const urls = ['http://127.0.0.1:9001', 'http://127.0.0.1:9002']
  const stage = ready(0, { urls, options: { minConcurrency: 0, maxConcurrency: 1 } })
  expect([take(stage), take(stage)]).toEqual([1, 2])
})

test('free says how many slots queued requests could get, as demand grows', () => {
  const stage = pool(3, 2)
  expect(free(stage.fleet, APP)).toBe(6)
  stage.configure({ minConcurrency: 0 })
  demand(stage.fleet, APP, 0, 1)
  expect(free(stage.fleet, APP)).toBe(2)
  demand(stage.fleet, APP, 0, 5)
  expect(free(stage.fleet, APP)).toBe(6)
  take(stage, { queued: true })
  expect(free(stage.fleet, APP)).toBe(5)
  expect(free(stage.fleet, 'no/app')).toBe(0)
})

test('a freed slot goes to waiting direct calls, every fifth to the queue', () => {
  const stage = pool(1)
  expect(Array.from({ length: 10 }, () => turn(stage.fleet, APP))).toEqual([
    'direct',
    'direct',
    'direct',
    'direct',
    'queue',
    'direct',
    'direct',
    'direct',
    'direct',
    'queue',
  ])
})

test('a healthy end on a ready and open runner costs counters only; anything that crosses a rule is an event', () => {
  const stage = pool(1, 8)
  const handle = handleOf(stage.fleet, stage.id())
  const ended = (outcome: Parameters<typeof judge>[3], headers?: Parameters<typeof judge>[4]) => {
    take(stage)
    return judge(stage.fleet, handle, 1, outcome, headers)
  }
  expect([ended('healthy'), ended('client_left'), ended('healthy', { stop: false })]).toEqual([
    'counted',
    'counted',
    'counted',
  ])
  for (const outcome of [
    'error',
    'server_error',
    'connection_lost',
    'rate_limited',
    'request_timeout',
  ] as const)
    expect(ended(outcome)).toBe('event')
  expect([
    ended('healthy', { check: true }),
    ended('healthy', { stop: true }),
    ended('healthy', { needsRetry: false }),
  ]).toEqual(['event', 'event', 'event'])
  take(stage)
  stage.end('error')
  expect(judge(stage.fleet, handle, 1, 'healthy')).toBe('event')
  take(stage)
  expect(judge(stage.fleet, handle, 2, 'healthy')).toBe('event')
})

test('a slot given back twice is not given out twice', () => {
  const stage = pool(1)
  take(stage)
  give(stage, 1)
  give(stage, 1)
  expect([
    inFlight(stage.fleet, handleOf(stage.fleet, stage.id())),
    take(stage),
    take(stage),
  ]).toEqual([0, 1, 0])
})

test('traffic.counted: one fact per app that changed, with arrays for the runners that did, then silence', () => {
  const stage = pool(3)
  take(stage)
  take(stage)
  give(stage, 1)
  demand(stage.fleet, APP, 4, 7)
  expect(demandChanged(stage.fleet)).toBe(true)
  const told = countTraffic(stage.fleet, stage.at)
  expect(told).toEqual([
    {
      type: 'traffic.counted',
      at: stage.at,
      app: APP,
      runners: [stage.id(1), stage.id(2)],
      started: [1, 1],
      ended: [1, 0],
      served: [1, 0],
      inFlight: [0, 1],
      waiting: 4,
      queued: 7,
    },
  ])
  for (const event of told) stage.tell(event)
  expect([countTraffic(stage.fleet, stage.at), demandChanged(stage.fleet)]).toEqual([[], false])
  expect(demandOf(stage.fleet, APP)).toEqual({ waiting: 4, queued: 7, inFlight: 1 })
})

test('work on a runner that is gone still gives its slot back, to nobody', () => {
  const stage = pool(2)
  const handle = place(stage.fleet, APP)
  const { id } = runnerOf(stage.fleet, handle)
  stage.exit(1)
  expect(handleOf(stage.fleet, id)).toBe(NO_RUNNER)
  expect(judge(stage.fleet, handle, 1, 'connection_lost')).toBe('event')
  expect(inFlight(stage.fleet, handle)).toBe(0)
})

test('seats of runners that come and go are used again', () => {
  const stage = pool(2)
  const seen = new Set<RunnerHandle>()
  for (let i = 0; i < 200; i++) {
    const n = stage.started
    if (stage.word(n) === 'provisioning') stage.open(n)
    const handle = place(stage.fleet, APP)
    seen.add(handle)
    seen.add(handleOf(stage.fleet, stage.id(n)))
    if (handle !== NO_RUNNER) judge(stage.fleet, handle, 1, 'healthy')
    stage.order('order.kill', n)
    stage.exit(n)
    stage.wait(1)
  }
  expect(seen.size).toBeLessThan(8)
})

test('an app that was removed and configured again begins with an empty ledger', () => {
  const stage = pool(1, 2)
  take(stage)
  stage.tell({ type: 'app.removed', app: APP })
  expect(take(stage)).toBe(0)
  stage.exit()
  stage.configure()
  stage.openAll()
  expect(demandOf(stage.fleet, APP).inFlight).toBe(0)
  expect(countTraffic(stage.fleet, stage.at)).toEqual([])
  expect(take(stage)).toBe(2)
})

test('apps that are asked in turns give runners of their own', () => {
  const stage = pool(2)
  const other = 'test/other'
  const { options } = stage.fleet.apps.get(APP)!
  stage.tell({ type: 'app.configured', app: other, options, policy: {}, revision: 'r1' })
  stage.openAll()
  const given = [APP, other, APP, other, APP, other].map((app) => {
    const handle = place(stage.fleet, app)
    return handle === NO_RUNNER ? null : runnerOf(stage.fleet, handle).app
  })
  expect(given).toEqual([APP, other, APP, other, null, null])
})

/** What the ledger should choose, by looking at everybody. */
function naive(
  stage: Stage,
  multiplexing: number,
  held: ReadonlyMap<string, number>,
): ReadonlySet<string> {
  const app = stage.fleet.apps.get(APP)!
  const tier = (id: string): number => {
    const { states } = app.runners.find((runner) => runner.id === id)!.configuration
    return states.has('ready') ? 0 : states.has('verifying') ? 1 : 2
  }
  const able = app.runners
    .filter((runner) => runner.configuration.states.has('open') && runner.place.current === runner)
    .map(({ id }) => id)
    .filter((id) => (held.get(id) ?? 0) < multiplexing)
  const rank = (id: string): number => tier(id) * 1000 + (held.get(id) ?? 0)
  const best = Math.min(...able.map(rank))
  return new Set(able.filter((id) => rank(id) === best))
}

test(
  'in any order of takings, endings and changes the ledger agrees with looking at everybody',
  { timeout: 60_000 },
  () => {
    const moves = fc.array(
      fc.record({
        kind: fc.constantFrom(
          'take',
          'take',
          'take',
          'give',
          'give',
          'sick',
          'well',
          'error',
          'answer',
          'drain',
          'crash',
          'start',
        ),
        n: fc.nat(7),
      }),
      { minLength: 20, maxLength: 120 },
    )
    fc.assert(
      fc.property(moves, fc.integer({ min: 1, max: 3 }), (list, multiplexing) => {
        const stage = pool(5, multiplexing)
        const held = new Map<string, number>()
        const open: RunnerHandle[] = []
        const wrong: string[] = []
        for (const { kind, n } of list) {
          const who = 1 + (n % stage.started)
          const alive = stage.word(who) !== 'gone'
          if (kind === 'take') {
            const best = naive(stage, multiplexing, held)
            const handle = place(stage.fleet, APP)
            const id = handle === NO_RUNNER ? null : runnerOf(stage.fleet, handle).id
            if (id === null ? best.size > 0 : !best.has(id))
              wrong.push(`took ${id} of ${[...best].join()}`)
            if (id !== null) {
              held.set(id, (held.get(id) ?? 0) + 1)
              open.push(handle)
            }
          } else if (kind === 'give' && open.length > 0) {
            const [handle] = open.splice(n % open.length, 1)
            const { id } = runnerOf(stage.fleet, handle!)
            held.set(id, held.get(id)! - 1)
            judge(stage.fleet, handle!, 1, 'healthy')
          } else if (kind === 'sick') stage.sick.set(who, 'status')
          else if (kind === 'well') stage.sick.clear()
          else if (kind === 'start') {
            if (stage.word(who) === 'provisioning') stage.open(who)
          } else if (!alive) continue
          else if (kind === 'error')
            stage.end('error', who, { inFlight: held.get(stage.id(who)) ?? 0 })
          else if (kind === 'answer' && stage.runner(who).flying > 0)
            stage.answer('probe.passed', who)
          else if (kind === 'drain')
            stage.order('order.drain', who, { inFlight: held.get(stage.id(who)) ?? 0 })
          else if (kind === 'crash') stage.exit(who)
          stage.run(3)
          for (const [id, count] of held) {
            const handle = handleOf(stage.fleet, id)
            if (handle !== NO_RUNNER && inFlight(stage.fleet, handle) !== count)
              wrong.push(`${id} holds ${count}`)
          }
        }
        expect(wrong).toEqual([])
      }),
      { numRuns: 300, seed: 20_261_121 },
    )
  },
)
