/** Has results deleted that were kept as long as their app says (`resultRetentionSeconds`), again and again. It deletes nothing itself. */
import { globalPolicyOf, policyOf, type Cancel } from '@health/core'
import type { Gateway } from './gateway.ts'

/** Between two sweeps, in ms: a quarter of the shortest retention, within these bounds. */
const SHORTEST_MS = 1_000
const LONGEST_MS = 60_000

/** Sweeps now and from now on; `failed` hears of a queue that refuses. */
export function sweepResults(
  { queue, clock, fleet, trouble }: Pick<Gateway, 'queue' | 'clock' | 'fleet' | 'trouble'>,
  failed: (error: unknown) => void,
): Cancel {
  let next: Cancel = () => {}
  const sweep = (): void => {
    const now = clock.wall()
    const others = globalPolicyOf(fleet)
    const kept = (app: string): number => (policyOf(fleet, app) ?? others).resultRetentionMs
    queue
      .sweep((app) => now - kept(app))
      .then((count) => {
        if (count > 0) trouble.worked('sweep')
      }, failed)
    const shortest = Math.min(others.resultRetentionMs, ...[...fleet.apps.keys()].map(kept))
    next = clock.after(Math.max(SHORTEST_MS, Math.min(LONGEST_MS, shortest / 4)), sweep)
  }
  sweep()
  return () => next()
}
