/** Why something was decided, in words that need no source code: runners, requests, nodes, and what was withheld. */
import { describe, expect, test } from 'vitest'
import {
  type Decision,
  describe as tell,
  eventShapes,
  explain,
  type Explanation,
  type HealthEvent,
  NEW_RECORD,
} from '../src/index.ts'
import { CHECK, ready, Stage } from './stage.ts'

const why = (stage: Stage, n = 1): Explanation =>
  explain(
    {
      decisions: stage.decisions,
      events: stage.journal,
      recording: { start: null, policy: {}, seed: 1, events: stage.journal },
    },
    { kind: 'runner', id: stage.id(n) },
  )!
const lines = ({ chain }: Explanation): readonly string[] => chain.map(({ text }) => text)

test('three failed checks: the strikes, the verdict, and the nearest policy', () => {
  const stage = ready(2)
  stage.wait(30)
  stage.openAll()
  for (let n = 0; n < 3; n++) stage.strike(1, { why: 'timeout' })
  const explained = why(stage)
  expect(explained.decision).toMatchObject({ rule: 'health.threshold', to: 'stopping' })
  expect(explained.chain.map(({ type }) => type)).toEqual([
    'probe.failed',
    'health.fail',
    'probe.failed',
    'probe.failed',
    'health.threshold',
  ])
  expect(lines(explained)[0]).toBe('regular check failed: timeout after 5 ms')
  expect(lines(explained)[4]).toMatch(
    /^failing → stopping by health\.threshold; looked at age .*failures 3 >= 3 \(failureThreshold\)/,
  )
  expect(explained.counterfactual).toEqual({ option: 'failureThreshold', actual: 3, needed: 4 })
})

test('a runner just past its start period: the nearest number is the start period, to the millisecond', () => {
  const healthCheck = { ...CHECK, startPeriodSeconds: 60 }
  const stage = new Stage({ options: { minConcurrency: 1, maxConcurrency: 1, healthCheck } })
  stage.begin()
  const begun = stage.at
  stage.answer('probe.passed')
  const strikes: number[] = []
  while (strikes.length < 3) {
    stage.untilProbe()
    const before = stage.runner().context.strikes.length
    stage.answer('probe.failed', 1, { why: 'status' })
    const after = stage.fleet.runners.get(stage.id())?.context.strikes.length ?? 3
    if (after > before) strikes.push(stage.at - begun)
  }
  expect(why(stage).counterfactual).toEqual({
    option: 'startPeriodSeconds',
    actual: 60,
    needed: (strikes[0]! + 1) / 1000,
  })
})

test.for([
  ['a 503', (stage: Stage) => stage.end('server_error'), 'a 503 says that the runner is broken'],
  ['a crash', (stage: Stage) => stage.exit(), 'the process ended while it was serving'],
  ['an order', (stage: Stage) => stage.order('order.kill'), 'kill ordered by somebody'],
  [
    'a stop header',
    (stage: Stage) => stage.end('healthy', 1, { headers: { stop: true } }),
    'the runner asked to be stopped',
  ],
] as const)(
  '%s is a fact: no number would have changed it, and it says why',
  ([, happens, because]) => {
    const stage = ready(2)
    happens(stage)
    const explained = why(stage)
    expect(explained.counterfactual).toBeNull()
    expect(lines(explained).join('\n')).toContain(because)
    expect(lines(explained).at(-1)).toBe(
      'no policy number would have changed this: it is a fact, not a doubt',
    )
  },
)

test.for([
  [
    'a start',
    () => {
      const stage = new Stage({ options: { minConcurrency: 1 } })
      stage.begin()
      stage.wait(21)
      return stage
    },
    'startupTimeoutSeconds',
  ],
  [
    'a request',
    () => {
      const stage = ready(2)
      stage.end('request_timeout')
      return stage
    },
    'requestTimeoutSeconds',
  ],
  [
    'an idle runner',
    () => {
      const stage = ready(1, { options: { keepAliveSeconds: 5 } })
      stage.configure({ minConcurrency: 0, keepAliveSeconds: 5 })
      stage.run(60, () => stage.word() === 'idle+draining')
      stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
      return stage
    },
    'keepAliveSeconds',
  ],
] as const)('%s that came to a limit says which, and claims nothing else', ([, play, option]) => {
  const stage = play()
  const explained = why(stage)
  expect([stage.word(), explained.counterfactual]).toEqual(['stopping', null])
  expect(lines(explained).at(-1)).toBe(
    `${option} decided it: with a larger one it would have gone on, and no journal can say how it would have ended`,
  )
})

test('without a recording nothing is said of other policies', () => {
  const stage = ready(2)
  for (let n = 0; n < 3; n++) stage.strike(1, { why: 'timeout' })
  const explained = explain(
    { decisions: stage.decisions, events: stage.journal },
    { kind: 'runner', id: stage.id() },
  )!
  expect([explained.chain.at(-1)!.type, explained.counterfactual]).toEqual([
    'health.threshold',
    null,
  ])
  expect(explained.chain.at(-1)!.text).toContain('failures 3 >= 3')
})

test('a kill waits for nothing, and does not say that it waits for a successor', () => {
  const stage = ready(2)
  stage.order('order.kill', 1, { replace: true })
  expect(lines(why(stage))).toContain('kill ordered by somebody')
})

test.for([
  ['order.stop', 'stop ordered by somebody'],
  ['order.drain', 'drain ordered by somebody'],
] as const)('%s of a busy runner: who ordered it is told at its end too', ([order, told]) => {
  const stage = ready(2)
  stage.load(1, 1)
  stage.order(order, 1, { inFlight: 1 })
  stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
  expect(stage.word()).toBe('stopping')
  expect(lines(why(stage))[0]).toContain(told)
})

test('an end in the place of the decision is no other way: a server cannot fail a check that it did not live to see', () => {
  const healthCheck = { ...CHECK, startPeriodSeconds: 5 }
  const stage = ready(0, { urls: ['http://127.0.0.1:9001'], options: { healthCheck } })
  const before = stage.decisions.length
  stage.exit()
  stage.wait(31)
  stage.begin()
  stage.wait(3)
  stage.answer('probe.passed')
  stage.at += 1
  stage.answer('probe.failed', 1, { why: 'status' })
  expect(stage.decisions.slice(before).at(-1)).toMatchObject({ rule: 'health.grace' })
  expect(why(stage).counterfactual).toBeNull()
})

test('a TCP check that timed out is a doubt, and still no number would have changed it', () => {
  const stage = ready(3)
  stage.end('error')
  stage.answer('probe.failed', 1, { why: 'timeout' })
  const explained = why(stage)
  expect(explained.decision).toMatchObject({ rule: 'outcome.tcp_check', to: 'stopping' })
  expect(explained.counterfactual).toBeNull()
  expect(lines(explained).at(-1)).toContain('the TCP check after an error was not answered in time')
  expect(lines(explained).join('\n')).not.toContain('it is a fact')
})

test('a TCP check that was refused is a fact', () => {
  const stage = ready(3)
  stage.end('error')
  stage.answer('probe.failed', 1, { why: 'refused' })
  expect(lines(why(stage)).at(-1)).toContain('it is a fact, not a doubt')
})

describe('what was withheld says why, and what becomes of it', () => {
  const withheld = (policy: Record<string, unknown>): Explanation => {
    const stage = ready(4, { policy: { doubtPerSecond: 1000, doubtBurst: 1000, ...policy } })
    stage.wait(30)
    stage.openAll()
    for (const n of [1, 2]) stage.sick.set(n, 'status')
    const last = (): Decision | undefined => stage.decisions.findLast(({ enforced }) => !enforced)
    stage.run(90, () => last() !== undefined)
    const n = [1, 2].find((each) => stage.id(each) === last()?.subject.id)!
    return why(stage, n)
  }

  test.for([
    [
      { capPercent: 0, capMin: 0 },
      'failing → held',
      '1 place of the app would be out and 0 may be',
    ],
    [
      { capPercent: 100, doubtPerSecond: 0.001, doubtBurst: 1 },
      'failing → held',
      'endings by doubt come too fast (doubtPerSecond, doubtBurst); it keeps its work',
    ],
    [{ dryRun: ['health.threshold'] }, 'failing stays', 'the rule only observes (dryRun)'],
  ] as const)('%j', ([policy, moved, words]) => {
    const explained = withheld(policy)
    expect(explained.decision.enforced).toBe(false)
    const text = lines(explained).at(-1)!
    expect(text).toContain(`${moved}, health.threshold is not enforced: `)
    expect(text).toContain(words)
    // The rule's own numbers would still have decided otherwise; the guard's are never blamed.
    expect(explained.counterfactual).toEqual({ option: 'failureThreshold', actual: 3, needed: 4 })
  })

  test('a panic whose cooldown is not over', () => {
    const stage = ready(4, { policy: { panicCooldownSeconds: 300 } })
    for (const n of [1, 2, 3]) stage.sick.set(n, 'status')
    stage.run(60, () => [1, 2, 3].every((n) => stage.word(n) === 'failing'))
    for (const n of [2, 3]) stage.sick.delete(n)
    expect(stage.run(90, () => stage.word(1) === 'held')).toBe(true)
    const text = lines(why(stage)).at(-1)!
    expect(text).toContain('a panic is over only when fewer than 3 runners')
    expect(text).not.toContain('1 runners are doubted at once')
  })

  test('a failure in the start period', () => {
    const stage = new Stage({ options: { minConcurrency: 1, maxConcurrency: 1 } })
    stage.begin()
    stage.answer('probe.passed')
    stage.answer('probe.failed', 1, { why: 'status' })
    const said = lines(why(stage))
    expect(said.at(-2)).toContain('health.grace is not enforced: the runner is in its start period')
    // Two options are as large, and the larger one counts: neither alone would have been enough.
    expect(said.at(-1)).toMatch(/^no single policy number would have changed this/)
  })
})

test('a request shows all its attempts', () => {
  const stage = ready(3)
  stage.end('server_error', 1, {
    mode: 'queue',
    request: 'q-7',
    record: { ...NEW_RECORD, attempts: 1 },
  })
  stage.end('healthy', 2, {
    mode: 'queue',
    request: 'q-7',
    attempt: 2,
    record: { ...NEW_RECORD, attempts: 2 },
  })
  const explained = explain(
    { decisions: stage.decisions, events: stage.journal },
    { kind: 'request', id: 'q-7' },
  )!
  expect(explained.chain.map(({ type }) => type)).toEqual([
    'attempt.ended',
    'retry.table',
    'attempt.ended',
    'retry.one_outcome',
    'retry.one_outcome',
  ])
  expect(lines(explained).at(-1)).toBe(
    'no policy number would have changed this: nothing asks for another try after such an end',
  )
  expect(lines(explained)[0]).toBe(`attempt 1 on ${stage.id(1)} ended: server_error, status 503`)
  expect(lines(explained)[1]).toMatch(/^leased → queued by retry\.table; looked at attempts 1 < 10/)
})

test('a node shows everything since it was last healthy', () => {
  const stage = ready(1)
  const node = { node: 'n1', device: 'GPU-1' }
  stage.tell({
    type: 'node.configured',
    node: 'n1',
    devices: ['GPU-1'],
    canReset: false,
    canReboot: false,
    canValidate: false,
  })
  stage.tell({ type: 'order.cordon', node: 'n1', by: 'ada' })
  stage.tell({ type: 'order.uncordon', node: 'n1', by: 'ada' })
  stage.wait(120)
  stage.tell({ type: 'gpu.lost', ...node, detail: 'no answer' })
  const explained = explain(
    { decisions: stage.decisions, events: stage.journal },
    { kind: 'node', id: 'n1' },
  )!
  const text = lines(explained).join('\n')
  expect(text).toContain('device GPU-1 does not answer: no answer')
  const since = stage.decisions
    .filter(({ subject }) => subject.id === 'n1')
    .findLastIndex(({ to }) => to === 'healthy')
  expect(text.includes('ordered by ada')).toBe(since < 0)
})

test('a runner that leaves with its device says that the node was judged, and not the runner', () => {
  const stage = new Stage({ options: { devices: 1, minConcurrency: 1, maxConcurrency: 1 } })
  const sample = (temperatureC: number) =>
    stage.tell({ type: 'gpu.sampled', node: 'local', devices: [{ uuid: 'GPU-0', temperatureC }] })
  sample(50)
  stage.open()
  for (let n = 0; n < 3; n++) {
    stage.wait(10)
    sample(90)
  }
  stage.run(400, () => stage.word().includes('draining') || stage.word() === 'stopping')
  const explained = why(stage)
  expect(explained.decision.rule).toBe('temp.critical')
  expect(lines(explained).at(-1)).toBe(
    'no policy number would have changed this: its node or device was judged, not the runner; explain the node',
  )
})

test('nothing is known of a subject without decisions', () => {
  expect(explain({ decisions: [], events: [] }, { kind: 'runner', id: 'nobody' })).toBeNull()
})

test('every event has a text of its own, without a wire name in it', () => {
  const sample: Readonly<Record<string, unknown>> = {
    text: 'x',
    texts: ['x'],
    count: 1,
    integer: 1,
    counts: [1],
    ms: 1,
    flag: true,
    object: {},
    objects: [{}],
    headers: {},
    record: NEW_RECORD,
  }
  for (const [type, { fields }] of Object.entries(eventShapes)) {
    if (type === 'time.passed') continue
    const event: Record<string, unknown> = { type, at: 0 }
    for (const [name, kind] of Object.entries(fields)) {
      const plain = kind.replace(/\?$|\|null$/, '')
      event[name] = plain.startsWith('one of ') ? plain.slice(7).split(',')[0] : sample[plain]
    }
    const text = tell(event as unknown as HealthEvent)
    expect([type, text.includes(type) || text.includes('undefined') || text === '']).toEqual([
      type,
      false,
    ])
  }
})

describe('what others did is not told of a runner', () => {
  test('one that fell idle is not explained by the failed check of a neighbour', () => {
    const stage = ready(2)
    stage.configure({ minConcurrency: 0, keepAliveSeconds: 40 })
    const configured = stage.at
    for (let second = 0; second < 60 && !stage.word(2).includes('draining'); second++) {
      stage.wait(1)
      if (stage.runner(1).flying > 0) stage.answer('probe.failed', 1, { why: 'status' })
    }
    expect(stage.at).toBeGreaterThan(configured)
    expect(lines(why(stage, 2)).join('\n')).not.toContain('check failed')
  })

  test('a successor that took over is named, and so is who ordered it', () => {
    const stage = ready(2)
    stage.order('order.stop', 1, { replace: true })
    stage.begin(3)
    stage.answer('probe.passed', 3)
    stage.tell({ type: 'work.counted', ...stage.life(), inFlight: 0 })
    const told = lines(why(stage))
    expect(told[0]).toBe('stop ordered by somebody, successor first')
    expect(told).toContain(`runner ${stage.id(3)}: port check passed in 5 ms`)
  })
})

const node = { at: 0, node: 'n1' } as const
test.for<readonly [HealthEvent, string]>([
  [{ ...node, type: 'gpu.sampled', devices: [] }, 'readings of node n1: '],
  [{ ...node, type: 'gpu.sampled', devices: [{ uuid: 'a' }] }, 'readings of node n1: 1 devices'],
  [
    { ...node, type: 'gpu.sampled', devices: [{ uuid: 'a', temperatureC: 50 }, { uuid: 'b' }] },
    'readings of node n1: a 50 °C, 1 more',
  ],
  [
    { ...node, type: 'gpu.xid', boot: 'b', sequence: 1, xid: 79, device: 'a', text: 'off the bus' },
    'Xid 79 of device a: off the bus',
  ],
  [{ ...node, type: 'order.reset', by: 'ada' }, 'reset ordered by ada'],
  [{ ...node, type: 'order.reset', device: 'a', by: 'ada' }, 'reset of device a ordered by ada'],
])('%j is told as: %s', ([event, text]) => {
  expect(tell(event)).toBe(text)
})
