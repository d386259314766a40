/**
 * The live channel on the gateway's server: who may connect, where, and how long. What is told is `channel-feed.ts`; how it is told is
 * `@health/realtime`.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createChannel, type Pass } from '@health/realtime'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { allows, isLoopbackHost, isOwnOrigin, type Caller } from './auth.ts'
import { feedChannel, snapshotOf } from './channel-feed.ts'
import type { WatchedRequests } from './channel-queue.ts'
import { createTokens, tokenRoutes, type Tokens } from './channel-token.ts'
import { refuse } from './error-answer.ts'
import { ignoresUpgrades } from './foreign-upgrade.ts'
import type { Gateway } from './gateway.ts'
import { inspectDoor } from './inspect.ts'

/** Paths that are WebSockets here. */
const doors = ['/v1/realtime', '/v1/inspect'] as const

const pathOf = (request: IncomingMessage): string => (request.url ?? '').split('?', 1)[0]!

/** Whether an upgrade is taken; others are plain requests, as if nobody had asked. */
export const takesUpgrade = (request: IncomingMessage): boolean =>
  (doors as readonly string[]).includes(pathOf(request)) &&
  request.headers.upgrade?.toLowerCase() === 'websocket'

/** Adds the channel, the inspector's channel and the tokens for both. What it answers lets go of whom the keys of now do not let in. */
export function channelRoutes(
  app: FastifyInstance,
  gateway: Gateway,
  requests: WatchedRequests,
): () => void {
  const tokens = createTokens(() => Date.now())
  const door = {
    origin: ({ headers: { origin, host } }: IncomingMessage) =>
      isOwnOrigin(origin, host) && (!gateway.gate.isOpen || isLoopbackHost(host)),
    authorize: (request: IncomingMessage) => {
      const reader = readerOf(gateway, tokens, request.headers.authorization, tokenOf(request))
      return mayRead(reader) ? passOf(gateway, reader) : NOT_A_READER
    },
  }
  const channel = createChannel({
    ...door,
    snapshot: (topic, apps) => snapshotOf(gateway, topic, apps),
    maxConnections: gateway.config().limits.connections,
  })
  const inspector = inspectDoor(gateway, requests, door)
  const stop = feedChannel(gateway, requests, channel)

  const ignore = ignoresUpgrades(app.server)
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A page that may not come is refused by the route, which knows how.
    if (!takesUpgrade(request) || !door.origin(request)) ignore(request, socket, head)
    else if (pathOf(request) === doors[0]) channel.upgrade(request, socket, head)
    else inspector.upgrade(request, socket, head)
  })
  app.addHook('preClose', async () => {
    await Promise.all([channel.close(), inspector.close()])
    stop()
  })
  tokenRoutes(app, gateway, tokens)

  // Its own doorman: a browser cannot send a key with these, only a token in the address.
  const page = {
    config: { access: 'page' },
    // With keys the doorman lets every page in: what brings an upgrade here is a page that the door turned away.
    onRequest: async ({ raw }: FastifyRequest) => {
      if (takesUpgrade(raw) && !door.origin(raw))
        refuse(403, 'forbidden', 'This page is of another origin.')
    },
  } as const
  app.get(doors[0], page, (request, reply) => {
    const reader = admit(gateway, tokens, request)
    if (!(request.headers.accept ?? '').toLowerCase().includes('text/event-stream'))
      refuse(
        426,
        'upgrade_required',
        'This is a WebSocket; for a stream of events send Accept: text/event-stream.',
        { headers: { upgrade: 'websocket' } },
      )
    const query = request.query as Readonly<Record<string, unknown>>
    // A name that comes twice is a list as well.
    const text = (name: string): string | undefined => {
      const value = query[name]
      return Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : undefined
    }
    const lastEventId = request.headers['last-event-id']
    reply.hijack()
    const wrong = channel.stream(
      reply.raw,
      {
        topics: text('topics'),
        apps: text('apps'),
        since: text('since'),
        lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
      },
      { headers: { 'x-fal-request-id': request.id }, ...passOf(gateway, reader) },
    )
    if (wrong === null) return
    const { code, message } = wrong
    const body = JSON.stringify({ detail: message, error_type: code, message })
    reply.raw
      .writeHead(422, {
        'content-type': 'application/json; charset=utf-8',
        'x-fal-error-type': code,
        'x-fal-request-id': request.id,
      })
      .end(body)
  })
  app.get(doors[1], page, async (request) => {
    admit(gateway, tokens, request)
    return refuse(426, 'upgrade_required', 'This is a WebSocket.', {
      headers: { upgrade: 'websocket' },
    })
  })
  return () => {
    channel.review()
    inspector.review()
  }
}

const NOT_A_READER = 'A read or admin key, or a token of one, is needed.'

/** Who connects. `forMs`: how long what let it in is still good; null: as long as it stays. */
interface Reader extends Caller {
  readonly forMs: number | null
}

const mayRead = (reader: Reader | null): reader is Reader =>
  reader !== null && reader.scope !== 'call'

/** A reader stays while the key that let it in, by itself or by a token, may read. */
function passOf({ gate }: Gateway, { forMs, owner }: Reader): Pass {
  const revoked = (): string | null => {
    const scope = gate.scopeOf(owner)
    return scope !== null && allows('read', scope) ? null : NOT_A_READER
  }
  return { forMs, revoked }
}

/** Who connects: by header, else by token. */
function readerOf(
  { gate }: Gateway,
  tokens: Tokens,
  authorization: string | undefined,
  token: string | null,
): Reader | null {
  const caller = gate.caller(authorization)
  if (caller !== null) return { ...caller, forMs: null }
  const held = token === null ? null : tokens.read(token)
  // The key that asked for it may have been taken away since, or be worth less.
  const scope = held === null ? null : gate.scopeOf(held.owner)
  return held !== null && scope !== null && allows(held.scope, scope) ? held : null
}

function tokenOf(request: IncomingMessage): string | null {
  const url = request.url ?? ''
  return new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('token')
}

/** Who asks by a plain request; refuses who may not read. */
function admit(gateway: Gateway, tokens: Tokens, request: FastifyRequest): Reader {
  const { authorization } = request.headers
  const reader = readerOf(gateway, tokens, authorization, tokenOf(request.raw))
  if (reader === null) return refuse(401, 'unauthorized', 'invalid key credentials')
  if (!mayRead(reader)) return refuse(403, 'forbidden', 'This needs a read or admin key.')
  return reader
}
