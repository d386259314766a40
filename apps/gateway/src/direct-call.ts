/**
 * One direct call: waits for a slot, streams the caller's body to the runner and the answer back, and is told how it ended. It
 * buffers and parses nothing; a caller who stops sending or reading is let go before the runner is blamed for it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { policyOf, startPending, type Mode, type RunnerHandle } from '@health/core'
import { Attempt, type Settlement, type Sink } from './attempt.ts'
import { BodyTooLarge, limitBody } from './body-limit.ts'
import { bodyStalled, watchSoon } from './body-watch.ts'
import { answerRaw, bodyTooLarge, type Refusal } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import type { Wait } from './lane.ts'
import type { Line, Waiter } from './line.ts'
import { watchStall } from './stall-watch.ts'
import { corsHead, forwardHead, type RunnerHead } from './response-head.ts'
import { atTurnEnd } from './turn.ts'

/** What a call is, read from its head. */
export interface CallHead {
  readonly id: string
  /** Path and query for the runner. */
  readonly path: string
  readonly mode: Mode
  readonly owner: string
  /** True when `Authorization` was one of our keys. */
  readonly ours: boolean
  /** The caller's own limit to the wait for a start, in ms; null: none. */
  readonly startLimitMs: number | null
  readonly address: string
  readonly proto: string
}

/** Up to this many bytes the first piece of an answer is written as text. */
const TEXT_BYTES = 8192

/** Written one after the other, answers find whoever hears them awake: see `pool.ts` of `@health/upstream`. */
const answerSoon = atTurnEnd<DirectCall>((call) => call.writeAnswer())

/** A direct call on its way. */
export class DirectCall implements Waiter, Sink {
  readonly hint: string | null
  readonly #gateway: Gateway
  readonly #line: Line
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #head: CallHead
  readonly #submitted: number
  readonly #cors: readonly string[]
  readonly #socket: IncomingMessage['socket']
  #attempt: Attempt | null = null
  #body: Readable | null = null
  /** A short body that came with its head; null: there is a stream, or nothing. */
  readonly #early: Buffer | null
  #waiting: Wait | null = null
  #stall: Wait | null = null
  #paused = false
  #begun = false
  /** A short answer that is here as a whole. */
  #text: string | null = null
  #length = -1
  #served = ''

  constructor(
    gateway: Gateway,
    line: Line,
    request: IncomingMessage,
    response: ServerResponse,
    head: CallHead,
    early: Buffer | null = null,
  ) {
    this.#gateway = gateway
    this.#line = line
    this.#request = request
    this.#response = response
    this.#head = head
    this.#early = early
    this.#submitted = gateway.clock.now()
    this.#cors = corsHead(request.headers.origin)
    // Whoever destroys the body stream takes its socket away; ours is kept to see whether the caller is still there.
    this.#socket = request.socket
    const hint = request.headers['x-fal-runner-hint']
    this.hint = typeof hint === 'string' ? hint : null
    response.on('close', () => this.#closed())
  }

  /** Enters the line of its app. */
  enter(): void {
    this.#line.enter(this)
    if (this.#attempt !== null || this.#response.writableEnded) return
    const policy = policyOf(this.#gateway.fleet, this.#line.app)
    const limit = policy?.directWaitMs ?? 0
    const own = this.#head.startLimitMs
    const byCaller = own !== null && own < limit
    this.#waiting = this.#gateway.lanes.wait(byCaller ? own : limit, () =>
      this.#waitedTooLong(byCaller),
    )
  }

  start(handle: RunnerHandle): void {
    this.#waiting?.cancel()
    const runner = this.#gateway.routes.of(handle)
    this.#served = runner.id
    const request = this.#request
    if (this.#early === null && hasBody(request)) {
      this.#body = limitBody(request, this.#gateway.config().limits.bodyBytes)
      watchSoon(this)
    }
    // HTTP/1.0 knows no interim answer.
    if (request.headers.expect !== undefined && request.httpVersionMinor > 0)
      this.#response.writeContinue()
    const headers = forwardHead(request.rawHeaders, {
      id: this.#head.id,
      address: this.#head.address,
      proto: this.#head.proto,
      host: request.headers.host ?? '',
      ours: this.#head.ours,
    })
    this.#attempt = new Attempt(
      this.#gateway,
      runner,
      {
        request: this.#head.id,
        attempt: 1,
        mode: this.#head.mode,
        outgoing: {
          method: request.method ?? 'GET',
          path: this.#head.path,
          headers,
          body: this.#early ?? this.#body,
        },
        caller: this,
      },
      this,
    )
    this.#attempt.start()
  }

  refuse(refusal: Refusal): void {
    this.#waiting?.cancel()
    this.#answer(refusal)
  }

  head(status: number, head: RunnerHead): void {
    const headers = head.forward
    if (this.#cors.length > 0) {
      for (let i = headers.length - 2; i >= 0; i -= 2)
        if (headers[i]!.startsWith('access-control-')) headers.splice(i, 2)
      headers.push(...this.#cors)
    }
    headers.push('x-fal-request-id', this.#head.id, 'x-fal-served-from', this.#served)
    if (this.#gateway.closing()) headers.push('connection', 'close')
    this.#response.writeHead(status, headers)
    this.#length = head.length
    // An event stream's first event may be far away.
    if (head.stream) this.#response.flushHeaders()
  }

  data(chunk: Uint8Array): boolean {
    return this.#pass(this.#write(chunk))
  }

  lent(chunk: Uint8Array, giveBack: () => void): boolean {
    const response = this.#response
    const whole = !this.#begun && chunk.byteLength === this.#length
    this.#begun = true
    if (!whole) return this.#pass(response.write(chunk, giveBack))
    response.end(chunk, giveBack)
    return true
  }

  /** Answers whether more may come; once the caller has read what is here, otherwise. */
  #pass(taken: boolean): boolean {
    if (taken) return true
    this.#paused = true
    this.#response.once('drain', () => {
      this.#paused = false
      this.#attempt?.resume()
    })
    this.#watch()
    return false
  }

  /** An answer that came in one piece goes out in one write with its head; a short one as text, which spares gathering. */
  #write(chunk: Uint8Array): boolean {
    const response = this.#response
    if (this.#begun) return response.write(chunk)
    this.#begun = true
    const { buffer, byteOffset, byteLength } = chunk
    const whole = byteLength === this.#length
    if (byteLength > TEXT_BYTES) {
      if (!whole) return response.write(chunk)
      response.end(chunk)
      return true
    }
    const text = Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
    if (!whole) return response.write(text, 'latin1')
    this.whole(text)
    return true
  }

  whole(text: string): void {
    this.#begun = true
    this.#text = text
    answerSoon(this)
  }

  /** Writes an answer that is here as a whole. */
  writeAnswer(): void {
    const response = this.#response
    if (!response.destroyed && !response.writableEnded) response.end(this.#text, 'latin1')
  }

  settled(end: Settlement): void {
    this.#stall?.cancel()
    this.#stall = null
    const response = this.#response
    const status = end.whole ? end.status! : end.instead.status
    if (!response.writableEnded && this.#text === null) {
      if (end.whole) response.end()
      else if (this.#body?.errored instanceof BodyTooLarge) this.#answer(bodyTooLarge)
      else if (response.headersSent) response.destroy()
      else this.#answer(end.instead)
    }
    if (this.#body !== null && !this.#request.complete) this.#dropRest()
    const { clock, calls } = this.#gateway
    this.#count(end.outcome === 'client_left' ? 499 : status)
    if (!end.crossed) return
    const at = clock.wall()
    calls.add({
      id: this.#head.id,
      app: this.#line.app,
      owner: this.#head.owner,
      mode: this.#head.mode,
      submittedAt: clock.wall(this.#submitted),
      attempts: [
        {
          n: 1,
          runner: this.#served,
          startedAt: clock.wall(this.#attempt!.startedAt),
          endedAt: at,
          outcome: end.outcome,
          status: end.status,
          rule: end.rule,
          condition: end.condition,
        },
      ],
      final:
        end.outcome === 'client_left'
          ? { status: 499, errorType: 'client_disconnected', at }
          : { status, errorType: end.whole ? null : end.instead.errorType, at },
    })
  }

  /** What is left of a body that nobody wants any more is read and dropped while it comes. */
  #dropRest(): void {
    const over = (): boolean => this.#request.complete || this.#socket.destroyed
    watchStall(
      this.#gateway.lanes,
      this.#socket,
      () => (over() ? 'over' : 'caller'),
      () => this.#socket.destroy(),
    )
  }

  /** True when nobody is there any more to hear an answer. */
  get gone(): boolean {
    return this.#socket.destroyed || this.#body?.errored != null
  }

  /** True while the caller holds things up: its body is not here yet, or it does not read. */
  get sending(): boolean {
    if (this.#paused) return true
    return this.#body !== null && !this.#request.complete && this.#request.readableLength === 0
  }

  /** Begins to watch a body that is still not here. */
  watchBody(): void {
    if (this.#attempt?.over !== true && !this.#request.complete) this.#watch()
  }

  #watch(): void {
    this.#stall ??= watchStall(
      this.#gateway.lanes,
      this.#socket,
      () => {
        if (this.sending) return 'caller'
        if (this.#body !== null && !this.#request.complete) return 'other'
        this.#stall = null
        return 'over'
      },
      () => this.#stalled(),
    )
  }

  #stalled(): void {
    const attempt = this.#attempt
    if (this.#response.headersSent) this.#response.destroy()
    else this.#answer(bodyStalled)
    if (this.#request.complete) attempt?.leave()
    else attempt?.abandon()
  }

  #waitedTooLong(byCaller: boolean): void {
    if (!this.#line.leave(this)) return
    if (byCaller) {
      return this.#answer({
        status: 504,
        errorType: 'request_timeout',
        detail: 'No runner was free within X-Fal-Request-Timeout.',
        headers: { 'x-fal-request-timeout-type': 'user' },
      })
    }
    this.#answer(
      startPending(this.#gateway.fleet, this.#line.app)
        ? {
            status: 504,
            errorType: 'startup_timeout',
            detail: `No runner of ${this.#line.app} became ready within directWaitSeconds.`,
          }
        : {
            status: 503,
            errorType: 'runner_scheduling_failure',
            detail: `No runner of ${this.#line.app} was free within directWaitSeconds.`,
          },
    )
  }

  #count(status: number): void {
    const { clock, metrics } = this.#gateway
    metrics.request(this.#line.app, this.#head.mode, status, clock.now() - this.#submitted)
  }

  #answer(refusal: Refusal): void {
    if (!this.#response.headersSent && !this.#response.destroyed)
      answerRaw(this.#response, this.#head.id, refusal, this.#cors)
  }

  #closed(): void {
    this.#waiting?.cancel()
    // What reached no runner is not settled, and its caller was told something all the same.
    if (this.#attempt === null)
      this.#count(this.#response.headersSent ? this.#response.statusCode : 499)
    if (this.#response.writableFinished) return
    this.#stall?.cancel()
    this.#line.leave(this)
    if (this.#body !== null && !this.#request.complete) this.#attempt?.abandon()
    else this.#attempt?.leave()
  }
}

/** Whether a request announces a body; an announced length of 0 is none. */
function hasBody(request: IncomingMessage): boolean {
  return (
    request.headers['transfer-encoding'] !== undefined ||
    (request.headers['content-length'] ?? '0') !== '0'
  )
}
