/**
 * A seeded world around the real core: a manual clock, a fake host, a fake prober and, when asked for, traffic. It keeps the
 * loop's promises (facts in order, deadlines at their time, traffic summed each second) and records everything; no files, no sockets.
 */
import {
  chance,
  countTraffic,
  createFleet,
  handleOf,
  inFlight,
  judge,
  nextDue,
  NO_RUNNER,
  place,
  policyOf,
  restore,
  runnerOf,
  snapshot,
  step,
  views,
  type AppOptions,
  type Cancel,
  type Command,
  type Decision,
  type Fleet,
  type HealthEvent,
  type OutcomeName,
  type PolicyOptions,
  type ProbeResult,
  type RunnerHandle,
  type RunnerView,
  type StepResult,
} from '@health/core'
import { FakeHost, type FakeLife } from './fake-host.ts'
import { FakeProber } from './fake-prober.ts'
import { ManualClock } from './manual-clock.ts'

type Untime<E> = E extends HealthEvent ? Omit<E, 'at' | 'seq'> : never
/** A fact without its time and number. */
export type ScenarioFact = Untime<HealthEvent>

/** Direct calls that come in at random times. */
export interface ScenarioTraffic {
  readonly app: string
  readonly perSecond: number
  /** How long an attempt takes; default 50 ms. */
  readonly takesMs?: number
  /** What an attempt on this runner ends in; `draw` is in [0, 1). Default: healthy. */
  readonly outcome?: (runner: string, draw: number) => OutcomeName
}

/** Options of {@link Scenario}. */
export interface ScenarioOptions {
  /** Of the core's chance and the world's. */
  readonly seed: number
  readonly policy?: PolicyOptions
  /** Apps that are configured at the start. */
  readonly apps?: Readonly<Record<string, AppOptions>>
  readonly life?: FakeLife
  readonly traffic?: readonly ScenarioTraffic[]
}

/** Summing of traffic. */
const SECOND_MS = 1_000
/** Subject of the world's own draws. */
const WORLD = 77

/** See the head of this file. Nothing happens before {@link Scenario.run}, except that the apps are configured. */
export class Scenario {
  fleet: Fleet
  readonly clock = new ManualClock()
  readonly host: FakeHost
  readonly prober: FakeProber
  /** Every fact that was not dismissed, with time and number. */
  readonly journal: HealthEvent[] = []
  readonly decisions: Decision[] = []
  /** Every order, in order. */
  readonly commands: Command[] = []
  readonly #flights = new Map<string, Cancel>()
  readonly #seed: number
  #draws = 0
  #alarm: Cancel | null = null

  constructor(options: ScenarioOptions) {
    this.#seed = options.seed
    this.fleet = createFleet(options.policy ?? {}, { seed: options.seed })
    this.host = new FakeHost(this.clock, options.life)
    this.host.listen(({ type, ...fact }) => {
      const { startTime, ...rest } = { startTime: null, ...fact } as { startTime: string | null }
      this.tell({ type, ...rest, ...(startTime !== null && { startTime }) } as ScenarioFact)
    })
    this.prober = new FakeProber(this.clock)
    this.tell({ type: 'core.started', version: 'scenario', wall: this.clock.wall() })
    for (const [app, its] of Object.entries(options.apps ?? {}))
      this.tell({ type: 'app.configured', app, options: its, policy: {}, revision: '1' })
    this.#everySecond()
    for (const traffic of options.traffic ?? []) this.#callLater(traffic)
  }

  /** Tells a fact now and carries out what follows. */
  tell(fact: ScenarioFact): StepResult {
    const event = { ...fact, at: this.clock.now() } as HealthEvent
    const result = step(this.fleet, event)
    if (result.seq > 0) this.journal.push({ ...event, seq: result.seq })
    this.decisions.push(...result.decisions)
    for (const command of result.commands) {
      this.commands.push(command)
      this.#perform(command)
    }
    this.#arm()
    return result
  }

  /** Lets `ms` pass, everything due at its own time. */
  run(ms: number): this {
    this.clock.advance(ms)
    return this
  }

  /** A draw of the world in [0, 1); the same seed gives the same row. */
  draw(): number {
    return chance(this.#seed, WORLD, this.#draws++)
  }

  /** The runners as people see them. */
  runners(filter: Parameters<typeof views>[1] = {}): readonly RunnerView[] {
    return [...views(this.fleet, filter)]
  }

  /** Puts the fleet through JSON, as a restart from a snapshot would; nothing may change by it. */
  reload(): this {
    this.fleet = restore(JSON.parse(JSON.stringify(snapshot(this.fleet))))
    this.#arm()
    return this
  }

  #perform(command: Command): void {
    switch (command.type) {
      case 'provision': {
        const { runner, incarnation, app, devices, url } = command
        const launch = url === null ? { command: ['fake'], cwd: '/', env: {} } : null
        return this.host.provision({ runner, incarnation, app, devices, url, launch, env: {} })
      }
      case 'stop':
        return this.host.stop(command.runner, command.incarnation)
      case 'kill':
        return this.host.kill(command.runner, command.incarnation)
      case 'probe':
        return this.#probe(command)
      case 'probe.cancel': {
        const key = `${command.runner}.${command.incarnation}#${command.probe}`
        this.#flights.get(key)?.()
        this.#flights.delete(key)
        return
      }
      case 'count': {
        const { id: answers, runner, incarnation } = command
        const handle = handleOf(this.fleet, runner)
        if (handle === NO_RUNNER) return
        const counted = { runner, incarnation, answers, inFlight: inFlight(this.fleet, handle) }
        // After the orders of this step, as every answer comes.
        this.clock.after(0, () => this.tell({ type: 'work.counted', ...counted }))
        return
      }
      default:
        return
    }
  }

  #probe(command: Extract<Command, { readonly type: 'probe' }>): void {
    const { runner, incarnation, probe, kind, timeoutMs, everyMs } = command
    const handle = handleOf(this.fleet, runner)
    if (handle === NO_RUNNER) return
    const { app, url } = runnerOf(this.fleet, handle)
    const policy = policyOf(this.fleet, app)
    const key = `${runner}.${incarnation}#${probe}`
    const report = ({ result, ...rest }: ProbeResult): void => {
      this.#flights.delete(key)
      const life = { runner, incarnation }
      if (kind === 'port' && result === 'passed')
        this.tell({ type: 'port.opened', ...life, latencyMs: rest.latencyMs })
      else this.tell({ type: `probe.${result}`, ...life, probe, kind, ...rest })
    }
    const order = {
      runner,
      incarnation,
      probe,
      kind,
      url,
      method: policy?.method ?? 'GET',
      path: policy?.path ?? '',
      timeoutMs,
      ...(everyMs !== undefined && { everyMs }),
    } as const
    this.#flights.set(key, this.prober.probe(order, report))
  }

  #everySecond(): void {
    this.clock.after(SECOND_MS, () => {
      this.#count()
      this.#everySecond()
    })
  }

  #count(): void {
    for (const { at: _, seq: __, ...fact } of countTraffic(this.fleet, this.clock.now()))
      this.tell(fact as ScenarioFact)
  }

  #callLater(traffic: ScenarioTraffic): void {
    const gap = Math.max(
      1,
      Math.round((-Math.log(1 - this.draw()) * SECOND_MS) / traffic.perSecond),
    )
    this.clock.after(gap, () => {
      this.#call(traffic)
      this.#callLater(traffic)
    })
  }

  #call({ app, takesMs = 50, outcome = () => 'healthy' }: ScenarioTraffic): void {
    const runner = place(this.fleet, app)
    if (runner === NO_RUNNER) return
    const { id, incarnation } = runnerOf(this.fleet, runner)
    const drawn = this.draw()
    const request = `call-${this.#draws}`
    this.clock.after(takesMs, () => {
      const how = outcome(id, drawn)
      // The handle may have been given to another runner meanwhile: the fleet knows the life it belonged to.
      if (judge(this.fleet, runner, incarnation, how, undefined, how === 'healthy') === 'counted')
        return
      this.#ended(app, id, incarnation, runner, request, how)
    })
  }

  #ended(
    app: string,
    runner: string,
    incarnation: number,
    handle: RunnerHandle,
    request: string,
    outcome: OutcomeName,
  ): void {
    this.tell({
      type: 'attempt.ended',
      app,
      runner,
      incarnation,
      request,
      attempt: 1,
      mode: 'run',
      outcome,
      status: outcome === 'healthy' ? 200 : outcome === 'error' ? 500 : null,
      inFlight: inFlight(this.fleet, handle),
    })
  }

  #arm(): void {
    this.#alarm?.()
    this.#alarm = null
    const due = nextDue(this.fleet)
    if (due === Number.POSITIVE_INFINITY) return
    this.#alarm = this.clock.after(Math.max(0, due - this.clock.now()), () => {
      this.#alarm = null
      if (this.fleet.deadlines.nextDue() <= this.clock.now()) this.#count()
      this.tell({ type: 'time.passed' })
    })
  }
}
