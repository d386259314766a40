/**
 * Orders of people and facts from outside: each becomes one fact of the fleet, is journaled, and is answered with the object as
 * it is then. Whether and how it is carried out is the core's to decide.
 */
import {
  checkOptionsOf,
  type Fleet,
  handleOf,
  HealthError,
  type HealthEvent,
  inFlight,
  type RunnerView,
} from '@health/core'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { refuse } from './error-answer.ts'
import { readFacts } from './fact-body.ts'
import { idOf, runnerOrRefuse } from './fleet-route.ts'
import type { Gateway } from './gateway.ts'
import { flags, objectBody, readsJson } from './json-body.ts'
import { nodeRoutes } from './node-route.ts'
import { by } from './policy-route.ts'
import { queueOrderRoutes } from './queue-order-route.ts'
import { appObject, runnerObject } from './wire.ts'

/** Adds the routes that order. */
export function orderRoutes(
  app: FastifyInstance,
  gateway: Gateway,
  reload: (() => Promise<readonly string[]>) | null,
): void {
  const { fleet, clock, supervisor } = gateway
  const admin = { config: { access: 'admin' } } as const
  app.register(async (plugin) => {
    readsJson(plugin)

    const living = (request: FastifyRequest): RunnerView => {
      const runner = runnerOrRefuse(gateway, idOf(request))
      if (runner.state === 'terminated')
        return refuse(
          409,
          'runner_terminated',
          `Runner ${runner.id} is terminated (${runner.reason}).`,
        )
      return runner
    }
    for (const order of ['stop', 'kill', 'drain'] as const) {
      plugin.post(`/v1/runners/:id/${order}`, admin, async (request, reply) => {
        const { replace } = flags(request, 'replace')
        const { id } = living(request)
        supervisor.tell({
          type: `order.${order}`,
          runner: id,
          by: by(request),
          inFlight: inFlight(fleet, handleOf(fleet, id)),
          ...(replace && { replace }),
        })
        reply.code(202)
        return runnerObject(clock, runnerOrRefuse(gateway, id))
      })
    }
    plugin.post('/v1/runners/:id/check', admin, async (request, reply) => {
      const { manual } = flags(request, 'manual')
      const { id } = living(request)
      supervisor.tell({ type: 'order.check', runner: id, by: by(request), manual })
      reply.code(202)
      return runnerObject(clock, runnerOrRefuse(gateway, id))
    })
    plugin.post(
      '/v1/runners/:id/heartbeat',
      { config: { access: 'runner' } },
      async (request, reply) => {
        const body = objectBody(request)
        if (
          body['state'] !== undefined &&
          body['state'] !== 'setup_failed' &&
          body['state'] !== 'ok'
        )
          refuse(422, 'invalid_value', 'state must be "ok" or "setup_failed".', { path: 'state' })
        const { id, incarnation } = living(request)
        const failed = body['state'] === 'setup_failed'
        const detail =
          typeof body['detail'] === 'string'
            ? body['detail'].slice(0, 200)
            : 'reported by the runner'
        supervisor.tell(
          failed
            ? { type: 'setup.failed', runner: id, incarnation, detail }
            : { type: 'heartbeat.received', runner: id, incarnation },
        )
        reply.code(202)
        return runnerObject(clock, runnerOrRefuse(gateway, id))
      },
    )

    nodeRoutes(plugin, gateway)

    plugin.post('/v1/apps/:owner/:alias/start', admin, async (request, reply) => {
      flags(request)
      const { owner, alias } = request.params as { owner: string; alias: string }
      const id = `${owner}/${alias}`
      if (!fleet.apps.has(id)) refuse(404, 'app_not_found', `There is no app ${id.slice(0, 200)}.`)
      supervisor.tell({ type: 'order.start', app: id, by: by(request) })
      reply.code(202)
      return appObject(fleet, id)
    })

    queueOrderRoutes(plugin, gateway)

    plugin.post('/v1/reload', admin, async (request, reply) => {
      flags(request)
      if (reload === null)
        return refuse(409, 'bad_request', 'This gateway was started without a configuration file.')
      const restart = await reload()
      reply.code(202)
      return { apps: [...fleet.apps.keys()], restart }
    })

    plugin.post('/v1/events', admin, async (request, reply) => {
      const facts = readFacts(request.body)
      checkListed(fleet, facts)
      for (const fact of facts) gateway.dispatcher.perform(supervisor.tell(fact).commands)
      reply.code(202)
      return { accepted: facts.length, seq: fleet.seq }
    })
  })
}

/** What facts of a list carry is checked before the first of them is told: all of them or none. Throws with the path of the field. */
function checkListed(fleet: Fleet, facts: ReturnType<typeof readFacts>): void {
  if (facts.length < 2) return
  const at = fleet.now
  for (const [i, fact] of facts.entries())
    try {
      checkOptionsOf(fleet, { ...fact, at } as HealthEvent)
    } catch (error) {
      if (!(error instanceof HealthError)) throw error
      throw new HealthError(error.code, error.message, `[${i}].${error.path ?? ''}`)
    }
}
