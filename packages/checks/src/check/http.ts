/**
 * HTTP and HTTPS: asks another service over a new connection and compares status and body. Redirects are not followed; no more
 * of the body is read than allowed.
 */
import type { IncomingMessage } from 'node:http'
import { CheckFailure } from '../failure.ts'
import { complete, number, split } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

// Not imported: an import reads every name of `node:http`, and one of them loads a WebSocket client, 13 MB.
const { request: plain } = process.getBuiltinModule('node:http')

export interface HttpOptions {
  readonly url: string
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'OPTIONS'
  readonly headers?: Readonly<Record<string, string>>
  /** One status, several, or default 200 to 299. */
  readonly status?: number | readonly number[]
  /** What the body must hold: a piece of text, a pattern, or a function of the parsed JSON. */
  readonly body?: string | RegExp | ((json: unknown) => boolean)
  /** Longest body that is read. Default 65536. */
  readonly maxBytes?: number
  /** Certificates to trust instead of the system's. */
  readonly ca?: string
}

const known = {
  url: true,
  method: true,
  headers: true,
  status: true,
  body: true,
  maxBytes: true,
  ca: true,
} as const satisfies Record<keyof HttpOptions, true>

/** A check of an HTTP service. */
export function http(options: HttpOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<HttpOptions>('http', options, known)
  const url = URL.parse(own.url)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw invalid('http.url', 'must be an http or https address')
  number(own.maxBytes, 'http.maxBytes', 1)
  return complete(settings, ({ signal }) => ask(url, own, signal))
}

async function ask(url: URL, own: HttpOptions, signal: AbortSignal): Promise<void> {
  const { method = 'GET', headers = {}, ca } = own
  const send = url.protocol === 'https:' ? (await import('node:https')).request : plain
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const trust = ca === undefined ? {} : { ca }
  const asked = send(url, { method, headers, agent: false, signal, ...trust }, resolve)
  asked.once('error', reject)
  asked.end()
  try {
    const answer = await promise
    if (!isExpected(answer.statusCode ?? 0, own.status)) throw new CheckFailure('unexpected_status')
    if (own.body === undefined) return
    if (!matches(await read(answer, own.maxBytes ?? 65_536), own.body))
      throw new CheckFailure('unexpected_answer')
  } finally {
    asked.destroy()
  }
}

async function read(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    size += piece.length
    if (size > maxBytes) throw new CheckFailure('too_large')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function isExpected(status: number, expected: HttpOptions['status']): boolean {
  if (expected === undefined) return status >= 200 && status < 300
  return typeof expected === 'number' ? status === expected : expected.includes(status)
}

function matches(body: string, wanted: NonNullable<HttpOptions['body']>): boolean {
  if (typeof wanted === 'string') return body.includes(wanted)
  if (wanted instanceof RegExp) return body.search(wanted) !== -1 // `test` would remember where a /g pattern stood
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return false
  }
  return wanted(json) === true
}
