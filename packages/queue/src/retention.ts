/**
 * How long results are kept: until they are swept by age, or until there are too many; a request in quarantine until somebody has
 * it run again, or until there are too many of those. It never touches what is not done.
 */
import { type Entry, renewed } from './entry.ts'
import type { Ledger } from './ledger.ts'
import type { Store } from './store.ts'

/** Requests that one round of a long change hands to the store, so that other changes come between. */
export const ROUND = 500

/** How many are kept. */
export interface RetentionLimits {
  readonly maxResults: number
  readonly maxQuarantined: number
}

export class Retention {
  readonly #ledger: Ledger
  readonly #store: Store
  readonly #limits: RetentionLimits

  constructor(ledger: Ledger, store: Store, limits: RetentionLimits) {
    this.#ledger = ledger
    this.#store = store
    this.#limits = limits
  }

  /** Deletes the results of requests that were done before a time (Unix ms), given app by app; answers how many. */
  async sweep(before: (app: string) => number): Promise<number> {
    let swept = 0
    for (const app of this.#ledger.finished) {
      const time = before(app)
      for (
        let round = this.#ledger.retire(app, time, ROUND);
        round.length > 0;
        round = this.#ledger.retire(app, time, ROUND)
      ) {
        await Promise.all(round.map((entry) => this.#remove(entry)))
        swept += round.length
      }
    }
    return swept
  }

  /** Lets the oldest results go when there are too many. */
  trim(): void {
    this.#trim(this.#ledger.results - this.#limits.maxResults, false)
    this.#trim(this.#ledger.kept - this.#limits.maxQuarantined, true)
  }

  /** Puts a request in quarantine back, as the one with this number; answers it as it is then. */
  revive(kept: Entry, seq: number): Promise<Entry> {
    const next = renewed(kept, seq)
    return new Promise((resolve, reject) => {
      this.#store.revive(kept, next, (failure) => {
        if (failure !== null) {
          this.#ledger.refuse(next)
          this.#ledger.retain(kept)
          return reject(failure)
        }
        this.#ledger.forget(kept)
        this.#ledger.admit(next)
        resolve(next)
      })
      this.#ledger.withdraw(kept)
      this.#ledger.reserve(next)
    })
  }

  #trim(excess: number, kept: boolean): void {
    for (let left = Math.min(ROUND, excess); left > 0; left--) {
      const entry = this.#ledger.oldest(kept)
      if (entry === undefined) return
      this.#ledger.withdraw(entry)
      // A refusal is not lost: the result stays counted, so that the next end asks again.
      this.#remove(entry).catch(() => {})
    }
  }

  #remove(entry: Entry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#store.remove(entry, (failure) => {
        if (failure === null) {
          this.#ledger.forget(entry)
          return resolve()
        }
        this.#ledger.retain(entry)
        reject(failure)
      })
    })
  }
}
