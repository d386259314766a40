/**
 * What will happen in a simulated world, by time: a heap of promises to do something. Ties keep the order in which they were
 * promised. It reads no clock and fires nothing.
 */

interface Promised<T> {
  readonly at: number
  readonly order: number
  readonly what: T
}

const sooner = <T>(a: Promised<T>, b: Promised<T>): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order)

/** Things that come, the soonest first. */
export class Coming<T> {
  readonly #heap: Promised<T>[] = []
  #count = 0

  /** When the next one comes; Infinity when nothing does. */
  get next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  /** Promises something for a time. */
  add(at: number, what: T): void {
    const heap = this.#heap
    const entry = { at, order: this.#count++, what }
    let place = heap.length
    heap.push(entry)
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!sooner(entry, heap[parent]!)) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = entry
  }

  /** Takes the soonest; undefined when nothing is left. */
  take(): T | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined) return undefined
    if (heap.length > 0) {
      let place = 0
      for (;;) {
        let child = place * 2 + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && sooner(heap[child + 1]!, heap[child]!)) child++
        if (!sooner(heap[child]!, last)) break
        heap[place] = heap[child]!
        place = child
      }
      heap[place] = last
    }
    return top.what
  }
}
