/**
 * The store on disk, seen from the queue's thread: it gathers the changes of a turn into one batch, hands it to the writer's
 * thread and passes on its answer. When the disk is full, new requests are refused, and what ends a lease is kept and tried
 * again until there is room.
 */
import type { Worker } from 'node:worker_threads'
import { type FinalAnswer, HealthError } from '@health/core'
import {
  Batch,
  INSERT,
  KEEP,
  LEASE,
  READ,
  type Receipt,
  type Refusal,
  REMOVE,
  RENEW,
  REVIVE,
  SETTLE,
  WANTED,
  COLUMNS,
} from './batch.ts'
import { answerFacts, readAnswer, readRequest, requestFacts } from './content.ts'
import { type Entry, KEPT, tailOf } from './entry.ts'
import { writeHead } from './head.ts'
import { Recent } from './recent.ts'
import type { Store } from './store.ts'
import { failureOf } from './storage-failure.ts'
import type { FromWriter, ToWriter } from './writer.ts'

/** What to do when a row is safe, or refused. */
interface Memo {
  /** Tried again when the disk is full. */
  readonly keep: boolean
  readonly settled: (failure: HealthError | null, content: Uint8Array<ArrayBuffer> | null) => void
}

/** Bounds of the store, in bytes. */
export interface StoreLimits {
  /** Changes on their way to the disk; past it `submit` rejects with `HEALTH_QUEUE_FULL`. */
  readonly maxPendingBytes: number
  /** Ends of leases that wait for a full disk; past it they reject with `HEALTH_STORAGE_FULL` and the lease stays. */
  readonly maxKeptBytes: number
  /** Recently submitted requests that are leased without reading. */
  readonly maxRecentBytes: number
}

/** A batch is sent when it is this large, and at the end of the turn. */
const BATCH_ROWS = 32
const BATCH_BYTES = 1024 * 1024
/** Pause between two tries of what waits for a full disk; any success of other changes is a try as well. */
const RETRY_MS = 250
const SPARE_BATCHES = 4
/** Outcomes told in one turn. Each makes whoever waits for it work, and a commit brings a hundred: others are heard in between. */
const TOLD = 16

export class SqliteStore implements Store {
  /** Resolves when the writer has ended by itself. */
  readonly ended: Promise<void>
  readonly #start: () => Worker
  /** Null until the first change. */
  #worker: Worker | null = null
  readonly #limits: StoreLimits
  readonly #recent: Recent
  /** Sent and not answered, in order. */
  readonly #flying: Batch<Memo>[] = []
  /** What the writer has answered and is not yet told to all, in order: that of the first of `#flying`, and so on. */
  readonly #receipts: Receipt[] = []
  /** How many of the first batch have been told, and how many of its contents they were given. */
  #told = 0
  #given = 0
  readonly #spare: Receipt['parcel'][] = []
  #open = new Batch<Memo>()
  /** What waits for the disk, in pieces, so that a little room is enough for some of it. */
  #kept: Batch<Memo>[] = []
  #keptBytes = 0
  /** The disk was full when it was last asked to take a request. */
  #scarce = false
  #scheduled = false
  #flyingBytes = 0
  #retry: NodeJS.Timeout | null = null
  #broken: HealthError | null = null
  #closing = false
  #idle: (() => void)[] = []

  #end: () => void = () => {}

  /** A writer that is not running yet is started with the first change. */
  constructor(writer: Worker | (() => Worker), limits: StoreLimits) {
    this.ended = new Promise((resolve) => (this.#end = resolve))
    this.#limits = limits
    this.#recent = new Recent(limits.maxRecentBytes)
    this.#start = typeof writer === 'function' ? writer : () => writer
    if (typeof writer !== 'function') this.#writer()
  }

  insert: Store['insert'] = (entry, request, settled, soon) => {
    const pending = this.#flyingBytes + this.#open.bytes + request.body.byteLength
    if (pending > this.#limits.maxPendingBytes) {
      return queueMicrotask(() =>
        settled(
          new HealthError(
            'HEALTH_QUEUE_FULL',
            'The disk does not keep up with what is submitted. Try again later.',
          ),
        ),
      )
    }
    const done: Memo['settled'] = (failure) => {
      if (failure !== null) this.#recent.take(entry.seq)
      settled(failure)
    }
    // First what may throw: a row that was begun must be finished.
    const head = writeHead(entry)
    const facts = requestFacts(request)
    // A full disk refuses a batch as a whole: then what it may still take does not travel with what it may not.
    if (this.#scarce) this.#send()
    this.#row({ keep: false, settled: done }, INSERT, entry.seq)
    this.#open.head(head)
    this.#open.content(facts, request.body)
    if (soon) this.#recent.keep(entry.seq, request)
    if (this.#scarce) this.#send()
    else this.#full()
  }

  lease: Store['lease'] = (entry, change, settled) => {
    const recent = this.#recent.take(entry.seq)
    const done: Memo['settled'] = (failure, content) => {
      const request = recent ?? (content === null ? null : readRequest(entry, content))
      if (failure !== null && recent !== undefined) this.#recent.keep(entry.seq, recent)
      if (failure !== null || request === null)
        settled(
          failure ??
            new HealthError(
              'HEALTH_QUEUE_FORMAT',
              `The queue has lost what request ${entry.id} submitted.`,
            ),
          null,
        )
      else settled(null, request)
    }
    this.#row(
      { keep: false, settled: done },
      LEASE,
      entry.seq,
      change.standing,
      change.fence,
      change.attempts,
      change.due,
      recent === undefined ? 1 : 0,
    )
    this.#full()
  }

  renew: Store['renew'] = (entry, until, settled) => {
    this.#row({ keep: false, settled }, RENEW, entry.seq, 0, 0, 0, until)
    this.#full()
  }

  settle: Store['settle'] = (entry, change, final, keep, settled) => {
    const facts = final === null ? '' : answerFacts(final)
    this.#row(
      { keep, settled },
      change.standing === KEPT ? KEEP : SETTLE,
      entry.seq,
      change.standing,
      change.fence,
      change.attempts,
      change.due,
    )
    if (change.tail !== undefined) this.#open.head(change.tail)
    if (final !== null) {
      this.#recent.take(entry.seq)
      this.#open.content(facts, final.body)
    }
    this.#full()
  }

  remove: Store['remove'] = (entry, settled) => {
    this.#row({ keep: false, settled }, REMOVE, entry.seq)
    this.#full()
  }

  revive: Store['revive'] = (kept, next, settled) => {
    const { standing, fence, attempts, seq, tail } = next
    this.#row({ keep: false, settled }, REVIVE, kept.seq, standing, fence, attempts, seq)
    this.#open.head(tail ?? '')
    this.#full()
  }

  barrier: Store['barrier'] = (settled) => {
    this.#row({ keep: false, settled: () => settled() }, READ, 0)
  }

  answer(entry: Entry): Promise<FinalAnswer | null> {
    return new Promise((resolve, reject) => {
      const done: Memo['settled'] = (failure, content) => {
        if (failure !== null) reject(failure)
        else resolve(content === null ? null : readAnswer(tailOf(entry).final, content))
      }
      this.#row({ keep: false, settled: done }, READ, entry.seq, 0, 0, 0, 0, 1)
      this.#full()
    })
  }

  get failure(): HealthError | null {
    return this.#broken?.code === 'HEALTH_QUEUE_CLOSED' ? null : this.#broken
  }

  async close(): Promise<void> {
    this.#closing = true
    while (this.#kept.length > 0) this.#sendKept()
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve)
      this.#send()
      this.#settleIdle()
    })
    if (this.#retry !== null) clearTimeout(this.#retry)
    if (this.#broken !== null) return
    this.#broken = new HealthError('HEALTH_QUEUE_CLOSED')
    const worker = this.#worker
    if (worker === null) return
    await new Promise<void>((resolve) => {
      worker.once('exit', () => resolve())
      worker.postMessage({ type: 'close' } satisfies ToWriter)
    })
  }

  #writer(): Worker {
    if (this.#worker !== null) return this.#worker
    const worker = this.#start()
    this.#worker = worker
    worker.on('message', (message: FromWriter) => {
      if (message.type === 'receipts') this.#answered(message.receipts)
      else if (message.type === 'refused') this.#break(message.message, message.code)
    })
    worker.on('error', (error) => this.#break(`The queue's writer ended: ${error.message}`))
    worker.on('exit', () => this.#break("The queue's writer ended."))
    return worker
  }

  /** Begins a row of the open batch and sees to it that the batch is sent. */
  #row(
    memo: Memo,
    kind: number,
    seq: number,
    standing = 0,
    fence = 0,
    attempts = 0,
    due = 0,
    wanted = 0,
  ): void {
    this.#open.row(memo, kind, seq, standing, fence, attempts, due, wanted)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#send())
  }

  #full(): void {
    if (isLarge(this.#open)) this.#send()
  }

  #send(): void {
    this.#scheduled = false
    const batch = this.#open
    if (batch.count === 0) return
    this.#open = new Batch(this.#spare.pop())
    this.#post(batch)
  }

  #post(batch: Batch<Memo>): void {
    if (this.#broken !== null) {
      const failure = this.#broken
      return queueMicrotask(() => {
        for (const memo of batch.memos) memo.settled(failure, null)
      })
    }
    this.#flying.push(batch)
    this.#flyingBytes += batch.bytes
    const { parcel } = batch
    this.#writer().postMessage({ type: 'parcel', parcel } satisfies ToWriter, [
      parcel.rows.buffer,
      parcel.bytes.buffer,
    ])
  }

  #answered(receipts: readonly Receipt[]): void {
    const telling = this.#receipts.length > 0
    this.#receipts.push(...receipts)
    if (!telling) this.#tell(TOLD)
  }

  /** Tells at most so many their outcome, the others in the turns that follow. */
  #tell(most: number): void {
    let left = most
    while (left > 0) {
      const [receipt] = this.#receipts
      if (receipt === undefined) return
      left -= this.#tellSome(receipt, this.#flying[0] as Batch<Memo>, left)
    }
    if (this.#receipts.length > 0) setImmediate(() => this.#tell(TOLD))
  }

  /** Tells those of one batch; answers how many it told. */
  #tellSome(receipt: Receipt, batch: Batch<Memo>, most: number): number {
    const { parcel, refusal, contents } = receipt
    const from = this.#told
    const to = refusal === null ? Math.min(batch.count, from + most) : batch.count
    if (refusal !== null) this.#refused(batch, parcel, refusal)
    else
      for (; this.#told < to; this.#told++) {
        const wanted = parcel.rows[this.#told * COLUMNS + WANTED] !== 0
        const content = wanted ? (contents[this.#given++] ?? null) : null
        ;(batch.memos[this.#told] as Memo).settled(null, content)
      }
    if (to === batch.count) this.#landed(receipt, batch)
    return to - from
  }

  /** A batch of which all have been told. */
  #landed({ parcel, refusal }: Receipt, batch: Batch<Memo>): void {
    this.#receipts.shift()
    this.#flying.shift()
    this.#told = 0
    this.#given = 0
    this.#flyingBytes -= batch.bytes
    if (refusal === null) {
      if (parcel.adds) this.#scarce = false
      if (this.#kept.length > 0) this.#sendKept()
    }
    if (this.#spare.length < SPARE_BATCHES) this.#spare.push(parcel)
    this.#settleIdle()
  }

  /** Keeps what ends leases for another try, within the bound, and refuses the rest. */
  #refused(batch: Batch<Memo>, parcel: Receipt['parcel'], refusal: Refusal): void {
    const failure = failureOf(refusal)
    const mayPass = refusal.kind !== 'damaged' && !this.#closing
    if (refusal.kind === 'full') this.#scarce = true
    for (const [index, memo] of batch.memos.entries()) {
      if (mayPass && memo.keep && this.#keptBytes < this.#limits.maxKeptBytes)
        this.#keep(memo, parcel, index)
      else memo.settled(failure, null)
    }
    if (this.#kept.length > 0 && this.#retry === null)
      this.#retry = setTimeout(() => this.#sendKept(), RETRY_MS)
  }

  #keep(memo: Memo, parcel: Receipt['parcel'], index: number): void {
    let last = this.#kept.at(-1)
    if (last === undefined || isLarge(last)) this.#kept.push((last = new Batch<Memo>()))
    const before = last.bytes
    last.again(memo, parcel, index)
    this.#keptBytes += last.bytes - before
  }

  /** Tries the piece that has waited longest; its success is what tries the next one. */
  #sendKept(): void {
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
    const batch = this.#kept.shift()
    if (batch === undefined) return
    this.#keptBytes -= batch.bytes
    this.#post(batch)
  }

  #settleIdle(): void {
    if (this.#flying.length > 0 || this.#open.count > 0 || this.#kept.length > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** The writer is gone: nothing will be answered any more. */
  #break(message: string, code = 'HEALTH_STORAGE_FAILED'): void {
    if (this.#broken !== null) return
    // What it has answered is safe.
    this.#tell(Number.POSITIVE_INFINITY)
    // Why a file cannot be opened is for those who start a gateway; a caller only knows full disks and failing ones.
    this.#broken = new HealthError(
      code === 'HEALTH_STORAGE_FULL' ? code : 'HEALTH_STORAGE_FAILED',
      message,
    )
    if (this.#retry !== null) clearTimeout(this.#retry)
    for (const batch of [...this.#flying.splice(0), ...this.#kept.splice(0)])
      for (const memo of batch.memos) memo.settled(this.#broken, null)
    this.#keptBytes = 0
    this.#send()
    this.#settleIdle()
    this.#end()
  }
}

function isLarge({ count, bytes }: Batch<Memo>): boolean {
  return count >= BATCH_ROWS || bytes >= BATCH_BYTES
}
