/**
 * Notices a caller that neither sends nor reads: one look every half minute instead of a timer for each piece. Less than a
 * kilobyte in that time while we wait for the caller is a stall; what the other side is slow with is not its business.
 */
import type { Socket } from 'node:net'
import type { Lanes, Wait } from './lane.ts'

/** Between two looks, in ms of observed time. */
export const STALL_MS = 30_000
/** Bytes that a caller moves between two looks at least. */
const LEAST_BYTES = 1024

/** What a look finds: the caller is waited for, somebody else is, or there is nothing to watch any more. */
export type Standing = 'caller' | 'other' | 'over'

/** Watches until `standing` answers `over`; calls `stalled` once when the caller is waited for in vain. */
export function watchStall(
  lanes: Lanes,
  socket: Socket,
  standing: () => Standing,
  stalled: () => void,
): Wait {
  const moved = (): number => socket.bytesRead + socket.bytesWritten
  let seen = 0
  let wait: Wait
  const look = (): void => {
    const now = standing()
    if (now === 'over') return
    if (now === 'caller' && moved() - seen < LEAST_BYTES) return stalled()
    next()
  }
  const next = (): void => {
    seen = moved()
    wait = lanes.wait(STALL_MS, look)
  }
  next()
  return { cancel: () => wait.cancel() }
}
