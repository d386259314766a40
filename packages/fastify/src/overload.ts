/**
 * Sheds load: while the process is over a limit every request but the health ones is answered 429 with `Retry-After`, before
 * its body is read. Never 503: behind a gateway that would end the runner.
 */
import { wellKnownPath, type Endpoints, type Pressure } from '@health/checks'
import type { FastifyInstance } from 'fastify'

/** Puts the hook on every route of the app. `endpoints` are always served. */
export function shedLoad(
  app: FastifyInstance,
  pressure: Pressure,
  endpoints: Pick<Endpoints, 'paths' | 'groupPath' | 'checkPath'>,
): void {
  const paths = [
    ...endpoints.paths,
    `${endpoints.groupPath}:group`,
    `${endpoints.checkPath}:check`,
    wellKnownPath,
  ]
  const served = new Set(paths.map((path) => app.prefix + path))
  const detail = 'The server is overloaded. Try again later.'
  const body = { detail, error_type: 'overloaded', message: detail }
  app.addHook('onRequest', (request, reply, done) => {
    if (pressure.exceeded === null) return done()
    const path = request.routeOptions.url
    if (path !== undefined && served.has(path)) return done()
    reply.code(429).header('retry-after', pressure.retryAfterSeconds).send(body)
  })
  app.addHook('onClose', (_, done) => {
    pressure.close()
    done()
  })
}
