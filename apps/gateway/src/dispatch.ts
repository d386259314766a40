/**
 * Moves queued requests to runners and their answers back: leases what has a slot, keeps leases alive, and carries out what the
 * core says of each attempt. One final answer per request; what a lost lease brings is thrown away.
 */
import {
  judge,
  runnerOf,
  type Cancel,
  type Command,
  type Lease,
  type RunnerHandle,
} from '@health/core'
import type { Settlement } from './attempt.ts'
import type { Refusal } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import type { Supply } from './line.ts'
import { CANCELLED, ownAnswer, QueueAttempt } from './queue-attempt.ts'
import { createQueueBook, type Leased } from './queue-book.ts'
import { createQueueTime } from './queue-time.ts'
import { createReaper } from './reaper.ts'

/** How long a lease lives without being renewed, in ms. */
export const LEASE_MS = 30_000
const RENEW_MS = 10_000
/** After a queue that failed or gave nothing, the app is asked again this much later, in ms. */
const PAUSE_MS = 500
/** At the end: how long the queue may take to write what is handed back, in ms. */
const SETTLE_MS = 3000

type Rejection = Extract<Command, { type: 'reject' }>

/** The dispatcher as the routes see it. */
export interface Dispatcher extends Supply {
  /** Takes back what an earlier gateway held, and begins. */
  begin(): void
  /** Cancels a request; `asked`: it runs, and its runner was told. */
  cancel(id: string): Promise<'cancelled' | 'asked' | 'completed' | 'unknown'>
  /** An app came, changed or left: what waits for it starts, or is told and kept. */
  changed(app: string): void
  /** Carries out orders about requests. */
  perform(commands: readonly Command[]): void
  /** Resolves when no attempt is in flight. */
  drained(): Promise<void>
  /** Hands everything back that is still here; resolves when the queue has it, or has not taken it within some seconds. */
  close(): Promise<void>
}

/** The final words of a rejection, by its type. */
const rejections: Readonly<Record<string, string>> = {
  client_cancelled: CANCELLED.detail,
  request_timeout: 'The request took longer than requestTimeoutSeconds.',
  poison_request: 'The request ended several runners and is kept for inspection.',
}

/** Creates the dispatcher of a gateway. */
export function createDispatcher(gateway: Gateway): Dispatcher {
  const { queue, clock, supervisor, lanes } = gateway
  const held = new Map<string, QueueAttempt>()
  const paused = new Set<string>()
  let renewing: Cancel | null = null
  let begun = false
  let idle: (() => void) | null = null

  const time = createQueueTime(clock)
  const book = createQueueBook(gateway, time, () => reaper.schedule())

  const pause = (app: string): void => {
    if (paused.has(app)) return
    paused.add(app)
    lanes.wait(PAUSE_MS, () => {
      paused.delete(app)
      gateway.lines.of(app)?.pump()
    })
  }

  const lookIdle = (): void => {
    if (held.size === 0) idle?.()
  }

  /** Cancelled while they were between the queue and us, so that there was nobody to ask: it acts when they arrive. */
  const unwanted = new Set<string>()
  const arrived = (id: string): void => {
    if (unwanted.delete(id)) void cancel(id)
  }
  const writes = (id: string, work: Promise<unknown>): void => void work.then(() => arrived(id))

  const ended = (attempt: QueueAttempt, end: Settlement): void => {
    const { lease } = attempt
    const { id, app, submittedAt } = lease.request
    const leased: Leased = { id, app, fence: lease.fence, submittedAt }
    if (held.get(id) === attempt) held.delete(id)
    lookIdle()
    if (attempt.handedBack) return writes(id, book.release(leased))
    const line = attempt.line(end)
    const mine = end.commands.find((command) => isDisposition(command) && command.request === id)
    if (mine?.type === 'requeue') writes(id, book.requeue(leased, line, mine))
    else if (mine?.type === 'reject') {
      const { runner } = attempt.attempt
      const final = ownAnswer(refusalOf(mine, end), clock.wall(), mine.cause, runner.id)
      writes(id, book.complete(leased, line, final))
    } else writes(id, book.complete(leased, line, attempt.answer(end)))
    perform(end.commands.filter((command) => command !== mine))
  }

  const perform = (commands: readonly Command[]): void => {
    for (const command of commands) {
      switch (command.type) {
        case 'cancel': {
          const attempt = held.get(command.request)
          if (attempt === undefined) break
          attempt.attempt.askToCancel(() => {})
          if (command.cutAfterMs !== null)
            lanes.wait(command.cutAfterMs, () => attempt.attempt.cut())
          break
        }
        case 'requeue': {
          const lapse = reaper.lapse(command.request)
          const entry = queue.entry(command.request)
          if (lapse === null || entry === null) break
          writes(entry.id, book.requeue({ ...entry, fence: lapse.fence }, lapse.line, command))
          break
        }
        case 'reject':
          reject(command)
          break
        default:
      }
    }
  }

  const reject = (order: Rejection): void => {
    const entry = queue.entry(order.request)
    if (entry === null) return
    const final = ownAnswer(refusalOf(order, null), clock.wall(), order.cause, null)
    const lapse = reaper.lapse(order.request)
    writes(
      entry.id,
      lapse !== null
        ? book.complete({ ...entry, fence: lapse.fence }, lapse.line, final)
        : book.end(entry, final),
    )
  }

  const renew = (): void => {
    if (held.size === 0) return
    const leases = [...held.values()].map(({ lease }) => ({
      id: lease.request.id,
      fence: lease.fence,
    }))
    queue.renew(leases, clock.wall() + LEASE_MS).then(
      (lost) => {
        gateway.trouble.worked('renew')
        for (const id of lost) {
          const found = held.get(id)
          if (found !== undefined) book.lost(id, found.lease.fence)
        }
      },
      (error: unknown) => book.failed('renew', error),
    )
  }

  const reaper = createReaper(gateway, {
    book,
    perform,
    holds: (id, fence) => held.get(id)?.lease.fence === fence,
    renew,
  })

  const keepRenewing = (): void => {
    renewing = clock.after(RENEW_MS, () => {
      renew()
      keepRenewing()
    })
  }

  /** A leased request without a slot waits in the queue: there its limit acts, it is counted, and its turn is its own. */
  const handBack = ({ request: { id }, fence }: Lease): Promise<void> => {
    const work = book.release({ id, fence })
    writes(id, work)
    return work
  }

  const leased = (app: string, leases: readonly Lease[], asked: number): void => {
    // Nothing, though something was ready: asking again at once would ask for ever.
    if (leases.length === 0) pause(app)
    // They are this line's even when the app left the configuration meanwhile: it counts what it asked for.
    const left = gateway.lines.known(app)?.offer(leases, asked) ?? leases
    for (const lease of left) void handBack(lease)
    for (const { request } of leases) arrived(request.id)
    reaper.schedule()
  }

  const cancelQueued = async (id: string): Promise<boolean> => {
    const entry = queue.entry(id)
    if (entry?.status !== 'IN_QUEUE') return false
    if (!(await book.end(entry, ownAnswer(CANCELLED, clock.wall(), 'cancel', null)))) return false
    supervisor.tell({ type: 'request.cancelled', app: entry.app, request: id, cause: 'caller' })
    gateway.lines.of(entry.app)?.pump()
    return true
  }

  const cancel: Dispatcher['cancel'] = async (id) => {
    // Each round sees one more change that was on its way; three are more than a request can have at once.
    for (let round = 0; round < 3; round++) {
      const entry = queue.entry(id)
      if (entry === null) return 'unknown'
      if (entry.status === 'COMPLETED') return 'completed'
      const attempt = held.get(id)
      if (attempt !== undefined) {
        cancelRunning(attempt)
        return 'asked'
      }
      // In the same turn as the look at who holds it: later it may have arrived already.
      if (entry.status !== 'IN_QUEUE') break
      if (await cancelQueued(id)) return 'cancelled'
    }
    unwanted.add(id)
    return 'asked'
  }

  return {
    ready(app) {
      if (!begun || gateway.closing() || paused.has(app)) return 0
      return queue.size(app, time()).ready
    },
    fetch(app, max) {
      queue.lease(app, max, time(), clock.wall() + LEASE_MS).then(
        (leases) => {
          if (leases.length > 0) gateway.trouble.worked('lease')
          leased(app, leases, max)
        },
        (error: unknown) => {
          book.failed('lease', error, { app })
          leased(app, [], max)
        },
      )
    },
    start(lease, handle: RunnerHandle) {
      const { id, app, startBefore } = lease.request
      if (startBefore !== null && startBefore < clock.wall()) {
        judge(gateway.fleet, handle, runnerOf(gateway.fleet, handle).incarnation, 'client_left')
        // Its time passed while it was leased. Nothing of its app is leased until its limit has acted in the queue: the slot is
        // free, so it would be leased again before the reaper can look, and again, without end.
        paused.add(app)
        return void handBack(lease).then(() => {
          reaper.look()
          paused.delete(app)
          gateway.lines.of(app)?.pump()
        })
      }
      const attempt = new QueueAttempt(gateway, lease, handle, ended)
      held.set(id, attempt)
      attempt.attempt.start()
    },
    begin() {
      begun = true
      queue.listen((app) => {
        gateway.lines.of(app)?.pump()
        reaper.schedule()
      })
      reaper.begin()
      for (const app of queue.apps()) gateway.lines.of(app)?.pump()
      keepRenewing()
    },
    cancel,
    changed(app) {
      const line = gateway.lines.of(app)
      if (line === null) {
        gateway.lines.known(app)?.refuseAll(appGone(app))
      } else if (begun) {
        // Requests may have waited for an app that nobody has called since.
        line.pump()
        reaper.schedule()
      }
    },
    perform,
    drained() {
      return new Promise((resolve) => {
        idle = resolve
        lookIdle()
      })
    },
    async close() {
      renewing?.()
      reaper.close()
      for (const attempt of held.values()) {
        attempt.handedBack = true
        attempt.attempt.cut()
      }
      // A full disk takes nothing back for as long as it is full: what it does not know of is taken back by the next start.
      await new Promise<void>((resolve) => {
        const late = clock.after(SETTLE_MS, resolve)
        void book.settled().then(() => {
          late()
          resolve()
        })
      })
    },
  }

  function cancelRunning(attempt: QueueAttempt): void {
    if (attempt.cancelled) return
    attempt.cancelled = true
    const { lease } = attempt
    const { commands } = supervisor.tell({
      type: 'request.cancelled',
      app: lease.request.app,
      request: lease.request.id,
      runner: attempt.attempt.runner.id,
      attempt: lease.attempt,
      cause: 'caller',
    })
    perform(commands)
  }
}

/** What a call gets that waited for an app which then left the configuration. */
const appGone = (app: string): Refusal => ({
  status: 404,
  errorType: 'app_not_found',
  detail: `There is no app ${app}.`,
})

const isDisposition = (
  command: Command,
): command is Extract<Command, { type: 'requeue' | 'deliver' | 'reject' }> =>
  command.type === 'requeue' || command.type === 'deliver' || command.type === 'reject'

function refusalOf(order: Rejection, end: Settlement | null): Refusal {
  const expired = order.cause === 'retry.deadline'
  const own = rejections[order.errorType] ?? end?.instead.detail ?? 'The runner gave no answer.'
  return {
    status: order.status,
    errorType: order.errorType,
    detail: expired ? 'The request did not start within X-Fal-Request-Timeout.' : own,
    ...(expired && { headers: { 'x-fal-request-timeout-type': 'user' } }),
  }
}
