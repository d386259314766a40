/** The tunables at run time: what is in force, and changes to it. A change is a fact of the fleet: journaled, and kept over a restart. */
import { globalPolicyOf, policyOf } from '@health/core'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { refuse } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import { objectBody, readsJson } from './json-body.ts'
import { policyObject } from './wire.ts'

/** Adds `GET` and `PUT /v1/policy`. */
export function policyRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.register(async (plugin) => {
    readsJson(plugin)
    plugin.get('/v1/policy', { config: { access: 'read' } }, async (request) =>
      whole(gateway, appOf(gateway, request)),
    )
    plugin.put('/v1/policy', { config: { access: 'admin' } }, async (request) => {
      const app = appOf(gateway, request)
      const change = objectBody(request)
      gateway.supervisor.tell({ type: 'policy.changed', app, change, by: by(request) })
      return whole(gateway, app)
    })
  })
}

/** Who gave an order, for the record. */
export const by = (request: FastifyRequest): string =>
  request.caller === null || request.caller.owner === ''
    ? 'operator'
    : `key:${request.caller.owner.slice(0, 8)}`

function appOf({ fleet }: Gateway, request: FastifyRequest): string | null {
  const app = (request.query as Record<string, unknown>)['app']
  if (app === undefined) return null
  if (typeof app !== 'string' || !fleet.apps.has(app))
    return refuse(404, 'app_not_found', 'There is no such app.')
  return app
}

function whole({ fleet }: Gateway, app: string | null): Record<string, unknown> {
  if (app !== null) return policyObject(policyOf(fleet, app)!)
  return { ...policyObject(globalPolicyOf(fleet)), ...policyObject(fleet.nodePolicy) }
}
