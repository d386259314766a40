/**
 * Direct calls and submits, before the router. A call whose head has nothing unusual about it goes straight into its app's line or
 * into the queue; every other one is left to the routes, which know the refusals, so that a head is refused in one place.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { whyUnserved } from '@health/core'
import { MAX_HEADERS } from './access.ts'
import { DirectCall } from './direct-call.ts'
import type { Gateway } from './gateway.ts'
import type { Linger } from './linger.ts'
import { requestId } from './request-id.ts'
import { SHORT_BYTES, takeShort } from './early-body.ts'
import { FrontSubmit, type Failed } from './front-submit.ts'
import { isStream, parseTarget, rewrite } from './target.ts'

const RUN = '/run/'
const QUEUE = '/queue/'
/** OPTIONS may be a preflight, anything else is rare. */
const usual: ReadonlySet<string | undefined> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'QUERY',
])
/** What the router takes for a media type, at its narrowest. */
const mediaType = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:;|$)/

/** Takes a request that it can serve and answers true; false: nothing was done, the routes decide. `failed` tells an error and says why a submit was not taken. */
export function createFront(
  gateway: Gateway,
  linger: Linger,
  failed: Failed,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { lines, fleet, gate } = gateway
  return (request, response) => {
    const url = rewrite(request)
    const submits = url.startsWith(QUEUE)
    if (!submits && !url.startsWith(RUN)) return false
    if (!usual.has(request.method) || isEscaped(url)) return false
    const { headers } = request
    if (
      headers.upgrade !== undefined ||
      request.rawHeaders.length > MAX_HEADERS * 2 ||
      gateway.closing()
    )
      return false
    const type = headers['content-type']
    if (type !== undefined && !mediaType.test(type)) return false
    const length = headers['content-length']
    const { bodyBytes } = gateway.config().limits
    if (length !== undefined && Number(length) > bodyBytes) return false
    if (submits) {
      // Others come a few times, or bring more than is worth having at once.
      if (request.method !== 'POST' || url.includes('?') || headers.expect !== undefined)
        return false
      if (length === undefined || Number(length) > SHORT_BYTES) return false
    } else if (headers['x-fal-request-timeout'] !== undefined) return false
    const caller = gate.caller(headers.authorization)
    if (caller === null) return false
    const target = parseTarget(url.slice(submits ? QUEUE.length : RUN.length))
    if (target === null) return false
    const line = lines.of(target.app)
    if (line === null) return false
    const call = {
      id: requestId(),
      owner: caller.owner,
      ours: !gate.isOpen,
      address: request.socket.remoteAddress ?? '',
      proto: 'http',
    }
    if (submits) {
      const submit = new FrontSubmit(
        gateway,
        { ...call, request, target },
        response,
        linger,
        failed,
      )
      takeShort(request, (body) => submit.read(body))
      return true
    }
    if (whyUnserved(fleet, target.app) !== null) return false
    linger(request, response)
    const mode = isStream(target.path) ? 'stream' : 'run'
    const head = { ...call, path: target.path, mode, startLimitMs: null } as const
    takeShort(request, (body) => {
      try {
        new DirectCall(gateway, line, request, response, head, body).enter()
      } catch (error) {
        // Called by the parser: nobody else would catch it.
        failed(call.id, error)
        response.destroy()
      }
    })
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
