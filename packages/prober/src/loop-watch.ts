/**
 * How late our own event loop was: a beat on the machine's monotonic time while probes fly. A failure that falls into such a
 * time says more about us than about the runner. It measures and never judges.
 */

/** How late the loop was. */
export interface LoopWatch {
  /** Begins or goes on measuring; each call needs one {@link leave}. */
  enter(): void
  leave(): void
  /** Monotonic ms, for {@link latest}. */
  now(): number
  /** The longest time that the loop was late since then, ms; 0 when it never was. */
  latest(since: number): number
}

const BEAT_MS = 20
/** Lateness that is kept; more than this many within one timeout end as one long one. */
const KEPT = 64

/** A {@link LoopWatch} on `performance.now` and one interval that does not keep the process alive. */
export function watchLoop(): LoopWatch {
  const stalls: { at: number; ms: number }[] = []
  let inside = 0
  /** Beats while a probe flies, and once after the last. */
  let timer: NodeJS.Timeout | undefined
  let last = 0

  const beat = (): void => {
    const now = performance.now()
    const late = now - last - BEAT_MS
    last = now
    if (late >= BEAT_MS) note(now, late)
    // Stopping here and not in `leave` costs one timer for many probes in place of one for each.
    if (inside > 0) return
    clearInterval(timer)
    timer = undefined
  }
  const note = (now: number, late: number): void => {
    stalls.push({ at: now, ms: late })
    if (stalls.length > KEPT) stalls.shift()
  }
  return {
    enter() {
      if (inside++ > 0 || timer !== undefined) return
      last = performance.now()
      timer = setInterval(beat, BEAT_MS).unref()
    },
    leave() {
      inside--
    },
    now: () => performance.now(),
    latest(since) {
      // The beat that is overdue at this moment counts too: what blocked the loop may have ended just now.
      let longest =
        inside > 0 ? Math.max(0, performance.now() - Math.max(last, since) - BEAT_MS) : 0
      for (let index = stalls.length - 1; index >= 0; index--) {
        const stall = stalls[index]
        if (!stall || stall.at < since) break
        // What lies before `since` delayed others, not us.
        longest = Math.max(longest, Math.min(stall.ms, stall.at - since))
      }
      return longest
    },
  }
}
