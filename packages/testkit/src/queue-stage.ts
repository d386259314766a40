/** What every part of the queue's contract works with: a way to get a queue, and short words for what tests do most. */
import type { FinalAnswer, Lease, Queue } from '@health/core'
import { sampleSubmission } from './queue-sample.ts'

/** What a test asks of `make`. */
export interface QueueHint {
  /** Names the data: a durable backend opens what an earlier queue with this name left. */
  readonly place: string
  /** Requests that may wait or run. */
  readonly maxLength?: number
  /** Results that are kept. */
  readonly maxResults?: number
  /** Requests that are kept in quarantine. */
  readonly maxQuarantined?: number
}

/** Gets a queue that is closed after the test. */
export type StartQueue = (hint?: Partial<QueueHint>) => Promise<Queue>

export const APP = 'demo/echo'
export const NOW = 10_000
export const UNTIL = 40_000

/** Leases one request for 30 s. */
export async function leaseOne(queue: Queue, now = NOW): Promise<Lease> {
  const [lease] = await queue.lease(APP, 1, now, now + 30_000)
  if (lease === undefined) throw new Error('nothing to lease')
  return lease
}

export function fill(queue: Queue, ...ids: readonly string[]): Promise<unknown> {
  return Promise.all(ids.map((id) => queue.submit(sampleSubmission(id))))
}

export function idsOf(leases: readonly Lease[]): readonly string[] {
  return leases.map((lease) => lease.request.id)
}

/** Bytes as numbers, so that two kinds of byte arrays compare by content. */
export function readable(answer: FinalAnswer | null): unknown {
  return answer === null ? null : { ...answer, body: [...answer.body] }
}
