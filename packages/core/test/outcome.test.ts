/** Semantics 4: one table; every row in every state of a runner that serves. */
import { expect, test } from 'vitest'
import {
  judged,
  MAX_RETRY_AFTER_MS,
  type OutcomeName,
  outcomeOf,
  outcomes,
  readOutcomeHeaders,
} from '../src/index.ts'
import { ready, type Stage } from './stage.ts'

test.for([
  [100, 'healthy'],
  [200, 'healthy'],
  [204, 'healthy'],
  [302, 'healthy'],
  [400, 'healthy'],
  [404, 'healthy'],
  [422, 'healthy'],
  [499, 'healthy'],
  [429, 'rate_limited'],
  [500, 'error'],
  [501, 'error'],
  [502, 'error'],
  [505, 'error'],
  [599, 'error'],
  [503, 'server_error'],
  [504, 'gateway_timeout'],
] as const)('status %i is %s', ([status, outcome]) => {
  expect(outcomeOf(status)).toBe(outcome)
})

/** How a runner comes into each state in which it serves; strikes stay two below the threshold. */
const states: Readonly<Record<string, (stage: Stage) => void>> = {
  idle: () => {},
  busy: (stage) => stage.load(1, 1),
  verifying: (stage) => stage.end('error'),
  failing: (stage) => stage.strike(),
  held: (stage) => {
    for (let i = 0; i < 3; i++) stage.strike()
  },
  'busy+draining': (stage) => {
    stage.load(1, 1)
    stage.order('order.drain', 1, { inFlight: 2 })
  },
  'idle+paused': (stage) =>
    stage.tell({ type: 'order.check', runner: stage.id(), by: 'me', manual: true }),
}
const held = { policy: { capMin: 0, capPercent: 0 } }
const make = (state: string): Stage => {
  const paused = state === 'idle+paused'
  const stage = ready(1, {
    ...held,
    ...(paused && { options: { healthCheck: { path: '/h', callRegularly: false } } }),
  })
  states[state]!(stage)
  return stage
}
const words: Readonly<Record<string, string>> = { 'idle+paused': 'verifying+paused' }

const ends = ['server_error', 'connection_lost', 'crashed', 'request_timeout'] as const
test.for(Object.keys(states).flatMap((state) => ends.map((outcome) => [state, outcome] as const)))(
  'a runner that is %s ends at once by outcome.%s',
  ([state, outcome]) => {
    const stage = make(state)
    const word = words[state] ?? state
    expect(stage.word()).toBe(word)
    stage.end(outcome, 1, { inFlight: 1 })
    expect(stage.said()[0]).toBe(`${word} → stopping outcome.${outcome}`)
    expect(stage.orders('stop')).toEqual([
      expect.objectContaining({ reason: outcomes[outcome].reason }),
    ])
  },
)

test.for(Object.keys(states))(
  'outcome.stop_header ends a runner that is %s on any status',
  (state) => {
    const stage = make(state)
    stage.end('healthy', 1, { headers: { stop: true }, inFlight: 1 })
    expect(stage.said()[0]).toBe(`${words[state] ?? state} → stopping outcome.stop_header`)
    expect(stage.orders('stop')).toEqual([expect.objectContaining({ reason: 'stop_header' })])
  },
)

test('outcome.stop_header: false keeps a runner even on 503, and only on 503', () => {
  const stage = ready()
  stage.end('server_error', 1, { headers: { stop: false } })
  expect([stage.word(), stage.said()]).toEqual(['idle', []])
  stage.end('connection_lost', 1, { headers: { stop: false } })
  expect(stage.word()).toBe('stopping')
})

const neutral = ['healthy', 'rate_limited', 'client_left'] as const
test.for(
  Object.keys(states)
    .filter((state) => state !== 'busy')
    .flatMap((state) => neutral.map((outcome) => [state, outcome] as const)),
)('a runner that is %s stays so by outcome.%s', ([state, outcome]) => {
  const stage = make(state)
  const before = stage.runner().configuration.word
  stage.end(outcome, 1, { inFlight: 1 })
  expect(stage.runner().configuration.word).toBe(before)
  expect(stage.said()).toEqual([])
})

test.for(['error', 'gateway_timeout'] as const)(
  'outcome.%s asks for one TCP check; a pass brings the runner back where it was',
  (outcome) => {
    const stage = ready()
    stage.end(outcome)
    expect(stage.said()).toEqual([`idle → verifying outcome.${outcome}`])
    expect(stage.orders('probe')).toEqual([
      expect.objectContaining({ kind: 'tcp', timeoutMs: 2_000 }),
    ])
    stage.answer('probe.passed')
    expect(stage.said()).toEqual(['verifying → idle outcome.tcp_check'])

    const failing = ready()
    failing.strike()
    failing.end(outcome)
    failing.answer('probe.passed')
    expect(failing.said()).toEqual(['verifying → failing outcome.tcp_check'])
  },
)

test.for([
  ['refused', 'verifying → stopping outcome.tcp_check'],
  ['reset', 'verifying → stopping outcome.tcp_check'],
  // A timeout may be our own fault: doubt, held by the guards.
  ['timeout', 'verifying → held outcome.tcp_check !guard.cap'],
] as const)('outcome.tcp_check that is %s: %s', ([why, said]) => {
  const stage = ready(1, held)
  stage.end('error')
  stage.answer('probe.failed', 1, { why: why as 'refused' })
  expect(stage.said()).toEqual([said])
})

test('outcome.tcp_check: a pass younger than a second is used again without a second decision', () => {
  const stage = ready()
  stage.end('error')
  stage.answer('probe.passed')
  stage.wait(0.9)
  stage.end('error')
  expect([stage.word(), stage.said(), stage.orders('probe')]).toEqual(['idle', [], []])
  stage.wait(0.2)
  stage.end('error')
  expect(stage.word()).toBe('verifying')
})

test('a stream of errors is one TCP check at a time, never a storm', () => {
  const stage = ready()
  let asked = 0
  for (let i = 0; i < 100; i++) {
    stage.end('error')
    asked += stage.orders('probe').length
  }
  expect(asked).toBe(1)
})

test('a crash seen by the gateway before the host: one end, and the late exit is stale', () => {
  const stage = ready()
  stage.end('crashed')
  expect(stage.orders('stop').map(({ reason }) => reason)).toEqual(['crashed'])
  stage.exit()
  expect(stage.word()).toBe('gone')
  expect(stage.exit().seq).toBe(0)
})

test('a crash seen by the gateway while the runner is being stopped: nothing is left to wait for', () => {
  const stage = ready()
  stage.end('server_error')
  stage.end('crashed')
  expect(stage.said()).toEqual(['stopping → gone stop.exited'])
})

test.for([
  ['/run', false, true],
  ['/health', false, false],
  ['/healthz', false, false],
  ['/ready?verbose', false, false],
  ['/livez', false, false],
  ['/startup', false, false],
  ['/my/check', true, false],
  ['/my/check?x=1', true, false],
  ['/my/check/deeper', true, true],
  ['/healthy', false, true],
] as const)('outcome.not_judged: %s is judged: %s', ([path, _own, is]) => {
  expect(judged(path, '/my/check')).toBe(is)
})

test('outcome.not_judged: a health path with a query is that path', () => {
  expect(['/check', '/check?deep=1'].map((path) => judged(path, '/check?deep=1'))).toEqual([
    false,
    false,
  ])
})

const headers = (given: Record<string, string>) => readOutcomeHeaders((name) => given[name])
test.for([
  [{}, undefined],
  [{ 'x-fal-stop-runner': '1' }, { stop: true }],
  [{ 'x-fal-stop-runner': ' TRUE ' }, { stop: true }],
  [{ 'x-fal-stop-runner': '0' }, { stop: false }],
  [{ 'x-fal-stop-runner': 'perhaps' }, undefined],
  [{ 'x-fal-runner-health-check': 'anything' }, { check: true }],
  [{ 'x-fal-runner-health-check': '' }, { check: true }],
  [{ 'x-fal-runner-health-check': 'false' }, {}],
  [{ 'x-fal-runner-health-check': 'no' }, {}],
  [{ 'x-fal-needs-retry': 'yes' }, { needsRetry: true }],
  [{ 'x-fal-needs-retry': 'false' }, { needsRetry: false }],
  [{ 'retry-after': '3' }, { retryAfterMs: 3_000 }],
  [{ 'retry-after': '9999' }, { retryAfterMs: MAX_RETRY_AFTER_MS }],
  [{ 'retry-after': '-1' }, {}],
  [{ 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, {}],
] as const)('headers %j are read as %j', ([given, read]) => {
  expect(headers(given)).toEqual(read)
})

test('every row of the table has a rule of its own name and a sentence', () => {
  const odd = Object.entries(outcomes).filter(
    ([, row]) => row.when.length < 3 || (row.runner === 'ends') !== (row.reason !== null),
  )
  expect(odd).toEqual([])
  expect(Object.keys(outcomes) satisfies string[] as OutcomeName[]).toHaveLength(10)
})
