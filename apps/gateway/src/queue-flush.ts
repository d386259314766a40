/**
 * Ends all that waits for an app, when an operator says so: each request gets its final answer and is counted, the fleet hears of each
 * up to a bound, and the log of all at once. What runs is left alone.
 */
import type { Gateway } from './gateway.ts'
import { CANCELLED, ownAnswer } from './queue-attempt.ts'

/** Flushed requests that get a decision each; of more the log says how many there were. */
const TOLD = 10_000
/** Told in one turn; others are served in between. */
const ROUND = 100

const flushed = { ...CANCELLED, detail: 'The queue was flushed.' }

/** Ends the requests of an app that wait; answers how many. */
export async function flushQueue(gateway: Gateway, app: string, by: string): Promise<number> {
  const { queue, clock, metrics, supervisor, log } = gateway
  const now = clock.wall()
  const ids: string[] = []
  const count = await queue.flush(app, ownAnswer(flushed, now, 'flushed', null), (ended) => {
    metrics.request(app, 'queue', flushed.status, Math.max(0, now - ended.submittedAt))
    if (ids.length <= TOLD) ids.push(ended.id)
  })
  gateway.lines.of(app)?.pump()
  const told = ids.length > TOLD ? [] : ids
  log({ level: 'info', event: 'queue.flushed', app, by, requests: count, told: told.length })
  for (const [n, request] of told.entries()) {
    supervisor.tell({ type: 'request.cancelled', app, request, cause: 'flushed' })
    if (n % ROUND === ROUND - 1) await new Promise((resolve) => setImmediate(resolve))
  }
  return count
}
