/**
 * Notices answers that say more than they mean: 503s that end runners which were well. It compares each ending by an answer with the
 * checks that the runner passed shortly before, says so in one sentence a while, and changes nothing.
 */
import { view, type Decision, type Fleet } from '@health/core'
import type { Log } from './gateway.ts'

/** A check that passed this shortly before says that the runner was well, in ms. */
const FRESH_MS = 60_000
/** Endings by a 503 before it is worth a sentence, and between two sentences. */
const EVERY = 3

interface Tally {
  ended: number
  well: number
  said: number
}

/** Looks at decisions as they are taken. */
export function watchMisuse(fleet: Fleet, log: Log): (decisions: readonly Decision[]) => void {
  const tallies = new Map<string, Tally>()
  return (decisions) => {
    for (const { rule, subject, at, enforced } of decisions) {
      if (rule !== 'outcome.server_error' || !enforced || subject.kind !== 'runner') continue
      const runner = view(fleet, subject.id)
      if (runner === null) continue
      const tally = tallies.get(runner.app) ?? { ended: 0, well: 0, said: 0 }
      tallies.set(runner.app, tally)
      tally.ended++
      const probe = runner.lastProbe
      if (probe !== null && probe.ok && probe.kind !== 'port' && at - probe.at <= FRESH_MS)
        tally.well++
      if (tally.well < EVERY || tally.well < tally.said + EVERY) continue
      tally.said = tally.well
      log({
        level: 'warn',
        event: 'misuse.status_503',
        app: runner.app,
        ended: tally.ended,
        well: tally.well,
        text: `503s of ${runner.app} ended ${tally.ended} runners; ${tally.well} of them had passed a check within a minute. If the runner is fine, answer 500; if a dependency timed out, 504; if the input was bad, 422.`,
      })
    }
    // One entry per app that is configured; apps that left are forgotten.
    if (tallies.size > fleet.apps.size)
      for (const app of tallies.keys()) if (!fleet.apps.has(app)) tallies.delete(app)
  }
}
