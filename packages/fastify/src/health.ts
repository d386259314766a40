/**
 * The Fastify plugin: gives an app its health endpoints and its part of the contract with a gateway. What is healthy is decided
 * by the checkup, what is answered by the endpoints; here is only how Fastify is told.
 */
import type { IncomingMessage } from 'node:http'
import {
  checkupOptionNames,
  createCheckup,
  createEndpoints,
  endpointOptionNames,
  healthCheckHeader,
  invalid,
  Pressure,
  refuseUnknown,
  serveHealth,
  type CheckupOptions,
  type EndpointOptions,
  type Endpoints,
  type HealthCheckOptions,
  type HealthResponse,
  type HealthServer,
  type ListenOptions,
  type OverloadOptions,
} from '@health/checks'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { serveDeclaration } from './declaration.ts'
import { shedLoad } from './overload.ts'
import { shutdownOnSignal, type SignalOptions } from './shutdown.ts'

/** What `authorize` gets: Fastify's request, or Node's when the endpoints have a port of their own. */
export type Asker = FastifyRequest | IncomingMessage

export interface HealthOptions extends CheckupOptions, EndpointOptions<Asker> {
  /** Declares the plugin's own `/health` as the health check of this runner. */
  readonly healthCheck?: HealthCheckOptions
  /** Serves the endpoints on a port of their own instead of the app's. */
  readonly listen?: ListenOptions
  /** Sheds load with 429 and `Retry-After` while a limit is exceeded. Default: off. */
  readonly overload?: OverloadOptions
  /** Closes the app on signals: readiness flips, delay, beacons, close, deadline. Default: off, close by yourself. */
  readonly shutdown?: SignalOptions
}

const pluginOptionNames = {
  ...checkupOptionNames,
  ...endpointOptionNames,
  healthCheck: true,
  listen: true,
  overload: true,
  shutdown: true,
} as const satisfies Record<keyof HealthOptions, true>

/**
 * Health endpoints for a Fastify app. Register it before the routes that declare a health check.
 *
 * ```ts
 * await app.register(health, { version: '1.2.3', checks: { database: () => pool.query('select 1') } })
 * ```
 */
export const health = fp<HealthOptions>(plugin, { name: '@health/fastify', fastify: '5.x' })

async function plugin(app: FastifyInstance, options: HealthOptions): Promise<void> {
  refuseUnknown(options, pluginOptionNames, '')
  // The declaration is read on the app's own port, and what it names must be there too.
  if (options.listen !== undefined && options.healthCheck !== undefined)
    throw invalid('healthCheck', 'does not go with `listen`: declare a route of the app instead')
  const checkup = createCheckup({ log: app.log, ...pick(options, checkupOptionNames) })
  const endpoints = createEndpoints<Asker>(checkup, pick(options, endpointOptionNames))
  app.decorate('health', checkup)
  app.decorateReply('requestHealthCheck', function (this: FastifyReply) {
    return this.header(healthCheckHeader, 'true')
  })
  const declare = serveDeclaration(app)
  if (options.overload !== undefined) shedLoad(app, new Pressure(options.overload), endpoints)
  if (options.listen === undefined) serve(app, endpoints)
  else serveApart(app, endpoints, options.listen)
  if (options.healthCheck !== undefined)
    declare('GET', `${options.prefix ?? ''}/health`, options.healthCheck)
  if (options.shutdown !== undefined) shutdownOnSignal(app, options.shutdown)
  app.addHook('preClose', (done) => {
    checkup.stopping()
    done()
  })
  app.addHook('onClose', (_, done) => {
    checkup.close()
    done()
  })
}

function serve(app: FastifyInstance, endpoints: Endpoints<Asker>): void {
  // Which path is meant is the router's to say: the address may begin with the prefix of a scope, or be spelled in other ways.
  const serveAt = (url: string, pathOf: (params: unknown) => string) => {
    const handler = (request: FastifyRequest, reply: FastifyReply) => {
      const { url = '' } = request.raw
      const at = url.indexOf('?')
      const query = at === -1 ? '' : url.slice(at + 1)
      const { accept } = request.headers
      const answer = endpoints.answer({ path: pathOf(request.params), query, accept, request })
      if (answer === null) return reply.callNotFound()
      if (answer instanceof Promise) void answer.then((later) => send(reply, later))
      else send(reply, answer)
      return reply
    }
    // Probes come every few seconds from everywhere: their requests are logged only when something goes wrong.
    app.get(url, { handler, logLevel: 'warn' })
  }
  for (const path of endpoints.paths) serveAt(path, () => path)
  const { groupPath, checkPath } = endpoints
  serveAt(`${groupPath}:group`, (params) => groupPath + (params as { group: string }).group)
  serveAt(`${checkPath}:check`, (params) => checkPath + (params as { check: string }).check)
}

function send(reply: FastifyReply, answer: HealthResponse): void {
  reply.code(answer.status)
  reply.header('content-type', answer.type).header('cache-control', 'no-store').send(answer.body)
}

function serveApart(
  app: FastifyInstance,
  endpoints: Endpoints<Asker>,
  listen: ListenOptions,
): void {
  let apart: HealthServer | null = null
  app.addHook('onReady', async () => {
    apart = await serveHealth(endpoints, listen)
    app.log.info({ event: 'health.listening', port: apart.port }, 'health endpoints listening')
  })
  app.addHook('onClose', async () => {
    await apart?.close()
  })
}

function pick<Names extends object>(options: HealthOptions, names: Names): object {
  return Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(names, name)))
}
