/**
 * One attempt of a queued request: sends the stored request, keeps the whole answer in memory up to a bound, and hands both to
 * the dispatcher when it has ended. It decides nothing about the request.
 */
import type { AttemptLine, FinalAnswer, Lease, RequestRecord, RunnerHandle } from '@health/core'
import { AnswerBody } from './answer-body.ts'
import { Attempt, type Settlement, type Sink } from './attempt.ts'
import { errorBody, type Refusal } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import type { RunnerHead } from './response-head.ts'

/** Largest answer that is kept, in bytes; a larger one is read to its end, dropped, and answered with 502. */
export const RESULT_BYTES = 67_108_864

const tooLarge: Refusal = {
  status: 502,
  errorType: 'runner_incomplete_response',
  detail: `The answer is larger than ${RESULT_BYTES} bytes; use a direct call for answers of that size.`,
}

/** Headers of an answer that are not kept: they belong to the connection it came on. */
const dropped = new Set(['content-length', 'date'])

/** An attempt and what it has collected. */
export class QueueAttempt implements Sink {
  readonly lease: Lease
  /** The caller asked for a cancel while it ran. */
  cancelled = false
  /** Our own shutdown cut it: it is handed back, as if it had never been leased. */
  handedBack = false
  readonly attempt: Attempt
  readonly #gateway: Gateway
  readonly #ended: (attempt: QueueAttempt, end: Settlement) => void
  readonly #startedAt: number
  readonly #body = new AnswerBody(RESULT_BYTES)
  #head: RunnerHead | null = null

  constructor(
    gateway: Gateway,
    lease: Lease,
    handle: RunnerHandle,
    ended: (attempt: QueueAttempt, end: Settlement) => void,
  ) {
    this.#gateway = gateway
    this.lease = lease
    this.#ended = ended
    this.#startedAt = gateway.clock.wall()
    const { request } = lease
    const headers: string[] = []
    for (const [name, value] of Object.entries(request.headers)) headers.push(name, value)
    const body = request.body.byteLength === 0 ? null : request.body
    headers.push('content-length', String(request.body.byteLength))
    this.attempt = new Attempt(
      gateway,
      gateway.routes.of(handle),
      {
        request: request.id,
        attempt: lease.attempt,
        mode: 'queue',
        outgoing: { method: request.method, path: request.path, headers, body },
        record: () => (this.handedBack ? undefined : this.#record()),
      },
      this,
    )
  }

  head(_status: number, head: RunnerHead): void {
    this.#head = head
  }

  data(chunk: Uint8Array): boolean {
    this.#body.add(chunk)
    return true
  }

  settled(end: Settlement): void {
    this.#ended(this, end)
  }

  /** The request's log line of this attempt. */
  line(end: Settlement): AttemptLine {
    return {
      n: this.lease.attempt,
      runner: this.attempt.runner.id,
      startedAt: this.#startedAt,
      endedAt: this.#gateway.clock.wall(),
      outcome: end.outcome,
      status: end.status,
      rule: end.rule,
      condition: end.condition,
    }
  }

  /** The runner's answer as the final one; the table's when it is not whole. */
  answer(end: Settlement): FinalAnswer {
    const at = this.#gateway.clock.wall()
    if (!end.whole || this.#head === null || end.status === null) {
      return this.cancelled
        ? ownAnswer(CANCELLED, at, 'cancel', this.attempt.runner.id)
        : ownAnswer(end.instead, at, end.rule, this.attempt.runner.id)
    }
    if (this.#body.tooLarge) return ownAnswer(tooLarge, at, end.rule, this.attempt.runner.id)
    // Without a prototype: a header may have the name of one of its members.
    const headers: Record<string, string | readonly string[]> = Object.create(null)
    const { forward } = this.#head
    for (let i = 0; i < forward.length; i += 2) {
      const name = forward[i]!
      if (dropped.has(name) || name.startsWith('access-control-')) continue
      headers[name] = joined(name, headers[name], forward[i + 1]!)
    }
    headers['x-fal-served-from'] = this.attempt.runner.id
    const errorType = headers['x-fal-error-type']
    return {
      status: end.status,
      headers,
      body: this.#body.take(),
      errorType: typeof errorType === 'string' ? errorType : null,
      at,
      cause: null,
    }
  }

  #record(): RequestRecord {
    const { record, attempt, request } = this.lease
    const expired = request.startBefore !== null && this.#gateway.clock.wall() > request.startBefore
    return { ...record, attempts: attempt, cancelled: this.cancelled, expired }
  }
}

/** Lines of one name are one list, but for cookies, whose dates have commas. */
function joined(
  name: string,
  before: string | readonly string[] | undefined,
  value: string,
): string | readonly string[] {
  if (before === undefined) return value
  return name === 'set-cookie' ? [before, value].flat() : `${String(before)}, ${value}`
}

/** What a cancelled request ends with. */
export const CANCELLED: Refusal = {
  status: 499,
  errorType: 'client_cancelled',
  detail: 'The request was cancelled.',
}

/** A final answer of the gateway's own. */
export function ownAnswer(
  refusal: Refusal,
  at: number,
  cause: string,
  runner: string | null,
): FinalAnswer {
  return {
    status: refusal.status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'x-fal-error-type': refusal.errorType,
      ...refusal.headers,
      ...(runner !== null && { 'x-fal-served-from': runner }),
    },
    body: Buffer.from(JSON.stringify(errorBody(refusal))),
    errorType: refusal.errorType,
    at,
    cause,
  }
}
