/**
 * Runs one check: at most one copy at a time, never longer than its timeout for whoever waits, with a repair on failure. It
 * keeps the last answer and says how long it is good for. A run that hangs is never doubled: until it ends, it is a timeout.
 */
import { settle, unchecked, type Answer, type Standing, type Subject } from '@health/core/report'
import { CheckFailure, codeOf, failureCodes } from './failure.ts'
import { readObserved, type CheckAnswer, type CheckContext, type CheckPlan } from './option.ts'

/** What one run found, before it is an answer. */
type Finding = Pick<Answer, 'status' | 'error' | 'observed'> & { readonly thrown: unknown }

/** Told after each answer. */
export type Answered = (check: Check, before: Standing, answer: Answer, thrown: unknown) => void

export class Check implements Subject {
  readonly name: string
  readonly critical: boolean
  readonly plan: CheckPlan
  groups: readonly string[]
  standing: Standing = unchecked
  #answered: Answered
  #flight: Promise<void> | null = null
  /** When the run that outlived its timeout began, null when there is none. */
  #hangingSince: number | null = null
  #freshUntil = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | null = null
  /** Ends the run in flight early, null when there is none. */
  #abandon: (() => void) | null = null
  #stopped = false
  /** A background check before its first run is not asked: its delay is wanted. */
  #waitsForStart = false

  constructor(plan: CheckPlan, answered: Answered) {
    this.plan = plan
    this.name = plan.name
    this.critical = plan.critical
    this.groups = plan.groups
    this.#answered = answered
  }

  /** True when the last answer may be served at `now` (ms of `performance.now()`). */
  isFresh(now: number): boolean {
    return now < this.#freshUntil || this.#waitsForStart
  }

  /** True while a run that outlived its timeout has not ended. */
  get hangs(): boolean {
    return this.#hangingSince !== null
  }

  /** Sees to a fresh answer. Resolves at the timeout at the latest and never rejects; null when nothing has to be waited for. */
  refresh(now: number): Promise<void> | null {
    if (this.isFresh(now)) return null
    if (this.#flight !== null) return this.#flight
    if (this.#hangingSince !== null) {
      // Still the same run: one more failure, at once, and no second copy.
      this.#conclude(timedOut, now - this.#hangingSince, false)
      return null
    }
    return this.#run()
  }

  /** Starts the background runs, when the check has an interval. */
  start(): void {
    const { interval, initialDelay } = this.plan
    if (interval === null || this.#timer !== null || this.#stopped) return
    this.#waitsForStart = initialDelay > 0
    this.#timer = setTimeout(() => void this.#tick(interval), initialDelay)
    this.#timer.unref()
  }

  /** No background run after this. A run in flight is told by its signal and keeps no process alive. */
  stop(): void {
    this.#stopped = true
    this.#abandon?.()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  async #tick(interval: number): Promise<void> {
    this.#waitsForStart = false
    const begun = performance.now()
    this.#freshUntil = Number.NEGATIVE_INFINITY
    await this.refresh(begun)
    if (this.#stopped) return
    const wait = Math.max(0, begun + interval - performance.now())
    this.#timer = setTimeout(() => void this.#tick(interval), wait)
    this.#timer.unref()
  }

  #run(): Promise<void> {
    const begun = performance.now()
    const controller = new AbortController()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#flight = promise
    const land = (finding: Finding, repaired: boolean) => {
      this.#flight = null
      this.#conclude(finding, performance.now() - begun, repaired)
      resolve()
    }
    const timer = setTimeout(() => {
      this.#hangingSince = begun
      land(timedOut, false)
      controller.abort(new DOMException('The check took too long.', 'TimeoutError'))
    }, this.plan.timeout)
    this.#abandon = () => {
      timer.unref()
      controller.abort(new DOMException('The service is closing.', 'AbortError'))
    }
    void this.#look(controller.signal).then(({ finding, repaired }) => {
      clearTimeout(timer)
      this.#abandon = null
      if (this.#hangingSince === null) return land(finding, repaired)
      // Too late to be an answer: it only makes room for the next run, which may begin at once.
      this.#hangingSince = null
      this.#freshUntil = Number.NEGATIVE_INFINITY
    })
    return promise
  }

  async #look(signal: AbortSignal): Promise<{ finding: Finding; repaired: boolean }> {
    const { check, repair, codes } = this.plan
    const context: CheckContext = { signal }
    const first = await attempt(() => check(context), codes)
    if (first.status !== 'unhealthy' || repair === null || signal.aborted)
      return { finding: first, repaired: false }
    const mended = await attempt(() => repair(context), codes)
    if (mended.status === 'unhealthy' || signal.aborted) return { finding: first, repaired: false }
    const second = await attempt(() => check(context), codes)
    return { finding: second, repaired: second.status !== 'unhealthy' }
  }

  #conclude(finding: Finding, latency: number, repaired: boolean): void {
    const { plan } = this
    const at = performance.now()
    const { status, error, observed } = finding
    const answer: Answer = { status, at, latency, error, repaired, observed }
    const before = this.standing
    this.standing = settle(before, answer, plan)
    const good =
      plan.interval === null
        ? status === 'unhealthy'
          ? plan.failureCache
          : plan.cache
        : // In the background an answer stays good until two runs are overdue; then whoever asks runs it.
          2 * plan.interval + plan.timeout
    this.#freshUntil = at + good
    this.#answered(this, before, answer, finding.thrown)
  }
}

const passed: Finding = { status: 'healthy', error: null, observed: null, thrown: undefined }
const timedOut: Finding = {
  status: 'unhealthy',
  error: 'timeout',
  observed: null,
  thrown: new CheckFailure('timeout'),
}

async function attempt(run: () => unknown, codes: ReadonlySet<string>): Promise<Finding> {
  try {
    return read(await run(), codes)
  } catch (thrown) {
    const status = thrown instanceof CheckFailure ? thrown.status : 'unhealthy'
    return { status, error: codeOf(thrown, codes), observed: null, thrown }
  }
}

function read(value: unknown, codes: ReadonlySet<string>): Finding {
  if (value === false) return { ...passed, status: 'unhealthy', error: 'failed' }
  if (typeof value !== 'object' || value === null) return passed
  if (value instanceof Response) {
    void value.body?.cancel().catch(() => undefined)
    return value.ok ? passed : { ...passed, status: 'unhealthy', error: 'unexpected_status' }
  }
  const { status, error, observed } = value as Partial<CheckAnswer>
  if (status !== 'healthy' && status !== 'degraded' && status !== 'unhealthy') return passed
  const known =
    typeof error === 'string' && (Object.hasOwn(failureCodes, error) || codes.has(error))
  const code = known ? error : status === 'healthy' ? null : 'failed'
  return { status, error: code, observed: readObserved(observed), thrown: undefined }
}
