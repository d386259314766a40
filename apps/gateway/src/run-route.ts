/**
 * Direct calls: `ANY /run/{owner}/{alias}[/{path}]`. It reads the head, finds the app's line and steps aside: bodies are
 * neither buffered nor parsed, and the answer is written by the call itself.
 */
import { whyUnserved } from '@health/core'
import type { FastifyInstance } from 'fastify'
import { DirectCall } from './direct-call.ts'
import { bodyTooLarge, refuse, Refused, type Refusal, unserved } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import { later } from './later.ts'
import { startLimit } from './submission.ts'
import { isStream, parseTarget } from './target.ts'

const PREFIX = '/run/'.length
const shuttingDown: Refusal = {
  status: 503,
  errorType: 'runner_scheduling_failure',
  detail: 'The gateway is shutting down.',
  headers: { 'retry-after': '1', connection: 'close' },
}

/** Adds the routes of direct calls. */
export function runRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.register(async (plugin) => {
    plugin.removeAllContentTypeParsers()
    plugin.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    plugin.all('/run/*', { config: { access: 'call' } }, (request, reply) => {
      const { raw } = request
      const target = parseTarget(request.url.slice(PREFIX))
      const line = target === null ? null : gateway.lines.of(target.app)
      if (target === null || line === null) {
        return refuse(
          404,
          'app_not_found',
          target === null
            ? 'The path must begin with /run/{owner}/{alias}.'
            : `There is no app ${target.app}.`,
        )
      }
      if (raw.headers.upgrade?.toLowerCase() === 'websocket') later('The realtime relay')
      const mode = isStream(target.path) ? 'stream' : 'run'
      const refused = (refusal: Refusal): never => {
        gateway.metrics.request(target.app, mode, refusal.status, 0)
        throw new Refused(refusal)
      }
      if (gateway.closing()) refused(shuttingDown)
      const broken = whyUnserved(gateway.fleet, target.app)
      if (broken !== null) refused(unserved(target.app, broken))
      if (Number(request.headers['content-length'] ?? 0) > gateway.config().limits.bodyBytes)
        throw new Refused(bodyTooLarge)
      const startLimitMs = startLimit(request.headers)
      const call = new DirectCall(gateway, line, raw, reply.raw, {
        id: request.id,
        path: target.path,
        mode,
        owner: request.caller?.owner ?? '',
        ours: request.caller !== null && !gateway.gate.isOpen,
        startLimitMs,
        address: request.ip,
        proto: request.protocol,
      })
      reply.hijack()
      call.enter()
    })
  })
}
