/** Ready-made requests, attempt lines and answers for tests of queues; every field can be set. */
import type { AttemptLine, FinalAnswer, RequestRecord, Submission } from '@health/core'

const bytes = new TextEncoder()

/** A submission of `demo/echo` with a small JSON body that names its id. */
export function sampleSubmission(id: string, given: Partial<Submission> = {}): Submission {
  return {
    id,
    app: 'demo/echo',
    priority: 'normal',
    owner: '',
    method: 'POST',
    path: '/',
    headers: { 'content-type': 'application/json', 'x-name': 'Zoë' },
    body: bytes.encode(JSON.stringify({ id })),
    submittedAt: 1_000,
    startBefore: null,
    hint: null,
    noRetry: false,
    retryConfig: null,
    webhook: null,
    ...given,
  }
}

/** The log line of an attempt that failed with a 503. */
export function sampleLine(n: number, given: Partial<AttemptLine> = {}): AttemptLine {
  return {
    n,
    runner: `r-${n}`,
    startedAt: 2_000,
    endedAt: 2_500,
    outcome: 'server_error',
    status: 503,
    rule: 'outcome.server_error',
    condition: 'server_error',
    ...given,
  }
}

/** A final answer with a body of bytes that are not text. */
export function sampleAnswer(at: number, given: Partial<FinalAnswer> = {}): FinalAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'application/octet-stream' },
    body: Uint8Array.of(0, 255, 10, 128),
    errorType: null,
    at,
    cause: null,
    ...given,
  }
}

/** What the core knows after some attempts. */
export function sampleRecord(attempts: number): RequestRecord {
  return {
    attempts,
    spent: { server_error: attempts },
    noRetry: false,
    retryConfig: null,
    ended: ['r-1'],
    cancelled: false,
    expired: false,
  }
}
