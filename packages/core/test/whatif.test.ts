/** Another policy against a recorded life: what is certain, what is unknown, and what is refused by name. */
import { describe, expect, test } from 'vitest'
import {
  appOptions,
  healthCheckOptions,
  type Life,
  moves,
  nodeTunables,
  readChange,
  tunables,
  whatIf,
  type WhatIfResult,
} from '../src/index.ts'
import { CHECK, ready, Stage } from './stage.ts'

const ask = (stage: Stage, change: unknown): WhatIfResult =>
  whatIf({ start: null, policy: {}, seed: 1, events: stage.journal }, change)
const lifeOf = (stage: Stage, result: WhatIfResult, n = 1): Life =>
  result.lives.find(({ runner }) => runner === stage.id(n))!
const end = (life: Life['ended']) => life && [life.at, life.rule, life.reason]

/** One runner past its start period, struck so many times, then well for a minute. */
function struck(times: number): { readonly stage: Stage; readonly strikes: readonly number[] } {
  const stage = ready(2)
  stage.wait(30)
  stage.openAll()
  const strikes: number[] = []
  for (let n = 0; n < times; n++) {
    stage.strike()
    strikes.push(stage.at)
  }
  return { stage, strikes }
}

describe('failureThreshold', () => {
  test('lower: the life ends earlier, certainly, and the journal shows what it really did afterwards', () => {
    const { stage, strikes } = struck(2)
    const before = stage.journal.length
    stage.run(60)
    stage.end('healthy', 1, { status: 200 })
    const passes = stage.journal
      .slice(before)
      .filter((event) => event.type === 'probe.passed' && event.runner === stage.id(1))
    const result = ask(stage, { failureThreshold: 2 })
    const life = lifeOf(stage, result)
    expect(life.fate).toBe('earlier')
    expect(end(life.ended)).toBeNull()
    expect(end(life.other)).toEqual([strikes[1], 'health.threshold', 'health_check_failed'])
    expect(life.afterwards).toEqual({
      passes: passes.length,
      failures: 0,
      served: 1,
      ms: stage.at - strikes[1]!,
    })
    expect(passes.length).toBeGreaterThan(3)
    expect(result.counts).toMatchObject({ lives: 2, same: 1, earlier: 1, earlierAndWell: 1 })
    expect(result.differs).toEqual({ 'demo/app': ['failureThreshold'] })
  })

  test('higher: the life is spared, and what then is unknown between two bounds', () => {
    const { stage, strikes } = struck(3)
    expect(stage.word(1)).toBe('stopping')
    const life = lifeOf(stage, ask(stage, { failureThreshold: 5 }))
    expect(life.fate).toBe('spared')
    expect(end(life.ended)).toEqual([strikes[2], 'health.threshold', 'health_check_failed'])
    expect(life.other).toBeNull()
    // Two more strikes, each at least nine seconds after the last; or none.
    expect(life.bounds).toEqual({ ifFailing: strikes[2]! + 18_000, ifRecovered: null })
    expect(life.afterwards).toBeNull()
  })

  test.for([
    ['longer', 100, 'spared', null],
    ['shorter', 4, 'earlier', [4_000, 'start.deadline', 'startup_timeout']],
  ] as const)(
    'a start that came to its limit, and a %s one: our own kill is not held against it',
    ([, startupTimeoutSeconds, fate, other]) => {
      const stage = new Stage({ options: { minConcurrency: 1, maxConcurrency: 1 } })
      stage.begin()
      // No event marks the deadline: the exit comes in the same step as far as the journal knows.
      stage.wait(20)
      stage.at += 10
      stage.tell({
        type: 'process.exited',
        ...stage.life(),
        code: null,
        signal: 'SIGTERM',
        answers: `stop:${stage.id()}.1`,
      })
      const life = lifeOf(stage, ask(stage, { startupTimeoutSeconds }))
      expect(end(life.ended)).toEqual([20_000, 'start.deadline', 'startup_timeout'])
      expect([life.fate, end(life.other)]).toEqual([fate, other])
    },
  )

  test('an end that answers an order which the other policy never gave is no crash', () => {
    const { stage } = struck(3)
    stage.exit()
    expect(lifeOf(stage, ask(stage, { failureThreshold: 4 }))).toMatchObject({
      fate: 'spared',
      other: null,
    })
  })

  test('a fact of death is the same under every threshold', () => {
    const { stage } = struck(1)
    stage.end('server_error')
    for (const failureThreshold of [2, 3, 9])
      expect(lifeOf(stage, ask(stage, { failureThreshold }))).toMatchObject({
        fate: 'same',
        other: { rule: 'outcome.server_error', reason: 'server_error' },
      })
  })
})

test.for([
  [{}, 'same'],
  [{ failureThreshold: 3 }, 'same'],
  [{ dryRun: ['health.threshold'] }, 'spared'],
  [{ dryRun: ['health.manual'], allowUnsafe: true }, 'same'],
  [{ capPercent: 0, capMin: 0 }, 'spared'],
  [{ startPeriodSeconds: 3600 }, 'spared'],
  [{ startupTimeoutSeconds: 3600 }, 'spared'],
  [{ policy: { doubtPerSecond: 1 } }, 'same'],
  [{ healthCheck: { failureThreshold: 4 } }, 'spared'],
  [{ apps: { 'demo/app': { failureThreshold: 4 } } }, 'spared'],
  [{ failureThreshold: 4, apps: { 'demo/app': { failureThreshold: 3 } } }, 'same'],
] as const)('%j on three strikes: %s', ([change, fate]) => {
  const { stage } = struck(3)
  expect(lifeOf(stage, ask(stage, change)).fate).toBe(fate)
})

test('a spared life says who spared it, and a dry run has no earliest end', () => {
  const { stage } = struck(3)
  const dry = lifeOf(stage, ask(stage, { dryRun: ['health.threshold'] }))
  expect([dry.because, dry.bounds?.ifFailing]).toEqual(['guard.dry_run', null])
  const capped = lifeOf(stage, ask(stage, { capPercent: 0, capMin: 0 }))
  expect([capped.because, capped.bounds?.ifFailing]).toEqual(['guard.cap', stage.at])
})

test('a guard that was tighter holds for as long as its numbers say, and no longer', () => {
  // Two of ten fail together. Really both may go; with a cap of one the second waits for the successor of the first.
  const stage = ready(10, { policy: { doubtPerSecond: 1000, doubtBurst: 1000 } })
  stage.wait(30)
  stage.openAll()
  for (const n of [1, 2]) stage.sick.set(n, 'status')
  expect(stage.run(90, () => stage.word(1) === 'stopping' && stage.word(2) === 'stopping')).toBe(
    true,
  )
  const result = ask(stage, { capPercent: 10 })
  expect([1, 2].map((n) => lifeOf(stage, result, n).fate).toSorted()).toEqual(['same', 'spared'])
})

test('a panic that begins with the very doubt that asks is seen by the shadow', () => {
  // Two fail once; under a threshold of one the third asks, and is the third to be doubted.
  const loose = { capPercent: 100, doubtPerSecond: 1000, doubtBurst: 1000 }
  const stage = ready(3, { policy: loose })
  for (const n of [1, 2, 3]) stage.sick.set(n, 'status')
  const words = (): readonly string[] => [1, 2, 3].map((n) => stage.word(n))
  expect(stage.run(60, () => words().every((word) => word === 'failing'))).toBe(true)
  const last = [1, 2, 3].toSorted((a, b) => stage.runner(a).since - stage.runner(b).since).at(-1)!
  const third = lifeOf(stage, ask(stage, { failureThreshold: 1 }), last)
  expect([third.other, third.otherwise.at(-1)?.word]).toEqual([null, 'held'])
})

test('endings that crowd each other are not sure: a guard may have made one wait for the other', () => {
  const stage = ready(10, { policy: { doubtPerSecond: 1000, doubtBurst: 1000, capPercent: 10 } })
  stage.wait(30)
  stage.openAll()
  for (const n of [1, 2]) {
    stage.strike(n)
    stage.strike(n)
  }
  const result = ask(stage, { failureThreshold: 2 })
  const [first, second] = [1, 2].map((n) => lifeOf(stage, result, n))
  expect([first!.fate, second!.fate, second!.doubt]).toEqual(['earlier', 'unsure', 'guards'])
  // With room for two both are certain.
  const roomy = ask(stage, { failureThreshold: 2, capPercent: 20 })
  expect([1, 2].map((n) => lifeOf(stage, roomy, n).fate)).toEqual(['earlier', 'earlier'])
})

test('what was really withheld is the control group: it shows what a condemned runner goes on to do', () => {
  const stage = ready(2, { policy: { dryRun: ['health.threshold'] } })
  stage.wait(30)
  stage.openAll()
  for (let n = 0; n < 3; n++) stage.strike()
  const condemned = stage.at
  stage.run(60)
  const result = ask(stage, {})
  const { withheld } = lifeOf(stage, result)
  expect(withheld).toMatchObject({
    at: condemned,
    rule: 'health.threshold',
    because: 'guard.dry_run',
  })
  expect(withheld!.afterwards.passes).toBeGreaterThan(3)
  expect(result.counts).toMatchObject({ withheld: 1, withheldAndWell: 1 })
  // Enforced, it would have ended there, certainly.
  expect(lifeOf(stage, ask(stage, { dryRun: [] }))).toMatchObject({
    fate: 'earlier',
    other: { at: condemned, rule: 'health.threshold' },
  })
})

test('a shorter timeout judges by the latency that was recorded', () => {
  const stage = ready(2)
  stage.wait(30)
  stage.openAll()
  for (let n = 0; n < 4; n++) {
    stage.untilProbe()
    stage.answer('probe.passed', 1, { latencyMs: 1_500 })
  }
  expect(lifeOf(stage, ask(stage, { timeoutSeconds: 1.6 })).fate).toBe('same')
  const late = lifeOf(stage, ask(stage, { timeoutSeconds: 1 }))
  expect(late.other?.rule).toBe('health.threshold')
  // A suspect would have been asked three times as often, and any of these probes may have acquitted it.
  expect(late.fate).toBe('unsure')
  const steady = lifeOf(stage, ask(stage, { timeoutSeconds: 1, failureThreshold: 1 }))
  expect(steady.fate).toBe('earlier')
})

test('where the other policy asks more often than the journal shows, an ending is not sure', () => {
  const stage = ready(2)
  stage.wait(30)
  stage.openAll()
  // Strike, acquittal, and so on: with two passes in a row asked for, the strikes add up.
  for (let n = 0; n < 8; n++) {
    stage.strike()
    stage.untilProbe()
    stage.answer('probe.passed')
  }
  expect(lifeOf(stage, ask(stage, {})).fate).toBe('same')
  expect(lifeOf(stage, ask(stage, { successThreshold: 2 })).fate).toBe('unsure')
})

describe('the start', () => {
  test('a shorter deadline ends a slow start earlier, a longer one spares it until then', () => {
    const stage = ready(1, { options: { startupTimeoutSeconds: 20 } })
    stage.tell({ type: 'order.kill', runner: stage.id(1), by: 'me', inFlight: 0 })
    stage.exit(1)
    stage.wait(1)
    stage.begin(2)
    const begun = stage.at
    stage.wait(30)
    // Deadlines are no events: the journal must go on past them.
    stage.tell({ type: 'control.ended', passed: true, latencyMs: 1 })
    const result = ask(stage, { startupTimeoutSeconds: 5 })
    expect(lifeOf(stage, result, 2)).toMatchObject({
      ended: { at: begun + 20_000, rule: 'start.deadline' },
      other: { at: begun + 5_000, rule: 'start.deadline', reason: 'startup_timeout' },
      fate: 'earlier',
    })
    expect(lifeOf(stage, ask(stage, { startupTimeoutSeconds: 50 }), 2)).toMatchObject({
      fate: 'spared',
      bounds: { ifFailing: begun + 50_000 },
    })
  })
})

describe('what no journal can answer is refused by the name of the option', () => {
  test.for([
    [{ intervalSeconds: 5 }, 'intervalSeconds', 'observed'],
    [{ suspectIntervalSeconds: 1 }, 'suspectIntervalSeconds', 'observed'],
    [{ timeoutSeconds: 10 }, 'timeoutSeconds', 'raised'],
    [{ tcpCheckTimeoutSeconds: 3 }, 'tcpCheckTimeoutSeconds', 'raised'],
    [{ path: '/other' }, 'path', 'observed'],
    [{ method: 'POST' }, 'method', 'observed'],
    [{ callRegularly: false }, 'callRegularly', 'observed'],
    [{ exclusive: true }, 'exclusive', 'observed'],
    [{ maxConcurrentProbes: 1 }, 'maxConcurrentProbes', 'observed'],
    [{ heartbeat: { ttlSeconds: 5 } }, 'heartbeat', 'observed'],
    [{ maxConcurrency: 7 }, 'maxConcurrency', 'which runners'],
    [{ keepAliveSeconds: 1 }, 'keepAliveSeconds', 'which runners'],
    [{ maxAttempts: 2 }, 'maxAttempts', 'requests'],
    [{ tempHighC: 70 }, 'tempHighC', 'nodes'],
  ] as const)('%j', ([change, option, why]) => {
    const { stage } = struck(1)
    expect(() => ask(stage, change)).toThrow(
      expect.objectContaining({
        code: 'HEALTH_REPLAY_REFUSED',
        path: option,
        message: expect.stringContaining(why),
      }),
    )
  })

  test('the value that was recorded is no change, whatever the option', () => {
    const { stage } = struck(1)
    expect(ask(stage, { ...CHECK, healthCheck: CHECK }).differs).toEqual({ 'demo/app': [] })
  })

  test.for([
    [{ failureThreshhold: 3 }, 'HEALTH_POLICY_UNKNOWN', 'failureThreshhold'],
    [{ failureThreshold: 0 }, 'HEALTH_POLICY_INVALID', 'failureThreshold'],
    [
      { apps: { 'demo/app': { failureThreshold: 'x' } } },
      'HEALTH_POLICY_INVALID',
      'apps.demo/app.failureThreshold',
    ],
    [{ apps: { 'no/app': { failureThreshold: 2 } } }, 'HEALTH_POLICY_UNKNOWN', 'apps.no/app'],
    [{ apps: [] }, 'HEALTH_POLICY_INVALID', 'apps'],
    [{ dryRun: ['outcome.server_error'] }, 'HEALTH_POLICY_INVALID', 'policy.dryRun'],
    [
      { failureThreshold: 4, policy: { failureThreshold: 3 } },
      'HEALTH_POLICY_INVALID',
      'policy.failureThreshold',
    ],
    [
      { policy: { failureThreshold: 3 }, failureThreshold: 4 },
      'HEALTH_POLICY_INVALID',
      'failureThreshold',
    ],
    [{ policy: { policy: { failureThreshold: 3 } } }, 'HEALTH_POLICY_UNKNOWN', 'policy.policy'],
    [[], 'HEALTH_POLICY_INVALID', ''],
    ['x', 'HEALTH_POLICY_INVALID', ''],
  ] as const)('%j is %s', ([change, code, path]) => {
    const { stage } = struck(1)
    expect(() => ask(stage, change)).toThrow(expect.objectContaining({ code, path }))
  })

  test('every option of the configuration says what it moves, and nothing else does', () => {
    const options = [healthCheckOptions, appOptions, tunables].flatMap(Object.keys)
    expect(Object.keys(moves).toSorted()).toEqual([...new Set(options)].toSorted())
    for (const name of Object.keys(nodeTunables)) expect(moves).not.toHaveProperty(name)
  })
})

test('a change may be written flat, nested, or per app', () => {
  expect(
    readChange({
      failureThreshold: 2,
      policy: { capMin: 2 },
      apps: { a: { healthCheck: { successThreshold: 2 } } },
    }),
  ).toEqual({
    every: { failureThreshold: 2, capMin: 2 },
    apps: { a: { successThreshold: 2 } },
  })
})

test('the same event twice, or one that is too old, changes nothing', () => {
  const { stage } = struck(3)
  const doubled = stage.journal.flatMap((event) => [event, event])
  expect(whatIf({ start: null, policy: {}, seed: 1, events: doubled }, {}).lives).toEqual(
    ask(stage, {}).lives,
  )
})

test('a runner that dryRun freed from being held is free to the other policy too: the same policy gives the same lives', () => {
  const stage = ready(4, { policy: { panicMin: 100 } })
  for (const n of [2, 1]) {
    stage.sick.set(n, 'status')
    expect(stage.run(90, () => /stopping|held/.test(stage.word(n)))).toBe(true)
  }
  expect(stage.word(1)).toBe('held')
  stage.tell({
    type: 'policy.changed',
    app: null,
    change: { dryRun: ['health.threshold'] },
    by: 'ann',
  })
  stage.exit(2)
  stage.open(5)
  stage.run(60)
  const { counts } = ask(stage, { failureThreshold: 3 })
  expect(counts).toMatchObject({ lives: 5, same: 5 })
})
