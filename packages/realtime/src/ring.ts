/** The recent events, so that a client that was away for a moment gets what it missed. Bounded by count and bytes: the oldest go first. */
import type { Frame } from './frame.ts'

/** One event as it is kept. */
export interface Kept {
  readonly seq: number
  /** Number of its topic. */
  readonly topic: number
  /** Null: it belongs to no app. */
  readonly app: string | null
  readonly frame: Frame
}

/** Bounds of a ring. */
export interface RingBounds {
  readonly maxEvents: number
  readonly maxBytes: number
}

/** The ring. `seq` must rise. */
export class Ring {
  /** The highest number that is no longer here: whoever saw it and all before misses nothing. */
  floor: number
  readonly #bounds: RingBounds
  #kept: Kept[] = []
  /** Index of the oldest in `#kept`; what is before it is cut off now and then. */
  #first = 0
  #bytes = 0

  constructor(bounds: RingBounds, floor: number) {
    this.#bounds = bounds
    this.floor = floor
  }

  get length(): number {
    return this.#kept.length - this.#first
  }

  get bytes(): number {
    return this.#bytes
  }

  add(kept: Kept): void {
    this.#kept.push(kept)
    this.#bytes += kept.frame.size
    while (this.length > this.#bounds.maxEvents || this.#bytes > this.#bounds.maxBytes) {
      const oldest = this.#kept[this.#first]!
      this.#kept[this.#first++] = undefined as never
      this.#bytes -= oldest.frame.size
      this.floor = oldest.seq
    }
    if (this.#first > 1000 && this.#first * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#first)
      this.#first = 0
    }
  }

  /** Events with a number above `since`, in order. */
  after(since: number): readonly Kept[] {
    let low = this.#first
    let high = this.#kept.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#kept[middle]!.seq > since) high = middle
      else low = middle + 1
    }
    return this.#kept.slice(low)
  }

  /** Forgets everything up to `floor`. */
  clear(floor: number): void {
    this.#kept = []
    this.#first = 0
    this.#bytes = 0
    this.floor = floor
  }
}
