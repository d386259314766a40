/**
 * The gateway's own health: alive from the first moment, ready once the journal is replayed, the queue is open and the port is
 * listening, not ready from the moment shutdown begins. Runners do not matter; an app that cannot start makes it degraded.
 */
import { CheckFailure, health } from '@health/fastify'
import type { FastifyInstance } from 'fastify'
import { mayRead } from './access.ts'
import type { Gateway } from './gateway.ts'

/** Adds the health endpoints. */
export async function ownHealth(
  app: FastifyInstance,
  gateway: Gateway,
  version: string,
): Promise<void> {
  await app.register(health, {
    version,
    authorize: (asker) => 'routeOptions' in asker && mayRead(gateway.gate, asker),
    checks: {
      apps: {
        critical: false,
        codes: ['app_degraded'],
        check: () => {
          for (const record of gateway.fleet.apps.values())
            if (record.degraded || record.broken !== null)
              throw new CheckFailure('app_degraded', 'degraded')
        },
      },
      queue: {
        codes: ['queue_failed'],
        check: () => {
          if ((gateway.queue.failure ?? null) !== null)
            throw new CheckFailure('queue_failed', 'unhealthy')
        },
      },
      journal: {
        critical: false,
        codes: ['journal_failing'],
        check: () => {
          if (gateway.supervisor.stats.journalFailing)
            throw new CheckFailure('journal_failing', 'degraded')
        },
      },
    },
  })
}
