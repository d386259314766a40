/**
 * Lets the queue's times act: start limits that passed, leases that nobody renewed, results that were kept long enough. It tells
 * the fleet and carries out what it orders; it never decides itself.
 */
import type { AttemptLine, Cancel, Command, Lease } from '@health/core'
import { tellRunnersToCancel } from './adoption.ts'
import type { Gateway } from './gateway.ts'
import type { QueueBook } from './queue-book.ts'
import { sweepResults } from './queue-sweep.ts'

/** Deadlines handled in one go; the rest follow at once, after others had their turn. */
const ROUND = 100
/** Leases of ours that passed while we stood still are renewed; the next look is this much later, in ms. */
const OURS_MS = 200
/** It looks at least this often while something is due at some time: the wall clock may be set, and alarms do not hear of that. */
const LOOK_MS = 1_000

/** A lease that passed, while the order about its request is carried out. */
export interface Lapse {
  readonly fence: number
  readonly line: AttemptLine
}

/** The reaper of a queue. */
export interface Reaper {
  /** Takes back what an earlier gateway held, and begins. */
  begin(): void
  /** The queue's next time may have changed. */
  schedule(): void
  /** Lets what is due act now. */
  look(): void
  /** The lapse of a request whose order is being carried out; null for others. */
  lapse(id: string): Lapse | null
  close(): void
}

/** What the reaper asks of the dispatcher. */
export interface ReaperDeps {
  readonly book: QueueBook
  perform(commands: readonly Command[]): void
  /** Whether a lease is held here. */
  holds(id: string, fence: number): boolean
  renew(): void
}

/** Creates a reaper; it does nothing before `begin`. */
export function createReaper(gateway: Gateway, deps: ReaperDeps): Reaper {
  const { queue, clock, supervisor } = gateway
  const lapses = new Map<string, Lapse>()
  let alarm: { readonly due: number; readonly cancel: Cancel } | null = null
  let sweeping: Cancel | null = null
  let begun = false

  const takeBack = (
    id: string,
    app: string,
    fence: number,
    attempt: number,
    record: Lease['record'],
  ): void => {
    const at = clock.wall()
    const line: AttemptLine = {
      n: attempt,
      runner: '',
      startedAt: at,
      endedAt: at,
      outcome: 'gateway_lost',
      status: null,
      rule: 'outcome.gateway_lost',
      condition: 'gateway_lost',
    }
    lapses.set(id, { fence, line })
    const fact = { type: 'lease.expired', app, request: id, attempt } as const
    const { commands } = supervisor.tell({ ...fact, record: { ...record, attempts: attempt } })
    // An app that is not configured has nobody to judge: its requests wait until it is.
    if (commands.length === 0) void deps.book.release({ id, fence })
    else deps.perform(commands)
    lapses.delete(id)
  }

  const reap = (): void => {
    const now = clock.wall()
    for (const { id, app } of queue.overdue(now, ROUND)) {
      deps.perform(supervisor.tell({ type: 'request.expired', app, request: id }).commands)
    }
    let ours = false
    for (const { id, app, fence, attempt, record } of queue.lapsed(now, ROUND)) {
      if (deps.holds(id, fence)) ours = true
      else takeBack(id, app, fence, attempt, record)
    }
    gateway.lines.pumpAll()
    if (!ours) return schedule()
    deps.renew()
    arm(now + OURS_MS, OURS_MS)
  }

  const arm = (due: number, ms: number): void => {
    alarm?.cancel()
    const cancel = clock.after(ms, () => {
      alarm = null
      reap()
    })
    alarm = { due, cancel }
  }

  const schedule = (): void => {
    if (!begun || gateway.closing()) return
    const next = queue.nextDue()
    if (next === Number.POSITIVE_INFINITY || (alarm !== null && alarm.due <= next)) return
    arm(next, Math.max(1, Math.min(LOOK_MS, next - clock.wall())))
  }

  return {
    begin() {
      begun = true
      // One process has the queue open: what is leased now was leased by a gateway that is gone.
      const open = queue.lapsed(Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER)
      tellRunnersToCancel(gateway, open)
      for (const { id, app, fence, attempt, record } of open)
        takeBack(id, app, fence, attempt, record)
      sweeping = sweepResults(gateway, (error) => deps.book.failed('sweep', error))
      schedule()
    },
    schedule,
    look() {
      if (begun && !gateway.closing()) reap()
    },
    lapse: (id) => lapses.get(id) ?? null,
    close() {
      alarm?.cancel()
      sweeping?.()
    },
  }
}
