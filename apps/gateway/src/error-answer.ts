/**
 * The gateway's own refusals: one shape for all of them, in the wire's words. It never carries a stack, a path of this machine
 * or anything a caller sent as a secret.
 */
import type { ServerResponse } from 'node:http'
import { HealthError, type ErrorCode } from '@health/core'
import { BodyTooLarge } from './body-limit.ts'
import { answerHead } from './response-head.ts'

/** An answer that the gateway gives itself. `path` names the field that is wrong. */
export interface Refusal {
  readonly status: number
  readonly errorType: string
  readonly detail: string
  readonly path?: string
  /** Further headers, lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

/** A refusal that ends a handler; routes throw it, `answerError` sends it. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.detail)
    this.refusal = refusal
  }
}

/** Throws a refusal. */
export function refuse(
  status: number,
  errorType: string,
  detail: string,
  more: { path?: string; headers?: Readonly<Record<string, string>> } = {},
): never {
  throw new Refused({ status, errorType, detail, ...more })
}

/** Longest sentence of an answer, and longest path of a field, in characters. */
const DETAIL_CHARACTERS = 1000

/** The body of a refusal: `detail` for Python's client, `message` for JavaScript's, which shows nothing else. */
export function errorBody(refusal: Refusal): Record<string, unknown> {
  // Both may quote what was sent.
  const detail = refusal.detail.slice(0, DETAIL_CHARACTERS)
  return {
    detail,
    error_type: refusal.errorType,
    message: detail,
    ...(refusal.path !== undefined && { path: refusal.path.slice(0, DETAIL_CHARACTERS) }),
    ...(refusal.errorType === 'request_not_found' && { status: 'NOT_FOUND' }),
  }
}

/** A direct call of an app that a configuration error stopped. */
export const unserved = (app: string, why: string): Refusal => ({
  status: 503,
  errorType: 'runner_scheduling_failure',
  detail: `No runner of ${app} can start: ${why}`,
})

/** What a body past `limits.bodyBytes` gets. */
export const bodyTooLarge: Refusal = {
  status: 413,
  errorType: 'body_too_large',
  detail: 'The body is larger than limits.bodyBytes.',
}

/** What a request gets that expects anything but `100-continue`. */
export const expectationUnknown: Refusal = {
  status: 417,
  errorType: 'expectation_failed',
  detail: 'Expect may be 100-continue and nothing else.',
  headers: { connection: 'close' },
}

const statusOf: Partial<Record<ErrorCode, readonly [status: number, errorType: string]>> = {
  HEALTH_EVENT_INVALID: [422, 'invalid_value'],
  HEALTH_POLICY_INVALID: [422, 'invalid_value'],
  HEALTH_POLICY_UNKNOWN: [422, 'invalid_value'],
  HEALTH_CHECK_DUPLICATE: [422, 'invalid_value'],
  HEALTH_CONFIG_FILE: [422, 'invalid_value'],
  HEALTH_NOT_IN_VERSION: [422, 'invalid_value'],
}
const queueCodes: Readonly<Record<string, readonly [status: number, errorType: string]>> = {
  HEALTH_QUEUE_FULL: [429, 'concurrent_requests_limit'],
  HEALTH_STORAGE_FULL: [507, 'storage_full'],
  HEALTH_STORAGE_FAILED: [503, 'storage_failed'],
  HEALTH_QUEUE_FORMAT: [503, 'storage_failed'],
  HEALTH_QUEUE_CLOSED: [503, 'runner_scheduling_failure'],
}

/** What an error thrown on the way of a request becomes. Anything unknown is 500 `internal_error` without its text. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refused) return error.refusal
  if (error instanceof BodyTooLarge) return bodyTooLarge
  if (error instanceof HealthError) {
    const known = statusOf[error.code] ?? queueCodes[error.code]
    if (known !== undefined) {
      return {
        status: known[0],
        errorType: known[1],
        detail: error.message,
        ...(error.path !== undefined && { path: error.path }),
        ...((known[0] === 429 || known[0] === 503) && { headers: { 'retry-after': '1' } }),
      }
    }
  }
  const code =
    typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return bodyTooLarge
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return {
        status: 400,
        errorType: 'bad_request',
        detail: 'The body is not as long as Content-Length says.',
        headers: { connection: 'close' },
      }
    // Nobody is there to read it; it is here so that no failure of ours is logged.
    case 'ECONNRESET':
      return {
        status: 400,
        errorType: 'bad_request',
        detail: 'The caller left before its body came.',
      }
    // Of any route: a call may send what it likes, if it says what.
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return {
        status: 415,
        errorType: 'unsupported_media_type',
        detail: 'Content-Type must be a media type, such as application/json.',
      }
    case 'HEALTH_BODY_NOT_JSON':
      return {
        status: 415,
        errorType: 'unsupported_media_type',
        detail: 'The body must be JSON: send Content-Type: application/json.',
      }
    case 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE':
      return { status: 400, errorType: 'bad_request', detail: 'A QUERY must have a Content-Type.' }
    case 'HEALTH_BODY_MALFORMED':
      return { status: 400, errorType: 'bad_request', detail: 'The body is not valid JSON.' }
    case 'FST_ERR_BAD_URL':
      return { status: 400, errorType: 'bad_request', detail: 'The path is not a valid URL path.' }
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return { status: 414, errorType: 'bad_request', detail: 'The path is too long.' }
    default:
      return {
        status: 500,
        errorType: 'internal_error',
        detail: 'The gateway failed on this request; its log says why.',
      }
  }
}

/** Writes a refusal to a raw response that nothing was written to yet. */
export function answerRaw(
  response: ServerResponse,
  requestId: string,
  refusal: Refusal,
  cors: readonly string[],
): void {
  const body = JSON.stringify(errorBody(refusal))
  const head = answerHead(
    requestId,
    'application/json; charset=utf-8',
    Buffer.byteLength(body),
    cors,
  )
  head.push('x-fal-error-type', refusal.errorType)
  for (const [name, value] of Object.entries(refusal.headers ?? {})) head.push(name, value)
  response.writeHead(refusal.status, head)
  response.end(body)
}
