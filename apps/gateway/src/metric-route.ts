/** The page that Prometheus reads: counters as they are, gauges read from the fleet and the queue when it asks. */
import { appView, lastingNodeAlerts } from '@health/core'
import { gpuMetrics } from '@health/gpu'
import type { FastifyInstance } from 'fastify'
import type { Gateway } from './gateway.ts'
import { label } from './label.ts'
import type { Gauge } from './metric.ts'
import type { MetricName } from './metric-table.ts'
import { processGauges } from './process-metric.ts'

/** Adds `GET /metrics`. */
export function metricRoutes(app: FastifyInstance, gateway: Gateway): void {
  const gauges = gaugesOf(gateway)
  app.get('/metrics', { config: { access: 'call' } }, async (_request, reply) => {
    reply.type('text/plain; version=0.0.4; charset=utf-8')
    const { apps, nodes } = gateway.fleet
    // Nothing without devices: who has none need not see what they would say.
    const shown = nodes.ids().flatMap((id) => nodes.view(id) ?? [])
    return gateway.metrics.text(gauges, [...apps.keys()]) + gpuMetrics(shown)
  })
}

function gaugesOf({ fleet, queue, clock, supervisor }: Gateway): readonly Gauge[] {
  const apps = function* (
    read: (app: string, label: string) => Iterable<readonly [string, number]>,
  ): Iterable<readonly [string, number]> {
    for (const app of fleet.apps.keys()) yield* read(app, `app="${label(app)}"`)
  }
  const one = (name: MetricName, value: () => number): Gauge => ({
    name,
    read: () => [['', value()]],
  })
  return [
    {
      name: 'health_runners',
      read: () =>
        apps(function* (app, at) {
          for (const [state, n] of Object.entries(appView(fleet, app)?.runners ?? {}))
            yield [`${at},state="${label(state)}"`, n]
        }),
    },
    {
      name: 'health_queue_depth',
      read: () =>
        apps(function* (app, at) {
          yield [at, queue.size(app, clock.wall()).all]
        }),
    },
    {
      name: 'health_queue_oldest_seconds',
      read: () =>
        apps(function* (app, at) {
          const { oldest } = queue.size(app, clock.wall())
          yield [at, oldest === null ? 0 : Math.max(0, (clock.wall() - oldest) / 1000)]
        }),
    },
    {
      name: 'health_guard_state',
      read: function* () {
        for (const record of fleet.apps.values()) {
          const at = `app="${label(record.id)}"`
          const holds = (guard: string): number =>
            record.held.some(({ heldBy }) => heldBy === guard) ? 1 : 0
          yield [`${at},guard="self"`, fleet.control ? 0 : 1]
          yield [`${at},guard="panic"`, record.panic ? 1 : 0]
          yield [`${at},guard="cap"`, holds('guard.cap')]
          yield [`${at},guard="rate"`, holds('guard.rate')]
        }
      },
    },
    {
      // An alert is counted once, maybe before anybody read the page for the first time; this stays as long as it is true.
      name: 'health_app_degraded',
      read: () =>
        apps(function* (app, at) {
          yield [at, fleet.apps.get(app)?.degraded === true ? 1 : 0]
        }),
    },
    {
      name: 'health_node_alert',
      read: function* () {
        for (const id of fleet.nodes.ids()) {
          const now = fleet.nodes.alerts(id)
          for (const name of lastingNodeAlerts)
            yield [`node="${label(id)}",name="${name}"`, now.includes(name) ? 1 : 0]
        }
      },
    },
    one('health_loop_delay_seconds', () => supervisor.stats.loopDelaySeconds),
    one('health_journal_seq', () => supervisor.stats.journalSeq),
    ...processGauges,
  ]
}
