/**
 * The loop around `step`: a fact gets its time, is judged, journaled, and what follows is carried out, in that order. It is
 * synchronous; a fact told while another one's orders are carried out is judged at once and its own orders come after them.
 */
import {
  countTraffic,
  demandChanged,
  nextDue,
  step,
  type Cancel,
  type Clock,
  type Command,
  type EventType,
  type Fleet,
  type HealthEvent,
  type Journal,
  type Observation,
  type StepResult,
} from '@health/core'
import type { Untimed } from './fact.ts'
import { textOf, type Log } from './line.ts'

/** Orders that the one who told the fact carries out, because only they hold the request. */
const requestOrders: ReadonlySet<Command['type']> = new Set<Command['type']>([
  'requeue',
  'deliver',
  'reject',
  'cancel',
])
/** Facts that are in the kernel's hands before anybody hears the answer, whatever they lead to. */
const promptFacts: ReadonlySet<EventType> = new Set<EventType>([
  'process.started',
  'process.adopted',
  'process.exited',
  'core.started',
  'clock.resumed',
  'app.configured',
  'app.removed',
  'policy.configured',
  'policy.changed',
])
/** A wake-up that is due now comes this much later, so that it can never starve the rest. */
const MIN_WAIT_MS = 1
/**
 * A regular probe that is due sooner than this after the last wake-up waits for company: a wake-up costs as much as a probe. Far
 * below what jitter moves a probe; the prober gathers as long, from the same moments.
 */
const GATHER_MS = 8
/** How often healthy traffic is summed. */
const TRAFFIC_MS = 1_000

const NOTHING: StepResult = { seq: 0, commands: [], decisions: [] }

/** Options of {@link Loop}. */
export interface LoopOptions {
  readonly fleet: Fleet
  readonly clock: Clock
  readonly journal: Journal & { flush(): void }
  /** Called once per decision, in order. */
  readonly decide: (observation: Observation) => void
  /** Carries out one order; must not throw. */
  readonly perform: (command: Command, mine: boolean) => void
  /** Called before a fact gets its time: a gap that is seen only now is told first. */
  readonly settle: () => void
  readonly log: Log
}

interface Done {
  readonly observation: Observation
  /** The teller carries out orders about requests. */
  readonly returned: boolean
}

/** See the head of this file. */
export class Loop {
  readonly #options: LoopOptions
  readonly #queue: Done[] = []
  readonly #observers = new Set<(observation: Observation) => void>()
  #draining = false
  #settling = false
  #alarm: Cancel | null = null
  #alarmAt = Number.POSITIVE_INFINITY
  #wokeAt = Number.NEGATIVE_INFINITY
  #ticker: Cancel | null = null
  #closed = false

  constructor(options: LoopOptions) {
    this.#options = options
  }

  /** Begins to wake up by itself. */
  start(): void {
    const tick = (): void => {
      this.#ticker = this.#options.clock.after(TRAFFIC_MS, tick)
      this.count()
    }
    this.#ticker = this.#options.clock.after(TRAFFIC_MS, tick)
    this.#arm()
  }

  /** See `Supervisor.tell`. Throws what `step` throws; nothing has changed then. */
  tell(fact: Untimed): StepResult {
    return this.#take(fact, true)
  }

  /** A fact of an adapter of ours: what is wrong with it is logged, never thrown back. */
  report(fact: Untimed): void {
    try {
      this.#take(fact, false)
    } catch (error) {
      this.#options.log({
        level: 'error',
        event: 'fact.refused',
        type: fact.type,
        text: textOf(error),
      })
    }
  }

  /** Tells the core what was served since the last time. */
  count(): void {
    for (const { at: _, seq: __, ...fact } of countTraffic(this.#options.fleet, this.#now()))
      this.report(fact as Untimed)
  }

  /** Counts now when something waits that the pool has not heard of. */
  wake(): void {
    if (demandChanged(this.#options.fleet)) this.count()
  }

  observe(listener: (observation: Observation) => void): Cancel {
    this.#observers.add(listener)
    return () => void this.#observers.delete(listener)
  }

  /** Facts told afterwards change nothing. */
  close(): void {
    this.#closed = true
    this.#alarm?.()
    this.#ticker?.()
  }

  #now(): number {
    return Math.max(this.#options.clock.now(), this.#options.fleet.now)
  }

  #take(fact: Untimed, returned: boolean): StepResult {
    if (this.#closed) return NOTHING
    this.#settle()
    const { fleet, journal, clock } = this.#options
    const at = this.#now()
    // Both times of one moment: a wall time read a millisecond earlier would move every past time after a restart.
    const wall = 'wall' in fact ? { wall: clock.wall(at) } : null
    const event = { ...fact, at, ...wall } as HealthEvent & { seq?: number }
    // A number is given, never taken: one that slipped in would be obeyed as in a replay.
    delete event.seq
    const result = step(fleet, event)
    const { seq, commands, decisions } = result
    const busy = commands.length > 0 || decisions.length > 0
    const kept = seq === 0 ? event : { ...event, seq }
    if (seq > 0) journal.append(kept)
    // Before anybody can act on it: a crash from here on finds the fact in the journal.
    if (busy || promptFacts.has(event.type) || event.type.startsWith('order.')) journal.flush()
    if (busy || seq > 0) {
      this.#queue.push({ observation: { event: kept, commands, decisions }, returned })
      this.#drain()
    }
    this.#arm()
    return result
  }

  #settle(): void {
    if (this.#settling) return
    this.#settling = true
    try {
      this.#options.settle()
    } finally {
      this.#settling = false
    }
  }

  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    try {
      for (let done = this.#queue.shift(); done !== undefined; done = this.#queue.shift()) {
        const { observation, returned } = done
        this.#options.decide(observation)
        for (const command of observation.commands)
          this.#options.perform(command, returned && requestOrders.has(command.type))
        for (const listener of this.#observers) this.#safely(() => listener(observation))
      }
    } finally {
      this.#draining = false
    }
  }

  #safely(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#options.log({ level: 'error', event: 'listener.failed', text: textOf(error) })
    }
  }

  #arm(): void {
    if (this.#closed) return
    const due = nextDue(this.#options.fleet, this.#wokeAt + GATHER_MS)
    if (due === this.#alarmAt) return
    this.#alarm?.()
    this.#alarm = null
    this.#alarmAt = due
    if (due === Number.POSITIVE_INFINITY) return
    const wait = Math.max(MIN_WAIT_MS, due - this.#options.clock.now())
    this.#alarm = this.#options.clock.after(wait, () => {
      this.#alarm = null
      this.#alarmAt = Number.POSITIVE_INFINITY
      this.#wokeAt = this.#now()
      // The pool judges by what is told: say it before its deadlines, which are rare; probes are not.
      if (this.#options.fleet.deadlines.nextDue() <= this.#now()) this.count()
      this.report({ type: 'time.passed' })
      this.#arm()
    })
  }
}
