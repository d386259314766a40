/**
 * Watches the answers of checks as they come: notices changes of status, slow runs and the first healthy moment, and tells the
 * log, the listeners, the history, the metrics and the alert. It decides nothing about health.
 */
import { combine, type Answer, type Standing, type Status } from '@health/core/report'
import { Alert, type AlertOptions } from './alert.ts'
import type { Check } from './check.ts'
import { History, type Change } from './history.ts'
import { Metrics } from './metric.ts'

/** Where log lines go; a pino logger fits. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface WatchOptions {
  readonly log?: Log
  /** Told of every change of status. */
  readonly onChange?: (change: Change) => void
  /** Called once, when the service is healthy for the first time. */
  readonly onFirstHealthy?: () => void
  /** Gets what a check threw, for your own eyes: it may hold hosts and credentials and goes nowhere else. */
  readonly onError?: (thrown: unknown, check: string) => void
  readonly alert?: AlertOptions
}

export class Watch {
  readonly metrics = new Metrics()
  readonly history: History
  readonly listeners = new Set<(change: Change) => void>()
  readonly #options: WatchOptions
  readonly #checks: readonly Check[]
  readonly #slow = new Set<string>()
  readonly #alert: Alert | null
  /** Null until every check has answered once: before that there is nothing to compare with. */
  #status: Status | null = null
  #everHealthy = false

  /** `checks` is the live list. */
  constructor(
    options: WatchOptions,
    checks: readonly Check[],
    version: string | null,
    historyLength: number,
  ) {
    this.#options = options
    this.#checks = checks
    this.history = new History(historyLength)
    const failed = () => this.#log('warn', { event: 'alert.failed' }, 'health alert not delivered')
    this.#alert =
      options.alert === undefined
        ? null
        : new Alert(options.alert, 'healthy', () => ({ ...this.#flaws(), version }), failed)
  }

  answered(check: Check, before: Standing, answer: Answer, thrown: unknown): void {
    this.metrics.count(check, answer)
    if (thrown !== undefined) this.#guard(() => this.#options.onError?.(thrown, check.name))
    this.#noticeSlow(check, answer)
    const from = before.last === null ? null : before.status
    const to = check.standing.status
    if (from !== to) this.#tell({ check: check.name, from, to, cause: answer.error })
    this.noticeStatus()
  }

  /** Compares the status of the service with the last one told. */
  noticeStatus(): void {
    if (!this.#checks.every(({ standing }) => standing.last !== null)) return
    const from = this.#status
    const to = combine(this.#checks)
    if (from === to) return
    this.#status = to
    this.#tell({ check: null, from, to, cause: this.#causes() })
    this.#alert?.changed()
    if (to !== 'healthy' || this.#everHealthy) return
    this.#everHealthy = true
    this.#guard(() => this.#options.onFirstHealthy?.())
  }

  close(): void {
    this.#alert?.close()
  }

  #noticeSlow(check: Check, answer: Answer): void {
    const { name, plan } = check
    if (answer.latency <= plan.slow) return void this.#slow.delete(name)
    // Once per slow spell: a check that is always slow must not fill the log.
    if (this.#slow.has(name)) return
    this.#slow.add(name)
    const latencyMs = Math.round(answer.latency)
    const fields = { event: 'check.slow', check: name, latencyMs, limitMs: plan.slow }
    this.#log('warn', fields, 'slow health check')
  }

  #tell(change: Omit<Change, 'at'>): void {
    const told: Change = { ...change, at: Date.now() }
    this.history.add(told)
    const event = change.check === null ? 'service.changed' : 'check.changed'
    const level = change.to === 'healthy' ? 'info' : 'warn'
    this.#log(level, { event, ...change }, 'health changed')
    this.#guard(() => this.#options.onChange?.(told))
    for (const listener of this.listeners) this.#guard(() => listener(told))
  }

  // A listener that throws must not turn a health check into a crash; that it threw is said, what it threw is not.
  #guard(call: () => void): void {
    try {
      call()
    } catch {
      this.#log('warn', { event: 'listener.failed' }, 'a health listener threw')
    }
  }

  #log(level: 'info' | 'warn', fields: object, message: string): void {
    try {
      this.#options.log?.[level](fields, message)
    } catch {
      // There is nowhere left to say that the log is broken.
    }
  }

  #causes(): string | null {
    const { checks } = this.#flaws()
    return checks.length === 0 ? null : checks.map(({ name }) => name).join(', ')
  }

  #flaws() {
    const checks = this.#checks
      .filter(({ standing }) => standing.status !== 'healthy')
      .map(({ name, standing: { status, last } }) => ({ name, status, error: last?.error ?? null }))
    return { status: combine(this.#checks), checks }
  }
}
