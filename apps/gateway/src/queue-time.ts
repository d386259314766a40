/** The time that delays of queued requests are measured by: the wall clock's, but it never goes back when somebody sets that one back. */
import type { Clock } from '@health/core'

/** Unix ms; ahead of the wall clock by what that was set back, until a restart. */
export function createQueueTime(clock: Clock): () => number {
  let time = clock.wall()
  let at = clock.now()
  return () => {
    const now = clock.now()
    time = Math.max(clock.wall(), time + now - at)
    at = now
    return time
  }
}
