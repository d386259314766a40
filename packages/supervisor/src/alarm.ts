/**
 * Callbacks in order of due time, then of asking: one binary heap, so that thousands of timeouts cost one timer of the machine.
 * It reads no clock and starts no timer; cancelled alarms are dropped when they surface, or all at once when they are the majority.
 */

interface Alarm {
  readonly due: number
  readonly order: number
  /** null once cancelled or taken. */
  callback: (() => void) | null
}

const before = (a: Alarm, b: Alarm): boolean =>
  a.due < b.due || (a.due === b.due && a.order < b.order)

/** A heap of callbacks. Times are whatever the owner counts in. */
export class Alarms {
  #heap: Alarm[] = []
  #order = 0
  #cancelled = 0

  /** Callbacks that wait. */
  get size(): number {
    return this.#heap.length - this.#cancelled
  }

  /** When the first callback is due; Infinity when none waits. */
  nextDue(): number {
    this.#settle()
    return this.#heap[0]?.due ?? Infinity
  }

  /** Adds a callback; the answer takes it back. */
  add(due: number, callback: () => void): () => void {
    const alarm: Alarm = { due, order: this.#order++, callback }
    this.#heap.push(alarm)
    this.#rise(this.#heap.length - 1)
    return () => {
      if (alarm.callback === null) return
      alarm.callback = null
      this.#cancelled++
      if (this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#compact()
    }
  }

  /** The first callback that is due at `now`, taken out; null when none is. */
  take(now: number): (() => void) | null {
    this.#settle()
    const first = this.#heap[0]
    if (first === undefined || first.due > now) return null
    this.#pop()
    const callback = first.callback
    first.callback = null
    return callback
  }

  #settle(): void {
    while (this.#heap[0]?.callback === null) {
      this.#pop()
      this.#cancelled--
    }
  }

  #compact(): void {
    // A sorted array is a heap.
    this.#heap = this.#heap
      .filter((alarm) => alarm.callback !== null)
      .sort((a, b) => (before(a, b) ? -1 : 1))
    this.#cancelled = 0
  }

  #pop(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    const heap = this.#heap
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }

  #rise(from: number): void {
    const heap = this.#heap
    const alarm = heap[from]!
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(alarm, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = alarm
  }
}
