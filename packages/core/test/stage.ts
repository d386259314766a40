/**
 * A fleet on a stage: one app, facts told by hand, orders remembered. It answers for the host and the prober only when a test says
 * so, and keeps the journal, so that a story is also a recording.
 */
import {
  type AppOptions,
  type Command,
  type CommandType,
  createFleet,
  type Decision,
  type Fleet,
  type HealthEvent,
  nextDue,
  type OutcomeName,
  type PolicyOptions,
  step,
  type StepResult,
} from '../src/index.ts'
import type { RunnerRecord } from '../src/state.ts'
import { toldWord } from '../src/word.ts'

/** A fact without its time. */
export type Told = HealthEvent extends infer E
  ? E extends { at: number }
    ? Omit<E, 'at'>
    : never
  : never

export const APP = 'demo/app'

/** Short times, so that the numbers in a test can be read: interval 10 s, timeout 2 s, start period 20 s, three strikes. */
export const CHECK = {
  path: '/health',
  intervalSeconds: 10,
  timeoutSeconds: 2,
  startPeriodSeconds: 20,
} as const

export interface StageOptions {
  readonly options?: AppOptions
  readonly policy?: PolicyOptions
  readonly seed?: number
  readonly urls?: readonly string[]
  /** False: an app without a health check. */
  readonly checked?: boolean
}

const statuses: Partial<Record<OutcomeName, number>> = {
  healthy: 200,
  rate_limited: 429,
  error: 500,
  server_error: 503,
  gateway_timeout: 504,
}

/** The stage. Runners are named by the order in which they were started, from 1. */
export class Stage {
  readonly fleet: Fleet
  at = 0
  readonly journal: HealthEvent[] = []
  readonly commands: Command[] = []
  readonly decisions: Decision[] = []
  /** What the last fact or wait gave. */
  last: StepResult = { seq: 0, commands: [], decisions: [] }
  readonly #given: StageOptions
  readonly #ids: string[] = []

  constructor(given: StageOptions = {}) {
    this.#given = given
    this.fleet = createFleet({}, { seed: given.seed ?? 1 })
    this.configure()
  }

  /** Tells the app's configuration, again with changes. */
  configure(change: AppOptions = {}, revision = 'r1', policy: PolicyOptions = {}): StepResult {
    return this.tell({
      type: 'app.configured',
      app: APP,
      options: {
        ...(this.#given.checked !== false && { healthCheck: CHECK }),
        startupTimeoutSeconds: 20,
        ...this.#given.options,
        ...change,
      },
      policy: { ...this.#given.policy, ...policy },
      revision,
      ...(this.#given.urls !== undefined && { urls: this.#given.urls }),
    })
  }

  tell(told: Told): StepResult {
    const event = { ...told, at: this.at } as HealthEvent
    const result = step(this.fleet, event)
    if (result.seq > 0) this.journal.push({ ...event, seq: result.seq })
    this.#keep(result)
    this.last = result
    return result
  }

  #keep(result: StepResult): void {
    this.commands.push(...result.commands)
    this.decisions.push(...result.decisions)
    for (const command of result.commands)
      if (command.type === 'provision' && !this.#ids.includes(command.runner))
        this.#ids.push(command.runner)
  }

  /** Lets time pass, waking at every deadline as a supervisor does. `last` then holds everything that happened. */
  wait(seconds: number): StepResult {
    const until = this.at + Math.round(seconds * 1000)
    const commands: Command[] = []
    const decisions: Decision[] = []
    for (;;) {
      this.at = Math.min(until, Math.max(this.at, nextDue(this.fleet)))
      const result = step(this.fleet, { type: 'time.passed', at: this.at })
      this.#keep(result)
      commands.push(...result.commands)
      decisions.push(...result.decisions)
      if (this.at >= until) break
    }
    this.last = { seq: 0, commands, decisions }
    return this.last
  }

  /** The n-th runner that was ever started. */
  id(n = 1): string {
    const id = this.#ids[n - 1]
    if (id === undefined) throw new Error(`only ${this.#ids.length} runners were started`)
    return id
  }

  /** Its record; throws when it is off the books. */
  runner(n = 1): RunnerRecord {
    const runner = this.fleet.runners.get(this.id(n))
    if (runner === undefined) throw new Error(`${this.id(n)} is gone`)
    return runner
  }

  get started(): number {
    return this.#ids.length
  }

  /** Its word; `gone` when it is off the books. */
  word(n = 1): string {
    const runner = this.fleet.runners.get(this.id(n))
    return runner === undefined ? 'gone' : toldWord(runner)
  }

  life(n = 1): { readonly runner: string; readonly incarnation: number } {
    return { runner: this.id(n), incarnation: this.fleet.runners.get(this.id(n))?.incarnation ?? 1 }
  }

  /** The host: the process lives. */
  begin(n = 1): StepResult {
    return this.tell({
      type: 'process.started',
      ...this.life(n),
      pid: 100 + n,
      url: `http://127.0.0.1:${9_000 + n}`,
    })
  }

  /** The host: the process ended. */
  exit(n = 1): StepResult {
    return this.tell({ type: 'process.exited', ...this.life(n), code: 1, signal: null })
  }

  /** Answers the check in flight. */
  answer(
    type: 'probe.passed' | 'probe.failed' | 'probe.errored',
    n = 1,
    more: { readonly why?: 'timeout' | 'refused' | 'status'; readonly latencyMs?: number } = {},
  ): StepResult {
    const { flying, flyingKind } = this.runner(n)
    if (flying === 0) throw new Error(`no check of ${this.id(n)} is in flight`)
    return this.tell({
      type,
      ...this.life(n),
      probe: flying,
      kind: flyingKind,
      latencyMs: 5,
      ...more,
    })
  }

  /** From a granted start to the port: the runner is ready, its first check in flight. */
  open(n = 1): StepResult {
    this.begin(n)
    return this.answer('probe.passed', n)
  }

  /** Opens every runner that is being started and answers its first check. */
  openAll(): this {
    for (let n = 1; n <= this.#ids.length; n++) {
      if (this.word(n) === 'provisioning') this.begin(n)
      if (this.word(n) === 'setup') this.answer('probe.passed', n)
      if (this.word(n) === 'idle' && this.runner(n).flying > 0) this.answer('probe.passed', n)
    }
    return this
  }

  /** Waits until the next check of a runner is in flight, answering those of others with a pass. */
  untilProbe(n = 1, most = 60): void {
    const until = this.at + most * 1000
    while (this.runner(n).flying === 0) {
      if (this.at >= until) throw new Error(`no check of ${this.id(n)} within ${most} s`)
      this.at = Math.max(this.at, Math.min(until, nextDue(this.fleet)))
      this.#keep(step(this.fleet, { type: 'time.passed', at: this.at }))
      for (let other = 1; other <= this.#ids.length; other++)
        if (other !== n && (this.fleet.runners.get(this.id(other))?.flying ?? 0) > 0)
          this.answer('probe.passed', other)
    }
  }

  /** Runners whose checks fail while time runs, and how. */
  readonly sick = new Map<number, 'timeout' | 'refused' | 'status'>()

  /** Lets time run and answers every regular check at once: those of the sick with a failure. Stops when `done` says so. */
  run(seconds: number, done: () => boolean = () => false): boolean {
    const until = this.at + Math.round(seconds * 1000)
    while (!done()) {
      if (this.at >= until) return false
      this.at = Math.min(until, Math.max(this.at, nextDue(this.fleet)))
      this.#keep(step(this.fleet, { type: 'time.passed', at: this.at }))
      for (let n = 1; n <= this.#ids.length && !done(); n++) {
        const runner = this.fleet.runners.get(this.id(n))
        if (runner === undefined || runner.flying === 0 || runner.flyingKind !== 'regular') continue
        const why = this.sick.get(n)
        if (why === undefined) this.answer('probe.passed', n)
        else this.answer('probe.failed', n, { why })
      }
    }
    return true
  }

  /** Fails the next check of a runner, and every one after it until a failure was counted or the runner left service. */
  strike(n = 1, more: { readonly why?: 'timeout' | 'refused' | 'status' } = {}): StepResult {
    const before = this.runner(n).context.strikes.length
    for (;;) {
      this.untilProbe(n)
      const result = this.answer('probe.failed', n, more)
      const runner = this.fleet.runners.get(this.id(n))
      if (
        runner === undefined ||
        runner.context.strikes.length !== before ||
        result.decisions.length > 0
      )
        return result
    }
  }

  /** An attempt ended. */
  end(
    outcome: OutcomeName,
    n = 1,
    more: Partial<Extract<HealthEvent, { type: 'attempt.ended' }>> = {},
  ): StepResult {
    return this.tell({
      type: 'attempt.ended',
      app: APP,
      ...this.life(n),
      request: 'q-1',
      attempt: 1,
      mode: 'run',
      outcome,
      status: statuses[outcome] ?? null,
      inFlight: 0,
      ...more,
    })
  }

  /** In flight as traffic tells it; `served`: one 2xx among it. */
  load(
    n: number,
    inFlight: number,
    more: { readonly waiting?: number; readonly queued?: number; readonly served?: number } = {},
  ): StepResult {
    return this.tell({
      type: 'traffic.counted',
      app: APP,
      runners: [this.id(n)],
      started: [inFlight],
      ended: [0],
      served: [more.served ?? 0],
      inFlight: [inFlight],
      waiting: more.waiting ?? 0,
      queued: more.queued ?? 0,
    })
  }

  order(
    type: 'order.drain' | 'order.stop' | 'order.kill',
    n = 1,
    more: { readonly replace?: boolean; readonly inFlight?: number } = {},
  ): StepResult {
    return this.tell({ type, runner: this.id(n), by: 'somebody', inFlight: 0, ...more })
  }

  /** Orders of one type that the last fact gave. */
  orders<T extends CommandType>(type: T): readonly Extract<Command, { type: T }>[] {
    return this.last.commands.filter(
      (command): command is Extract<Command, { type: T }> => command.type === type,
    )
  }

  /** Decisions about a runner as a person reads them: `failing → stopping health.threshold`, with the guard behind a `!`. */
  said(n = 1): readonly string[] {
    return this.last.decisions
      .filter(({ subject }) => subject.id === this.id(n))
      .map(
        ({ from, to, rule, because }) =>
          `${from} → ${to} ${rule}${because === null ? '' : ` !${because}`}`,
      )
  }
}

/** A stage whose runners are ready and past their start period. */
export function ready(count = 1, given: StageOptions = {}): Stage {
  const stage = new Stage({
    ...given,
    options: { minConcurrency: count, maxConcurrency: count, ...given.options },
  })
  stage.openAll()
  const quiet = stage.fleet.apps.get(APP)!.policy
  const regular = quiet.hasCheck && quiet.callRegularly
  const until = stage.at + 25_000
  while (stage.at < until) {
    stage.at = Math.min(until, Math.max(stage.at, nextDue(stage.fleet)))
    step(stage.fleet, { type: 'time.passed', at: stage.at })
    if (regular)
      for (let n = 1; n <= stage.started; n++)
        if (stage.runner(n).flying > 0) stage.answer('probe.passed', n)
  }
  return stage
}
