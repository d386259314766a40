/**
 * Holds back an error that repeats itself without end, so that a flood does not wash the journal away: the first ones of a kind pass, and
 * enough of the rest to show that it goes on. Recovery actions always pass; what a kind means is the core's.
 */
import { RECOVERY_XID } from '@health/core'

const WINDOW_MS = 60_000
/** Of one kind in one window. The core's own burst takes one as well as a thousand. */
const PER_WINDOW = 20
/** Behind those, one in so long. */
const EVERY_MS = 5_000
const MAX_KINDS = 512

/** Counts errors by device, number and process. */
export class XidFlood {
  readonly #kinds = new Map<
    string,
    { since: number; count: number; passedAt: number; held: number }
  >()

  /** May this one pass? `held`: how many of its kind were held back in the window that has just ended; 0 mostly. */
  admit(
    { device, xid, pid }: { readonly device: string; readonly xid: number; readonly pid?: number },
    now: number,
  ): { readonly passes: boolean; readonly held: number } {
    if (xid === RECOVERY_XID) return { passes: true, held: 0 }
    const key = `${device} ${xid} ${pid ?? ''}`
    const kind = this.#kinds.get(key)
    if (kind !== undefined && now - kind.since < WINDOW_MS) {
      kind.count++
      const passes = kind.count <= PER_WINDOW || now - kind.passedAt >= EVERY_MS
      if (passes) kind.passedAt = now
      else kind.held++
      return { passes, held: 0 }
    }
    // Set anew at the end, so that the first key is the one whose window began longest ago.
    this.#kinds.delete(key)
    this.#kinds.set(key, { since: now, count: 1, passedAt: now, held: 0 })
    if (this.#kinds.size > MAX_KINDS) this.#kinds.delete(this.#kinds.keys().next().value!)
    return { passes: true, held: kind?.held ?? 0 }
  }
}
