/**
 * Many timeouts of equal length, without a timer for each: entries of one length expire in the order in which they were added,
 * so one alarm for the oldest is enough. Time is the observed clock's, so nothing expires for the time in which we stood still.
 */
import type { Cancel, Clock } from '@health/core'

/** One running timeout. */
export interface Wait {
  /** Takes the timeout back; does nothing when it has passed. */
  cancel(): void
}

class Entry implements Wait {
  previous: Entry | null = null
  next: Entry | null = null
  lane: Lane | null
  readonly due: number
  readonly passed: () => void

  constructor(lane: Lane, due: number, passed: () => void) {
    this.lane = lane
    this.due = due
    this.passed = passed
  }

  cancel(): void {
    this.lane?.remove(this)
  }
}

class Lane {
  #first: Entry | null = null
  #last: Entry | null = null
  #alarm: Cancel | null = null
  readonly #ms: number
  readonly #clock: Clock

  constructor(ms: number, clock: Clock) {
    this.#ms = ms
    this.#clock = clock
  }

  get empty(): boolean {
    return this.#first === null
  }

  add(passed: () => void, now: number): Entry {
    const entry = new Entry(this, now + this.#ms, passed)
    entry.previous = this.#last
    if (this.#last === null) this.#first = entry
    else this.#last.next = entry
    this.#last = entry
    if (this.#alarm === null) this.#arm(this.#ms)
    return entry
  }

  remove(entry: Entry): void {
    if (entry.previous === null) this.#first = entry.next
    else entry.previous.next = entry.next
    if (entry.next === null) this.#last = entry.previous
    else entry.next.previous = entry.previous
    entry.lane = entry.previous = entry.next = null
  }

  #arm(ms: number): void {
    this.#alarm = this.#clock.after(ms, () => this.#ring())
  }

  #ring(): void {
    this.#alarm = null
    const now = this.#clock.now()
    for (let entry = this.#first; entry !== null && entry.due <= now; entry = this.#first) {
      this.remove(entry)
      entry.passed()
    }
    // An alarm outlives the entry it was set for: cheaper than one alarm for each request.
    if (this.#first !== null && this.#alarm === null) this.#arm(Math.max(1, this.#first.due - now))
  }

  close(): void {
    this.#alarm?.()
    this.#alarm = null
    this.#first = this.#last = null
  }
}

/** Timeouts by their length. */
export interface Lanes {
  /** Calls `passed` once, `ms` of observed time from now; `now` for one who has just read the clock. */
  wait(ms: number, passed: () => void, now?: number): Wait
  /** Drops all timeouts; none fires any more. */
  close(): void
}

/** Past this many different lengths, empty lanes are dropped: callers choose some lengths themselves. */
const MAX_LANES = 256

/** Creates the timeouts of one gateway. */
export function createLanes(clock: Clock): Lanes {
  const lanes = new Map<number, Lane>()
  return {
    wait(ms, passed, now = clock.now()) {
      let lane = lanes.get(ms)
      if (lane === undefined) {
        if (lanes.size >= MAX_LANES) {
          for (const [length, old] of lanes) {
            if (!old.empty) continue
            old.close()
            lanes.delete(length)
          }
        }
        lane = new Lane(ms, clock)
        lanes.set(ms, lane)
      }
      return lane.add(passed, now)
    },
    close() {
      for (const lane of lanes.values()) lane.close()
      lanes.clear()
    },
  }
}
