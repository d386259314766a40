/**
 * What becomes of a queued request when an attempt has ended: delivered, tried again or rejected. The order of authority is the
 * order of the transitions in `request.ts`; this file carries the record that travels with the lease and the delay.
 */
import { chance, hashText } from './chance.ts'
import type { OutcomeHeaders } from './event.ts'
import { MAX_RETRY_AFTER_MS, type OutcomeName } from './outcome.ts'
import type { Policy } from './policy.ts'

/** What the queue keeps of a request for the next decision. Bounded: at most ten runners, four conditions. */
export interface RequestRecord {
  /** Attempts begun, the one that just ended included. */
  readonly attempts: number
  /** Extra attempts spent, by condition. */
  readonly spent: Readonly<Record<string, number>>
  /** `X-Fal-No-Retry`. */
  readonly noRetry: boolean
  /** `X-Fal-Retry-Config`: extra attempts by condition. */
  readonly retryConfig: Readonly<Record<string, number>> | null
  /** Runners that this request ended, each once. */
  readonly ended: readonly string[]
  /** The caller asked for a cancel. */
  readonly cancelled: boolean
  /** The time-to-start limit has passed. */
  readonly expired: boolean
}

/** A request before its first attempt. */
export const NEW_RECORD: RequestRecord = Object.freeze({
  attempts: 0,
  spent: Object.freeze({}),
  noRetry: false,
  retryConfig: null,
  ended: Object.freeze([]),
  cancelled: false,
  expired: false,
})

/** What ended, as the request sees it. */
export interface Ended {
  readonly outcome: OutcomeName
  /** Status of the runner's answer; null when there was none. */
  readonly status: number | null
  readonly headers?: OutcomeHeaders | undefined
}

/** Delay before the next attempt, in whole ms: doubling, capped, full jitter; a runner's Retry-After is a lower bound (`retry.delay`). */
export function retryDelay(
  request: string,
  attempt: number,
  ended: Ended,
  policy: Policy,
  seed: number,
): number {
  const ceiling = Math.min(policy.retryMaxMs, policy.retryBaseMs * 2 ** (attempt - 1))
  const drawn = Math.round(ceiling * chance(seed, hashText(request), attempt))
  return ended.outcome === 'rate_limited'
    ? Math.max(drawn, Math.min(MAX_RETRY_AFTER_MS, ended.headers?.retryAfterMs ?? 0))
    : drawn
}
