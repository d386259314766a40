/**
 * Holds a service's checks together: asks them all at once, serves cached answers, knows whether the service is starting,
 * ready or leaving. It serves no HTTP; `createEndpoints` does, on top of it.
 */
import {
  combine,
  HealthError,
  readiness,
  report,
  select,
  startup,
  type Readiness,
  type Report,
  type Selection,
  type Service,
  type Status,
} from '@health/core/report'
import { Check } from './check.ts'
import type { Change } from './history.ts'
import { readInfo, type Info } from './info.ts'
import { Lifecycle, type Release, type Shutdown, type ShutdownOptions } from './lifecycle.ts'
import type { Meter } from './metric.ts'
import {
  invalid,
  isName,
  readCheck,
  readSeconds,
  refuseUnknown,
  type CheckFunction,
  type CheckOptions,
  type CheckPlan,
} from './option.ts'
import { Watch, type WatchOptions } from './watch.ts'

export interface CheckupOptions extends WatchOptions {
  /** Shown in every report. */
  readonly version?: string
  /** By name. No checks at all is healthy. */
  readonly checks?: Readonly<Record<string, CheckFunction | CheckOptions>>
  /** Names of checks by group, in addition to the checks' own `groups`. An unknown check is refused. */
  readonly groups?: Readonly<Record<string, readonly string[]>>
  /** Put around every run of every check, for tracing for example. It must return what `run` gives, or throw. */
  readonly around?: (check: string, run: () => Promise<unknown>) => unknown
  /** Named values for the details, or functions that give them. Never the environment. */
  readonly info?: Info
  /** Changes of status that are kept. Default 100, at most 10000. */
  readonly historyLength?: number
  /** True when `ready()` must be called before readiness and startup say yes. Default false: ready at once. */
  readonly manualStart?: boolean
}

/** Names of {@link CheckupOptions}; for adapters that mix them with their own. */
export const checkupOptionNames = {
  version: true,
  checks: true,
  groups: true,
  around: true,
  info: true,
  historyLength: true,
  manualStart: true,
  log: true,
  onChange: true,
  onFirstHealthy: true,
  onError: true,
  alert: true,
} as const satisfies Record<keyof CheckupOptions, true>

const mostChecks = 256

/**
 * A service's checks, ready to be asked. Background checks begin at once; `close` ends them.
 * Throws HEALTH_POLICY_INVALID, HEALTH_POLICY_UNKNOWN, HEALTH_CHECK_DUPLICATE or HEALTH_CHECK_UNKNOWN.
 *
 * ```ts
 * const checkup = createCheckup({ version: '1.2.3', checks: { database: () => pool.query('select 1') } })
 * const { status } = await checkup.report()
 * ```
 */
export function createCheckup(options: CheckupOptions = {}): Checkup {
  return new Checkup(options)
}

export class Checkup {
  readonly #checks: Check[] = []
  readonly #lifecycle = new Lifecycle()
  readonly #watch: Watch
  readonly #version: string | null
  readonly #info: Info | undefined
  readonly #around: CheckupOptions['around']
  #signalled: boolean

  constructor(options: CheckupOptions) {
    refuseUnknown(options, checkupOptionNames, '')
    const length = options.historyLength ?? 100
    if (!Number.isInteger(length) || length < 0 || length > 10_000)
      throw invalid('historyLength', 'must be a whole number from 0 to 10000')
    this.#version = options.version ?? null
    this.#info = options.info
    this.#around = options.around
    readInfo(options.info)
    this.#signalled = options.manualStart !== true
    this.#watch = new Watch(options, this.#checks, this.#version, length)
    for (const [name, given] of Object.entries(options.checks ?? {})) this.#insert(name, given)
    this.#group(options.groups ?? {})
    for (const check of this.#checks) check.start()
    this.#watch.noticeStatus()
    this.#noticeStart()
  }

  /** Adds a check. Throws HEALTH_CHECK_DUPLICATE when there is one of that name. */
  add(name: string, given: CheckFunction | CheckOptions): void {
    this.#insert(name, given).start()
  }

  has(name: string): boolean {
    return this.#checks.some((check) => check.name === name)
  }

  hasGroup(name: string): boolean {
    return this.#checks.some((check) => check.groups.includes(name))
  }

  /** What the checks say now, or null when one of them has to run first. */
  peek(selection?: Selection): Report | null {
    const now = performance.now()
    for (const check of this.#chosen(selection)) if (!isSettled(check, now)) return null
    return report(this.#checks, now, selection)
  }

  /** The status alone, or null when a check has to run first. The cheapest question. */
  peekStatus(): Status | null {
    const now = performance.now()
    for (const check of this.#checks) if (!isSettled(check, now)) return null
    return combine(this.#checks)
  }

  /** Runs what is not fresh, all at once, and reports. Takes at most the longest timeout among those checks; never rejects. */
  async report(selection?: Selection): Promise<Report> {
    const now = performance.now()
    const waits: Promise<void>[] = []
    for (const check of this.#chosen(selection)) {
      const wait = check.refresh(now)
      if (wait !== null) waits.push(wait)
    }
    if (waits.length > 0) await Promise.all(waits)
    return report(this.#checks, performance.now(), selection)
  }

  /** May the service get requests: the phase, and what the critical checks last said. Ask `report()` before. */
  readiness(exclude: readonly string[] = []): Readiness {
    const subjects =
      exclude.length === 0 ? this.#checks : this.#checks.filter((c) => !exclude.includes(c.name))
    return readiness(this.#lifecycle, subjects)
  }

  /** Is the start over. */
  startup(): Readiness {
    this.#noticeStart()
    return startup(this.#lifecycle, this.#checks)
  }

  /** With `manualStart`: the service can work now. */
  ready(): void {
    this.#signalled = true
    this.#noticeStart()
  }

  /** Holds readiness back until the returned function is called. `reason` is shown, so it must be fit for strangers. */
  block(reason: string): Release {
    const release = this.#lifecycle.block(reason)
    return () => {
      release()
      this.#noticeStart()
    }
  }

  /** Lets `shutdown` wait until the returned function is called. */
  beacon(name: string): Release {
    return this.#lifecycle.beacon(name)
  }

  /** From now on not ready. Part of `shutdown`, and alone for those who close by themselves. */
  stopping(): void {
    this.#lifecycle.stopping = true
  }

  /** Not ready from now on; resolves when the delay is over and every beacon is released, or at the deadline. */
  shutdown(options: ShutdownOptions = {}): Promise<Shutdown> {
    const delay = readSeconds(options.delaySeconds, 0, 0, 'shutdown.delaySeconds')
    const force = readSeconds(options.forceSeconds, 30, 0.001, 'shutdown.forceSeconds')
    return this.#lifecycle.shutdown(delay, force)
  }

  /** Ends background runs and alerts. */
  close(): void {
    this.stopping()
    for (const check of this.#checks) check.stop()
    this.#watch.close()
  }

  /** Calls `listener` at every change of status; returns what ends that. */
  onChange(listener: (change: Change) => void): Release {
    this.#watch.listeners.add(listener)
    return () => void this.#watch.listeners.delete(listener)
  }

  /** The last changes of status, oldest first. */
  get history(): readonly Change[] {
    return this.#watch.history.changes
  }

  /** What a report says of the service itself; `info` only in details. */
  service(detailed = false): Service {
    return {
      version: this.#version,
      uptime: process.uptime() * 1000,
      wall: Date.now(),
      info: detailed ? readInfo(this.#info) : null,
    }
  }

  /** Metrics as Prometheus text, version 0.0.4. */
  prometheus(): string {
    return this.#watch.metrics.prometheus(this.#checks, combine(this.#checks))
  }

  /** Records metrics through OpenTelemetry as well: `checkup.instrument(metrics.getMeter('health'))`. */
  instrument(meter: Meter): void {
    const status = () => combine(this.#checks)
    this.#watch.metrics.instrument(meter, () => this.#checks, status)
  }

  #insert(name: string, given: CheckFunction | CheckOptions): Check {
    const plan = readCheck(name, given)
    if (this.has(name))
      throw new HealthError(
        'HEALTH_CHECK_DUPLICATE',
        `There is a check "${name}" already. Give this one another name.`,
        `checks.${name}`,
      )
    if (this.#checks.length >= mostChecks)
      throw invalid('checks', `at most ${mostChecks} are possible`)
    const check = new Check(wrap(plan, this.#around), (...answered) => {
      this.#watch.answered(...answered)
      this.#noticeStart()
    })
    this.#checks.push(check)
    return check
  }

  #chosen(selection: Selection | undefined): readonly Check[] {
    if (selection === undefined) return this.#checks
    const chosen = select(this.#checks, selection) as readonly Check[]
    const exclude = selection.exclude ?? []
    return exclude.length === 0 ? chosen : chosen.filter(({ name }) => !exclude.includes(name))
  }

  #group(groups: Readonly<Record<string, readonly string[]>>): void {
    for (const [group, members] of Object.entries(groups)) {
      if (!isName(group)) throw invalid(`groups.${group}`, 'is no group name')
      for (const member of members) {
        const check = this.#checks.find(({ name }) => name === member)
        if (check === undefined) throw this.#unknown(group, member)
        if (!check.groups.includes(group)) check.groups = [...check.groups, group]
      }
    }
  }

  #unknown(group: string, member: string): HealthError {
    const names = this.#checks.map(({ name }) => name).join(', ')
    return new HealthError(
      'HEALTH_CHECK_UNKNOWN',
      `Group "${group}" names a check "${member}" that does not exist. There are: ${names || 'none'}.`,
      `groups.${group}`,
    )
  }

  #noticeStart(): void {
    const phase = this.#lifecycle
    if (phase.started || !this.#signalled || phase.blocked.length > 0) return
    phase.started = this.#checks.every(
      ({ groups, standing }) => !groups.includes('startup') || standing.status !== 'unhealthy',
    )
  }
}

function wrap(plan: CheckPlan, around: CheckupOptions['around']): CheckPlan {
  if (around === undefined) return plan
  return { ...plan, check: (context) => around(plan.name, async () => plan.check(context)) }
}

// A run that hangs answers at once, so asking it is no wait.
function isSettled(check: Check, now: number): boolean {
  return check.isFresh(now) || (check.hangs && check.refresh(now) === null)
}
