// Numbers as Prometheus reads them, and the small memories behind them.
import { type Decision, type Observation, reasons } from '@health/core'
import { ManualClock } from '@health/testkit'
import { expect, test } from 'vitest'
import { createCallLog, type CallEntry } from '../src/call-log.ts'
import { createLanes } from '../src/lane.ts'
import { label } from '../src/label.ts'
import { createMetrics } from '../src/metric.ts'
import { createWake } from '../src/wake.ts'

const decision = (more: Partial<Decision>): Decision => ({
  seq: 1,
  at: 0,
  subject: { kind: 'runner', id: 'r', incarnation: 1 },
  from: 'idle',
  to: 'stopping',
  rule: 'outcome.server_error',
  compared: [],
  enforced: true,
  because: null,
  commands: [],
  events: [],
  ...more,
})
const seen = (more: Partial<Observation>): Observation => ({
  event: { type: 'time.passed', at: 0 },
  commands: [],
  decisions: [],
  ...more,
})

test('what is counted is shown, once, with its labels', () => {
  const metrics = createMetrics(() => 'a/b')
  metrics.request('a/b', 'run', 200, 30)
  metrics.request('a/b', 'run', 200, 4000)
  metrics.request('a/b', 'queue', 503, 1)
  metrics.attempt('a/b', 'server_error')
  metrics.retry('a/b', 'server_error')
  metrics.observe(
    seen({
      decisions: [
        decision({}),
        decision({
          from: 'failing',
          to: 'held',
          enforced: false,
          because: 'guard.cap',
          rule: 'health.threshold',
        }),
      ],
      commands: [
        { type: 'stop', id: 's', runner: 'r', incarnation: 1, graceMs: 1, reason: 'server_error' },
      ],
    }),
  )
  metrics.observe(
    seen({
      event: {
        type: 'probe.failed',
        at: 0,
        runner: 'r',
        incarnation: 1,
        probe: 1,
        kind: 'regular',
        latencyMs: 20,
      },
    }),
  )
  const text = metrics.text([{ name: 'health_journal_seq', read: () => [['', 7]] }])
  for (const line of [
    'health_requests_total{app="a/b",mode="run",status="200"} 2',
    'health_requests_total{app="a/b",mode="queue",status="503"} 1',
    'health_request_duration_seconds_bucket{app="a/b",mode="run",le="0.025"} 0',
    'health_request_duration_seconds_bucket{app="a/b",mode="run",le="0.05"} 1',
    'health_request_duration_seconds_bucket{app="a/b",mode="run",le="+Inf"} 2',
    'health_request_duration_seconds_count{app="a/b",mode="run"} 2',
    'health_request_duration_seconds_sum{app="a/b",mode="run"} 4.03',
    'health_attempts_total{app="a/b",outcome="server_error"} 1',
    'health_retries_total{app="a/b",condition="server_error"} 1',
    'health_transitions_total{app="a/b",from="idle",to="stopping",rule="outcome.server_error"} 1',
    'health_terminations_total{app="a/b",reason="server_error",enforced="true"} 1',
    'health_terminations_total{app="a/b",reason="health_check_failed",enforced="false"} 1',
    'health_probe_duration_seconds_count{app="a/b",kind="regular",result="failed"} 1',
    'health_journal_seq 7',
  ])
    expect(text.split('\n')).toContain(line)
  const names = text
    .split('\n')
    .flatMap((line) => (line.startsWith('# TYPE') ? [line.split(' ')[2]] : []))
  expect(new Set(names).size).toBe(names.length)
})

test('a runner that is kept though its heartbeats stopped is not counted as one whose checks failed', () => {
  const metrics = createMetrics(() => 'a/b')
  const compared = [
    { name: 'silent', value: 8000, op: '>=', threshold: 8000, option: 'ttlSeconds' },
  ] as const
  const kept = { from: 'failing', to: 'held', enforced: false, because: 'guard.cap' }
  metrics.observe(
    seen({ decisions: [decision({ ...kept, rule: 'health.threshold', compared: [...compared] })] }),
  )
  expect(metrics.text([])).toContain(
    'health_terminations_total{app="a/b",reason="heartbeat_missed",enforced="false"} 1',
  )
})

test('what alerts count is there before it happens, once, for the apps that are configured', () => {
  const metrics = createMetrics(() => 'a/b')
  metrics.request('a/b', 'run', 503, 1)
  const lines = (apps: readonly string[]): readonly string[] => metrics.text([], apps).split('\n')
  const first = lines(['a/b', 'c/"d'])
  for (const line of [
    ...reasons.map(
      (reason) => `health_terminations_total{app="a/b",reason="${reason}",enforced="true"} 0`,
    ),
    'health_terminations_total{app="c/\\"d",reason="crashed",enforced="true"} 0',
    'health_requests_total{app="a/b",mode="run",status="503"} 1',
    'health_requests_total{app="a/b",mode="queue",status="504"} 0',
  ])
    expect(first).toContain(line)
  expect(first).not.toContain('health_requests_total{app="a/b",mode="run",status="503"} 0')

  metrics.observe(
    seen({ decisions: [decision({ rule: 'outcome.crashed', from: 'busy', to: 'gone' })] }),
  )
  const crashed = (apps: readonly string[]): readonly string[] =>
    lines(apps).filter((line) => /^health_terminations_total.*crashed/.test(line))
  expect(crashed(['a/b'])).toEqual([
    'health_terminations_total{app="a/b",reason="crashed",enforced="true"} 1',
  ])
  // A removed app keeps what was counted, as every counter does, and no zeros.
  expect(lines([]).filter((line) => line.startsWith('health_terminations_total'))).toEqual([
    'health_terminations_total{app="a/b",reason="crashed",enforced="true"} 1',
  ])
})

test('labels cannot break the page', () => {
  expect(label('a"b\\c\nd')).toBe('a\\"b\\\\c\\nd')
})

test('the newest thousand calls of each app are kept', () => {
  const log = createCallLog()
  const entry = (app: string, n: number): CallEntry => ({
    id: `${app}-${n}`,
    app,
    owner: '',
    mode: 'run',
    submittedAt: 0,
    attempts: [],
    final: { status: 503, errorType: null, at: 0 },
  })
  for (let n = 0; n < 1200; n++) log.add(entry('a', n))
  log.add(entry('b', 1))
  expect([
    log.get('a-199'),
    log.get('a-200')?.id,
    log.get('a-1199')?.id,
    log.get('b-1')?.id,
  ]).toEqual([null, 'a-200', 'a-1199', 'b-1'])
})

test('a crowd wakes the supervisor at once and then once in a while', () => {
  const clock = new ManualClock()
  let woken = 0
  const wake = createWake({ wake: () => void woken++ }, createLanes(clock))
  wake()
  expect(woken).toBe(1)
  for (let i = 0; i < 100; i++) wake()
  expect(woken).toBe(1)
  clock.advance(20)
  expect(woken).toBe(2)
  clock.advance(100)
  expect(woken).toBe(2)
  wake()
  expect(woken).toBe(3)
})
