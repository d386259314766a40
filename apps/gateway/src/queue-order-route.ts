/**
 * What operators order about requests: end all that wait for an app, or let a quarantined one run again. Each is done by the queue,
 * told to the fleet where a decision comes of it, and logged once.
 */
import type { FastifyInstance } from 'fastify'
import { refuse } from './error-answer.ts'
import { idOf, queueOrRefuse } from './fleet-route.ts'
import type { Gateway } from './gateway.ts'
import { flags } from './json-body.ts'
import { by } from './policy-route.ts'
import { flushQueue } from './queue-flush.ts'
import { requestObject } from './wire.ts'

/** Adds the routes; the plugin reads JSON bodies. */
export function queueOrderRoutes(plugin: FastifyInstance, gateway: Gateway): void {
  const { queue, log } = gateway
  const admin = { config: { access: 'admin' } } as const

  plugin.delete('/v1/queues/:owner/:alias', admin, async (request) => {
    const { app } = queueOrRefuse(gateway, request)
    return { flushed: await flushQueue(gateway, app, by(request)) }
  })

  plugin.post('/v1/requests/:id/requeue', admin, async (request, reply) => {
    flags(request)
    const id = idOf(request)
    // A direct call is answered when it ends: there is nobody to run it again for.
    const word = gateway.calls.get(id) === null ? await queue.revive(id) : 'refused'
    const entry = queue.entry(id)
    if (word === 'refused')
      refuse(409, 'request_not_quarantined', `Request ${id} is not in quarantine.`)
    if (word === 'unknown' || entry === null)
      return refuse(404, 'request_not_found', `There is no request ${id}.`)
    log({ level: 'info', event: 'request.requeued', request: id, app: entry.app, by: by(request) })
    reply.code(202)
    return requestObject(entry)
  })
}
