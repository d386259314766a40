/**
 * Asks runners whether they are well and reports each answer once. It schedules nothing (the core does) and judges nothing but
 * one question: was a failure the runner's, or ours.
 */
import type { Cancel, Clock, Millis, Prober, ProbeOrder, ProbeResult } from '@health/core'
import { Deadlines, type Deadline } from './deadline.ts'
import { Exchange, type Sight } from './exchange.ts'
import { Lines, type Trust } from './line.ts'
import { watchLoop, type LoopWatch } from './loop-watch.ts'
import { targetOf, type Target } from './target.ts'

/** Options of {@link createProber}. */
export interface ProberOptions {
  readonly clock: Clock
  /**
   * Connections open at a time, a second line of defence: the core schedules fewer. A probe above it is `errored`, a repeated
   * port probe waits for its next turn. Default 1024, which fits the usual limit of descriptors.
   */
  readonly maxFlying?: number
  /**
   * Regular probes that come closer together than this begin together, in ms of observed time: a wake-up of the process costs as
   * much as a probe. The first of them, what is asked with it in one go, and every other kind begin at once. Default 8, far below
   * what jitter moves a probe; 0 is never.
   */
  readonly gatherMs?: Millis
  /** For servers asked over https. Default: the system's authorities. */
  readonly trust?: Trust
  /** Measures how late our own loop is. Default: one on the machine's monotonic time. */
  readonly loop?: LoopWatch
}

/** A {@link Prober} over TCP, HTTP/1.1 and HTTPS, with a connection of its own for each probe. */
export function createProber(options: ProberOptions): Prober {
  return new SocketProber(options)
}

type Report = (result: ProbeResult) => void

interface Flight {
  /** Its place in the table of flights. */
  readonly key: string
  readonly order: ProbeOrder
  readonly target: Target
  readonly report: Report
  /** Observed and monotonic time at which this try began. */
  began: Millis
  beganLoop: number
  exchange: Exchange | null
  deadline: Deadline | null
  /** Takes back the wait for the next try. */
  pause: Cancel | null
}

class SocketProber implements Prober {
  readonly #clock: Clock
  readonly #max: number
  readonly #lines: Lines
  readonly #loop: LoopWatch
  readonly #deadlines: Deadlines
  readonly #gatherMs: Millis
  readonly #flights = new Map<string, Flight>()
  #flying = 0
  #closed = false
  /** Regular probes that wait for company, and when the last ones began. */
  #gathered: Flight[] = []
  #gathering: Cancel | null = null
  #beganTogether = Number.NEGATIVE_INFINITY
  /** Until the caller has returned: what it asks in one go begins in one go. */
  #begins = false

  constructor({
    clock,
    maxFlying = 1_024,
    gatherMs = 8,
    trust = {},
    loop = watchLoop(),
  }: ProberOptions) {
    this.#gatherMs = gatherMs
    this.#clock = clock
    this.#max = maxFlying
    this.#lines = new Lines(trust)
    this.#loop = loop
    this.#deadlines = new Deadlines(clock)
  }

  get flying(): number {
    return this.#flying
  }

  probe(order: ProbeOrder, report: Report): Cancel {
    const key = `${order.probe} ${order.incarnation} ${order.runner}`
    const target = this.#refusal(order, key) ?? targetOf(order)
    if (typeof target === 'string') {
      return later(() => report({ result: 'errored', latencyMs: 0, detail: target }))
    }
    const flight: Flight = {
      key,
      order,
      target,
      report,
      began: 0,
      beganLoop: 0,
      exchange: null,
      deadline: null,
      pause: null,
    }
    this.#flights.set(key, flight)
    if (order.kind === 'regular') this.#gather(flight)
    else this.#try(flight)
    return () => {
      if (this.#flights.get(key) === flight) this.#forget(flight)
    }
  }

  close(): Promise<void> {
    this.#closed = true
    for (const flight of this.#flights.values()) this.#forget(flight)
    this.#gathering?.()
    this.#gathered = []
    this.#deadlines.clear()
    return Promise.resolve()
  }

  /** Why a probe cannot be made now; null when it can. */
  #refusal(order: ProbeOrder, key: string): string | null {
    if (this.#closed) return 'the prober is closed'
    if (this.#flights.has(key))
      return `probe ${order.probe} of ${order.runner} is in flight already`
    if (this.#full && order.everyMs === undefined) {
      return `${this.#max} probes are in flight, no more are allowed`
    }
    return null
  }

  /** Those that wait to begin have their places already. */
  get #full(): boolean {
    return this.#flying + this.#gathered.length >= this.#max
  }

  #gather(flight: Flight): void {
    const now = this.#clock.now()
    const wait = this.#beganTogether + this.#gatherMs - now
    if (wait <= 0) {
      this.#beganTogether = now
      this.#begins = true
      queueMicrotask(() => (this.#begins = false))
    }
    if (this.#begins) return this.#try(flight)
    this.#gathered.push(flight)
    this.#gathering ??= this.#clock.after(wait, () => {
      this.#gathering = null
      this.#beganTogether = this.#clock.now()
      const gathered = this.#gathered
      this.#gathered = []
      // One that was taken back meanwhile has left the table.
      for (const each of gathered) if (this.#flights.get(each.key) === each) this.#try(each)
    })
  }

  #try(flight: Flight): void {
    flight.began = this.#clock.now()
    if (this.#full) return this.#again(flight)
    flight.beganLoop = this.#loop.now()
    this.#flying++
    this.#loop.enter()
    flight.deadline = this.#deadlines.add(flight.order.timeoutMs, () => {
      // What arrived while our loop was busy has not been read yet: it is, before this runs.
      setImmediate(() => {
        const progress = flight.exchange?.progress
        if (progress !== undefined)
          this.#seen(flight, { result: 'failed', why: 'timeout', detail: progress })
      })
    })
    flight.exchange = new Exchange(flight.target, this.#lines, (sight) => this.#seen(flight, sight))
  }

  #seen(flight: Flight, sight: Sight): void {
    const { order, report } = flight
    const late = sight.result === 'failed' ? this.#loop.latest(flight.beganLoop) : 0
    this.#land(flight)
    if (order.everyMs !== undefined && sight.result !== 'passed') return this.#again(flight)
    this.#flights.delete(flight.key)
    const latencyMs = this.#clock.now() - flight.began
    if (late <= order.timeoutMs / 2) report({ ...sight, latencyMs })
    else
      report({
        result: 'errored',
        latencyMs,
        detail: `our own event loop was late by ${Math.round(late)} ms`,
      })
  }

  /** The next try of a repeated probe, `everyMs` after the last one began. */
  #again(flight: Flight): void {
    const spent = this.#clock.now() - flight.began
    flight.pause = this.#clock.after(Math.max(1, (flight.order.everyMs ?? 0) - spent), () => {
      flight.pause = null
      this.#try(flight)
    })
  }

  /** Lets go of the connection and the timeout of this try. */
  #land(flight: Flight): void {
    if (!flight.exchange) return
    flight.exchange.end()
    flight.exchange = null
    if (flight.deadline) this.#deadlines.remove(flight.deadline)
    flight.deadline = null
    this.#flying--
    this.#loop.leave()
  }

  #forget(flight: Flight): void {
    this.#flights.delete(flight.key)
    this.#land(flight)
    flight.pause?.()
  }
}

/** Runs after the caller has returned, unless cancelled. */
function later(run: () => void): Cancel {
  let cancelled = false
  queueMicrotask(() => cancelled || run())
  return () => {
    cancelled = true
  }
}
