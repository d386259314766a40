/**
 * Talks to a running gateway for the commands: `HEALTH_URL` with `HEALTH_KEY`. A gateway that cannot be reached, refuses or does not
 * know something is an error with its own words; a key never appears in one.
 */
import { HealthError } from '@health/core'
import { isKey } from '../auth.ts'
import { ask } from './ask.ts'
import type { Terminal } from './command.ts'
import { plain } from './text-table.ts'

const DEFAULT_URL = 'http://127.0.0.1:8080'
const TIMEOUT_MS = 30_000

/** The gateway does not know what was asked for. */
export class NotFound extends Error {
  override readonly name = 'NotFound'
}

/** Asks a gateway. Resolves with its JSON; throws NotFound on 404 and HealthError otherwise. */
export interface GatewayClient {
  readonly url: URL
  get(path: string): Promise<Record<string, unknown>>
  send(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<Record<string, unknown>>
}

/** The gateway's address from the environment. Throws HEALTH_USAGE when it is none. */
export function gatewayUrl(env: Terminal['env']): URL {
  const text = env['HEALTH_URL'] || DEFAULT_URL
  const url = URL.parse(text.endsWith('/') ? text : `${text}/`)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new HealthError(
      'HEALTH_USAGE',
      'HEALTH_URL is not an address; allowed is http://HOST:PORT or https://HOST:PORT.',
      'HEALTH_URL',
    )
  }
  return url
}

/** The key from the environment; null without one. Throws HEALTH_USAGE when it is none: a file that ends its lines as Windows does leaves such a one. */
export function gatewayKey(env: Terminal['env']): string | null {
  const key = env['HEALTH_KEY'] || null
  if (key === null || isKey(key)) return key
  throw new HealthError(
    'HEALTH_USAGE',
    'HEALTH_KEY is not a key (its value is not shown); allowed are 1 to 512 visible ASCII characters, without a space or a line end.',
    'HEALTH_KEY',
  )
}

/** A client for the gateway that the environment names. */
export function connectGateway(terminal: Terminal): GatewayClient {
  const url = gatewayUrl(terminal.env)
  const key = gatewayKey(terminal.env)
  const call = async (
    method: string,
    path: string,
    body?: object,
  ): Promise<Record<string, unknown>> => {
    const answer = await ask(new URL(path.replace(/^\//, ''), url), {
      method,
      timeoutMs: TIMEOUT_MS,
      headers: key !== null ? { authorization: `Key ${key}` } : {},
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    if (answer.kind !== 'answered') {
      throw new HealthError(
        'HEALTH_CONNECT',
        `The gateway at ${url.origin} cannot be reached: ${answer.why}. Start it, or set HEALTH_URL.`,
      )
    }
    const value = parseObject(answer.body)
    if (answer.status >= 200 && answer.status < 300) {
      if (value !== null) return value
      throw new HealthError(
        'HEALTH_CONNECT',
        `${url.origin} answered something else than a gateway does. Check HEALTH_URL.`,
      )
    }
    const given = [value?.['message'], value?.['detail']].find((each) => typeof each === 'string')
    const text = given === undefined ? null : plain(given)
    if (answer.status === 404) throw new NotFound(text ?? 'Not found.')
    const said = (text ?? 'no reason given').replace(/\.$/, '')
    if (answer.status === 401 && key === null) {
      throw new HealthError(
        'HEALTH_ANSWER',
        'The gateway asks for a key (401), and none was sent. Set HEALTH_KEY.',
      )
    }
    // Without a key 403 is about the way the call came, and a key would not help.
    if (key !== null && (answer.status === 401 || answer.status === 403)) {
      throw new HealthError(
        'HEALTH_ANSWER',
        `The gateway refused the key (${answer.status}): ${said}. Set HEALTH_KEY to one that may do this.`,
      )
    }
    throw new HealthError('HEALTH_ANSWER', `The gateway answered ${answer.status}: ${said}.`)
  }
  return {
    url,
    get: (path) => call('GET', path),
    send: (method, path, body) => call(method, path, body),
  }
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/** All pages of a list. The object is the gateway's own, with every item and no next page. */
export async function allPages(
  client: GatewayClient,
  path: string,
  name: string,
): Promise<Record<string, unknown> & { readonly items: readonly Record<string, unknown>[] }> {
  const items: Record<string, unknown>[] = []
  let cursor: unknown = null
  // A gateway that never ends its pages must not fill our memory.
  for (let page = 0; page < 1000; page++) {
    const separator = path.includes('?') ? '&' : '?'
    const answer = await client.get(
      cursor === null
        ? path
        : `${path}${separator}cursor=${encodeURIComponent(String(cursor as string))}`,
    )
    const list = answer[name]
    if (Array.isArray(list)) items.push(...(list as Record<string, unknown>[]))
    cursor = answer['next'] ?? null
    if (cursor === null) break
  }
  return Object.defineProperty({ [name]: items, next: null }, 'items', {
    value: items,
    enumerable: false,
  }) as unknown as Record<string, unknown> & { readonly items: readonly Record<string, unknown>[] }
}
