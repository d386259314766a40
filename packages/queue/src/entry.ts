/**
 * One request as the queue keeps it in memory: what status, position and leases need, never its headers or its body. What few
 * readers want (the log, the record, the answer's summary) stays one JSON text, read when asked for.
 */
import type { AttemptLine, FinalAnswer, QueueEntry, RequestRecord, Submission } from '@health/core'
import type { Placed } from './lane.ts'

/** Where a request stands, as numbers on disk. */
export const QUEUED = 0
export const LEASED = 1
export const DONE = 2
/** Done, and in quarantine: what was submitted is kept beside the answer. */
export const KEPT = 3
export type Standing = typeof QUEUED | typeof LEASED | typeof DONE | typeof KEPT

/** What an entry is made of before anything happened to it; the part that never changes. */
export interface Head {
  readonly id: string
  readonly app: string
  readonly owner: string
  readonly path: string
  readonly low: boolean
  readonly submittedAt: number
  readonly startBefore: number | null
  readonly terms: Terms
}

/** What a request says about its own retries. */
export type Terms = Pick<Submission, 'noRetry' | 'retryConfig'>

/** Most requests say nothing: they share one object. */
const NO_TERMS: Terms = { noRetry: false, retryConfig: null }

/** The part that grows with attempts. */
export interface Tail {
  readonly record: RequestRecord | null
  readonly avoid: string | null
  readonly lines: readonly AttemptLine[]
  readonly final: QueueEntry['final']
}

const EMPTY: Tail = { record: null, avoid: null, lines: [], final: null }

/** A request in memory. Only the ledger changes one. */
export class Entry implements Head, Placed {
  readonly seq: number
  readonly id: string
  readonly app: string
  readonly owner: string
  readonly path: string
  readonly low: boolean
  readonly submittedAt: number
  readonly startBefore: number | null
  readonly terms: Terms
  standing: Standing = QUEUED
  /** A change of this request is on its way to the disk: no other may begin. */
  busy = false
  fence = 0
  /** Attempts that ended. */
  attempts = 0
  /** Unix ms: queued, when it may start; leased, until when; done, since when. */
  due = 0
  tail: string | null = null
  slot = -1
  /** Place in the heap that `due` belongs to. */
  timed = -1
  /** Place in the heap of start deadlines. */
  deadline = -1

  constructor(seq: number, head: Head) {
    this.seq = seq
    this.id = head.id
    this.app = head.app
    this.owner = head.owner
    this.path = head.path
    this.low = head.low
    this.submittedAt = head.submittedAt
    this.startBefore = head.startBefore
    this.terms = head.terms
  }
}

/** What was said, or the object that says nothing. */
export function headTerms(terms: Terms | undefined): Terms {
  return terms ?? NO_TERMS
}

export function headOf(request: Submission): Head {
  const { id, app, owner, path, submittedAt, startBefore, noRetry, retryConfig } = request
  const terms = headTerms(noRetry || retryConfig !== null ? { noRetry, retryConfig } : undefined)
  return { id, app, owner, path, low: request.priority === 'low', submittedAt, startBefore, terms }
}

export function tailOf(entry: Entry): Tail {
  return entry.tail === null ? EMPTY : readTail(entry.tail)
}

export function readTail(text: string): Tail {
  const [record, avoid, lines, final] = JSON.parse(text) as [
    Tail['record'],
    string | null,
    readonly AttemptLine[],
    Tail['final'],
  ]
  return { record, avoid, lines, final }
}

export function writeTail(tail: Tail): string {
  return JSON.stringify([tail.record, tail.avoid, tail.lines, tail.final])
}

/** What an entry keeps of a final answer. */
export function summaryOf(final: FinalAnswer): NonNullable<QueueEntry['final']> {
  return { status: final.status, errorType: final.errorType, at: final.at, cause: final.cause }
}

/** How a request stands once it has this answer. */
export function standingAfter(final: FinalAnswer): typeof DONE | typeof KEPT {
  return final.cause === 'retry.poison' ? KEPT : DONE
}

/** A request in quarantine as it goes back: with another place, its log, and nothing that was decided about it. */
export function renewed(entry: Entry, seq: number): Entry {
  const { id, app, owner, path, low, submittedAt, terms } = entry
  // The limit on its start has had its say when it was started first.
  const next = new Entry(seq, { id, app, owner, path, low, submittedAt, startBefore: null, terms })
  next.fence = entry.fence
  next.attempts = entry.attempts
  next.tail = writeTail({ record: null, avoid: null, lines: tailOf(entry).lines, final: null })
  return next
}

/** The record for the next decision; that of a request that was never tried holds what it said itself. */
export function recordOf(entry: Entry, tail: Tail): RequestRecord {
  const { noRetry, retryConfig } = entry.terms
  return (
    tail.record ?? {
      attempts: 0,
      spent: {},
      noRetry,
      retryConfig,
      ended: [],
      cancelled: false,
      expired: false,
    }
  )
}
