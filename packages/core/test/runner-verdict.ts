/** Every verdict that a runner's chart may hear, with each reading that a guard looks at: the alphabet of the walks. */
import { type Policy, resolvePolicy, type Verdict } from '../src/index.ts'

const LATE = 700_000
/** An interval after a failure at `LATE`. */
const LATER = LATE + 20_000
const told = (at: number) => ({ at, seq: 1 })

/** Verdicts by kind, doubled where a guard reads the event; `at` 5 is in grace. */
export const verdicts: readonly Verdict[] = [
  ...(
    [
      'start.granted',
      'process.started',
      'provision.refused',
      'port.opened',
      'setup.failed',
      'process.exited',
      'order.kill',
      'probe.passed',
      'checks.ended',
      'work.served',
      'termination.granted',
    ] as const
  ).map((type) => ({ type, ...told(type === 'process.started' ? 0 : LATE) })),
  { type: 'probe.failed', signal: 'probe', ...told(LATE) },
  { type: 'probe.failed', signal: 'heartbeat', ...told(LATE) },
  { type: 'probe.failed', signal: 'probe', ...told(5) },
  { type: 'probe.failed', signal: 'probe', ...told(LATER) },
  ...(['tcp', 'progress', 'exclusive', 'manual'] as const).flatMap((kind): Verdict[] => [
    { type: 'check.passed', kind, doubt: false, ...told(LATE) },
    { type: 'check.failed', kind, doubt: false, ...told(LATE) },
    { type: 'check.failed', kind, doubt: true, ...told(LATE) },
    { type: 'check.asked', kind, rule: 'health.manual', ...told(LATE) },
  ]),
  ...[0, 1].flatMap((inFlight): Verdict[] => [
    { type: 'check.due', inFlight, ...told(LATE) },
    { type: 'work.left', inFlight, ...told(LATE) },
    { type: 'drain.ordered', reason: 'drained', rule: 'order.drain', inFlight, ...told(LATE) },
  ]),
  { type: 'died', reason: 'server_error', rule: 'outcome.server_error', ...told(LATE) },
  { type: 'doubt.proved', reason: 'device_fault', rule: 'temp.critical', ...told(LATE) },
  { type: 'termination.withheld', by: 'guard.cap', ...told(LATE) },
  { type: 'termination.withheld', by: 'guard.self', ...told(LATE) },
]

const check = { path: '/h', failureThreshold: 2, startPeriodSeconds: 1 } as const

/** Two policies between which every guard turns out both ways. */
export const policies: readonly Policy[] = [
  resolvePolicy({ healthCheck: check, startupTimeoutSeconds: 1 }, {}),
  resolvePolicy(
    {
      healthCheck: {
        ...check,
        successThreshold: 2,
        readyAfterFirstPass: true,
        intervalSeconds: 0.1,
      },
      startupTimeoutSeconds: 1,
    },
    { probeJitterPercent: 50 },
  ),
]
