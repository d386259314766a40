/**
 * Orders about nodes: each becomes one fact of the fleet and is answered with the node as it is then, or with the core's own sentence
 * when it makes no sense. What follows from it is the core's to decide.
 */
import type { FastifyInstance } from 'fastify'
import { refuse } from './error-answer.ts'
import { idOf, nodeOrRefuse } from './fleet-route.ts'
import type { Gateway } from './gateway.ts'
import { flags, texts } from './json-body.ts'
import { by } from './policy-route.ts'
import { nodeObject } from './wire.ts'

/** Orders about nodes by their word in the path. */
const orders = [
  ['cordon', 'order.cordon'],
  ['uncordon', 'order.uncordon'],
  ['drain', 'order.drain-node'],
  ['reset', 'order.reset'],
  ['reboot', 'order.reboot'],
  ['escalate', 'order.escalate'],
  ['retire', 'order.retire'],
] as const

/** Adds the routes; `plugin` reads JSON bodies. */
export function nodeRoutes(plugin: FastifyInstance, gateway: Gateway): void {
  const { fleet, clock, supervisor } = gateway
  const admin = { config: { access: 'admin' } } as const
  for (const [order, type] of orders) {
    plugin.post(`/v1/nodes/:id/${order}`, admin, async (request, reply) => {
      // An order about the whole node that names a device would do more than was meant: it is refused.
      const { device } = order === 'reset' ? texts(request, 'device') : texts<'device'>(request)
      const { id, devices } = nodeOrRefuse(gateway, idOf(request))
      if (device !== undefined && !devices.some(({ uuid }) => uuid === device))
        refuse(422, 'invalid_value', `Node ${id} has no device ${device.slice(0, 200)}.`, {
          path: 'device',
        })
      const about = device === undefined ? {} : { device }
      const { dismissed } = supervisor.tell({ type, node: id, by: by(request), ...about })
      if (dismissed !== undefined) refuse(409, 'order_refused', sentence(dismissed))
      reply.code(202)
      return nodeObject(clock, nodeOrRefuse(gateway, id))
    })
  }

  // Closing what is closed changes nothing, and is no mistake.
  plugin.post('/v1/breaker/close', admin, async (request, reply) => {
    flags(request)
    supervisor.tell({ type: 'order.close-breaker', by: by(request) })
    reply.code(202)
    return { open: fleet.nodes.breakerOpenedAt !== null }
  })
}

const sentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`
