/**
 * Timeouts of many probes at the cost of a list operation each: those of the same length expire in the order they began, so
 * one timer of the clock per length is enough. It never calls back early, and never from `add`.
 */
import type { Cancel, Clock, Millis } from '@health/core'

/** One timeout that runs; a link of its row. */
export interface Deadline {
  readonly due: Millis
  readonly expired: () => void
  readonly row: Row
  before: Deadline | null
  after: Deadline | null
  live: boolean
}

interface Row {
  readonly ms: Millis
  first: Deadline | null
  last: Deadline | null
  cancel: Cancel | null
}

/** All timeouts of a prober. */
export class Deadlines {
  readonly #clock: Clock
  readonly #rows = new Map<Millis, Row>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `expired` once, `ms` of observed time from now, unless removed first. */
  add(ms: Millis, expired: () => void): Deadline {
    let row = this.#rows.get(ms)
    if (!row) this.#rows.set(ms, (row = { ms, first: null, last: null, cancel: null }))
    const deadline: Deadline = {
      due: this.#clock.now() + ms,
      expired,
      row,
      before: row.last,
      after: null,
      live: true,
    }
    if (row.last) row.last.after = deadline
    else row.first = deadline
    row.last = deadline
    // A timer that is left from a removed deadline is kept: it finds the next one when it comes.
    if (!row.cancel) this.#arm(row, ms)
    return deadline
  }

  /** Takes a timeout back; twice does nothing. */
  remove(deadline: Deadline): void {
    if (!deadline.live) return
    deadline.live = false
    const { row, before, after } = deadline
    if (before) before.after = after
    else row.first = after
    if (after) after.before = before
    else row.last = before
  }

  /** Forgets everything. */
  clear(): void {
    for (const row of this.#rows.values()) row.cancel?.()
    this.#rows.clear()
  }

  #arm(row: Row, ms: Millis): void {
    row.cancel = this.#clock.after(ms, () => {
      row.cancel = null
      const now = this.#clock.now()
      for (let first = row.first; first && first.due <= now; first = row.first) {
        this.remove(first)
        first.expired()
      }
      if (row.cancel) return // one that was added meanwhile has armed it
      if (row.first) this.#arm(row, row.first.due - now)
      else this.#rows.delete(row.ms)
    })
  }
}
