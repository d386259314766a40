/**
 * The gateway's HTTP server: puts the routes on Fastify, bounds what a client may cost, and ends in order. Which adapters stand
 * behind it is decided elsewhere (`compose.ts`).
 */
import type { ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Cancel, type Clock, type Queue, view } from '@health/core'
import type { Supervisor } from '@health/supervisor'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { guardRoutes } from './access.ts'
import { createGate } from './auth.ts'
import { createCallLog } from './call-log.ts'
import { channelRoutes, takesUpgrade } from './channel.ts'
import { watchRequests } from './channel-queue.ts'
import type { Config } from './config.ts'
import { sectionFields } from './config-table.ts'
import { limitConnections } from './connection.ts'
import { affordable, mostDescriptors } from './descriptor.ts'
import { createDispatcher, type Dispatcher } from './dispatch.ts'
import {
  answerRaw,
  errorBody,
  expectationUnknown,
  refusalOf,
  type Refusal,
} from './error-answer.ts'
import { Incoming } from './early-body.ts'
import { createExitWatch } from './exit-watch.ts'
import { fleetRoutes } from './fleet-route.ts'
import { whyAmbiguous } from './framing.ts'
import { createFront } from './front.ts'
import type { Gateway, Log } from './gateway.ts'
import type { HeartbeatTokens } from './heartbeat-token.ts'
import { readsNone } from './json-body.ts'
import { createLanes, type Lanes } from './lane.ts'
import { laterRoutes } from './later.ts'
import { createLines, type Lines } from './line.ts'
import { createLinger, LINGER_MS } from './linger.ts'
import { createMetrics } from './metric.ts'
import { metricRoutes } from './metric-route.ts'
import { noteRoutes, openApiRoutes } from './openapi.ts'
import { orderRoutes } from './order-route.ts'
import { ownHealth } from './own-health.ts'
import { readBodies } from './body-watch.ts'
import { proxyRoutes } from './proxy-route.ts'
import { queueRoutes } from './queue-route.ts'
import { createQueueTrouble } from './queue-trouble.ts'
import { requestId } from './request-id.ts'
import { runRoutes } from './run-route.ts'
import { createRunnerRoutes } from './runner-route.ts'
import { createWake } from './wake.ts'
import { rewrite } from './target.ts'

// Not imported: an import reads every name of `node:http`, and one of them loads a WebSocket client, 13 MB.
const { METHODS, STATUS_CODES } = process.getBuiltinModule('node:http')

/** What the server needs from the rest of the gateway. */
export interface ServerDeps {
  /** The configuration as it is now; asked again after a reload. The address is read once. */
  readonly config: () => Config
  readonly supervisor: Supervisor
  readonly queue: Queue
  readonly log: Log
  /** For `/health`. */
  readonly version: string
  /**
   * Reads the configuration again (`POST /v1/reload`) and answers the changed sections that act at the next start; throws HealthError
   * when it is invalid, and changes nothing then.
   */
  readonly reload?: () => Promise<readonly string[]>
  /** Tokens with which runners report for themselves. */
  readonly heartbeats?: HeartbeatTokens
  /** Adds the console's routes, with `config: { access: 'page' }`. */
  readonly pages?: (app: FastifyInstance) => void
}

/** A running server. */
export interface Server {
  /** Begins to listen and to dispatch; answers the URL. Rejects with node's error when the port is taken. */
  listen(): Promise<string>
  /** The configuration is another one: who watches with a key that is gone is let go. */
  reloaded(): void
  /** `/ready` turns 503, nothing else changes yet. */
  beginShutdown(): void
  /** Stops accepting, lets what is in flight end for `graceMs`, cuts the rest, hands leases back. */
  close(graceMs: number): Promise<void>
  readonly app: FastifyInstance
}

/** Headers must be complete within this time, in ms. */
const HEAD_MS = 15_000
/** A kept connection may be silent this long, in ms. */
const KEEP_ALIVE_MS = 65_000
const HEAD_BYTES = 16_384

/** No route has a schema, core's tables check what comes in: what compiles schemas is a good part of a start, and never loaded. */
const noSchema = (): never => {
  throw new Error('a route has a schema; nothing here compiles it')
}
const noSchemas = { compilersFactory: { buildValidator: noSchema, buildSerializer: noSchema } }

/** Builds the server. It listens after `listen`. */
export async function createServer(deps: ServerDeps): Promise<Server> {
  const { supervisor, log } = deps
  const requests = watchRequests(deps.queue, createCallLog())
  const { queue } = requests
  const { fleet, clock } = supervisor
  let closing = false
  const lanes = createLanes(clock)
  const limits = (): Config['limits'] => deps.config().limits
  const descriptors = mostDescriptors()
  const metrics = createMetrics(
    (runner) => fleet.runners.get(runner)?.app.id ?? view(fleet, runner)?.app ?? null,
    (runner) => view(fleet, runner)?.reason ?? null,
  )
  let dispatcher: Dispatcher | null = null
  const lines: Lines = createLines(
    fleet,
    () => limits().directWaiting,
    {
      ready: (app) => dispatcher?.ready(app) ?? 0,
      fetch: (app, max) => dispatcher?.fetch(app, max),
      start: (lease, runner) => dispatcher?.start(lease, runner),
    },
    createWake(supervisor, lanes),
  )
  const parts: Omit<Gateway, 'dispatcher'> = {
    config: deps.config,
    supervisor,
    fleet,
    clock,
    queue,
    gate: createGate(() => deps.config().auth),
    lanes,
    routes: createRunnerRoutes(fleet),
    exits: createExitWatch(fleet, lanes),
    lines,
    calls: requests.calls,
    metrics,
    trouble: createQueueTrouble({ clock, lanes, log }),
    log,
    closing: () => closing,
  }
  const gateway = parts as Gateway
  Object.assign(gateway, { dispatcher: (dispatcher = createDispatcher(gateway)) })

  const stopObserving = supervisor.observe((observation) => {
    metrics.observe(observation)
    gateway.exits.observe(observation)
    gateway.routes.observe(observation)
    const { event } = observation
    if (event.type === 'app.configured' || event.type === 'app.removed')
      gateway.dispatcher.changed(event.app)
    lines.pumpAll()
  })
  const stopAlerts = supervisor.onAlert(({ name }) => metrics.alert(name))
  const stopOrders = supervisor.onOrder((command) => gateway.dispatcher.perform([command]))

  const sayFailed = (request: string | null, error: unknown): void =>
    log({
      level: 'error',
      event: 'request.failed',
      request,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  const refusing = (request: string, error: unknown): Refusal => {
    const refusal = refusalOf(error)
    if (refusal.status >= 500 && refusal.errorType === 'internal_error') sayFailed(request, error)
    return refusal
  }
  const app = fastify({
    http: {
      IncomingMessage: Incoming,
      maxHeaderSize: HEAD_BYTES,
      headersTimeout: HEAD_MS,
      connectionsCheckingInterval: 5000,
      optimizeEmptyRequests: true,
      // Refused below, with a body and an id.
      requireHostHeader: false,
      shouldUpgradeCallback: takesUpgrade,
    },
    // Given here: fastify's own default would come after what `http` says.
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Bodies are bounded where they are read: a direct call may wait long before its body is.
    requestTimeout: 0,
    bodyLimit: sectionFields.limits.bodyBytes.max,
    rewriteUrl: rewrite,
    schemaController: noSchemas,
    genReqId: requestId,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: (error, socket) => answerClientError(error, socket, lanes),
    frameworkErrors: (error, request, reply) => {
      reply.hijack()
      answerRaw(reply.raw, request.id, refusalOf(error), [])
    },
  })
  // `ANY` is what the parser takes; the router knows ten of them. CONNECT asks for no path.
  for (const method of METHODS)
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method))
      app.addHttpMethod(method, { hasBody: true })
  // Counted by us, and refused by name.
  app.server.maxHeadersCount = 0
  const [routed] = app.server.listeners('request')
  const linger = createLinger(lanes)
  const front = createFront(gateway, linger, refusing)
  app.server.removeAllListeners('request')
  app.server.on('request', (request, response) => {
    const ambiguous = whyAmbiguous(request)
    if (ambiguous !== null) return answerRaw(response, requestId(), ambiguous, [])
    try {
      if (front(request, response)) return
    } catch (error) {
      sayFailed(null, error)
      return void response.destroy()
    }
    linger(request, response)
    routed!.call(app.server, request, response)
  })
  app.server.on('checkContinue', (request, response) =>
    app.server.emit('request', request, response),
  )
  app.server.on('checkExpectation', (_request, response) =>
    answerRaw(response, requestId(), expectationUnknown, []),
  )
  limitConnections(
    app.server,
    () => affordable(limits().connections, descriptors),
    () => metrics.count('connection_limit'),
  )
  app.setErrorHandler((error, request, reply) => answer(reply, refusing(request.id, error)))
  app.setNotFoundHandler((_request, reply) =>
    answer(reply, { status: 404, errorType: 'not_found', detail: 'There is no such path.' }),
  )
  // Those that take one say so in their own plugin. Fastify's own parsers would refuse a body before a path is not found.
  readsNone(app)
  const routes = noteRoutes(app)
  guardRoutes(app, gateway.gate, deps.heartbeats ?? null)
  readBodies(app, lanes, () => limits().bodyBytes)

  await ownHealth(app, gateway, deps.version)
  runRoutes(app, gateway)
  queueRoutes(app, gateway)
  proxyRoutes(app)
  fleetRoutes(app, gateway)
  orderRoutes(app, gateway, deps.reload ?? null)
  metricRoutes(app, gateway)
  const reviewReaders = channelRoutes(app, gateway, requests)
  openApiRoutes(app, routes, deps.version)
  laterRoutes(app)
  deps.pages?.(app)
  await app.ready()

  return {
    app,
    async listen() {
      const { host, port } = deps.config().listen
      await app.listen({ host, port })
      gateway.dispatcher.begin()
      const bound = (app.server.address() as AddressInfo).port
      return `http://${host.includes(':') ? `[${host}]` : host}:${bound}`
    },
    reloaded: reviewReaders,
    beginShutdown() {
      app.health.stopping()
    },
    async close(graceMs) {
      closing = true
      app.health.stopping()
      let cut: Cancel = () => {}
      const graceOver = new Promise<void>((resolve) => (cut = clock.after(graceMs, resolve)))
      // A kept connection becomes idle after its answer; nobody may use it again.
      const idle = closeIdleOnes(app, clock)
      void graceOver.then(() => app.server.closeAllConnections())
      await Promise.all([app.close(), Promise.race([gateway.dispatcher.drained(), graceOver])])
      idle()
      cut()
      await gateway.dispatcher.close()
      stopObserving()
      stopAlerts()
      stopOrders()
      gateway.routes.close()
      lanes.close()
    },
  }
}

/** How often kept connections are looked at while we close, in ms. */
const IDLE_LOOK_MS = 50

function closeIdleOnes(app: FastifyInstance, clock: Clock): Cancel {
  let next: Cancel = () => {}
  const look = (): void => {
    app.server.closeIdleConnections()
    next = clock.after(IDLE_LOOK_MS, look)
  }
  look()
  return () => next()
}

function answer(reply: FastifyReply, refusal: Refusal): FastifyReply {
  reply.code(refusal.status)
  // Fastify wants to close after a body that is too large; what is still coming is thrown away instead.
  reply.removeHeader('connection')
  reply.header('x-fal-error-type', refusal.errorType)
  for (const [name, value] of Object.entries(refusal.headers ?? {})) reply.header(name, value)
  return reply.send(errorBody(refusal))
}

/** A connection as node keeps it: with the answer that is on its way. */
type Talking = Socket & { readonly _httpMessage?: ServerResponse | null }

/** Answers what never became a request: a head that is too large, too slow or no HTTP. */
function answerClientError(error: Error & { code?: string }, socket: Talking, lanes: Lanes): void {
  // In the middle of an answer, ours would be read as a part of it.
  if (!socket.writable || error.code === 'ECONNRESET' || socket._httpMessage?.headersSent === true)
    return void socket.destroy()
  const refusal: Refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? {
          status: 431,
          errorType: 'headers_too_large',
          detail: 'The headers of a request may have 16 KB.',
        }
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? { status: 408, errorType: 'bad_request', detail: 'The headers did not come in time.' }
        : { status: 400, errorType: 'bad_request', detail: 'This is not a valid HTTP/1.1 request.' }
  const body = JSON.stringify(errorBody(refusal))
  socket.end(
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\nx-fal-request-id: ${requestId()}\r\nx-fal-error-type: ${refusal.errorType}\r\n` +
      `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
  // One who does not close its side would keep the connection, and hold up our end for the whole grace.
  const wait = lanes.wait(LINGER_MS, () => socket.destroy())
  socket.once('close', () => wait.cancel())
}
