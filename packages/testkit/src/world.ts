/**
 * A seeded world around the real core: it carries out orders as hosts, probers and gateways would, some of them badly, and tells
 * facts back. No clock, no ports: a run is a value that depends on its options alone. It never decides anything about a runner.
 */
import {
  chance,
  type Command,
  countTraffic,
  createFleet,
  type Decision,
  demandChanged,
  type Fleet,
  handleOf,
  type HealthEvent,
  inFlight,
  nextDue,
  type AppOptions,
  type ProbeFailure,
  restore,
  snapshot,
  step,
  type StepResult,
  views,
} from '@health/core'
import { Coming } from './coming.ts'
import { Traffic } from './world-traffic.ts'
import type { WorldApp, WorldOptions, WorldRun } from './world-options.ts'

interface Process {
  readonly runner: string
  readonly incarnation: number
  readonly life: number
  alive: boolean
}

/** The running world. Use {@link live}; it is a class only to hold what it remembers. */
export class World {
  readonly options: WorldOptions
  fleet: Fleet
  now = 0
  readonly journal: HealthEvent[] = []
  readonly decisions: Decision[] = []
  readonly commands: Command[] = []
  readonly traffic: Traffic
  readonly #coming = new Coming<() => void>()
  readonly #processes = new Map<string, Process>()
  readonly #lives = new Map<string, number>()
  #draws = 0
  #steps = 0
  #epoch = 0
  #revision = 0

  constructor(options: WorldOptions) {
    this.options = options
    this.fleet = createFleet(options.policy ?? {}, { seed: options.seed })
    this.traffic = new Traffic(this)
  }

  /** A number in [0, 1). */
  draw(): number {
    return chance(this.options.seed, 0x7a3d, this.#draws++)
  }

  /** Does something `ms` from now, unless the supervisor restarted meanwhile and it was `ours`. */
  later(ms: number, what: () => void, ours = false): void {
    const epoch = this.#epoch
    this.#coming.add(this.now + Math.max(0, Math.round(ms)), () => {
      if (!ours || epoch === this.#epoch) what()
    })
  }

  /** Does something again and again, on average every `ms`. */
  every(ms: number | undefined, what: () => void): void {
    if (ms === undefined) return
    const again = (): void => {
      what()
      this.later(1 + ms * 2 * this.draw(), again)
    }
    this.later(1 + ms * 2 * this.draw(), again)
  }

  /** Tells a fact, keeps what came of it and carries it out. */
  tell(event: HealthEvent): StepResult {
    const result = step(this.fleet, event)
    if (result.seq > 0) this.journal.push({ ...event, seq: result.seq })
    this.decisions.push(...result.decisions)
    this.commands.push(...result.commands)
    this.options.watch?.(this.fleet, event, result)
    for (const command of result.commands) this.#carry(command)
    if (this.options.cut !== undefined && ++this.#steps % this.options.cut === 0)
      this.fleet = restore(JSON.parse(JSON.stringify(snapshot(this.fleet))))
    return result
  }

  /** Whether the process of a life answers. */
  alive(runner: string, incarnation: number): boolean {
    return this.#processes.get(`${runner}.${incarnation}`)?.alive ?? false
  }

  run(): WorldRun {
    const { apps, until, blind } = this.options
    for (const app of apps) this.#configure(app)
    this.traffic.begin()
    this.every(this.options.crashEveryMs, () => this.#crash())
    this.every(this.options.orderEveryMs, () => this.#order())
    this.every(this.options.reloadEveryMs, () => this.#reload())
    this.every(this.options.gapEveryMs, () =>
      this.tell({ type: 'clock.resumed', at: this.now, gapMs: 60_000, wall: this.now }),
    )
    this.every(this.options.restartEveryMs, () => this.#restart())
    const control = (): void => {
      this.tell({ type: 'control.ended', at: this.now, passed: !blind!(this.now), latencyMs: 1 })
      this.later(5_000, control)
    }
    if (blind !== undefined) this.later(5_000, control)
    const count = (): void => {
      this.count()
      this.later(1_000, count)
    }
    this.later(1_000, count)
    for (;;) {
      const due = nextDue(this.fleet)
      const { next } = this.#coming
      this.now = Math.max(this.now, Math.min(due, next))
      if (this.now >= until) break
      if (due <= next) {
        this.count()
        this.tell({ type: 'time.passed', at: this.now })
      } else this.#coming.take()!()
      if (demandChanged(this.fleet)) this.count()
    }
    this.now = until
    this.tell({ type: 'time.passed', at: until })
    const { journal, decisions, commands, fleet, traffic } = this
    return { journal, decisions, commands, fleet, traffic }
  }

  /** Empties the ledger into facts. */
  count(): void {
    for (const event of countTraffic(this.fleet, this.now)) this.tell(event)
    this.options.audit?.(this.fleet, (runner) => this.traffic.flying(runner))
  }

  #configure(app: WorldApp, change: Partial<AppOptions> = {}): void {
    this.tell({
      type: 'app.configured',
      at: this.now,
      app: app.id,
      options: { ...app.options, ...change },
      policy: app.policy ?? {},
      revision: `r${this.#revision}`,
      ...(app.urls !== undefined && { urls: app.urls }),
    })
  }

  #carry(command: Command): void {
    switch (command.type) {
      case 'provision':
        return this.#provision(command)
      case 'probe':
        return this.#probe(command)
      case 'stop': {
        const hangs = this.draw() < (this.options.hangs ?? 0)
        if (!hangs) this.#end(command, 20 + 400 * this.draw(), command.id)
        return
      }
      case 'kill':
        return this.#end(command, 20 + 30 * this.draw(), command.id)
      case 'count':
        return this.later(1, () => this.#count(command), true)
      case 'requeue':
      case 'deliver':
      case 'reject':
        return this.traffic.settled(command)
      default:
        return
    }
  }

  #count(command: Extract<Command, { type: 'count' }>): void {
    const { runner, incarnation, id } = command
    const handle = handleOf(this.fleet, runner)
    if (handle >= 0)
      this.tell({
        type: 'work.counted',
        at: this.now,
        runner,
        incarnation,
        inFlight: inFlight(this.fleet, handle),
        answers: id,
      })
  }

  #provision(command: Extract<Command, { type: 'provision' }>): void {
    const { runner, incarnation, id, app, url } = command
    const to = { runner, incarnation }
    const alive = [...this.#processes.values()].filter((each) => each.alive).length
    const full = alive >= (this.options.capacity ?? Number.POSITIVE_INFINITY)
    if (full || this.draw() < (this.options.refusedStarts ?? 0)) {
      return this.later(30, () =>
        this.tell({
          type: 'provision.refused',
          at: this.now,
          ...to,
          why: 'no_capacity',
          detail: 'no device is free',
          answers: id,
        }),
      )
    }
    const life = (this.#lives.get(app) ?? 0) + 1
    this.#lives.set(app, life)
    const process: Process = { ...to, life, alive: true }
    this.later(50 + 50 * this.draw(), () => {
      if (!process.alive) return
      this.#processes.set(`${runner}.${incarnation}`, process)
      this.tell({
        type: 'process.started',
        at: this.now,
        ...to,
        pid: url === null ? life : null,
        url: url ?? `http://127.0.0.1:${20_000 + life}`,
        answers: id,
      })
    })
  }

  #end(
    command: { readonly runner: string; readonly incarnation: number },
    ms: number,
    answers?: string,
  ): void {
    const { runner, incarnation } = command
    this.later(ms, () => {
      const process = this.#processes.get(`${runner}.${incarnation}`)
      if (process === undefined) return this.#end(command, 60, answers)
      if (!process.alive) return
      process.alive = false
      this.traffic.lost(runner, incarnation)
      this.tell({
        type: 'process.exited',
        at: this.now,
        runner,
        incarnation,
        code: 0,
        signal: null,
        ...(answers !== undefined && { answers }),
      })
    })
  }

  #probe(command: Extract<Command, { type: 'probe' }>): void {
    const { runner, incarnation, kind, probe, timeoutMs } = command
    const fact = { runner, incarnation, probe, kind }
    const process = this.#processes.get(`${runner}.${incarnation}`)
    const app = this.fleet.runners.get(runner)?.app.id ?? ''
    const answer = (
      type: 'probe.passed' | 'probe.failed' | 'probe.errored',
      ms: number,
      why?: ProbeFailure,
    ): void =>
      this.later(
        ms,
        () =>
          this.tell({
            type,
            at: this.now,
            ...fact,
            latencyMs: Math.round(ms),
            ...(why !== undefined && { why }),
          }),
        true,
      )
    if (this.draw() < (this.options.errored ?? 0)) return answer('probe.errored', 5)
    if (kind === 'port') {
      const fails = this.draw() < (this.options.failedStarts ?? 0)
      if (!fails) return answer('probe.passed', 300 + 2_000 * this.draw())
      // A failed start says so, or its process ends, or nothing is ever heard of it.
      const how = this.draw()
      if (how < 0.4)
        this.later(400, () =>
          this.tell({
            type: 'setup.failed',
            at: this.now,
            runner,
            incarnation,
            detail: 'no weights',
          }),
        )
      else if (how < 0.8) this.#end(command, 500)
      return
    }
    if (process?.alive !== true) return answer('probe.failed', 1, 'refused')
    const sickness =
      this.options.sick?.({ id: runner, app, life: process.life }, this.now, kind) ?? null
    if (sickness === null || this.draw() >= sickness.share)
      return answer('probe.passed', 2 + 20 * this.draw())
    answer('probe.failed', sickness.why === 'timeout' ? timeoutMs : 3, sickness.why)
  }

  #crash(): void {
    const alive = [...this.#processes.values()].filter((process) => process.alive)
    const process = alive[Math.floor(this.draw() * alive.length)]
    if (process !== undefined) this.#end(process, 0)
  }

  #order(): void {
    const runners = [...views(this.fleet)].filter((runner) => runner.substate !== 'gone')
    const runner = runners[Math.floor(this.draw() * runners.length)]
    if (runner === undefined) return
    const handle = handleOf(this.fleet, runner.id)
    const order = { at: this.now, runner: runner.id, by: 'somebody' }
    const kind = this.draw()
    const replace = this.draw() < 0.5
    const flying = inFlight(this.fleet, handle)
    if (kind < 0.35) this.tell({ type: 'order.drain', ...order, replace, inFlight: flying })
    else if (kind < 0.6) this.tell({ type: 'order.stop', ...order, replace, inFlight: flying })
    else if (kind < 0.75) this.tell({ type: 'order.kill', ...order, inFlight: flying })
    else this.tell({ type: 'order.check', ...order, manual: kind < 0.9 })
  }

  #reload(): void {
    const { apps } = this.options
    const app = apps[Math.floor(this.draw() * apps.length)]!
    const kind = this.draw()
    if (kind < 0.4) {
      this.#revision++
      this.#configure(app)
    } else if (kind < 0.7) {
      const most = app.options.maxConcurrency ?? 1
      this.#configure(app, {
        maxConcurrency: Math.max(app.options.minConcurrency ?? 0, Math.ceil(most * this.draw())),
      })
    } else
      this.tell({
        type: 'policy.changed',
        at: this.now,
        app: kind < 0.85 ? null : app.id,
        change: { capPercent: this.draw() < 0.5 ? null : 10 + Math.floor(40 * this.draw()) },
        by: 'somebody',
      })
  }

  #restart(): void {
    this.#epoch++
    this.fleet = restore(JSON.parse(JSON.stringify(snapshot(this.fleet))))
    this.traffic.forgotten()
    this.tell({ type: 'core.started', at: this.now, version: '1', wall: this.now })
  }
}

/** Runs a world from beginning to end. */
export const live = (options: WorldOptions): WorldRun => new World(options).run()
