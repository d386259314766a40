/**
 * Connects the loop with everything it feeds: orders to the gate, the performer and the listeners, decisions to their log, gaps
 * of the clock to the core. It begins by taking over what was running, and ends by waiting for what it told to stop.
 */
import {
  openOrders,
  processes,
  type Command,
  type Host,
  type Observation,
  type Prober,
  type Telemetry,
  type Clock,
} from '@health/core'
import { adopt } from './adoption.ts'
import type { DecisionLog } from './decision-log.ts'
import type { Untimed } from './fact.ts'
import type { FileJournal } from './journal.ts'
import { textOf } from './line.ts'
import { Loop } from './loop.ts'
import type { ControlProbe, SupervisorOptions } from './option.ts'
import { OrderGate } from './order-gate.ts'
import { Outlet } from './outlet.ts'
import { Performer } from './performer.ts'
import { noteWall, type Past } from './restart.ts'
import type { SegmentLog } from './segment-log.ts'
import type { Snapshotter } from './snapshotter.ts'
import { isObserved } from './system-clock.ts'

/** An alert of the core, or of the journal. */
export type Alert = Extract<Command, { readonly type: 'alert' }>

/** What an engine is made of. */
export interface EngineParts extends Past {
  readonly decisions: DecisionLog
  readonly clock: Clock
  readonly journal: FileJournal
  readonly segments: SegmentLog
  readonly snapshotter: Snapshotter
  readonly host: Host
  readonly prober: Prober
  readonly control: ControlProbe | null
  readonly telemetry: Telemetry | null
}

/** After the grace: how long killed processes may take to be gone. */
const KILLED_MS = 3_000
/** A control probe that has not answered by then did not pass. */
const CONTROL_TIMEOUT_MS = 5_000

/** See the head of this file. */
export class Engine {
  readonly loop: Loop
  readonly alerts: Outlet<Alert>
  readonly orders: Outlet<Command>
  readonly #parts: EngineParts & { readonly options: SupervisorOptions }
  readonly #performer: Performer
  readonly #gate: OrderGate

  constructor(parts: EngineParts & { readonly options: SupervisorOptions }) {
    this.#parts = parts
    const { fleet, clock, journal, host, prober, options } = parts
    const { log } = options
    const failed = (error: unknown): void =>
      log({ level: 'error', event: 'listener.failed', text: textOf(error) })
    this.alerts = new Outlet(failed)
    this.orders = new Outlet(failed)
    this.loop = new Loop({
      fleet,
      clock,
      journal,
      log,
      decide: (observation) => this.#decide(observation),
      perform: (command, mine) => this.#route(command, mine),
      settle: () => isObserved(clock) && clock.settle(),
    })
    const report = (fact: Untimed): void => this.loop.report(fact)
    this.#performer = new Performer({
      fleet,
      host,
      prober,
      launchOf: options.launchOf,
      runnerEnv: options.runnerEnv ?? (() => ({})),
      report,
      log,
    })
    this.#gate = new OrderGate({
      journal,
      log,
      perform: (command) =>
        command.type === 'reset' || command.type === 'reboot' || command.type === 'retire'
          ? this.orders.push(command)
          : this.#performer.perform(command),
    })
    if (isObserved(clock)) {
      clock.onGap(({ gapMs, wall }) => {
        log({ level: 'warn', event: 'clock.resumed', gapMs })
        // Those that the core asks for from now on are good again.
        const flights = this.#performer.flights()
        report({ type: 'clock.resumed', gapMs, wall })
        this.#performer.voidFlights(flights)
      })
    }
    parts.telemetry?.listen(({ at: _, seq: __, ...fact }) => report(fact as Untimed))
  }

  /** Takes over what was running and carries out what may not have been; then the loop runs by itself. */
  async begin(): Promise<void> {
    const { fleet, clock, host, options, replayed } = this.#parts
    for (const order of openOrders(fleet)) this.#performer.await(order)
    const records = processes(fleet)
    const open = new Set(openOrders(fleet).map(({ id }) => id))
    this.loop.report({
      type: 'core.started',
      version: options.version ?? '0.0.0',
      wall: clock.wall(),
    })
    // What is started before the sweep has ended would look to it like a process that nobody watches.
    this.#gate.hold()
    const kept = await adopt(records, {
      host,
      report: (fact) => this.loop.report(fact),
      ending: (life) => this.#performer.ending(life),
      log: options.log,
    })
    try {
      await options.sweep?.(clock, records, kept)
    } catch (error) {
      options.log({ level: 'error', event: 'sweep.failed', text: textOf(error) })
    }
    this.#gate.release()
    for (const order of openOrders(fleet)) if (open.has(order.id)) this.#route(order, false)
    this.loop.start()
    options.log({
      level: 'info',
      event: 'supervisor.started',
      replayed,
      adopted: kept.size,
      gone: records.length - kept.size,
      seq: fleet.seq,
    })
  }

  /** One control probe, told as a fact. */
  async askControl(): Promise<void> {
    const { control, clock } = this.#parts
    if (control === null) return
    const began = clock.now()
    const result = await new Promise<{ readonly passed: boolean; readonly latencyMs: number }>(
      (resolve) => {
        const late = (): void => resolve({ passed: false, latencyMs: clock.now() - began })
        const cancel = clock.after(CONTROL_TIMEOUT_MS, late)
        control.check().then(resolve, late).finally(cancel)
      },
    )
    this.loop.report({ type: 'control.ended', passed: result.passed, latencyMs: result.latencyMs })
  }

  /** The disk began or ceased to refuse the journal. */
  journalFailing(failing: boolean, text: string): void {
    const { log } = this.#parts.options
    log({
      level: failing ? 'error' : 'info',
      event: failing ? 'journal.failing' : 'journal.recovered',
      text,
    })
    if (!failing) return
    const { clock } = this.#parts
    const id = `alert:journal.failing:${clock.now()}`
    this.alerts.push({
      type: 'alert',
      id,
      name: 'journal.failing',
      subject: { kind: 'gateway', id: 'journal' },
      text,
    })
  }

  /** Ends the runners, or leaves them, then stops listening. */
  async end(keepRunners: boolean, graceMs: number): Promise<void> {
    const { fleet, options } = this.#parts
    this.loop.report({ type: 'order.shutdown', by: 'gateway', keepRunners })
    if (!keepRunners && !(await this.#emptied(graceMs))) {
      for (const { runner } of processes(fleet)) {
        options.log({
          level: 'warn',
          event: 'runner.overdue',
          runner,
          text: 'It did not end within the grace and is killed.',
        })
        this.loop.report({ type: 'order.kill', runner, by: 'gateway', inFlight: 0 })
      }
      await this.#emptied(KILLED_MS)
    }
    this.close()
  }

  /** Nothing is told or carried out afterwards. */
  close(): void {
    this.loop.close()
    this.#gate.close()
    this.#performer.close()
  }

  /** True when no process is left, within this long. */
  #emptied(ms: number): Promise<boolean> {
    const { fleet, clock } = this.#parts
    const empty = (): boolean => processes(fleet).length === 0
    if (empty()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const end = (result: boolean): void => {
        late()
        stop()
        resolve(result)
      }
      const late = clock.after(ms, () => end(false))
      const stop = this.loop.observe(({ event }) => {
        if (event.type === 'process.exited' && empty()) end(true)
      })
    })
  }

  #decide({ event, decisions }: Observation): void {
    noteWall(this.#parts.walls, event)
    for (const decision of decisions) this.#parts.decisions.append(decision)
  }

  /** Where an order goes. `mine`: the teller carries it out. */
  #route(command: Command, mine: boolean): void {
    switch (command.type) {
      case 'provision':
      case 'stop':
      case 'kill':
      case 'probe':
      case 'probe.cancel':
      case 'count':
      // A machine that is touched forgets what the disk does not have.
      case 'reset':
      case 'reboot':
      case 'retire':
        return this.#gate.pass(command)
      case 'alert':
        return this.alerts.push(command)
      case 'requeue':
      case 'deliver':
      case 'reject':
      case 'cancel':
        if (!mine) this.orders.push(command)
        return
      default:
        // Orders about nodes: an adapter of the app's carries them out, whoever told the fact.
        return this.orders.push(command)
    }
  }
}
