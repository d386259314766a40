/**
 * How an attempt ended and what that means for the runner, the queued request and the direct caller: one table, as data. It is
 * the reference page too. It never looks at a runner's state; that is the machine's.
 */
import type { Reason } from './command.ts'
import type { OutcomeHeaders } from './event.ts'
import type { RetryCondition } from './app-option.ts'

/** What the table says of one way to end. */
export interface OutcomeRow {
  /** How it is recognised. */
  readonly when: string
  /** What it does to the runner. */
  readonly runner: 'healthy' | 'tcp_check' | 'ends' | 'unchanged'
  /** Reason of the end, for `ends`. */
  readonly reason: Reason | null
  /** Condition under which a queued request is tried again; null: it is not. */
  readonly condition: RetryCondition | 'gateway_lost' | null
  /** What a caller gets when the runner gave no answer; null: the runner's answer as it is. */
  readonly answer: { readonly status: number; readonly errorType: string } | null
}

/** The table of semantics 4. The rule's name is `outcome.` and the key. */
export const outcomes = {
  healthy: {
    when: '1xx to 3xx, and 4xx, 499 included',
    runner: 'healthy',
    reason: null,
    condition: null,
    answer: null,
  },
  rate_limited: {
    when: '429 from the runner',
    runner: 'healthy',
    reason: null,
    condition: 'rate_limited',
    answer: null,
  },
  error: {
    when: '500, 502, other 5xx',
    runner: 'tcp_check',
    reason: null,
    condition: null,
    answer: null,
  },
  server_error: {
    when: '503',
    runner: 'ends',
    reason: 'server_error',
    condition: 'server_error',
    answer: null,
  },
  gateway_timeout: {
    when: '504',
    runner: 'tcp_check',
    reason: null,
    condition: 'server_error',
    answer: null,
  },
  connection_lost: {
    when: 'refused, reset or broken before the answer ended',
    runner: 'ends',
    reason: 'connection_lost',
    condition: 'connection_error',
    answer: { status: 503, errorType: 'runner_disconnected' },
  },
  crashed: {
    when: 'the process ended while it held the attempt',
    runner: 'ends',
    reason: 'crashed',
    condition: 'connection_error',
    answer: { status: 503, errorType: 'runner_disconnected' },
  },
  request_timeout: {
    when: 'requestTimeoutSeconds passed',
    runner: 'ends',
    reason: 'request_timeout',
    condition: 'timeout',
    answer: { status: 504, errorType: 'request_timeout' },
  },
  client_left: {
    when: 'the caller left',
    runner: 'unchanged',
    reason: null,
    condition: null,
    answer: null,
  },
  gateway_lost: {
    when: 'the gateway that held the lease died',
    runner: 'unchanged',
    reason: null,
    condition: 'gateway_lost',
    answer: { status: 503, errorType: 'runner_disconnected' },
  },
} as const satisfies Record<string, OutcomeRow>

/** Name of a row of {@link outcomes}. */
export type OutcomeName = keyof typeof outcomes

/** The rule of each row: `outcome.` and the key. */
export const outcomeRules = Object.fromEntries(
  Object.keys(outcomes).map((name) => [name, `outcome.${name}`]),
) as Readonly<Record<OutcomeName, string>>

/** The row for a status that a runner answered. */
export function outcomeOf(status: number): OutcomeName {
  if (status < 500) return status === 429 ? 'rate_limited' : 'healthy'
  return status === 503 ? 'server_error' : status === 504 ? 'gateway_timeout' : 'error'
}

/** Paths whose answers are passed on and not judged: a warming runner's 503 on `/ready` ends nothing (`outcome.not_judged`). */
export const unjudgedPaths: ReadonlySet<string> = new Set([
  '/live',
  '/livez',
  '/ready',
  '/readyz',
  '/startup',
  '/startupz',
  '/health',
  '/healthz',
])

const bareOf = (path: string): string => path.split('?', 1)[0]!

/** Whether an answer on this path is judged. `healthPath` is the app's own health check. */
export function judged(path: string, healthPath: string): boolean {
  const bare = bareOf(path)
  return !unjudgedPaths.has(bare) && (healthPath === '' || bare !== bareOf(healthPath))
}

/** True when an outcome on a ready and open runner crosses no rule: it costs counters only. */
export function neutral(outcome: OutcomeName, headers: OutcomeHeaders | undefined): boolean {
  if (outcome !== 'healthy' && outcome !== 'client_left') return false
  return (
    headers === undefined ||
    (headers.stop !== true && headers.check !== true && headers.needsRetry === undefined)
  )
}

const yes = new Set(['1', 'true', 'yes'])
const no = new Set(['0', 'false', 'no'])
const flag = (value: string | undefined): boolean | undefined => {
  if (value === undefined) return undefined
  const word = value.trim().toLowerCase()
  return yes.has(word) ? true : no.has(word) ? false : undefined
}

/** Longest `Retry-After` that is obeyed, in ms. */
export const MAX_RETRY_AFTER_MS = 300_000

/** Who orders the check that a runner's stream asks for by its headers, hours before its attempt ends: the rule is `health.manual`. */
export const BY_RUNNER = 'x-fal-runner-health-check'

/** Reads a runner's answer headers (lower-case names); undefined when none of ours is there, which is the usual case. */
export function readOutcomeHeaders(
  get: (name: string) => string | undefined,
): OutcomeHeaders | undefined {
  const stop = flag(get('x-fal-stop-runner'))
  const asked = get(BY_RUNNER)
  const needsRetry = flag(get('x-fal-needs-retry'))
  const after = get('retry-after')
  if (stop === undefined && asked === undefined && needsRetry === undefined && after === undefined)
    return undefined
  const seconds = after === undefined ? Number.NaN : Number(after)
  return {
    ...(stop !== undefined && { stop }),
    ...(asked !== undefined && !no.has(asked.trim().toLowerCase()) && { check: true }),
    ...(needsRetry !== undefined && { needsRetry }),
    ...(Number.isFinite(seconds) &&
      seconds >= 0 && { retryAfterMs: Math.min(MAX_RETRY_AFTER_MS, Math.round(seconds * 1000)) }),
  }
}
