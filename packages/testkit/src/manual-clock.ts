/**
 * Time as a test wants it: it moves only when told to, and every callback runs at exactly its due time, in order of due time,
 * then of asking. It never calls back from `after`, and never runs a callback twice.
 */
import type { Cancel, Clock, Millis } from '@health/core'

interface Alarm {
  readonly due: Millis
  readonly order: number
  readonly callback: () => void
}

/** A {@link Clock} that a test moves by hand. Starts at observed time 0, at `wall` (default: 2026-01-01T00:00:00Z). */
export class ManualClock implements Clock {
  #now: Millis = 0
  #offset: number
  #order = 0
  /** Latest first, so that the next one is the last: it is taken off the end. */
  readonly #alarms: Alarm[] = []

  constructor(wall: number = Date.UTC(2026, 0, 1)) {
    this.#offset = wall
  }

  now(): Millis {
    return this.#now
  }

  wall(at: Millis = this.#now): number {
    return this.#offset + at
  }

  after(ms: Millis, callback: () => void): Cancel {
    const alarm: Alarm = { due: this.#now + Math.max(0, ms), order: this.#order++, callback }
    this.#alarms.splice(this.#place(alarm), 0, alarm)
    return () => {
      const place = this.#place(alarm)
      if (this.#alarms[place] === alarm) this.#alarms.splice(place, 1)
    }
  }

  /** Callbacks that wait. */
  get waiting(): number {
    return this.#alarms.length
  }

  /** When the next callback is due; Infinity when none waits. */
  get nextDue(): Millis {
    return this.#alarms.at(-1)?.due ?? Infinity
  }

  /** Moves time on, running everything that becomes due, also what those callbacks ask for. Answers how many ran. */
  advance(ms: Millis): number {
    const until = this.#now + ms
    let ran = 0
    for (let alarm = this.#due(until); alarm; alarm = this.#due(until)) {
      alarm.callback()
      ran++
    }
    this.#now = until
    return ran
  }

  /** Like {@link advance}, and lets promises settle before each callback and at the end. */
  async pass(ms: Millis): Promise<number> {
    const until = this.#now + ms
    let ran = 0
    await settled()
    for (let alarm = this.#due(until); alarm; alarm = this.#due(until)) {
      alarm.callback()
      ran++
      await settled()
    }
    this.#now = until
    return ran
  }

  /** The process stood still: the wall goes on by `ms`, observed time does not, nothing becomes due. */
  jump(ms: Millis): void {
    this.#offset += ms
  }

  #due(until: Millis): Alarm | null {
    if (this.nextDue > until) return null
    const alarm = this.#alarms.pop() ?? null
    if (alarm) this.#now = alarm.due
    return alarm
  }

  /** Where the alarm stands, or belongs. */
  #place({ due, order }: Alarm): number {
    let [from, to] = [0, this.#alarms.length]
    while (from < to) {
      const middle = (from + to) >> 1
      const other = this.#alarms[middle] as Alarm
      if (other.due > due || (other.due === due && other.order > order)) from = middle + 1
      else to = middle
    }
    return from
  }
}

/** One turn of the event loop: every promise that can settle without I/O has settled. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
