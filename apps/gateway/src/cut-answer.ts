/**
 * What a caller gets when a runner gave no whole answer: status, type and words for each way to fail. Whether the runner is to
 * blame is in the table too; what becomes of it is the core's.
 */
import { outcomes, type AttemptEnded, type OutcomeName } from '@health/core'
import type { Refusal } from './error-answer.ts'
import type { Cut } from './upstream.ts'

/** One way in which a connection failed. */
export interface CutAnswer {
  /** As the fleet is told; null when it is not the runner's doing. */
  readonly cut: NonNullable<AttemptEnded['cut']> | null
  readonly status: number
  readonly errorType: string
  readonly detail: string
}

/** By how the connection failed. */
export const cutAnswers: Readonly<Record<Cut, CutAnswer>> = {
  refused: {
    cut: 'refused',
    status: 503,
    errorType: 'runner_connection_refused',
    detail: 'The runner did not accept the connection.',
  },
  connect_timeout: {
    cut: 'connect_timeout',
    status: 503,
    errorType: 'runner_connection_timeout',
    detail: 'The runner did not accept the connection in time.',
  },
  disconnected: {
    cut: 'disconnected',
    status: 503,
    errorType: 'runner_disconnected',
    detail: 'The runner closed the connection before it answered.',
  },
  incomplete: {
    cut: 'incomplete',
    status: 503,
    errorType: 'runner_incomplete_response',
    detail: 'The runner closed the connection before its answer was complete.',
  },
  head_too_large: {
    cut: null,
    status: 502,
    errorType: 'runner_incomplete_response',
    detail: 'The headers of the answer are larger than 16 KB.',
  },
  unsendable: {
    cut: null,
    status: 400,
    errorType: 'bad_request',
    detail: 'The request cannot be passed on: its path, a header or its length is not valid.',
  },
  no_socket: {
    cut: null,
    status: 503,
    errorType: 'runner_connection_error',
    detail: 'The gateway has no free socket. Raise the limit of open files.',
  },
}

const noAnswer = {
  status: 503,
  errorType: 'runner_disconnected',
  detail: 'The runner gave no answer.',
}
const details: Partial<Record<OutcomeName, string>> = {
  request_timeout: 'The request took longer than requestTimeoutSeconds.',
}
/** Whoever did not send the whole request is told so; nobody else is to blame. */
const notSent: Refusal = {
  headers: { connection: 'close' },
  status: 408,
  errorType: 'bad_request',
  detail: 'The request was not sent completely.',
}

/** The answer for an attempt without a whole one. */
export function insteadOf(outcome: OutcomeName, how: Cut | undefined): Refusal {
  if (how !== undefined) return cutAnswers[how]
  if (outcome === 'client_left') return notSent
  return { ...(outcomes[outcome].answer ?? noAnswer), detail: details[outcome] ?? noAnswer.detail }
}
