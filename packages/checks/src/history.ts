/**
 * Remembers the last changes of status, of single checks and of the service, oldest first. It holds codes and names, never
 * texts, and forgets the oldest at its limit.
 */
import type { Status } from '@health/core/report'

/** One change of status. */
export interface Change {
  /** The check, or null when the service as a whole changed. */
  readonly check: string | null
  /** Null for the first answer of a check. */
  readonly from: Status | null
  readonly to: Status
  /** Why: the code of the failure; for the service the names of the checks that made it so. Null when all is well. */
  readonly cause: string | null
  /** Wall clock, ms since 1970. */
  readonly at: number
}

export class History {
  readonly #limit: number
  #changes: Change[] = []

  /** `limit` = how many changes are kept. */
  constructor(limit: number) {
    this.#limit = limit
  }

  add(change: Change): void {
    this.#changes.push(change)
    // Cut in one go now and then, so that a flapping check does not shift a long list each time.
    if (this.#changes.length >= 2 * this.#limit) this.#changes = this.changes.slice()
  }

  /** The kept changes, oldest first. */
  get changes(): readonly Change[] {
    return this.#limit === 0 ? [] : this.#changes.slice(-this.#limit)
  }
}
