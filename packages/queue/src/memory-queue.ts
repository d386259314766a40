/**
 * The queue's twin without a disk: the same index and the same answers, kept in this process only. For tests, simulations and
 * whoever chooses to lose the queue with the process.
 */
import { type FinalAnswer, HealthError, type Queue, type Submission } from '@health/core'
import { type Entry, KEPT } from './entry.ts'
import { Ledger } from './ledger.ts'
import { LedgerQueue } from './ledger-queue.ts'
import type { QueueLimits } from './limit.ts'
import type { Store } from './store.ts'

/** Keeps requests and answers as they came. Bounded by the queue's own limits on requests and results. */
class MemoryStore implements Store {
  readonly #requests = new Map<number, Submission>()
  readonly #answers = new Map<number, FinalAnswer>()
  #due: (() => void)[] = []

  insert: Store['insert'] = (entry, request, settled) => {
    this.#later(() => {
      this.#requests.set(entry.seq, request)
      settled(null)
    })
  }

  lease: Store['lease'] = (entry, _change, settled) => {
    this.#later(() => {
      const request = this.#requests.get(entry.seq) ?? null
      settled(request === null ? new HealthError('HEALTH_QUEUE_FORMAT') : null, request)
    })
  }

  renew: Store['renew'] = (_entry, _until, settled) => this.#later(() => settled(null))

  settle: Store['settle'] = (entry, change, final, _keep, settled) => {
    this.#later(() => {
      if (final !== null) {
        if (change.standing !== KEPT) this.#requests.delete(entry.seq)
        this.#answers.set(entry.seq, final)
      }
      settled(null)
    })
  }

  remove: Store['remove'] = (entry, settled) => {
    this.#later(() => {
      this.#requests.delete(entry.seq)
      this.#answers.delete(entry.seq)
      settled(null)
    })
  }

  revive: Store['revive'] = (kept, next, settled) => {
    this.#later(() => {
      const request = this.#requests.get(kept.seq)
      this.#requests.delete(kept.seq)
      this.#answers.delete(kept.seq)
      if (request !== undefined)
        this.#requests.set(next.seq, { ...request, startBefore: next.startBefore })
      settled(null)
    })
  }

  barrier: Store['barrier'] = (settled) => this.#later(settled)

  async answer(entry: Entry): Promise<FinalAnswer | null> {
    return this.#answers.get(entry.seq) ?? null
  }

  /** Memory does not fail. */
  get failure(): null {
    return null
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#later(resolve))
  }

  /** In order, after the caller's turn: as a disk would answer, only sooner. */
  #later(act: () => void): void {
    if (this.#due.length === 0) {
      queueMicrotask(() => {
        const due = this.#due
        this.#due = []
        for (const next of due) next()
      })
    }
    this.#due.push(act)
  }
}

/** A queue that lives in this process only. Options: {@link QueueLimits}. */
export function createMemoryQueue(limits: QueueLimits = {}): Queue {
  return new LedgerQueue(new Ledger(), new MemoryStore(), 1, limits)
}
