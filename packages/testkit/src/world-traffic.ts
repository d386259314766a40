/**
 * The callers, the queue and the gateway of a simulated world: requests come, get slots from the real ledger, end well or badly,
 * wait, are tried again. It does what the core's commands say and counts every final outcome; it never chooses a runner itself.
 */
import {
  type AppOptions,
  type Command,
  demand,
  type HealthEvent,
  hints,
  inFlight,
  judge,
  NEW_RECORD,
  type OutcomeHeaders,
  type OutcomeName,
  outcomeOf,
  outcomes,
  place,
  type RequestRecord,
  type RunnerHandle,
  runnerOf,
  turn,
} from '@health/core'
import type { World } from './world.ts'

/** How callers and answers behave. */
export interface TrafficOptions {
  /** Mean ms between two requests of one app; absent: no traffic. */
  readonly requestEveryMs?: number
  /** Mean ms that an attempt takes; 400 when absent. */
  readonly workMs?: number
  /** Share of requests that go through the queue; a half when absent. */
  readonly queued?: number
  /** Share of answers that are bad. */
  readonly badAnswers?: number
  /** Which bad statuses; null: the connection breaks. All kinds when absent. */
  readonly badStatuses?: readonly (number | null)[]
  /** Share of answers that carry one of our headers. */
  readonly flagged?: number
  /** Share of requests that are cancelled while they wait or run. */
  readonly cancelled?: number
  /** Share of leases whose holder dies. */
  readonly lostLeases?: number
}

/** One queued request, as its queue keeps it. */
export interface Queued {
  readonly id: string
  readonly app: string
  record: RequestRecord
  state: 'queued' | 'leased' | 'waiting' | 'done'
  finals: number
  avoid: string | null
}

interface Attempt {
  readonly app: string
  readonly request: Queued | null
  readonly number: number
  readonly handle: RunnerHandle
  readonly runner: string
  readonly incarnation: number
  open: boolean
}

const BAD = [500, 502, 503, 504, 429, null] as const

/** The traffic of a world. */
export class Traffic {
  readonly requests: Queued[] = []
  /** Slots taken that were not free: must stay empty. */
  readonly overbooked: string[] = []
  /** Slots taken on a runner that does not accept work: must stay empty. */
  readonly misrouted: string[] = []
  placed = 0
  ended = 0
  /** Ends that `judge` counted without an event. */
  counted = 0
  readonly #world: World
  readonly #queue = new Map<string, Queued[]>()
  readonly #waiting = new Map<string, number>()
  readonly #attempts = new Set<Attempt>()
  #count = 0

  constructor(world: World) {
    this.#world = world
  }

  begin(): void {
    const { apps, requestEveryMs } = this.#world.options
    for (const { id, options } of apps) {
      this.#queue.set(id, [])
      this.#waiting.set(id, 0)
      this.#world.every(requestEveryMs, () => this.#arrive(id, options))
    }
  }

  /** What became of a queued request. */
  settled(command: Extract<Command, { type: 'requeue' | 'deliver' | 'reject' }>): void {
    const request = this.requests[Number(command.request.slice(2))]
    if (request === undefined) return
    if (command.type !== 'requeue') {
      request.finals++
      request.state = 'done'
      return
    }
    request.record = command.record
    request.avoid = command.avoid
    request.state = 'waiting'
    this.#world.later(command.delayMs, () => {
      if (request.state !== 'waiting') return
      request.state = 'queued'
      this.#queue.get(request.app)!.push(request)
      this.#dispatch(request.app)
    })
  }

  /** The process of a life is gone: its attempts break. */
  lost(runner: string, incarnation: number): void {
    for (const attempt of this.#attempts)
      if (attempt.runner === runner && attempt.incarnation === incarnation)
        this.#world.later(1 + 150 * this.#world.draw(), () =>
          this.#end(attempt, 'connection_lost', null),
        )
  }

  /** The gateway died: open attempts are nobody's, their leases run out. */
  forgotten(): void {
    for (const attempt of this.#attempts) {
      attempt.open = false
      if (attempt.request !== null) this.#expire(attempt)
    }
    this.#attempts.clear()
    for (const [app] of this.#waiting) this.#waiting.set(app, 0)
  }

  /** Attempts in flight on a life, as the callers see it. */
  flying(runner: string): number {
    let n = 0
    for (const attempt of this.#attempts) if (attempt.runner === runner) n++
    return n
  }

  #arrive(app: string, options: AppOptions): void {
    const world = this.#world
    if (world.draw() < (world.options.queued ?? 0.5)) {
      const request: Queued = {
        id: `q-${this.requests.length}`,
        app,
        record: {
          ...NEW_RECORD,
          noRetry: world.draw() < 0.05,
          retryConfig: world.draw() < 0.1 ? { server_error: Math.floor(world.draw() * 3) } : null,
        },
        state: 'queued',
        finals: 0,
        avoid: null,
      }
      this.requests.push(request)
      this.#queue.get(app)!.push(request)
      if (world.draw() < (world.options.cancelled ?? 0)) this.#cancelLater(request)
    } else {
      const most = Math.max(2, (options.maxConcurrency ?? 1) * 3)
      this.#waiting.set(app, Math.min(most, this.#waiting.get(app)! + 1))
    }
    this.#dispatch(app)
  }

  #cancelLater(request: Queued): void {
    const world = this.#world
    world.later(2_000 * world.draw(), () => {
      if (request.state === 'done') return
      const running = [...this.#attempts].find((attempt) => attempt.request === request)
      request.record = { ...request.record, cancelled: true }
      if (request.state === 'leased' && running === undefined) return
      if (request.state === 'queued') {
        const queue = this.#queue.get(request.app)!
        queue.splice(queue.indexOf(request), 1)
      }
      world.tell({
        type: 'request.cancelled',
        at: world.now,
        app: request.app,
        request: request.id,
        cause: 'caller',
        ...(running !== undefined && { runner: running.runner, attempt: running.number }),
      })
    })
  }

  #dispatch(app: string): void {
    const world = this.#world
    const queue = this.#queue.get(app)!
    for (;;) {
      const waiting = this.#waiting.get(app)!
      demand(world.fleet, app, waiting, queue.length)
      if (waiting === 0 && queue.length === 0) return
      const takes = waiting === 0 ? 'queue' : queue.length === 0 ? 'direct' : turn(world.fleet, app)
      const request = takes === 'queue' ? queue[0]! : null
      const hint = world.draw() < 0.2 ? `model-${Math.floor(world.draw() * 3)}` : null
      const handle = place(world.fleet, app, {
        hint,
        avoid: request?.avoid ?? null,
        queued: true,
      })
      if (handle < 0) return
      if (request === null) this.#waiting.set(app, waiting - 1)
      else {
        queue.shift()
        request.state = 'leased'
        request.record = { ...request.record, attempts: request.record.attempts + 1 }
      }
      this.#begin(app, handle, request)
    }
  }

  #begin(app: string, handle: RunnerHandle, request: Queued | null): void {
    const world = this.#world
    const { id: runner, incarnation, accepting } = runnerOf(world.fleet, handle)
    const attempt: Attempt = {
      app,
      request,
      number: request?.record.attempts ?? 1,
      handle,
      runner,
      incarnation,
      open: true,
    }
    this.placed++
    this.#attempts.add(attempt)
    if (!accepting) this.misrouted.push(runner)
    const { maxMultiplexing } = world.fleet.apps.get(app)!.policy
    if (inFlight(world.fleet, handle) > maxMultiplexing) this.overbooked.push(runner)
    const ms = 1 + (world.options.workMs ?? 400) * 2 * world.draw()
    world.later(ms, () => this.#answer(attempt))
  }

  #answer(attempt: Attempt): void {
    const world = this.#world
    const { options } = world
    if (!attempt.open || !world.alive(attempt.runner, attempt.incarnation)) return
    if (attempt.request !== null && world.draw() < (options.lostLeases ?? 0)) {
      this.#close(attempt)
      return this.#expire(attempt)
    }
    const bad = world.draw() < (options.badAnswers ?? 0)
    const kinds = options.badStatuses ?? BAD
    const status = bad ? kinds[Math.floor(world.draw() * kinds.length)]! : 200
    const flag = world.draw() < (options.flagged ?? 0) ? Math.floor(world.draw() * 4) : -1
    const headers: OutcomeHeaders | undefined =
      flag < 0
        ? undefined
        : flag === 0
          ? { check: true }
          : flag === 1
            ? { needsRetry: world.draw() < 0.5 }
            : flag === 2
              ? { stop: false }
              : { stop: world.draw() < 0.2 }
    if (world.draw() < 0.1)
      hints(world.fleet, attempt.handle, [`model-${Math.floor(world.draw() * 3)}`])
    this.#end(
      attempt,
      status === null
        ? world.draw() < 0.2
          ? 'request_timeout'
          : 'connection_lost'
        : outcomeOf(status),
      status,
      headers,
    )
  }

  #close(attempt: Attempt): 'counted' | 'event' {
    attempt.open = false
    this.#attempts.delete(attempt)
    return judge(this.#world.fleet, attempt.handle, attempt.incarnation, 'client_left')
  }

  #end(
    attempt: Attempt,
    outcome: OutcomeName,
    status: number | null,
    headers?: OutcomeHeaders,
  ): void {
    if (!attempt.open) return
    const world = this.#world
    const { app, request, handle, incarnation, runner } = attempt
    attempt.open = false
    this.#attempts.delete(attempt)
    this.ended++
    const served = status !== null && status >= 200 && status < 300
    const judged = judge(world.fleet, handle, incarnation, outcome, headers, served)
    const told =
      judged === 'event' ||
      (request !== null && (outcomes[outcome].condition !== null || request.record.cancelled))
    if (!told) {
      this.counted++
      if (request !== null) {
        request.finals++
        request.state = 'done'
      }
    } else {
      const event: HealthEvent = {
        type: 'attempt.ended',
        at: world.now,
        app,
        runner,
        incarnation,
        request: request?.id ?? `d-${this.#count++}`,
        attempt: attempt.number,
        mode: request === null ? 'run' : 'queue',
        outcome,
        status,
        inFlight: inFlight(world.fleet, handle),
        ...(headers !== undefined && { headers }),
        ...(request !== null && { record: request.record }),
      }
      world.tell(event)
    }
    this.#dispatch(app)
  }

  #expire(attempt: Attempt): void {
    const { app, number } = attempt
    const request = attempt.request!
    this.#world.later(500, () =>
      this.#world.tell({
        type: 'lease.expired',
        at: this.#world.now,
        app,
        request: request.id,
        attempt: number,
        record: request.record,
      }),
    )
  }
}
