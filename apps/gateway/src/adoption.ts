/**
 * After a gateway died its runners may still work for it. Those that live on are told to cancel what was open, and get nothing
 * new until they have answered or five seconds have passed, so that no request runs twice at once longer than need be.
 */
import { handleOf, views } from '@health/core'
import { sendCancel } from './cancel.ts'
import type { Gateway } from './gateway.ts'

/** Requests whose cancel is sent at most; past it, what runs on runs on. */
const MAX_CANCELS = 1000

/** Sends the cancels; who held which request is not known, so each live runner of its app hears of it. */
export function tellRunnersToCancel(
  gateway: Gateway,
  open: readonly { readonly id: string; readonly app: string }[],
): void {
  for (const app of new Set(open.map((lease) => lease.app))) {
    const line = gateway.lines.of(app)
    if (line === null) continue
    const mine = open.filter((lease) => lease.app === app).slice(0, MAX_CANCELS)
    for (const runner of views(gateway.fleet, { app, states: serving })) {
      const { route } = gateway.routes.of(handleOf(gateway.fleet, runner.id))
      for (const { id } of mine) {
        const path = gateway.queue.entry(id)?.path ?? '/'
        line.hold()
        sendCancel(gateway.lanes, route, path, id, () => line.unhold())
      }
    }
  }
}

const serving: ReadonlySet<string> = new Set(['ready', 'suspect'])
