/**
 * A binary heap that knows where each of its items is, so that an item is moved or taken out in O(log n) and the heap is never
 * longer than what it holds. It does not know what its keys mean.
 */

/** Items that keep their own place in a heap in the field `F`; −1 when they are in none. */
export class Heap<F extends string, T extends Record<F, number>> {
  readonly #field: F
  readonly #keys: number[] = []
  readonly #items: T[] = []

  constructor(field: F) {
    this.#field = field
  }

  get size(): number {
    return this.#items.length
  }

  /** Smallest key; Infinity when empty. */
  get nearest(): number {
    return this.#keys[0] ?? Infinity
  }

  /** The item with the smallest key. */
  get top(): T | undefined {
    return this.#items[0]
  }

  has(item: T): boolean {
    return item[this.#field] >= 0
  }

  /** Puts an item in, or moves it to another key. */
  put(item: T, key: number): void {
    const at: number = item[this.#field]
    if (at < 0) {
      this.#keys.push(key)
      this.#items.push(item)
      this.#rise(this.#items.length - 1, item, key)
      return
    }
    const before = this.#keys[at] as number
    if (key < before) this.#rise(at, item, key)
    else if (key > before) this.#sink(at, item, key)
  }

  /** Takes an item out; nothing happens when it is not in. */
  drop(item: T): void {
    const at: number = item[this.#field]
    if (at < 0) return
    this.#mark(item, -1)
    const key = this.#keys.pop() as number
    const last = this.#items.pop() as T
    if (last === item) return
    if (key < (this.#keys[at] as number)) this.#rise(at, last, key)
    else this.#sink(at, last, key)
  }

  /** At most `max` items whose key is not above `limit` and that `wanted` takes, in no order; none is taken out. */
  upTo(limit: number, max: number, wanted: (item: T) => boolean): T[] {
    const found: T[] = []
    const open = [0]
    for (let at = open.pop(); at !== undefined && found.length < max; at = open.pop()) {
      if (at >= this.#items.length || (this.#keys[at] as number) > limit) continue
      const item = this.#items[at] as T
      if (wanted(item)) found.push(item)
      open.push(2 * at + 2, 2 * at + 1)
    }
    return found
  }

  #mark(item: T, at: number): void {
    ;(item as Record<F, number>)[this.#field] = at
  }

  #set(at: number, item: T, key: number): void {
    this.#keys[at] = key
    this.#items[at] = item
    this.#mark(item, at)
  }

  #rise(from: number, item: T, key: number): void {
    let at = from
    while (at > 0) {
      const up = (at - 1) >> 1
      const above = this.#keys[up] as number
      if (above <= key) break
      this.#set(at, this.#items[up] as T, above)
      at = up
    }
    this.#set(at, item, key)
  }

  #sink(from: number, item: T, key: number): void {
    const end = this.#items.length
    let at = from
    for (let child = 2 * at + 1; child < end; child = 2 * at + 1) {
      if (child + 1 < end && (this.#keys[child + 1] as number) < (this.#keys[child] as number))
        child++
      const below = this.#keys[child] as number
      if (below >= key) break
      this.#set(at, this.#items[child] as T, below)
      at = child
    }
    this.#set(at, item, key)
  }
}
