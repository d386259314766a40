/**
 * Which of many deadlines is next: an indexed 4-ary heap over dense integer keys, in typed arrays. It reads no clock and fires nothing.
 * Ties go to the smaller key, never to insertion order, so deadlines that were restored come due exactly as those that were lived.
 */

/** Keys end here (16.7 million), so that one wrong key cannot ask for all memory. */
const KEY_LIMIT = 1 << 24

/** At most one deadline per key: 4 bytes for every key up to the largest one used, 12 for every deadline. Times are milliseconds. */
export class Deadlines {
  /** By key: its place in the heap, -1 when it has no deadline. */
  #place: Int32Array
  /** In heap order: the key, and its due time beside it, so that comparing children stays in one cache line. */
  #key: Int32Array
  #due: Float64Array
  #size = 0

  /** `capacity`: how many keys are expected; default 64. It grows by itself. */
  constructor(capacity = 64) {
    const length = Math.max(1, Math.min(capacity, KEY_LIMIT))
    this.#place = new Int32Array(length).fill(-1)
    this.#key = new Int32Array(length)
    this.#due = new Float64Array(length)
  }

  /** How many keys have a deadline. */
  get size(): number {
    return this.#size
  }

  /** The key that is due first, -1 when there is none. */
  top(): number {
    return this.#size === 0 ? -1 : this.#key[0]!
  }

  /** When the first key is due, Infinity when there is none. */
  nextDue(): number {
    return this.#size === 0 ? Infinity : this.#due[0]!
  }

  /** When this key is due, NaN when it has no deadline. */
  due(key: number): number {
    const place = this.#place[key]
    return place === undefined || place < 0 ? NaN : this.#due[place]!
  }

  /** Sets or moves the deadline of a key. Throws RangeError for a key that is no integer from 0 to 16,777,215, or a due time that is NaN. */
  set(key: number, due: number): void {
    if (!Number.isInteger(key) || key < 0 || key >= KEY_LIMIT) {
      throw new RangeError(
        `A deadline's key must be an integer from 0 to ${KEY_LIMIT - 1}, not ${key}.`,
      )
    }
    if (Number.isNaN(due))
      throw new RangeError(`The deadline of ${key} must be a number of milliseconds.`)
    if (key >= this.#place.length) this.#grow(key + 1)
    const place = this.#place[key]!
    if (place < 0) {
      if (this.#size === this.#key.length) this.#widen()
      this.#rise(this.#size++, key, due)
    } else if (due < this.#due[place]!) this.#rise(place, key, due)
    else this.#sink(place, key, due)
  }

  /** Forgets the deadline of a key; nothing happens when it has none. */
  clear(key: number): void {
    const place = this.#place[key]
    if (place === undefined || place < 0) return
    this.#place[key] = -1
    const last = --this.#size
    if (place === last) return
    // The last entry fills the gap; it may belong above it (another branch) or below it.
    const moved = this.#key[last]!
    const due = this.#due[last]!
    if (this.#rise(place, moved, due) === place) this.#sink(place, moved, due)
  }

  #rise(from: number, key: number, due: number): number {
    const places = this.#place
    const keys = this.#key
    const dues = this.#due
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 2
      const parentDue = dues[parent]!
      const parentKey = keys[parent]!
      if (parentDue < due || (parentDue === due && parentKey < key)) break
      dues[place] = parentDue
      keys[place] = parentKey
      places[parentKey] = place
      place = parent
    }
    dues[place] = due
    keys[place] = key
    places[key] = place
    return place
  }

  #sink(from: number, key: number, due: number): void {
    const places = this.#place
    const keys = this.#key
    const dues = this.#due
    const size = this.#size
    let place = from
    for (;;) {
      let best = (place << 2) + 1
      if (best >= size) break
      const end = Math.min(best + 4, size)
      for (let child = best + 1; child < end; child++) {
        const childDue = dues[child]!
        if (childDue < dues[best]! || (childDue === dues[best]! && keys[child]! < keys[best]!))
          best = child
      }
      const bestDue = dues[best]!
      const bestKey = keys[best]!
      if (due < bestDue || (due === bestDue && key < bestKey)) break
      dues[place] = bestDue
      keys[place] = bestKey
      places[bestKey] = place
      place = best
    }
    dues[place] = due
    keys[place] = key
    places[key] = place
  }

  #grow(keys: number): void {
    const length = Math.min(KEY_LIMIT, Math.max(keys, this.#place.length * 2))
    const place = new Int32Array(length).fill(-1)
    place.set(this.#place)
    this.#place = place
  }

  #widen(): void {
    const length = this.#key.length * 2
    const key = new Int32Array(length)
    key.set(this.#key)
    this.#key = key
    const due = new Float64Array(length)
    due.set(this.#due)
    this.#due = due
  }
}
