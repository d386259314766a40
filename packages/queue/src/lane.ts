/**
 * The requests of one app and one priority in the order of their submission: who is first, who is how far behind, each in
 * O(log n). A request that is leased keeps its slot, so that it comes back to the place it had.
 */

/** What a lane keeps about a slot's owner. */
export interface Placed {
  /** Slot in the lane; −1 outside. */
  slot: number
}

/** Bits of a slot: it counts for positions; it may be taken. With none its owner is leased or hidden. */
const WAITING = 1
const READY = 2
const SMALLEST = 64

/** Adds to one slot of a tree of partial sums. */
function add(tree: Int32Array, slot: number, by: number): void {
  for (let at = slot + 1; at < tree.length; at += at & -at) tree[at] = (tree[at] as number) + by
}

/** How many lie below a slot. */
function below(tree: Int32Array, slot: number): number {
  let sum = 0
  for (let at = slot; at > 0; at &= at - 1) sum += tree[at] as number
  return sum
}

/** Slot of the first one; the tree must not be empty. */
function first(tree: Int32Array): number {
  let at = 0
  for (let step = tree.length - 1; step > 0; step >>= 1) if (tree[at + step] === 0) at += step
  return at
}

/** Turns counts per slot (at slot + 1) into partial sums. */
function sumUp(tree: Int32Array): void {
  for (let at = 1; at < tree.length; at++) {
    const up = at + (at & -at)
    if (up < tree.length) tree[up] = (tree[up] as number) + (tree[at] as number)
  }
}

/** One lane. Slots are given once and grow; when they run out the lane is packed, which costs O(1) per request on average. */
export class Lane<T extends Placed> {
  #items: (T | undefined)[] = []
  #state = new Uint8Array(SMALLEST)
  #waitingTree = new Int32Array(SMALLEST + 1)
  #readyTree = new Int32Array(SMALLEST + 1)
  #end = 0
  #held = 0
  #waiting = 0
  #ready = 0
  /** Of those, the ones that do not count as waiting yet. */
  #early = 0

  /** Requests that wait, the delayed and the hidden ones included. */
  get waiting(): number {
    return this.#waiting
  }

  /** Waiting requests that may be taken now. */
  get ready(): number {
    return this.#ready - this.#early
  }

  /** Gives a request the last place, not yet waiting. */
  enter(item: T): void {
    if (this.#end === this.#state.length) this.#pack()
    item.slot = this.#end++
    this.#items[item.slot] = item
    this.#held++
  }

  /** Takes a request out for good. */
  leave(item: T): void {
    this.stop(item)
    this.#items[item.slot] = undefined
    item.slot = -1
    this.#held--
  }

  /** The request counts as waiting. */
  wait(item: T): void {
    const state = this.#state[item.slot] as number
    if ((state & WAITING) !== 0) return
    this.#state[item.slot] = state | WAITING
    add(this.#waitingTree, item.slot, 1)
    this.#waiting++
    if ((state & READY) !== 0) this.#early--
  }

  /** The request may be taken, even before it counts as waiting. */
  open(item: T): void {
    const state = this.#state[item.slot] as number
    if ((state & READY) !== 0) return
    this.#state[item.slot] = state | READY
    add(this.#readyTree, item.slot, 1)
    this.#ready++
    if ((state & WAITING) === 0) this.#early++
  }

  /** The request may not be taken. */
  hide(item: T): void {
    const state = this.#state[item.slot] as number
    if ((state & READY) === 0) return
    this.#state[item.slot] = state & ~READY
    add(this.#readyTree, item.slot, -1)
    this.#ready--
    if ((state & WAITING) === 0) this.#early--
  }

  /** The request waits no more and may not be taken; it keeps its slot. */
  stop(item: T): void {
    this.hide(item)
    if (this.#state[item.slot] !== WAITING) return
    this.#state[item.slot] = 0
    add(this.#waitingTree, item.slot, -1)
    this.#waiting--
  }

  isReady(item: T): boolean {
    return ((this.#state[item.slot] as number) & READY) !== 0
  }

  /** Waiting requests before this one. */
  ahead(item: T): number {
    return below(this.#waitingTree, item.slot)
  }

  firstReady(): T | undefined {
    return this.#ready === 0 ? undefined : this.#items[first(this.#readyTree)]
  }

  firstWaiting(): T | undefined {
    return this.#waiting === 0 ? undefined : this.#items[first(this.#waitingTree)]
  }

  /** All that the lane holds, in order. Nothing may enter or leave meanwhile. */
  *held(): Generator<T> {
    for (const item of this.#items) if (item !== undefined) yield item
  }

  /** Moves what is held to the front of a lane with as much room again. */
  #pack(): void {
    let room = SMALLEST
    while (room < 2 * this.#held) room *= 2
    const items: (T | undefined)[] = []
    const state = new Uint8Array(room)
    const waiting = new Int32Array(room + 1)
    const ready = new Int32Array(room + 1)
    for (const item of this.#items) {
      if (item === undefined) continue
      const was = this.#state[item.slot] as number
      item.slot = items.length
      items.push(item)
      state[item.slot] = was
      if ((was & WAITING) !== 0) waiting[items.length] = 1
      if ((was & READY) !== 0) ready[items.length] = 1
    }
    sumUp(waiting)
    sumUp(ready)
    this.#items = items
    this.#state = state
    this.#waitingTree = waiting
    this.#readyTree = ready
    this.#end = items.length
  }
}
