/** Semantics 3: what a check means, when it is made, and what may be done on its word. */
import { expect, test } from 'vitest'
import { BY_RUNNER, type HealthCheckOptions, type ProbeKind } from '../src/index.ts'
import { APP, CHECK, ready, Stage } from './stage.ts'

const checked = (more: Partial<HealthCheckOptions>, size = 1) => ({
  options: { healthCheck: { ...CHECK, ...more }, minConcurrency: size, maxConcurrency: size },
})
/** Lets the next check pass; the word after it. */
const nextPass = (stage: Stage): string => {
  stage.untilProbe()
  stage.answer('probe.passed')
  return stage.word()
}
const kinds = (stage: Stage): readonly ProbeKind[] => stage.orders('probe').map(({ kind }) => kind)

test('start.ready: an open port makes a runner ready, and its first check is sent at once', () => {
  const stage = new Stage({ options: { minConcurrency: 1 } })
  stage.begin()
  expect(stage.orders('probe')).toEqual([expect.objectContaining({ kind: 'port', everyMs: 250 })])
  stage.answer('probe.passed')
  expect([stage.word(), stage.said(), kinds(stage)]).toEqual([
    'idle',
    ['setup → idle start.ready'],
    ['regular'],
  ])
})

test('readyAfterFirstPass: the port is not enough; failures before the pass are in grace', () => {
  const stage = new Stage(checked({ readyAfterFirstPass: true }))
  stage.begin()
  stage.answer('probe.passed')
  expect([stage.word(), kinds(stage)]).toEqual(['setup', ['regular']])
  stage.answer('probe.failed')
  expect([stage.word(), stage.said()]).toEqual([
    'setup',
    ['setup → setup health.grace !health.grace'],
  ])
  stage.untilProbe()
  stage.answer('probe.passed')
  expect([stage.word(), stage.said()]).toEqual(['idle', ['setup → idle start.ready']])
})

test('readyAfterFirstPass: without a pass within the effective start period the start has failed', () => {
  const stage = new Stage({
    options: {
      ...checked({ readyAfterFirstPass: true, startPeriodSeconds: 30 }).options,
      startupTimeoutSeconds: 10,
    },
  })
  stage.begin()
  stage.answer('probe.passed')
  stage.wait(29.9)
  expect(stage.word()).toBe('setup')
  stage.wait(0.1)
  expect(stage.said()).toEqual(['setup → stopping start.deadline'])
})

test.for([{}, { healthCheck: CHECK }])(
  'readyAfterFirstPass that goes, alone or with the check: a runner whose port is open is ready (%o)',
  (left) => {
    const stage = new Stage(checked({ readyAfterFirstPass: true }))
    stage.begin()
    stage.answer('probe.passed')
    stage.answer('probe.failed')
    stage.tell({
      type: 'app.configured',
      app: APP,
      options: { minConcurrency: 1, maxConcurrency: 1, ...left },
      policy: {},
      revision: 'r1',
    })
    expect(stage.said()).toEqual(['setup → idle start.ready'])
  },
)

test('health.grace: a failure while young is recorded once per episode and does not count', () => {
  const stage = new Stage(checked({}))
  stage.open()
  stage.answer('probe.failed')
  expect([stage.word(), stage.said()]).toEqual(['idle', ['idle → idle health.grace !health.grace']])
  stage.untilProbe()
  stage.answer('probe.failed')
  expect([stage.word(), stage.said(), stage.at < 20_000]).toEqual(['idle', [], true])
  expect(stage.runner().context.strikes).toEqual([])
})

test('health.grace: a failure that does not count breaks the row of passes too', () => {
  const healthCheck = { ...CHECK, successThreshold: 2 }
  const stage = ready(1, checked({ successThreshold: 2 }))
  const pass = () => nextPass(stage)
  stage.strike()
  expect(pass()).toBe('failing')
  stage.configure({ healthCheck: { ...healthCheck, startPeriodSeconds: 3600 } })
  stage.untilProbe()
  stage.answer('probe.failed')
  expect(stage.said()).toEqual(['failing → failing health.grace !health.grace'])
  expect([pass(), pass()]).toEqual(['failing', 'idle'])
})

test.for([
  { threshold: 3, said: ['idle → failing health.fail', '', 'failing → stopping health.threshold'] },
  { threshold: 2, said: ['idle → failing health.fail', 'failing → stopping health.threshold'] },
  { threshold: 1, said: ['idle → failing health.fail,failing → stopping health.threshold'] },
])(
  'health.threshold: the $threshold. consecutive failure ends a runner, never one before',
  ({ threshold, said }) => {
    const stage = ready(1, checked({ failureThreshold: threshold }))
    const heard: string[] = []
    while (heard.length < threshold) {
      stage.strike()
      heard.push(stage.said().join())
    }
    expect(heard).toEqual(said)
    expect(stage.orders('stop')).toEqual([
      expect.objectContaining({ reason: 'health_check_failed' }),
    ])
  },
)

test('the decision of a threshold names its failures and the readings it rests on', () => {
  const stage = ready()
  const counted = [1, 2, 3].map(() => stage.strike().seq)
  const decision = stage.last.decisions[0]!
  expect(decision.events).toEqual(counted)
  expect(decision.compared).toEqual(
    expect.arrayContaining([
      {
        name: 'age',
        value: expect.any(Number),
        op: '<',
        threshold: 20_000,
        option: 'startPeriodSeconds',
      },
      { name: 'failures', value: 3, op: '>=', threshold: 3, option: 'failureThreshold' },
      expect.objectContaining({ name: 'out', option: 'capPercent' }),
    ]),
  )
  expect(decision.commands).toContain(`stop:${stage.id()}.1`)
})

test('one pass breaks the row of failures, extra checks in between included', () => {
  const stage = ready()
  stage.strike()
  stage.strike()
  stage.untilProbe()
  stage.answer('probe.passed')
  expect([stage.word(), stage.said()]).toEqual(['idle', ['failing → idle health.recover']])
  stage.strike()
  expect(stage.said()).toEqual(['idle → failing health.fail'])
})

test('successThreshold passes in a row are needed; a failure in between starts the row anew', () => {
  const stage = ready(1, checked({ successThreshold: 2 }))
  const pass = () => nextPass(stage)
  stage.strike()
  expect(pass()).toBe('failing')
  stage.untilProbe()
  stage.answer('probe.failed')
  expect([pass(), pass()]).toEqual(['failing', 'idle'])
})

// Three strikes take two intervals, whatever comes in between.
test.for([0.1, 3.4, 7, 10, 60])(
  'suspectIntervalSeconds %s: regular checks go on beside those in between',
  (suspectIntervalSeconds) => {
    const stage = ready(1, checked({ suspectIntervalSeconds }))
    stage.strike()
    const first = stage.at
    stage.strike()
    stage.strike()
    expect(stage.word()).toBe('stopping')
    expect(stage.at - first).toBeGreaterThanOrEqual(18_000)
    expect(stage.at - first).toBeLessThanOrEqual(22_000)
  },
)

test('an extra check while failing may acquit early and never convicts early', () => {
  const stage = ready()
  stage.strike()
  const counted = stage.at
  stage.untilProbe()
  expect(stage.at - counted).toBeLessThan(5_000)
  stage.answer('probe.failed')
  expect([stage.runner().context.strikes.length, stage.said()]).toEqual([1, []])
  stage.strike()
  expect(stage.at - counted).toBeGreaterThanOrEqual(9_000)
})

test('a check that is configured no more convicts nobody: who failed or is held by it is ready again', () => {
  const stage = ready(4, { policy: { panicMin: 100 } })
  for (const n of [2, 1, 3]) {
    stage.sick.set(n, 'status')
    const doubted = n === 3 ? /failing/ : /stopping|held/
    expect(stage.run(90, () => doubted.test(stage.word(n)))).toBe(true)
  }
  expect([stage.word(1), stage.word(3)]).toEqual(['held', 'failing'])
  stage.run(60, () => stage.runner(3).flying > 0)
  stage.tell({
    type: 'app.configured',
    app: APP,
    options: { minConcurrency: 4, maxConcurrency: 4 },
    policy: {},
    revision: 'r1',
  })
  expect([stage.said(1), stage.said(3)]).toEqual([
    ['held → idle health.ended'],
    ['failing → idle health.ended'],
  ])
  expect(stage.orders('probe.cancel')).toHaveLength(1)
  stage.exit(2)
  stage.open(5)
  stage.wait(600)
  expect([stage.word(1), stage.word(3)]).toEqual(['idle', 'idle'])
})

test('a 2xx to real work never resets the count of failed checks', () => {
  const stage = ready()
  stage.strike()
  stage.strike()
  stage.end('healthy')
  stage.load(1, 0, { served: 5 })
  expect([stage.word(), stage.runner().context.strikes.length]).toEqual(['failing', 2])
})

test('probe.error accuses nobody: recorded, not counted, state unchanged', () => {
  const stage = ready()
  for (let i = 0; i < 5; i++) {
    stage.untilProbe()
    stage.answer('probe.errored')
    expect(stage.said()).toEqual([])
  }
  expect([stage.word(), stage.runner().context.strikes]).toEqual(['idle', []])
})

test.for([
  { why: 'regular', check: {}, expected: ['manual'] },
  {
    why: 'callRegularly: false',
    check: { callRegularly: false, exclusive: false },
    expected: ['manual'],
  },
])(
  'health.manual, $why: asks for a fresh check at once; one failure ends the runner',
  ({ check, expected }) => {
    const stage = ready(1, checked(check))
    stage.end('healthy', 1, { headers: { check: true } })
    expect([stage.word(), stage.said(), kinds(stage)]).toEqual([
      'verifying',
      ['idle → verifying health.manual'],
      expected,
    ])
    stage.answer('probe.failed')
    expect(stage.said()).toEqual(['verifying → stopping health.manual'])
    expect(stage.orders('stop')).toEqual([
      expect.objectContaining({ reason: 'manual_health_check_failed' }),
    ])
  },
)

test('health.manual ignores the start period', () => {
  const stage = new Stage(checked({}))
  stage.openAll()
  expect(stage.at).toBeLessThan(20_000)
  stage.end('healthy', 1, { headers: { check: true } })
  stage.answer('probe.failed', 1, { why: 'timeout' })
  expect(stage.word()).toBe('stopping')
})

test('health.manual: a pass refutes the doubt; counted failures stay', () => {
  const stage = ready()
  stage.end('healthy', 1, { headers: { check: true } })
  stage.answer('probe.passed')
  expect([stage.word(), stage.said()]).toEqual(['idle', ['verifying → idle health.manual']])
  stage.strike()
  stage.end('healthy', 1, { headers: { check: true } })
  stage.answer('probe.passed')
  expect([stage.word(), stage.runner().context.strikes.length]).toEqual(['failing', 1])
})

test('health.manual on a 500 takes the place of its TCP check', () => {
  const stage = ready()
  stage.end('error', 1, { headers: { check: true } })
  expect(kinds(stage)).toEqual(['manual'])
})

test('health.manual without a health check is a TCP check', () => {
  const stage = ready(1, { checked: false })
  stage.end('healthy', 1, { headers: { check: true } })
  expect(kinds(stage)).toEqual(['tcp'])
})

test('a check that was asked for when its health check goes is a TCP check', () => {
  const stage = ready(1, checked({ callRegularly: false }))
  stage.load(1, 1)
  stage.end('healthy', 1, { headers: { check: true }, inFlight: 1 })
  expect(stage.word()).toBe('verifying+paused')
  stage.tell({
    type: 'app.configured',
    app: APP,
    options: { minConcurrency: 1, maxConcurrency: 1 },
    policy: {},
    revision: 'r1',
  })
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  expect(kinds(stage)).toEqual(['tcp'])
  stage.answer('probe.passed')
  expect(stage.word()).toBe('idle')
})

test('a manual check during a regular one waits for a fresh one', () => {
  const stage = ready()
  stage.untilProbe()
  stage.end('healthy', 1, { headers: { check: true } })
  expect([stage.word(), kinds(stage)]).toEqual(['verifying', []])
  stage.answer('probe.passed')
  expect([stage.word(), kinds(stage)]).toEqual(['verifying', ['manual']])
})

test('a manual check asked of a held runner is made even when a regular pass frees it meanwhile', () => {
  const stage = ready(1, { policy: { capMin: 0, capPercent: 0 } })
  for (let i = 0; i < 3; i++) stage.strike()
  expect(stage.word()).toBe('held')
  stage.untilProbe()
  stage.end('healthy', 1, { headers: { check: true } })
  stage.answer('probe.passed')
  expect([stage.said(), kinds(stage)]).toEqual([
    ['held → idle health.recover', 'idle → verifying health.manual'],
    ['manual'],
  ])
})

test('a manual check asked for while a TCP check flies is made even when that one times out and a guard holds the runner', () => {
  const stage = ready(1, { policy: { capMin: 0, capPercent: 0 } })
  stage.end('error')
  stage.end('healthy', 1, { headers: { check: true } })
  stage.answer('probe.failed', 1, { why: 'timeout' })
  expect([stage.word(), kinds(stage)]).toEqual(['held', ['manual']])
  stage.answer('probe.failed', 1, { why: 'status' })
  expect(stage.said()).toEqual(['held → stopping health.manual'])
})

test('a manual check that we cannot make is made again three times at once, then TCP decides', () => {
  for (const [answer, word] of [
    ['probe.passed', 'idle'],
    ['probe.failed', 'stopping'],
  ] as const) {
    const stage = ready()
    stage.end('healthy', 1, { headers: { check: true } })
    const made: ProbeKind[] = []
    while (stage.runner().flyingKind !== 'tcp') {
      stage.answer('probe.errored')
      made.push(...kinds(stage))
    }
    expect(made).toEqual(['manual', 'manual', 'manual', 'tcp'])
    stage.answer(answer, 1, { why: 'refused' })
    expect(stage.word()).toBe(word)
  }
})

test('when even TCP cannot be made, the check is asked for again later', () => {
  const stage = ready()
  stage.end('error')
  while (stage.runner().flying > 0) stage.answer('probe.errored')
  expect([stage.word(), stage.runner().flying]).toEqual(['verifying', 0])
  stage.wait(4)
  expect(stage.runner().flyingKind).toBe('tcp')
})

test('a check asked for while a stronger one is pending is covered by it and adds evidence only', () => {
  const stage = ready()
  stage.end('healthy', 1, { headers: { check: true } })
  for (let i = 0; i < 20; i++) {
    stage.end('error')
    expect(kinds(stage)).toEqual([])
  }
  const { evidence } = stage.runner().context
  expect([evidence.length, evidence.at(-1)]).toEqual([8, stage.fleet.seq])
})

test('a stronger check takes over from a weaker one', () => {
  const stage = ready()
  stage.end('error')
  stage.end('healthy', 1, { headers: { check: true } })
  stage.answer('probe.passed')
  expect([stage.word(), kinds(stage)]).toEqual(['verifying', ['manual']])
})

test('an answer that comes after the verdict, or for another probe, is stale', () => {
  const stage = ready()
  stage.untilProbe()
  const { flying } = stage.runner()
  const fail = (probe: number) =>
    stage.tell({ type: 'probe.failed', ...stage.life(), probe, kind: 'regular', latencyMs: 1 }).seq
  for (const probe of [flying - 1, flying + 5, 0]) expect(fail(probe)).toBe(0)
  stage.answer('probe.passed')
  for (const probe of [flying, flying + 5, 0]) expect(fail(probe)).toBe(0)
})

test.for([false, true])(
  'the interval runs from start to start, with ten percent jitter; the second check comes after a random share of it (readyAfterFirstPass %s)',
  (readyAfterFirstPass) => {
    const seconds = new Set<number>()
    for (let seed = 1; seed <= 30; seed++) {
      const stage = new Stage({ ...checked({ readyAfterFirstPass }), seed })
      stage.open()
      if (readyAfterFirstPass) stage.answer('probe.passed')
      const starts = [stage.at]
      stage.answer('probe.passed')
      for (let i = 0; i < 4; i++) {
        stage.untilProbe()
        starts.push(stage.at)
        stage.answer('probe.passed')
      }
      const gaps = starts.slice(1).map((at, i) => at - starts[i]!)
      seconds.add(Math.round(gaps[0]! / 1000))
      expect(gaps[0]).toBeLessThanOrEqual(10_000)
      for (const gap of gaps.slice(1)) {
        expect(gap).toBeGreaterThanOrEqual(9_000)
        expect(gap).toBeLessThanOrEqual(11_000)
      }
    }
    // Runners that were started together do not stay in step.
    expect(seconds.size).toBeGreaterThan(5)
  },
)

test('a missed tick is skipped, never made up for', () => {
  const stage = ready()
  stage.untilProbe()
  stage.wait(65)
  expect(stage.orders('probe')).toEqual([])
  stage.answer('probe.passed')
  expect(stage.orders('probe')).toEqual([])
})

test('health.slow: three slow checks in a row are a warning, no verdict', () => {
  const stage = ready()
  const slow = (latencyMs: number) => {
    stage.untilProbe()
    stage.answer('probe.passed', 1, { latencyMs })
    return stage.said()
  }
  expect([slow(1500), slow(1500), slow(900), slow(1500), slow(1500)].flat()).toEqual([])
  expect(slow(1001)).toEqual(['idle → idle health.slow !health.slow'])
  expect(slow(1500)).toEqual([])
})

test('maxConcurrentProbes holds back scheduled checks in due order, never the asked ones', () => {
  const stage = new Stage({ ...checked({}, 5), policy: { maxConcurrentProbes: 2 } })
  for (let n = 1; n <= 5; n++) stage.open(n)
  const flying = () => [1, 2, 3, 4, 5].filter((n) => stage.runner(n).flying > 0)
  expect(flying()).toEqual([1, 2])
  stage.end('error', 5)
  expect(flying()).toEqual([1, 2, 5])
  stage.answer('probe.passed', 1)
  expect(flying()).toEqual([2, 3, 5])
})

test('health.heartbeat: a missed one is a failed regular check on the same counter; the reason names the last signal', () => {
  const stage = ready(1, checked({ heartbeat: { ttlSeconds: 30 } }))
  stage.tell({ type: 'heartbeat.received', ...stage.life() })
  stage.strike()
  stage.strike()
  const last = stage.at
  while (stage.word() === 'failing' && stage.at - last < 60_000) stage.wait(1)
  expect(stage.orders('stop').map(({ reason }) => reason)).toEqual(['heartbeat_missed'])
})

test('heartbeats and checks between requests that are switched on watch the runners that serve already', () => {
  const stage = ready(1, checked({ callRegularly: false }))
  const heartbeat = { ttlSeconds: 8 }
  const healthCheck = { ...CHECK, callRegularly: false }
  stage.configure({ healthCheck: { ...healthCheck, betweenRequestsSeconds: 30 } })
  stage.wait(31)
  expect(stage.word()).toBe('idle+paused')
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  stage.answer('probe.passed')
  stage.configure({ healthCheck: { ...healthCheck, heartbeat } })
  stage.wait(5)
  // What is armed keeps its time.
  stage.configure({ healthCheck: { ...healthCheck, heartbeat }, keepAliveSeconds: 7 })
  stage.wait(3)
  expect(stage.said()).toEqual(['idle → failing health.fail'])
})

test('heartbeats that were switched off for a while are counted anew: those that came meanwhile were not looked at', () => {
  const stage = ready(1, checked({ callRegularly: false, heartbeat: { ttlSeconds: 30 } }))
  const beat = () => stage.tell({ type: 'heartbeat.received', ...stage.life() })
  beat()
  stage.configure({ healthCheck: { ...CHECK, callRegularly: false } })
  for (let i = 0; i < 2; i++) {
    stage.wait(10)
    beat()
  }
  stage.configure({})
  stage.wait(29.9)
  expect(stage.word()).toBe('idle')
  stage.wait(0.1)
  expect(stage.said()).toEqual(['idle → failing health.fail'])
})

test('a heartbeat in time keeps a runner well', () => {
  const stage = ready(1, checked({ heartbeat: { ttlSeconds: 8 } }))
  stage.tell({ type: 'heartbeat.received', ...stage.life() })
  for (let i = 0; i < 10; i++) {
    stage.wait(7)
    if (stage.runner().flying > 0) stage.answer('probe.passed')
    stage.tell({ type: 'heartbeat.received', ...stage.life() })
    expect(stage.word()).toBe('idle')
  }
})

test('health.progress of an app with an exclusive check: TCP answers, since work is in flight', () => {
  const stage = ready(1, checked({ ...exclusive, progressTimeoutSeconds: 5 }))
  stage.load(1, 1)
  stage.tell({ type: 'attempt.stalled', ...stage.life(), inFlight: 1 })
  expect([stage.said(), kinds(stage)]).toEqual([['busy → verifying health.progress'], ['tcp']])
  stage.answer('probe.passed')
  expect(stage.word()).toBe('busy')
})

test('health.progress: silence is verified; real work refutes it and calls the check back', () => {
  const stage = ready()
  stage.load(1, 1)
  stage.tell({ type: 'attempt.stalled', ...stage.life(), inFlight: 1 })
  expect([stage.said(), kinds(stage)]).toEqual([['busy → verifying health.progress'], ['manual']])
  const { flying } = stage.runner()
  stage.end('healthy', 1, { inFlight: 1 })
  expect([stage.said(), stage.orders('probe.cancel').length]).toEqual([
    ['verifying → busy health.progress'],
    1,
  ])
  // Its answer comes too late to matter.
  expect(
    stage.tell({
      type: 'probe.failed',
      ...stage.life(),
      probe: flying,
      kind: 'manual',
      latencyMs: 1,
    }).seq,
  ).toBe(0)
  expect(stage.word()).toBe('busy')
})

test('order.check asks for a regular check now, or for a manual one', () => {
  const stage = ready()
  stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: false })
  expect([stage.word(), kinds(stage)]).toEqual(['idle', ['regular']])
  stage.answer('probe.passed')
  stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: true })
  expect([stage.said(), kinds(stage)]).toEqual([['idle → verifying order.check'], ['manual']])
})

test('a check that the runner asked for in the middle of a stream is no operator’s', () => {
  const stage = ready()
  stage.tell({ type: 'order.check', runner: stage.id(), by: BY_RUNNER, manual: true })
  expect([stage.said(), kinds(stage)]).toEqual([['idle → verifying health.manual'], ['manual']])
})

test.for([
  { exclusive: true, word: 'verifying+paused', made: [] },
  { exclusive: false, word: 'verifying', made: ['manual'] },
])(
  'order.check of an app whose check is not regular makes it, as a manual one (exclusive $exclusive)',
  ({ exclusive, word, made }) => {
    const stage = ready(1, checked({ callRegularly: false, exclusive }))
    stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: false })
    expect([stage.word(), kinds(stage)]).toEqual([word, made])
  },
)

test.for([
  ['an app without a check', () => ready(1, { checked: false })],
  [
    'a runner that is being stopped',
    () => {
      const stage = ready()
      stage.end('server_error')
      return stage
    },
  ],
  [
    'a runner that is being started',
    () => new Stage({ options: { minConcurrency: 1, maxConcurrency: 1 } }),
  ],
] as const)('%s has no regular check to order, and a reload begins none', ([, make]) => {
  const stage = make()
  stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: false })
  expect(kinds(stage)).toEqual([])
  stage.configure({ requestTimeoutSeconds: 9 })
  expect(kinds(stage)).toEqual([])
})

const exclusive = { callRegularly: false, exclusiveWaitSeconds: 5 } as const

test('health.exclusive: admission pauses, work in flight ends, then the check runs', () => {
  const stage = ready(1, checked(exclusive))
  stage.load(1, 2)
  stage.end('healthy', 1, { headers: { check: true }, inFlight: 1 })
  expect([stage.word(), kinds(stage), stage.orders('count').length]).toEqual([
    'verifying+paused',
    [],
    1,
  ])
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 1 })
  expect(kinds(stage)).toEqual([])
  stage.end('healthy', 1, { inFlight: 0 })
  expect(kinds(stage)).toEqual(['manual'])
  stage.answer('probe.passed')
  expect([stage.word(), stage.said()]).toEqual(['idle', ['verifying+paused → idle health.manual']])
})

test('health.exclusive_wait: work that does not end skips the check, says so, and it is asked for again later', () => {
  const stage = ready(1, checked(exclusive))
  stage.load(1, 1)
  stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: true })
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 1 })
  stage.wait(5)
  expect(stage.said()).toEqual(['verifying+paused → verifying health.exclusive_wait'])
  stage.wait(10)
  expect(stage.word()).toBe('verifying+paused')
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  expect(kinds(stage)).toEqual(['manual'])
})

test('health.exclusive_wait is for the work, not for the check: a slow one runs to its own timeout', () => {
  const stage = ready(1, checked({ ...exclusive, timeoutSeconds: 9 }))
  stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: true })
  stage.wait(4)
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  stage.wait(9)
  expect([stage.word(), stage.last.commands]).toEqual(['verifying+paused', []])
  stage.answer('probe.failed', 1, { why: 'timeout' })
  expect(stage.said()).toEqual(['verifying+paused → stopping health.manual'])
})

test('exclusiveWaitSeconds 0 waits for no work, and an idle runner is checked', () => {
  const stage = ready(1, checked({ ...exclusive, exclusiveWaitSeconds: 0 }))
  stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: true })
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  expect([stage.word(), kinds(stage)]).toEqual(['verifying+paused', ['manual']])
})

test('an exclusive check that only our own errors answer does not keep the runner paused', () => {
  const stage = ready(1, checked({ ...exclusive, exclusiveWaitSeconds: 600 }))
  stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: true })
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  for (let n = 0; n < 8; n++) stage.answer('probe.errored')
  expect(stage.said()).toEqual(['verifying+paused → verifying health.exclusive_wait'])
})

test('health.after_error: an error whose TCP check passed asks for one exclusive check, at most one an interval', () => {
  const stage = ready(1, checked(exclusive))
  stage.end('error')
  stage.answer('probe.passed')
  expect(stage.said()).toEqual([
    'verifying → idle outcome.tcp_check',
    'idle → verifying health.after_error',
    'verifying → verifying+paused health.exclusive',
  ])
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  expect(kinds(stage)).toEqual(['exclusive'])
  stage.answer('probe.passed')
  expect(stage.word()).toBe('idle')
  stage.wait(2)
  stage.end('error')
  stage.answer('probe.passed')
  expect([stage.word(), stage.said()]).toEqual(['idle', ['verifying → idle outcome.tcp_check']])
  stage.wait(10)
  stage.end('error')
  stage.answer('probe.passed')
  expect(stage.word()).toBe('verifying+paused')
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  stage.answer('probe.failed')
  expect(stage.orders('stop').map(({ reason }) => reason)).toEqual(['manual_health_check_failed'])
})

test('betweenRequestsSeconds: an idle runner is checked when none ran that long; a busy one is not', () => {
  const stage = ready(
    1,
    checked({ exclusive: true, callRegularly: false, betweenRequestsSeconds: 30 }),
  )
  stage.wait(31)
  expect(stage.word()).toBe('idle+paused')
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  stage.answer('probe.passed')
  expect(stage.word()).toBe('idle')
  stage.load(1, 1)
  stage.wait(65)
  expect(stage.word()).toBe('busy')
})

test('betweenRequestsSeconds: one that is in use is checked as it falls idle, when none ran that long', () => {
  const stage = ready(
    1,
    checked({ exclusive: true, callRegularly: false, betweenRequestsSeconds: 30 }),
  )
  const checkedAt: number[] = []
  for (let second = 0; second < 100; second++) {
    // Ten seconds of work and ten of rest, in turns: it never rests for as long as is asked for.
    if (second % 20 === 0) stage.load(1, 1)
    if (second % 20 === 10) stage.load(1, 0)
    stage.wait(1)
    if (stage.word() !== 'idle+paused') continue
    checkedAt.push(second + 1)
    stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
    stage.answer('probe.passed')
  }
  // Ready 25 s before: due at 5, 41 and 81, each time in the middle of work.
  expect(checkedAt).toEqual([11, 51, 91])
})

test('a missed heartbeat rests on the last fact of its runner, and says how long nothing came: nobody else is blamed', () => {
  const stage = ready(2, checked({ heartbeat: { ttlSeconds: 8 }, callRegularly: false }, 2))
  stage.tell({ type: 'heartbeat.received', ...stage.life(2) })
  const own = stage.journal.length
  for (let second = 0; second < 10; second++) {
    stage.wait(1)
    stage.tell({ type: 'heartbeat.received', ...stage.life(1) })
  }
  const { subject, events, compared } = stage.decisions.at(-1)!
  expect(subject.id).toBe(stage.id(2))
  expect(events.filter((seq) => seq > own)).toEqual([])
  expect(compared[0]).toEqual({
    name: 'silent',
    value: 8000,
    op: '>=',
    threshold: 8000,
    option: 'ttlSeconds',
  })
})
