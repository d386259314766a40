/**
 * The `Queue` of the port over an index in memory and a store: it decides what may happen to a request and shows only what
 * the store has made safe. It has no clock; times come from callers.
 */
import {
  type AttemptLine,
  type FinalAnswer,
  HealthError,
  type Lease,
  type Queue,
  type QueueEntry,
  type RequestRecord,
  type Submission,
} from '@health/core'
import { Bell } from './bell.ts'
import {
  Entry,
  headOf,
  KEPT,
  LEASED,
  QUEUED,
  recordOf,
  standingAfter,
  summaryOf,
  tailOf,
  writeTail,
} from './entry.ts'
import type { Ledger } from './ledger.ts'
import type { QueueLimits } from './limit.ts'
import { Retention, ROUND } from './retention.ts'
import type { Change, Store } from './store.ts'

/** A request with fewer before it is kept at hand; one whose turn is far would only wander through the collector meanwhile. */
const SOON = 512

/** The queue. Its makers are `createMemoryQueue` and `createSqliteQueue`. */
export class LedgerQueue implements Queue {
  readonly #ledger: Ledger
  readonly #store: Store
  readonly #maxLength: () => number
  readonly #retention: Retention
  readonly #arriving = new Set<string>()
  readonly #bell = new Bell()
  #nextSeq: number
  #closing: Promise<void> | null = null

  /** `nextSeq` is above every number that the ledger holds. */
  constructor(ledger: Ledger, store: Store, nextSeq: number, limits: QueueLimits) {
    this.#ledger = ledger
    this.#store = store
    this.#nextSeq = nextSeq
    const { maxLength = 1_000_000 } = limits
    this.#maxLength = typeof maxLength === 'number' ? () => maxLength : maxLength
    this.#retention = new Retention(ledger, store, {
      maxResults: limits.maxResults ?? 1_000_000,
      maxQuarantined: limits.maxQuarantined ?? 1_000,
    })
    this.#retention.trim()
  }

  async submit(request: Submission): Promise<{ readonly position: number }> {
    this.#assertOpen()
    if (this.#ledger.find(request.id) !== undefined || this.#arriving.has(request.id))
      throw new HealthError('HEALTH_QUEUE_DUPLICATE')
    this.#assertRoom()
    const entry = new Entry(this.#nextSeq++, headOf(request))
    const soon = this.#ledger.waitingOf(entry.app) < SOON
    return new Promise((resolve, reject) => {
      const settled = (failure: HealthError | null): void => {
        this.#arriving.delete(entry.id)
        if (failure !== null) {
          this.#ledger.refuse(entry)
          return reject(failure)
        }
        this.#ledger.admit(entry)
        if (!entry.busy) this.#bell.ring(entry.app)
        resolve({ position: this.#ledger.position(entry) })
      }
      this.#store.insert(entry, request, settled, soon)
      this.#arriving.add(entry.id)
      this.#ledger.expect(entry)
      // Whoever has a free runner may lease it at once: both changes then share one commit.
      this.#bell.ring(entry.app)
    })
  }

  async lease(app: string, max: number, now: number, until: number): Promise<readonly Lease[]> {
    this.#assertOpen()
    const due = whole(until)
    const entries = this.#ledger.take(app, max, now)
    if (entries.length === 0) return []
    return new Promise((resolve, reject) => {
      const leases: Lease[] = []
      let refusal: HealthError | null = null
      let open = entries.length
      for (const entry of entries) {
        const fence = entry.fence + 1
        const change: Change = { standing: LEASED, fence, attempts: entry.attempts, due }
        this.#store.lease(entry, change, (failure, request) => {
          // Out of the ledger: it was leased while on its way to the disk, and the disk refused it.
          const gone = entry.slot < 0
          if (gone) entry.busy = false
          else if (request === null) {
            this.#ledger.untake(entry)
            refusal ??= failure
          } else {
            this.#ledger.lease(entry, fence, due)
            const tail = tailOf(entry)
            leases.push({
              request,
              fence,
              attempt: entry.attempts + 1,
              record: recordOf(entry, tail),
              avoid: tail.avoid,
            })
          }
          if (--open > 0) return
          // What was leased must reach its taker, even when the disk refused the rest.
          if (refusal === null || leases.length > 0) resolve(leases)
          else reject(refusal)
        })
      }
    })
  }

  async renew(
    leases: readonly { readonly id: string; readonly fence: number }[],
    until: number,
  ): Promise<readonly string[]> {
    this.#assertOpen()
    const lost: string[] = []
    const renewals: Promise<void>[] = []
    for (const { id, fence } of leases) {
      const entry = this.#held(id, fence)
      if (entry === undefined) lost.push(id)
      else renewals.push(this.#renew(entry, whole(until)))
    }
    await Promise.all(renewals)
    return lost
  }

  async complete(
    id: string,
    fence: number,
    line: AttemptLine,
    final: FinalAnswer,
  ): Promise<'done' | 'lost'> {
    this.#assertOpen()
    const entry = this.#held(id, fence)
    if (entry === undefined) return 'lost'
    const ended = this.#finish(entry, final, [line], () => (entry.busy = false))
    entry.busy = true
    await ended
    return 'done'
  }

  async requeue(
    id: string,
    fence: number,
    line: AttemptLine,
    record: RequestRecord,
    notBefore: number,
    avoid: string | null,
  ): Promise<'done' | 'lost'> {
    this.#assertOpen()
    const entry = this.#held(id, fence)
    if (entry === undefined) return 'lost'
    const { lines, final } = tailOf(entry)
    const tail = writeTail({ record, avoid, lines: [...lines, line], final })
    await this.#back(entry, {
      standing: QUEUED,
      fence,
      attempts: entry.attempts + 1,
      due: whole(notBefore),
      tail,
    })
    return 'done'
  }

  async release(id: string, fence: number): Promise<'done' | 'lost'> {
    this.#assertOpen()
    const entry = this.#held(id, fence)
    if (entry === undefined) return 'lost'
    await this.#back(entry, { standing: QUEUED, fence, attempts: entry.attempts, due: 0 })
    return 'done'
  }

  async end(
    id: string,
    final: FinalAnswer,
  ): Promise<'ended' | 'running' | 'completed' | 'unknown'> {
    this.#assertOpen()
    let entry = this.#ledger.find(id)
    while (entry?.standing === QUEUED && entry.busy) entry = await this.#later(id)
    if (entry === undefined) return 'unknown'
    if (entry.standing !== QUEUED) return entry.standing === LEASED ? 'running' : 'completed'
    await this.#endQueued(entry, final)
    return 'ended'
  }

  async flush(
    app: string,
    final: FinalAnswer,
    each: Parameters<Queue['flush']>[2] = () => {},
  ): Promise<number> {
    this.#assertOpen()
    const waiting = this.#ledger.waiting(app)
    let ended = 0
    for (let from = 0; from < waiting.length; from += ROUND) {
      const round = waiting
        .slice(from, from + ROUND)
        .filter((entry) => entry.standing === QUEUED && !entry.busy)
      await Promise.all(round.map((entry) => this.#endQueued(entry, final).then(() => each(entry))))
      ended += round.length
    }
    return ended
  }

  async revive(id: string): Promise<'queued' | 'refused' | 'unknown'> {
    this.#assertOpen()
    let entry = this.#ledger.find(id)
    while (entry?.standing === KEPT && entry.timed < 0) entry = await this.#later(id)
    if (entry === undefined) return 'unknown'
    if (entry.standing !== KEPT) return 'refused'
    this.#assertRoom()
    this.#arriving.add(id)
    try {
      const next = await this.#retention.revive(entry, this.#nextSeq++)
      this.#bell.ring(next.app)
      return 'queued'
    } finally {
      this.#arriving.delete(id)
    }
  }

  overdue(now: number, max: number): readonly { readonly id: string; readonly app: string }[] {
    return this.#ledger.overdue(now, max).map(({ id, app }) => ({ id, app }))
  }

  lapsed(now: number, max: number): ReturnType<Queue['lapsed']> {
    return this.#ledger.lapsed(now, max).map((entry) => {
      const { id, app, fence } = entry
      return { id, app, fence, attempt: entry.attempts + 1, record: recordOf(entry, tailOf(entry)) }
    })
  }

  nextDue(): number {
    return this.#ledger.nextDue
  }

  async sweep(before: number | ((app: string) => number)): Promise<number> {
    this.#assertOpen()
    return this.#retention.sweep(typeof before === 'number' ? () => before : before)
  }

  entry(id: string): QueueEntry | null {
    const entry = this.#ledger.find(id)
    return entry === undefined ? null : this.#ledger.view(entry)
  }

  open(most: number, app?: string): readonly QueueEntry[] {
    return this.#ledger.open(most, app).map((entry) => this.#ledger.view(entry))
  }

  async result(id: string): Promise<FinalAnswer | null> {
    this.#assertOpen()
    const entry = this.#ledger.find(id)
    return entry === undefined || entry.standing === QUEUED || entry.standing === LEASED
      ? null
      : this.#store.answer(entry)
  }

  size(
    app: string,
    now: number,
  ): { readonly ready: number; readonly all: number; readonly oldest: number | null } {
    return this.#ledger.size(app, now)
  }

  apps(): readonly string[] {
    return this.#ledger.apps
  }

  listen(ready: (app: string) => void): void {
    this.#bell.listen(ready)
  }

  get failure(): HealthError | null {
    return this.#store.failure
  }

  close(): Promise<void> {
    this.#closing ??= this.#store.close()
    return this.#closing
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new HealthError('HEALTH_QUEUE_CLOSED')
  }

  #assertRoom(): void {
    if (this.#ledger.unfinished + this.#arriving.size >= this.#maxLength())
      throw new HealthError('HEALTH_QUEUE_FULL')
  }

  /** The request once a change of it that is on its way has been made or refused. */
  async #later(id: string): Promise<Entry | undefined> {
    await new Promise<void>((resolve) => this.#store.barrier(resolve))
    return this.#ledger.find(id)
  }

  /** The request, when the fence is the current one and nobody has begun to end this lease. */
  #held(id: string, fence: number): Entry | undefined {
    const entry = this.#ledger.find(id)
    return entry?.standing === LEASED && entry.fence === fence && !entry.busy ? entry : undefined
  }

  /**
   * Prolongs a lease in memory at once: a disk that is full must not take a request from a holder that lives. What the disk
   * does not know matters only after a crash, and then the holder is gone.
   */
  #renew(entry: Entry, until: number): Promise<void> {
    return new Promise((resolve) => {
      this.#store.renew(entry, until, () => resolve())
      this.#ledger.renew(entry, until)
    })
  }

  /** A leased request goes back to the others. */
  #back(entry: Entry, change: Change): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#store.settle(entry, change, null, true, (failure) => {
        if (failure !== null) {
          entry.busy = false
          return reject(failure)
        }
        if (change.tail !== undefined) entry.tail = change.tail
        entry.attempts = change.attempts
        this.#ledger.requeue(entry, change.due)
        this.#bell.ring(entry.app)
        resolve()
      })
      entry.busy = true
    })
  }

  #endQueued(entry: Entry, final: FinalAnswer): Promise<void> {
    const ended = this.#finish(entry, final, [], () => this.#ledger.unhide(entry))
    this.#ledger.hide(entry)
    return ended
  }

  /** Gives a request its final answer; `undo` when the store refused. */
  #finish(
    entry: Entry,
    final: FinalAnswer,
    lines: readonly AttemptLine[],
    undo: () => void,
  ): Promise<void> {
    const before = tailOf(entry)
    // The record is for the next decision, and there is none.
    const tail = writeTail({
      record: null,
      avoid: null,
      lines: [...before.lines, ...lines],
      final: summaryOf(final),
    })
    const attempts = entry.attempts + lines.length
    const standing = standingAfter(final)
    return new Promise((resolve, reject) => {
      this.#store.settle(
        entry,
        { standing, fence: entry.fence, attempts, due: whole(final.at), tail },
        final,
        entry.standing === LEASED,
        (failure) => {
          if (failure !== null) {
            undo()
            return reject(failure)
          }
          entry.tail = tail
          entry.attempts = attempts
          this.#ledger.finish(entry, whole(final.at), standing)
          this.#retention.trim()
          resolve()
        },
      )
    })
  }
}

/** Times are whole ms in the store; a delay may end a little later, never earlier. */
function whole(ms: number): number {
  if (Number.isNaN(ms)) throw new TypeError('A time of the queue must be a number of ms.')
  return Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(ms)))
}
