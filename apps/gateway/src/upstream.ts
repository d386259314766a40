/**
 * The gateway's way to its runners: one strict client of our own, undici where `HEALTH_UPSTREAM` says so. It judges nothing,
 * retries nothing and knows no time limit of a request.
 */
import { HealthError } from '@health/core'
import { openRoute, type Route } from '@health/upstream'
import { openUndiciRoute } from './undici-route.ts'

export type { Cut, Flight, Outgoing, Receiver, Route } from '@health/upstream'

const clients: Readonly<Record<string, (url: string) => Route>> = {
  own: openRoute,
  undici: openUndiciRoute,
}

/** Which client opens the ways to runners. Throws HealthError for a name that is none. */
export function chooseClient(
  env: Readonly<Record<string, string | undefined>>,
): (url: string) => Route {
  const name = env['HEALTH_UPSTREAM'] || 'own'
  const open = Object.hasOwn(clients, name) ? clients[name] : undefined
  if (open !== undefined) return open
  throw new HealthError(
    'HEALTH_POLICY_INVALID',
    `HEALTH_UPSTREAM is neither own nor undici. Unset it for the usual client.`,
    'HEALTH_UPSTREAM',
  )
}
