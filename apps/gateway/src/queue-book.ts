/**
 * Writes into the queue what became of requests: completed, requeued, handed back, ended. It counts and passes on what the queue
 * refuses and never rejects: a request that could not be written stays leased, lapses and is tried again.
 */
import type { AttemptLine, Command, FinalAnswer } from '@health/core'
import type { Gateway } from './gateway.ts'
import type { QueueWork } from './queue-trouble.ts'

/** A request whose lease we hold. */
export interface Leased {
  readonly id: string
  readonly app: string
  readonly fence: number
  /** Unix ms. */
  readonly submittedAt: number
}

/** The pen of the dispatcher. */
export interface QueueBook {
  complete(leased: Leased, line: AttemptLine, final: FinalAnswer): Promise<void>
  requeue(
    leased: Leased,
    line: AttemptLine,
    order: Extract<Command, { type: 'requeue' }>,
  ): Promise<void>
  release(leased: Pick<Leased, 'id' | 'fence'>): Promise<void>
  /** Ends a request that is not leased; false when it is, or has ended. */
  end(
    request: { readonly id: string; readonly app: string; readonly submittedAt: number },
    final: FinalAnswer,
  ): Promise<boolean>
  /** Something went wrong with the queue while `doing`. */
  failed(doing: QueueWork, error: unknown, fields?: Readonly<Record<string, unknown>>): void
  /** A lease is not ours any more: what it brings is thrown away. */
  lost(id: string, fence: number): void
  /** Resolves when everything begun has ended. */
  settled(): Promise<void>
}

/** Creates the book; `time` is what delays count from, `changed` is called after each change. */
export function createQueueBook(
  {
    queue,
    clock,
    metrics,
    trouble,
    log,
  }: Pick<Gateway, 'queue' | 'clock' | 'metrics' | 'trouble' | 'log'>,
  time: () => number,
  changed: () => void,
): QueueBook {
  const open = new Set<Promise<unknown>>()
  const ended = (app: string, status: number, submittedAt: number): void =>
    metrics.request(app, 'queue', status, Math.max(0, clock.wall() - submittedAt))

  const failed: QueueBook['failed'] = (doing, error, fields) => {
    metrics.count('queue_failed')
    trouble.failed(doing, error, fields)
  }
  const lost: QueueBook['lost'] = (id, fence) => {
    metrics.count('lease_lost')
    log({ level: 'warn', event: 'lease.lost', request: id, fence })
  }
  const follow = <T>(work: Promise<T>): Promise<T> => {
    open.add(work)
    void work.finally(() => open.delete(work))
    return work
  }
  const write = (
    { id, fence }: Pick<Leased, 'id' | 'fence'>,
    doing: QueueWork,
    answer: Promise<'done' | 'lost'>,
    done: () => void = () => {},
  ): Promise<void> =>
    follow(
      answer
        .then(
          (word) => {
            if (word === 'lost') return lost(id, fence)
            trouble.worked(doing)
            done()
          },
          (error: unknown) => failed(doing, error, { request: id }),
        )
        .then(changed),
    )

  return {
    complete: (leased, line, final) =>
      write(leased, 'complete', queue.complete(leased.id, leased.fence, line, final), () =>
        ended(leased.app, final.status, leased.submittedAt),
      ),
    requeue: (leased, line, order) => {
      const notBefore = time() + order.delayMs
      return write(
        leased,
        'requeue',
        queue.requeue(leased.id, leased.fence, line, order.record, notBefore, order.avoid),
        () => metrics.retry(leased.app, order.condition),
      )
    },
    release: (leased) => write(leased, 'release', queue.release(leased.id, leased.fence)),
    end: ({ id, app, submittedAt }, final) =>
      follow(
        queue.end(id, final).then(
          (word) => {
            if (word !== 'ended') return false
            trouble.worked('end')
            ended(app, final.status, submittedAt)
            changed()
            return true
          },
          (error: unknown) => {
            failed('end', error, { request: id })
            return false
          },
        ),
      ),
    failed,
    lost,
    async settled() {
      while (open.size > 0) await Promise.allSettled(open)
    },
  }
}
