/**
 * The doorman of every route: request id, size of the head, preflights, keys, and without keys the loopback rules. A route says
 * what it asks for in `config.access`; one that says nothing asks for an admin key.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { allows, isLoopbackHost, isOwnOrigin, type Access, type Caller, type Gate } from './auth.ts'
import { isCallPath, preflight } from './cors.ts'
import { refuse } from './error-answer.ts'
import type { HeartbeatTokens } from './heartbeat-token.ts'
import { corsHead } from './response-head.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route asks for; `admin` when absent. */
    access?: Access
    /** Refused by name: not in this version, and so not in its description. */
    later?: boolean
  }
  interface FastifyRequest {
    /** Who calls; null without a valid key, when the gateway has keys. */
    caller: Caller | null
  }
}

/** Most header lines of a request. Their bytes are limited by node (16 KB). */
export const MAX_HEADERS = 256

/** Routes that other plugins add, by what they ask for: their own health is open, details ask for themselves. */
const foreign = /^\/(?:live|ready|startup|health)z?(?:\/|$)|^\/\.well-known\//

/** What they show of this service is for readers. */
const details = /^\/healthz?\/detailed$/

/** Guards all routes of an app. `tokens` are those of runners; without them only an admin reports for a runner. */
export function guardRoutes(
  app: FastifyInstance,
  gate: Gate,
  tokens: HeartbeatTokens | null,
): void {
  app.decorateRequest('caller', null)
  app.addHook('onRequest', (request, reply, done) => {
    const { headers, url } = request
    reply.header('x-fal-request-id', request.id)
    if (request.raw.rawHeaders.length > MAX_HEADERS * 2)
      refuse(431, 'headers_too_large', `A request may have ${MAX_HEADERS} header lines.`, {
        headers: { connection: 'close' },
      })
    if (headers.origin !== undefined && isCallPath(url)) {
      if (request.method === 'OPTIONS' && headers['access-control-request-method'] !== undefined) {
        for (const [name, value] of preflight(headers['access-control-request-headers']))
          reply.header(name, value)
        return void reply.code(204).send()
      }
      const cors = corsHead(headers.origin)
      for (let i = 0; i < cors.length; i += 2) reply.header(cors[i]!, cors[i + 1])
    }
    check(gate, tokens, request, reply)
    done()
  })
}

function check(
  gate: Gate,
  tokens: HeartbeatTokens | null,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const access = accessOf(request)
  if (access === 'runner' && isOwnReport(tokens, request)) return
  const caller = gate.caller(request.headers.authorization)
  request.caller = caller
  if (gate.isOpen) {
    if (access !== 'open' && access !== 'call' && !isFromHere(request)) {
      refuse(
        403,
        'forbidden',
        'Without keys this is for programs on this machine: the Host must be a loopback name and the Origin absent or our own.',
      )
    }
    return
  }
  if (access === 'open' || access === 'page') return
  if (caller === null) {
    reply.header('www-authenticate', 'Key')
    return refuse(401, 'unauthorized', 'invalid key credentials')
  }
  if (!allows(access, caller.scope))
    refuse(
      403,
      'forbidden',
      `This needs ${access === 'admin' ? 'an admin key' : 'a read or admin key'}.`,
    )
}

function accessOf(request: FastifyRequest): Access {
  const { config, url } = request.routeOptions
  if (config.access !== undefined) return config.access
  // No such route: 404 for everyone.
  if (url === undefined) return 'open'
  if (details.test(url)) return 'read'
  return foreign.test(url) ? 'open' : 'admin'
}

/** Whether a runner reports for itself: the path's id with its token. */
function isOwnReport(tokens: HeartbeatTokens | null, request: FastifyRequest): boolean {
  const { id } = request.params as { readonly id?: string }
  const { token } = request.query as { readonly token?: unknown }
  return tokens !== null && id !== undefined && tokens.fits(id, token)
}

const isFromHere = (request: FastifyRequest): boolean =>
  isLoopbackHost(request.headers.host) && isOwnOrigin(request.headers.origin, request.headers.host)

/** Whether a caller may see details, for routes that are open without them. */
export function mayRead(gate: Gate, request: FastifyRequest): boolean {
  return gate.isOpen
    ? isFromHere(request)
    : request.caller !== null && request.caller.scope !== 'call'
}
