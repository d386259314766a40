/**
 * One try of one request on one runner: sends it, passes the answer on, says how it ended and gives the slot back, exactly
 * once. It never retries, and never writes to a caller itself; that is its sink's work.
 */
import {
  BY_RUNNER,
  hints,
  inFlight,
  judge,
  judged,
  outcomeOf,
  outcomes,
  policyOf,
  type AttemptEnded,
  type Command,
  type Mode,
  type OutcomeHeaders,
  type OutcomeName,
  type RequestRecord,
} from '@health/core'
import { sendCancel } from './cancel.ts'
import { cutAnswers, insteadOf } from './cut-answer.ts'
import type { Refusal } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import type { Wait } from './lane.ts'
import { readRunnerHead, type RunnerHead } from './response-head.ts'
import type { RunnerRoute } from './runner-route.ts'
import type { Cut, Flight, Outgoing, Receiver } from './upstream.ts'

/** How an attempt ended, after the fleet has heard of it. */
export interface Settlement {
  readonly outcome: OutcomeName
  /** Status of the runner; null without a head. */
  readonly status: number | null
  /** True when the answer is whole. */
  readonly whole: boolean
  /** What to answer instead when it is not: the table's 503 or 504. */
  readonly instead: Refusal
  readonly rule: string
  /** Under which a queued request is tried again; null: it is not. */
  readonly condition: string | null
  /** True when the fleet was told: a rule was crossed. */
  readonly crossed: boolean
  /** Orders about requests that the end of this attempt gave; empty when it crossed no rule. */
  readonly commands: readonly Command[]
}

/** What an attempt serves. `settled` comes last, once, whether the answer was whole or not. */
export interface Sink {
  head(status: number, head: RunnerHead): void
  /** False: stop until the attempt's `resume`. */
  data(chunk: Uint8Array): boolean
  /** A short body that is here as a whole, as latin1, instead of `data`; optional. */
  whole?(text: string): void
  /** As `data`, for a sink that soon gives the memory back; optional. */
  lent?(chunk: Uint8Array, giveBack: () => void): boolean
  settled(settlement: Settlement): void
}

/** What is tried. */
export interface Try {
  readonly request: string
  /** From 1. */
  readonly attempt: number
  readonly mode: Mode
  readonly outgoing: Outgoing
  /** What the queue knows; absent for direct calls. */
  readonly record?: () => RequestRecord | undefined
  /** The caller of a direct call: whether it is gone, and whether its body is still on the way. */
  readonly caller?: { readonly gone: boolean; readonly sending: boolean }
}

/** A runner that ends is judged at the end of its answer, or this long after its head, in ms. */
const VERDICT_MS = 250

/** A cancel comes at least this long after its request was sent, in ms. */
const YOUNG_MS = 100

/** What is read of an answer that nobody waits for, in bytes: past it the connection is cut, or a stream without end is read for ever. */
const LEFT_BYTES = 16_777_216

/** One attempt. Create it with a slot taken by `place`, then `start` it. */
export class Attempt implements Receiver {
  readonly runner: RunnerRoute
  readonly #gateway: Gateway
  readonly #what: Try
  readonly #sink: Sink
  readonly #judged: boolean
  readonly #limit: number | undefined
  #flight: Flight | null = null
  #timeout: Wait | null = null
  #verdict: Wait | null = null
  #status: number | null = null
  #headers: OutcomeHeaders | undefined
  #left = false
  #leftBytes = 0
  #startedAt = 0
  #over = false
  #crossed = false
  #told: readonly Command[] | null = null

  constructor(gateway: Gateway, runner: RunnerRoute, what: Try, sink: Sink) {
    this.#gateway = gateway
    this.runner = runner
    this.#what = what
    this.#sink = sink
    const policy = policyOf(gateway.fleet, runner.app)
    this.#judged = judged(what.outgoing.path, policy?.path ?? '')
    this.#limit = policy?.requestTimeoutMs
  }

  /** True once it was settled. */
  get over(): boolean {
    return this.#over
  }

  /** When it was sent, in ms of observed time. */
  get startedAt(): number {
    return this.#startedAt
  }

  start(): void {
    const { clock, lanes } = this.#gateway
    this.#startedAt = clock.now()
    if (this.#limit !== undefined)
      this.#timeout = lanes.wait(this.#limit, () => this.#timeOut(), this.#startedAt)
    this.#flight = this.runner.route.send(this.#what.outgoing, this)
    if (this.#over) this.#flight.abort()
  }

  /** Goes on after the sink answered false. */
  resume(): void {
    this.#flight?.resume()
  }

  /** The caller left: the runner is told, and keeps the slot until it has answered (or answers far too much) or its time is over. */
  leave(): void {
    if (this.#over || this.#left) return
    this.#left = true
    this.#flight?.resume()
    this.askToCancel(() => {})
  }

  /** The caller never sent the whole request: nobody can answer it, so it is cut and the runner is not blamed. */
  abandon(): void {
    if (this.#over) return
    this.#left = true
    this.#flight?.abort()
    this.askToCancel(() => this.#settle('client_left', false))
  }

  /**
   * Cooperative cancel: `POST {path}/cancel` on the same runner, no slot. A runner that has hardly got the request may hear of
   * its cancel first, on another connection, and would not know what is meant: a young attempt is cancelled a moment later.
   */
  askToCancel(done: () => void): void {
    const { lanes, clock } = this.#gateway
    const send = (): void => {
      if (this.#over) return done()
      const { path } = this.#what.outgoing
      sendCancel(lanes, this.runner.route, path, this.#what.request, done)
    }
    if (clock.now() - this.#startedAt < YOUNG_MS) lanes.wait(YOUNG_MS, send)
    else send()
  }

  /** Cuts the attempt and blames nobody: a hard cancel, our own shutdown, an answer that nobody wants. A shutdown's sink hears no settlement. */
  cut(): void {
    this.#flight?.abort()
    this.#settle('client_left', false)
  }

  head(status: number, raw: readonly string[]): void {
    const head = readRunnerHead(raw)
    this.#status = status
    this.#headers = this.#judged ? head.outcome : undefined
    if (head.hints !== null) hints(this.#gateway.fleet, this.runner.handle, head.hints)
    // An error is judged as any other, at its end: there the check takes the place of the one that an error asks for.
    const stream = head.stream || this.#what.mode === 'stream'
    const early = stream && outcomes[outcomeOf(status)].runner === 'healthy'
    if (early && this.#headers?.check === true) this.#askForCheck()
    if (this.#what.mode !== 'queue' && this.#ends(status))
      this.#verdict = this.#gateway.lanes.wait(VERDICT_MS, () => this.#tell(this.#outcome(), true))
    if (!this.#left) this.#sink.head(status, head)
  }

  data(chunk: Uint8Array): boolean {
    if (!this.#left) return this.#sink.data(chunk)
    this.#leftBytes += chunk.byteLength
    if (this.#leftBytes > LEFT_BYTES) this.cut()
    return true
  }

  lent(chunk: Uint8Array, giveBack: () => void): boolean {
    const sink = this.#sink
    if (!this.#left && sink.lent !== undefined) return sink.lent(chunk, giveBack)
    const own = Buffer.from(chunk)
    giveBack()
    return this.data(own)
  }

  whole(text: string): void {
    const sink = this.#sink
    if (this.#left || sink.whole === undefined) this.data(Buffer.from(text, 'latin1'))
    else sink.whole(text)
  }

  end(): void {
    this.#settle(this.#outcome(), true)
  }

  lost(how: Cut): void {
    if (this.#over) return
    if (this.#what.caller?.gone === true) return this.abandon()
    switch (how) {
      case 'head_too_large':
        return this.#settle('error', false, how)
      case 'unsendable':
        return this.#settle('client_left', false, how)
      case 'no_socket':
        return this.#settle('gateway_lost', false, how)
      default:
        this.#gateway.exits.wait(this.runner.id, this.runner.incarnation, (crashed) =>
          this.#settle(crashed ? 'crashed' : 'connection_lost', false, how),
        )
    }
  }

  #timeOut(): void {
    if (this.#what.caller?.sending === true) return this.abandon()
    this.#flight?.abort()
    this.#settle('request_timeout', false)
  }

  #outcome(): OutcomeName {
    return this.#left ? 'client_left' : outcomeOf(this.#status!)
  }

  #ends(status: number): boolean {
    return (
      this.#headers?.stop === true ||
      (status === 503 && this.#judged && this.#headers?.stop !== false)
    )
  }

  // A stream may last for hours: its headers are judged when they come, and once only.
  #askForCheck(): void {
    const { check: _, ...rest } = this.#headers!
    this.#headers = rest
    this.#crossed = true
    this.#gateway.supervisor.tell({
      type: 'order.check',
      runner: this.runner.id,
      by: BY_RUNNER,
      manual: true,
    })
  }

  #settle(seen: OutcomeName, whole: boolean, how?: Cut): void {
    if (this.#over) return
    this.#over = true
    this.#timeout?.cancel()
    this.#verdict?.cancel()
    // Whoever left, left; but a runner that exceeds its time with nobody waiting is as stuck as any other.
    const outcome = this.#left && seen !== 'request_timeout' ? 'client_left' : seen
    const commands = this.#tell(outcome, whole, how)
    this.#sink.settled({
      outcome,
      status: this.#status,
      whole,
      instead: insteadOf(outcome, how),
      rule: this.#rule(outcome),
      condition: outcomes[outcome].condition,
      crossed: this.#crossed,
      commands,
    })
    this.#gateway.lines.freed(this.runner.app)
  }

  #rule(outcome: OutcomeName): string {
    if (!this.#judged) return 'outcome.not_judged'
    return this.#headers?.stop === true ? 'outcome.stop_header' : `outcome.${outcome}`
  }

  /** Gives the slot back and tells the fleet, once; later calls answer what the first one gave. */
  #tell(outcome: OutcomeName, whole: boolean, how?: Cut): readonly Command[] {
    if (this.#told !== null) return this.#told
    const { fleet, supervisor, metrics } = this.#gateway
    const { handle, id, incarnation, app } = this.runner
    const seen = this.#judged ? outcome : whole ? 'healthy' : 'client_left'
    const status = how === 'head_too_large' ? 502 : this.#status
    const served = whole && status !== null && status >= 200 && status < 300
    metrics.attempt(app, outcome)
    if (judge(fleet, handle, incarnation, seen, this.#headers, served) === 'counted')
      return (this.#told = NOTHING)
    const record = this.#what.record?.()
    const cut = how === undefined ? null : cutAnswers[how].cut
    const fact: Omit<AttemptEnded, 'at' | 'seq'> = {
      type: 'attempt.ended',
      app,
      runner: id,
      incarnation,
      request: this.#what.request,
      attempt: this.#what.attempt,
      mode: this.#what.mode,
      outcome: seen,
      status,
      inFlight: inFlight(fleet, handle),
      ...(this.#headers !== undefined && { headers: this.#headers }),
      ...(cut !== null && { cut }),
      ...(record !== undefined && { record }),
    }
    // Before it is told: the sink may be asked about it while the step is carried out.
    this.#crossed = true
    this.#told = NOTHING
    return (this.#told = supervisor.tell(fact).commands)
  }
}

const NOTHING: readonly Command[] = []
