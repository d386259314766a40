/**
 * Where the queue's changes are kept: the one place that differs between the queue in memory and the one on disk. A store
 * decides nothing; it keeps what it is told and says when it is safe.
 */
import type { FinalAnswer, HealthError, Submission } from '@health/core'
import type { Entry, Standing } from './entry.ts'

/** Called once: null when the change is safe, else why it was not made. */
export type Settled = (failure: HealthError | null) => void

/** What becomes of a request; its tail is kept as it is when undefined. */
export interface Change {
  readonly standing: Standing
  readonly fence: number
  readonly attempts: number
  readonly due: number
  readonly tail?: string
}

/**
 * Contract: changes of one request take effect in the order given; `settled` is called once, never before the change is safe
 * and never inside the call itself. A change that a full disk does not take is refused, and nothing is changed; one that is to
 * be kept waits in bounded memory and is tried until there is room, and refused past the bound.
 */
export interface Store {
  /** `soon`: few wait before it, so that keeping it at hand spares reading it. */
  insert(entry: Entry, request: Submission, settled: Settled, soon: boolean): void
  /** Marks a request as leased and reads what was submitted. */
  lease(
    entry: Entry,
    change: Change,
    settled: (failure: HealthError | null, request: Submission | null) => void,
  ): void
  renew(entry: Entry, until: number, settled: Settled): void
  /**
   * With `final` what was submitted need not be kept any more, unless the request is to be `KEPT`. With `keep` the
   * change is kept while the disk is full.
   */
  settle(
    entry: Entry,
    change: Change,
    final: FinalAnswer | null,
    keep: boolean,
    settled: Settled,
  ): void
  remove(entry: Entry, settled: Settled): void
  /** Makes a kept request the next one: what was submitted is its own, the answer is forgotten. */
  revive(kept: Entry, next: Entry, settled: Settled): void
  /** Everything given before is safe or refused. */
  barrier(settled: () => void): void
  /** The final answer of a request that is done. */
  answer(entry: Entry): Promise<FinalAnswer | null>
  /** Why it takes nothing any more, ever; null while it does. */
  readonly failure: HealthError | null
  /** Makes safe what was given, then lets go of everything. */
  close(): Promise<void>
}
