/**
 * Lets one route of an app declare the runner's health check (`health: { … }`) and serves the declaration where a gateway
 * reads it. A second declaration is refused, naming both; without one the well-known path is 404.
 */
import {
  declarationWarnings,
  declareHealthCheck,
  invalid,
  wellKnownPath,
  type HealthCheckDeclaration,
  type HealthCheckOptions,
} from '@health/checks'
import type { FastifyInstance } from 'fastify'

/** Declares the health check. Throws HEALTH_CHECK_DUPLICATE, HEALTH_POLICY_INVALID or HEALTH_POLICY_UNKNOWN. */
export type Declare = (method: string, path: string, options: HealthCheckOptions) => void

/** Watches the routes that are registered from now on. */
export function serveDeclaration(app: FastifyInstance): Declare {
  let declared: HealthCheckDeclaration | null = null
  let from: HealthCheckOptions | null = null
  const declare: Declare = (method, path, options) => {
    // A gateway reads it at the root of the app; in a scope nobody would.
    if (app.prefix !== '')
      throw invalid(
        'healthCheck',
        `is not read below ${app.prefix}: register the plugin at the root`,
      )
    declared = declareHealthCheck(method, path, options, declared)
    from = options
    for (const warning of declarationWarnings(declared))
      app.log.warn({ event: 'health.declaration' }, warning)
  }
  app.addHook('onRoute', (route) => {
    const { health, method, url } = route
    if (health === undefined) return
    const methods = (typeof method === 'string' ? [method] : method).filter((m) => m !== 'HEAD')
    // Fastify repeats a route by itself: once for HEAD, and once with a slash at its end.
    if (methods.length === 0) return
    if (health === from && url === `${declared?.path}/`) return
    declare(methods.find((m) => m === 'GET' || m === 'POST') ?? String(methods[0]), url, health)
  })
  app.get(wellKnownPath, { logLevel: 'warn' }, (_, reply) => {
    if (declared === null) return reply.callNotFound()
    return reply.header('cache-control', 'no-store').send(declared)
  })
  return declare
}
