/**
 * The queue and the memory of direct calls as they are, and a word after each change to whoever listens. With nobody listening it costs
 * one look when the change is made; it changes nothing and delays nothing.
 */
import type {
  AttemptLine,
  Cancel,
  FinalAnswer,
  HealthError,
  Lease,
  Queue,
  RequestRecord,
  Submission,
} from '@health/core'
import type { CallEntry, CallLog } from './call-log.ts'

/** A queue and a memory of calls that can be listened to. */
export interface WatchedRequests {
  readonly queue: Queue
  readonly calls: CallLog
  /** Calls back with the id of each queued request after it changed, and with each direct call that is remembered. */
  listen(listener: RequestListener): Cancel
}

/** Hears of requests. */
export interface RequestListener {
  /** Whether it wants to hear now; asked at each change, so that nothing is prepared for nobody. */
  wants(): boolean
  queued(id: string): void
  called(entry: CallEntry): void
}

/** Most requests of one flush that are told one by one. */
const FLUSHED = 100_000

/** Watches a queue and a memory of calls. */
export function watchRequests(queue: Queue, calls: CallLog): WatchedRequests {
  const listeners = new Set<RequestListener>()
  return {
    queue: new WatchedQueue(queue, listeners),
    calls: {
      add(entry) {
        calls.add(entry)
        for (const listener of listeners) if (listener.wants()) listener.called(entry)
      },
      get: (id) => calls.get(id),
    },
    listen(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** The queue that was given, with a word after each change. */
class WatchedQueue implements Queue {
  readonly #queue: Queue
  readonly #listeners: ReadonlySet<RequestListener>

  constructor(queue: Queue, listeners: ReadonlySet<RequestListener>) {
    this.#queue = queue
    this.#listeners = listeners
  }

  submit(request: Submission): ReturnType<Queue['submit']> {
    return this.#after(this.#queue.submit(request), () => [request.id])
  }

  lease(app: string, max: number, now: number, until: number): Promise<readonly Lease[]> {
    return this.#after(this.#queue.lease(app, max, now, until), (leases) =>
      leases.map(({ request }) => request.id),
    )
  }

  renew(...args: Parameters<Queue['renew']>): ReturnType<Queue['renew']> {
    return this.#queue.renew(...args)
  }

  complete(
    id: string,
    fence: number,
    line: AttemptLine,
    final: FinalAnswer,
  ): ReturnType<Queue['complete']> {
    return this.#after(this.#queue.complete(id, fence, line, final), () => [id])
  }

  requeue(
    id: string,
    fence: number,
    line: AttemptLine,
    record: RequestRecord,
    notBefore: number,
    avoid: string | null,
  ): ReturnType<Queue['requeue']> {
    return this.#after(this.#queue.requeue(id, fence, line, record, notBefore, avoid), () => [id])
  }

  release(id: string, fence: number): ReturnType<Queue['release']> {
    return this.#after(this.#queue.release(id, fence), () => [id])
  }

  end(id: string, final: FinalAnswer): ReturnType<Queue['end']> {
    return this.#after(this.#queue.end(id, final), (word) => (word === 'ended' ? [id] : []))
  }

  flush(app: string, final: FinalAnswer, each?: Parameters<Queue['flush']>[2]): Promise<number> {
    const ended: string[] = []
    const hear: typeof each = (one) => {
      if (ended.length < FLUSHED) ended.push(one.id)
      each?.(one)
    }
    return this.#after(this.#queue.flush(app, final, hear), () => ended)
  }

  revive(id: string): ReturnType<Queue['revive']> {
    return this.#after(this.#queue.revive(id), (word) => (word === 'queued' ? [id] : []))
  }

  overdue(now: number, max: number): ReturnType<Queue['overdue']> {
    return this.#queue.overdue(now, max)
  }

  lapsed(now: number, max: number): ReturnType<Queue['lapsed']> {
    return this.#queue.lapsed(now, max)
  }

  nextDue(): number {
    return this.#queue.nextDue()
  }

  sweep(before: Parameters<Queue['sweep']>[0]): Promise<number> {
    return this.#queue.sweep(before)
  }

  entry(id: string): ReturnType<Queue['entry']> {
    return this.#queue.entry(id)
  }

  open(most: number, app?: string): ReturnType<NonNullable<Queue['open']>> {
    return this.#queue.open?.(most, app) ?? []
  }

  result(id: string): ReturnType<Queue['result']> {
    return this.#queue.result(id)
  }

  size(app: string, now: number): ReturnType<Queue['size']> {
    return this.#queue.size(app, now)
  }

  apps(): readonly string[] {
    return this.#queue.apps()
  }

  listen(ready: (app: string) => void): void {
    this.#queue.listen(ready)
  }

  get failure(): HealthError | null {
    return this.#queue.failure ?? null
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  /** The same promise; what it changed is told when it is kept, to who wants it then. A refusal is its caller's to hear. */
  #after<T>(work: Promise<T>, changed: (value: T) => readonly string[]): Promise<T> {
    work.then(
      (value) => {
        // Not before: who comes while this is on its way gets a snapshot without it.
        for (const listener of this.#listeners)
          if (listener.wants()) for (const id of changed(value)) listener.queued(id)
      },
      () => {},
    )
    return work
  }
}
