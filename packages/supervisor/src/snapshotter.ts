/**
 * When a snapshot is taken and what it stands for: only after the journal up to it is on disk, so that an older one can always
 * take its place; or, when the journal lost lines, instead of them. One at a time.
 */
import { beginSnapshot, type Fleet } from '@health/core'
import type { FileJournal, Replacement } from './journal.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import type { WallHistory } from './wall-history.ts'

/** Options of {@link Snapshotter}. */
export interface SnapshotterOptions {
  readonly fleet: Fleet
  readonly store: SnapshotStore
  readonly walls: WallHistory
}

/** See the head of this file. */
export class Snapshotter {
  readonly #options: SnapshotterOptions
  #busy: Promise<void> | null = null

  constructor(options: SnapshotterOptions) {
    this.#options = options
  }

  /** Number of the last event in the newest snapshot on disk. */
  get newest(): number {
    return this.#options.store.newest
  }

  /** Writes a snapshot when something happened since the last one. Answers whether it did; rejects with what the disk says. */
  async take(journal: Pick<FileJournal, 'sync' | 'failing'>): Promise<boolean> {
    const { fleet } = this.#options
    if (this.#busy !== null || journal.failing || fleet.seq === this.newest) return false
    // Begun in the same turn as the sync, so that what it holds is what the sync covers.
    const synced = journal.sync()
    const { done } = this.#begin(synced)
    await done
    return true
  }

  /** A snapshot in place of lines that were dropped; null while another one is written. */
  replace(): Replacement | null {
    return this.#busy === null ? this.#begin(Promise.resolve()) : null
  }

  /** Resolves when no snapshot is being written. */
  async idle(): Promise<void> {
    await this.#busy?.catch(() => {})
  }

  #begin(ready: Promise<void>): Replacement {
    const { fleet, store, walls } = this.#options
    const { seq, now: at } = fleet
    const wall = [...walls.list()]
    const writer = beginSnapshot(fleet)
    const done = ready
      .then(() => store.write({ seq, at, wall }, writer))
      .finally(() => {
        writer.close()
        this.#busy = null
      })
    this.#busy = done
    return { seq, at, done }
  }
}
