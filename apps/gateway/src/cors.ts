/**
 * What browsers may do: pages of any site may call apps (a key is their ticket, never a cookie), and nothing else. The fleet,
 * the orders and the console answer no preflight.
 */
import { EXPOSED } from './response-head.ts'

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'
/** Headers that a page may send besides those it asks for: the platform's own. */
const ALLOWED = 'authorization, content-type, accept'
/** A preflight is asked again after this many seconds. */
const MAX_AGE = '600'

/** Whether a path may be called from other sites' pages. */
export function isCallPath(url: string): boolean {
  return (
    url.startsWith('/run/') ||
    url.startsWith('/queue/') ||
    url.startsWith('/rest/') ||
    url === '/proxy' ||
    url.startsWith('/proxy?')
  )
}

/** The answer to a preflight, as header entries. Headers that the page asks for are allowed when they are plain names. */
export function preflight(
  asked: string | undefined,
): readonly (readonly [name: string, value: string])[] {
  const names =
    asked !== undefined && asked.length <= 4096 && /^[\w\-, ]*$/.test(asked) && asked !== ''
      ? asked
      : ALLOWED
  return [
    ['access-control-allow-origin', '*'],
    ['access-control-allow-methods', METHODS],
    ['access-control-allow-headers', names],
    ['access-control-expose-headers', EXPOSED],
    ['access-control-max-age', MAX_AGE],
    ['vary', 'access-control-request-headers'],
  ]
}
