/**
 * Reads what a caller submits to the queue: limits, priority, retry wishes, and the headers that go to the runner. It refuses
 * what is malformed and stores nothing.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { retryConditions, type Submission } from '@health/core'
import { refuse } from './error-answer.ts'

/** The least time-to-start limit that is a limit, in seconds (exclusive). */
const MIN_START_SECONDS = 0.1

/** `X-Fal-Request-Timeout` in ms; null when absent. Refuses what is not a number of seconds above 0.1 with 400. */
export function startLimit(headers: IncomingHttpHeaders): number | null {
  const text = headers['x-fal-request-timeout']
  if (text === undefined) return null
  const seconds =
    typeof text === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : Number.NaN
  if (!(seconds > MIN_START_SECONDS) || seconds > 1e9) {
    refuse(
      400,
      'bad_request',
      `X-Fal-Request-Timeout must be a number of seconds above ${MIN_START_SECONDS}.`,
    )
  }
  return Math.round(seconds * 1000)
}

const truthy = new Set(['1', 'true', 'yes'])
const isTrue = (value: string | string[] | undefined): boolean =>
  typeof value === 'string' && truthy.has(value.trim().toLowerCase())

/** `X-Fal-Retry-Config`: extra attempts by condition. Malformed ones and unknown names are ignored, as the platform does. */
export function retryWish(
  text: string | string[] | undefined,
): Readonly<Record<string, number>> | null {
  if (typeof text !== 'string' || text.length > 4096) return null
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof parsed !== 'object' || parsed === null) return null
  const wish: Record<string, number> = {}
  for (const condition of retryConditions) {
    const entry: unknown = Object.hasOwn(parsed, condition)
      ? parsed[condition as keyof typeof parsed]
      : undefined
    if (typeof entry !== 'object' || entry === null || !('retries' in entry)) continue
    const retries: unknown = entry.retries
    if (typeof retries === 'number' && Number.isInteger(retries))
      wish[condition] = Math.max(0, retries)
  }
  return Object.keys(wish).length === 0 ? null : wish
}

/** Whether a content type is JSON. */
export function isJson(contentType: string | undefined): boolean {
  return (
    contentType !== undefined && /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType.trim())
  )
}

/** Refuses a body that says it is JSON and is not; an empty one is no input. */
export function checkJson(contentType: string | undefined, body: Uint8Array): void {
  if (body.length === 0 || !isJson(contentType)) return
  try {
    JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
  } catch {
    refuse(400, 'bad_request', 'The body is not valid JSON.')
  }
}

/** What the route knows besides the caller's head. */
export interface SubmissionPlace {
  readonly id: string
  readonly app: string
  readonly path: string
  readonly owner: string
  readonly now: number
  /** For the runner, flat. */
  readonly head: readonly string[]
}

/** A submission from a caller's head and body. */
export function readSubmission(
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  place: SubmissionPlace,
): Submission {
  checkJson(headers['content-type'], body)
  const limit = startLimit(headers)
  const hint = headers['x-fal-runner-hint']
  return {
    id: place.id,
    app: place.app,
    priority: headers['x-fal-queue-priority'] === 'low' ? 'low' : 'normal',
    owner: place.owner,
    method: 'POST',
    path: place.path,
    headers: keptHeaders(place.head),
    body,
    submittedAt: place.now,
    startBefore: limit === null ? null : place.now + limit,
    hint: typeof hint === 'string' ? hint : null,
    noRetry: isTrue(headers['x-fal-no-retry']),
    retryConfig: retryWish(headers['x-fal-retry-config']),
    webhook: null,
  }
}

/** A flat head as an object, repeated names joined; the length is that of the stored body. */
function keptHeaders(head: readonly string[]): Record<string, string> {
  const kept: Record<string, string> = {}
  for (let i = 0; i < head.length; i += 2) {
    const name = head[i]!
    if (name === 'content-length') continue
    const before = Object.hasOwn(kept, name) ? kept[name] : undefined
    const value =
      before === undefined
        ? head[i + 1]!
        : `${before}${name === 'cookie' ? '; ' : ', '}${head[i + 1]!}`
    // Assigned, this one name would be lost.
    if (name === '__proto__')
      Object.defineProperty(kept, name, { value, enumerable: true, configurable: true })
    else kept[name] = value
  }
  return kept
}

/** Takes the queue's own query words out of a path: `fal_webhook` and `fal_max_queue_length` are for us, not for the runner. */
export function readQuery(path: string): {
  readonly path: string
  readonly maxLength: number | null
  readonly webhook: string | null
} {
  const at = path.indexOf('?')
  if (at === -1) return { path, maxLength: null, webhook: null }
  const rest: string[] = []
  let maxLength: number | null = null
  let webhook: string | null = null
  for (const pair of path.slice(at + 1).split('&')) {
    const equals = pair.indexOf('=')
    const name = equals === -1 ? pair : pair.slice(0, equals)
    const value = equals === -1 ? '' : pair.slice(equals + 1)
    if (name === 'fal_max_queue_length') {
      if (!/^\d{1,9}$/.test(value))
        refuse(400, 'bad_request', 'fal_max_queue_length must be a whole number.')
      maxLength = Number(value)
    } else if (name === 'fal_webhook') webhook = value
    else rest.push(pair)
  }
  return {
    path: rest.length === 0 ? path.slice(0, at) : `${path.slice(0, at)}?${rest.join('&')}`,
    maxLength,
    webhook,
  }
}
