/**
 * Direct calls, before the router. A call whose head has nothing unusual about it goes straight into its app's line; every other
 * one is left to the routes, which know the refusals. So it answers nothing itself, and there is one place that refuses.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { MAX_HEADERS } from './access.ts'
import { DirectCall } from './direct-call.ts'
import type { Gateway } from './gateway.ts'
import { isStream, parseTarget, rewrite } from './target.ts'

const RUN = '/run/'
/** OPTIONS may be a preflight, anything else is rare. */
const usual: ReadonlySet<string | undefined> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
])
/** What the router takes for a media type, at its narrowest. */
const mediaType = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:;|$)/

/** Takes a request that it can serve and answers true; false: nothing was done, the routes decide. */
export function directFront(
  gateway: Gateway,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { lines, fleet, gate } = gateway
  return (request, response) => {
    const url = rewrite(request)
    if (!url.startsWith(RUN) || !usual.has(request.method) || isEscaped(url)) return false
    const { headers } = request
    if (
      headers.upgrade !== undefined ||
      headers['x-fal-request-timeout'] !== undefined ||
      request.rawHeaders.length > MAX_HEADERS * 2 ||
      gateway.closing()
    )
      return false
    const type = headers['content-type']
    if (type !== undefined && !mediaType.test(type)) return false
    const length = headers['content-length']
    if (length !== undefined && Number(length) > gateway.config().limits.bodyBytes) return false
    const caller = gate.caller(headers.authorization)
    if (caller === null) return false
    const target = parseTarget(url.slice(RUN.length))
    if (target === null) return false
    const line = lines.of(target.app)
    if (line === null || fleet.apps.get(target.app)?.broken != null) return false
    new DirectCall(gateway, line, request, response, {
      id: randomUUID(),
      path: target.path,
      mode: isStream(target.path) ? 'stream' : 'run',
      owner: caller.owner,
      ours: !gate.isOpen,
      startLimitMs: null,
      address: request.socket.remoteAddress ?? '',
      proto: 'http',
    }).enter()
    return true
  }
}

/** Whether the path, query apart, has something that the router decodes, and refuses when it cannot. */
function isEscaped(url: string): boolean {
  const at = url.indexOf('%')
  if (at === -1) return false
  const query = url.indexOf('?')
  return query === -1 || at < query
}
