/**
 * A queue that opens its file again when the thread that writes it has ended. Meanwhile changes are refused and what is in memory
 * can be read; what ends a lease waits, so that no finished work is done twice. It changes nothing of the queue it passes calls to.
 */
import { HealthError, type Queue } from '@health/core'

/** A queue that was opened. */
export interface Opened {
  readonly queue: Queue
  /** Resolves when its writer has ended by itself; never when the queue is closed. */
  readonly ended: Promise<void>
}

/** Pauses between two tries to open, in ms: the first, and the longest. */
const FIRST_MS = 100
const LONGEST_MS = 10_000

export class ReopeningQueue implements Queue {
  readonly #open: () => Promise<Opened>
  #queue: Queue
  #ready: (app: string) => void = () => {}
  #reopening: Promise<void> | null = null
  /** Why the last try to open failed. */
  #refusal: HealthError | null = null
  #closed = false
  #skipPause: () => void = () => {}

  constructor(first: Opened, open: () => Promise<Opened>) {
    this.#open = open
    this.#queue = first.queue
    this.#adopt(first)
  }

  submit: Queue['submit'] = (request) => this.#queue.submit(request)
  lease: Queue['lease'] = (app, max, now, until) => this.#queue.lease(app, max, now, until)
  renew: Queue['renew'] = (leases, until) => this.#queue.renew(leases, until)
  end: Queue['end'] = (id, final) => this.#queue.end(id, final)
  flush: Queue['flush'] = (app, final, each) => this.#queue.flush(app, final, each)
  revive: Queue['revive'] = (id) => this.#queue.revive(id)
  overdue: Queue['overdue'] = (now, max) => this.#queue.overdue(now, max)
  lapsed: Queue['lapsed'] = (now, max) => this.#queue.lapsed(now, max)
  nextDue: Queue['nextDue'] = () => this.#queue.nextDue()
  sweep: Queue['sweep'] = (before) => this.#queue.sweep(before)
  entry: Queue['entry'] = (id) => this.#queue.entry(id)
  open: NonNullable<Queue['open']> = (most, app) => this.#queue.open?.(most, app) ?? []
  result: Queue['result'] = (id) => this.#queue.result(id)
  size: Queue['size'] = (app, now) => this.#queue.size(app, now)
  apps: Queue['apps'] = () => this.#queue.apps()

  complete: Queue['complete'] = (...given) => this.#surely((queue) => queue.complete(...given))
  requeue: Queue['requeue'] = (...given) => this.#surely((queue) => queue.requeue(...given))
  release: Queue['release'] = (...given) => this.#surely((queue) => queue.release(...given))

  listen(ready: (app: string) => void): void {
    this.#ready = ready
  }

  get failure(): HealthError | null {
    return this.#refusal ?? this.#queue.failure ?? null
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#skipPause()
    // That there will be no other queue is told to those who wait for one.
    await this.#reopening?.catch(() => undefined)
    await this.#queue.close()
  }

  /** Does it once more when the writer ended on the way. The fence makes the second call harmless, should the first have counted. */
  async #surely<T>(act: (queue: Queue) => Promise<T>): Promise<T> {
    const queue = this.#queue
    try {
      return await act(queue)
    } catch (error) {
      if ((queue.failure ?? null) === null) throw error
      await this.#reopen(queue)
      return act(this.#queue)
    }
  }

  #adopt({ queue, ended }: Opened): void {
    this.#queue = queue
    queue.listen((app) => this.#ready(app))
    void ended.then(() => this.#reopen(queue).catch(() => undefined))
  }

  /** Resolves when there is another queue in the place of this one; rejects when there will be none. */
  #reopen(broken: Queue): Promise<void> {
    if (this.#queue !== broken) return Promise.resolve()
    this.#reopening ??= this.#openAgain().finally(() => (this.#reopening = null))
    return this.#reopening
  }

  async #openAgain(): Promise<void> {
    for (let pause = FIRST_MS; ; pause = Math.min(2 * pause, LONGEST_MS)) {
      if (this.#closed) throw new HealthError('HEALTH_QUEUE_CLOSED')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause)
        this.#skipPause = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      if (this.#closed) continue
      try {
        this.#adopt(await this.#open())
      } catch (error) {
        this.#refusal =
          error instanceof HealthError
            ? error
            : new HealthError(
                'HEALTH_STORAGE_FAILED',
                `The queue cannot be opened: ${String(error)}.`,
              )
        continue
      }
      this.#refusal = null
      for (const app of this.#queue.apps()) this.#ready(app)
      return
    }
  }
}
