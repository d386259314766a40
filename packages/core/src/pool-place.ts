/**
 * A seat in the pool: a runner and its successor are one place. Data only. What only a place in change has is kept apart and made
 * when it is first needed, since most places of a large fleet never change.
 */
import type { Reason } from './command.ts'
import type { RunnerRecord } from './runner-record.ts'

/** The last runner of a place when it is off the books: whom a successor replaces, and whether its end asks for one. */
export interface Loss {
  readonly id: string
  readonly owed: boolean
}

/** Why and by which rule a runner leaves when its successor is ready. */
export interface Handover {
  readonly reason: Reason
  readonly rule: string
}

/** What only a place in change, or one of an adopted server, has. */
interface Change {
  lost: Loss | null
  next: RunnerRecord | null
  ready: boolean
  refused: boolean
  handover: Handover | null
  url: string | null
}

const NO_CHANGE: Readonly<Change> = Object.freeze({
  lost: null,
  next: null,
  ready: false,
  refused: false,
  handover: null,
  url: null,
})

/** See the head of this file. */
export class Place {
  /** Rises, never reused: the order of age. */
  readonly number: number
  /** The runner that serves, or the last that did. */
  current: RunnerRecord | null = null
  /** True once a runner of this place was ready: it counts for the guards. */
  established = false
  /** Counted in `AppRecord.outs`. */
  out = false
  #change: Readonly<Change> = NO_CHANGE

  /** `url`: address of an adopted server; null for processes. */
  constructor(number: number, url: string | null) {
    this.number = number
    if (url !== null) this.#change = { ...NO_CHANGE, url }
  }

  /** Address of an adopted server; null for processes. */
  get url(): string | null {
    return this.#change.url
  }

  set url(url: string | null) {
    if (url !== this.#change.url) this.changing().url = url
  }

  get lost(): Loss | null {
    return this.#change.lost
  }

  set lost(lost: Loss | null) {
    if (lost !== this.#change.lost) this.changing().lost = lost
  }

  /** Its successor until that is ready. */
  get next(): RunnerRecord | null {
    return this.#change.next
  }

  set next(next: RunnerRecord | null) {
    if (next !== this.#change.next) this.changing().next = next
  }

  /** The successor is ready and may take over. */
  get ready(): boolean {
    return this.#change.ready
  }

  set ready(ready: boolean) {
    if (ready !== this.#change.ready) this.changing().ready = ready
  }

  /** The host had no capacity for the successor. */
  get refused(): boolean {
    return this.#change.refused
  }

  set refused(refused: boolean) {
    if (refused !== this.#change.refused) this.changing().refused = refused
  }

  /** The current runner leaves when the successor is ready: why, and by which rule. */
  get handover(): Handover | null {
    return this.#change.handover
  }

  set handover(handover: Handover | null) {
    if (handover !== this.#change.handover) this.changing().handover = handover
  }

  // Not `#changing`: a private method costs every record a field.
  private changing(): Change {
    if (this.#change === NO_CHANGE) this.#change = { ...NO_CHANGE }
    return this.#change
  }
}
