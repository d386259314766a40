/**
 * Who gets the next free slot of an app: direct calls wait here in memory, first come, first served; queued requests come in as
 * leases. It asks the core for slots and whose turn it is, and never counts slots itself.
 */
import {
  demand,
  demandChanged,
  free,
  NO_RUNNER,
  place,
  turn,
  whyUnserved,
  type Fleet,
  type Lease,
  type RunnerHandle,
} from '@health/core'
import { type Refusal, unserved } from './error-answer.ts'

/** A direct call that wants a slot. */
export interface Waiter {
  readonly hint: string | null
  /** Gets the slot; called once, or `refuse` is. */
  start(runner: RunnerHandle): void
  refuse(refusal: Refusal): void
}

/** The queue's side of a line. */
export interface Supply {
  /** Requests of the app that may start now. */
  ready(app: string): number
  /** Leases up to `max` requests; they come back through `offer`, or `offer` is called with none. */
  fetch(app: string, max: number): void
  /** Starts a leased request on a slot. */
  start(lease: Lease, runner: RunnerHandle): void
}

/** At most so many leases are asked for at once: the request of a slot that is lost meanwhile goes back. */
const FETCH_MAX = 64

/** The line of one app. */
export class Line {
  readonly app: string
  readonly #fleet: Fleet
  readonly #limit: () => number
  readonly #supply: Supply
  readonly #wake: () => void
  readonly #waiting = new Set<Waiter>()
  /** What has just come; empty between turns. */
  readonly #leased: Lease[] = []
  /** Slots that are kept for leases on their way. */
  #fetching = 0
  #holds = 0

  constructor(app: string, fleet: Fleet, limit: () => number, supply: Supply, wake: () => void) {
    this.app = app
    this.#fleet = fleet
    this.#limit = limit
    this.#supply = supply
    this.#wake = wake
  }

  /** True when something wants a slot. */
  get hungry(): boolean {
    return this.#waiting.size > 0 || this.#leased.length > 0 || this.#supply.ready(this.app) > 0
  }

  /** True when nothing waits and nothing is kept: the next call may take a slot at once. */
  get #calm(): boolean {
    return this.#waiting.size + this.#leased.length + this.#fetching + this.#holds === 0
  }

  /** Direct calls that wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Gives the call a slot now, makes it wait, or refuses it. */
  enter(waiter: Waiter): void {
    if (this.#calm) {
      const runner = place(this.#fleet, this.app, { hint: waiter.hint })
      if (runner !== NO_RUNNER) return waiter.start(runner)
    }
    if (this.#waiting.size >= this.#limit()) {
      return waiter.refuse({
        status: 429,
        errorType: 'concurrent_requests_limit',
        detail: `As many direct calls as limits.directWaiting allows wait for ${this.app} already.`,
        headers: { 'retry-after': '1' },
      })
    }
    this.#waiting.add(waiter)
    this.pump()
  }

  /** Nothing gets a slot until `unhold` was called as often. */
  hold(): void {
    this.#holds++
  }

  unhold(): void {
    if (--this.#holds === 0) this.pump()
  }

  /** Takes a waiting call back; false when it waits no longer. */
  leave(waiter: Waiter): boolean {
    if (!this.#waiting.delete(waiter)) return false
    this.#gauge()
    return true
  }

  /** Leases that were asked for have come; answers those that got no slot, since theirs was lost meanwhile. */
  offer(leases: readonly Lease[], asked: number): readonly Lease[] {
    this.#fetching -= asked
    this.#leased.push(...leases)
    this.pump()
    return this.#leased.splice(0)
  }

  /** Its app is no more: nobody who waits here would ever be served. */
  refuseAll(refusal: Refusal): void {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter)
      waiter.refuse(refusal)
    }
    this.#gauge()
  }

  /** Gives away the slots that are free. */
  pump(): void {
    // The core hears of the demand first: how many runners may take work depends on it.
    this.#gauge()
    // The start that the first of them asked for may be the one that showed it.
    const broken = this.#waiting.size === 0 ? null : whyUnserved(this.#fleet, this.app)
    if (broken !== null) this.refuseAll(unserved(this.app, broken))
    while (this.#holds === 0) {
      const open = free(this.#fleet, this.app)
      // What is leased had its turn when it was asked for.
      if (this.#leased.length > 0) {
        if (open <= 0 || !this.#startLeased()) break
        continue
      }
      const queued = this.#supply.ready(this.app) - this.#fetching
      const direct = this.#waiting.size > 0
      if ((!direct && queued <= 0) || open - this.#fetching <= 0) break
      if (this.#whoseTurn(direct, queued > 0) === 'direct') {
        if (!this.#startDirect()) break
      } else {
        const asked = Math.min(direct ? 1 : open - this.#fetching, queued, FETCH_MAX)
        this.#fetching += asked
        this.#supply.fetch(this.app, asked)
      }
    }
    this.#gauge()
  }

  #whoseTurn(direct: boolean, queued: boolean): 'direct' | 'queue' {
    if (direct && queued) return turn(this.#fleet, this.app)
    return direct ? 'direct' : 'queue'
  }

  #startDirect(): boolean {
    const [next] = this.#waiting
    if (next === undefined) return false
    const runner = place(this.#fleet, this.app, { hint: next.hint, queued: true })
    if (runner === NO_RUNNER) return false
    this.#waiting.delete(next)
    next.start(runner)
    return true
  }

  #startLeased(): boolean {
    const lease = this.#leased[0]!
    const runner = place(this.#fleet, this.app, {
      hint: lease.request.hint,
      avoid: lease.avoid,
      queued: true,
    })
    if (runner === NO_RUNNER) return false
    this.#leased.shift()
    this.#supply.start(lease, runner)
    return true
  }

  /** Tells the core what waits, and wakes the one who counts when that cannot wait a second. */
  #gauge(): void {
    const queued = this.#supply.ready(this.app) + this.#leased.length
    demand(this.#fleet, this.app, this.#waiting.size, queued)
    if (demandChanged(this.#fleet)) this.#wake()
  }
}

/** The lines of all apps. */
export interface Lines {
  /** The line of an app; null when there is no such app, or it is on its way out. */
  of(app: string): Line | null
  /** The same while something of it may still be there: what was asked for comes back to it. */
  known(app: string): Line | null
  /** A slot of the app may be free. */
  freed(app: string): void
  /** Something may start in any app. */
  pumpAll(): void
  all(): Iterable<Line>
}

/** Creates the lines of a fleet. */
export function createLines(
  fleet: Fleet,
  limit: () => number,
  supply: Supply,
  wake: () => void,
): Lines {
  const lines = new Map<string, Line>()
  const exists = (app: string): boolean => fleet.apps.get(app)?.removed === false
  return {
    known: (app) => lines.get(app) ?? null,
    of(app: string): Line | null {
      const known = lines.get(app)
      if (known !== undefined && exists(app)) return known
      if (!exists(app)) return null
      const line = known ?? new Line(app, fleet, limit, supply, wake)
      lines.set(app, line)
      return line
    },
    freed(app: string): void {
      const line = lines.get(app)
      if (line?.hungry === true) line.pump()
    },
    pumpAll(): void {
      for (const line of lines.values()) if (line.hungry) line.pump()
    },
    all: () => lines.values(),
  }
}
