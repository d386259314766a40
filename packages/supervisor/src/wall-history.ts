/**
 * Which wall time belonged to which observed time: one segment per stretch without a standstill. It answers for past times
 * too, so that yesterday's decision keeps yesterday's date; it never reads a clock.
 */

/** From this observed time on, wall = observed + offset. */
export type WallSegment = readonly [at: number, offset: number]

/** Segments kept; the oldest times then share the oldest segment's offset. */
const LIMIT = 4_096

/** A bounded list of {@link WallSegment}, ascending. */
export class WallHistory {
  #segments: WallSegment[]

  constructor(segments: readonly WallSegment[] = []) {
    this.#segments = segments.slice(-LIMIT)
  }

  /** From `at` on, `unix` is the wall time. An equal `at` replaces the segment. */
  add(at: number, unix: number): void {
    const offset = unix - at
    const last = this.#segments.at(-1)
    if (last !== undefined && last[0] >= at) this.#segments.pop()
    this.#segments.push([last !== undefined && last[0] > at ? last[0] : at, offset])
    if (this.#segments.length > LIMIT) this.#segments.shift()
  }

  /** Unix ms that belong to an observed time; times before the first segment use its offset. */
  wall(at: number): number {
    let low = 0
    let high = this.#segments.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#segments[middle]![0] <= at) low = middle
      else high = middle - 1
    }
    return at + (this.#segments[low]?.[1] ?? 0)
  }

  /** All segments, oldest first, as they go into a snapshot file. */
  list(): readonly WallSegment[] {
    return this.#segments
  }
}
