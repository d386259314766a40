/**
 * Everything an app is judged by, resolved: the one translation from the configuration's seconds to the core's milliseconds, and the
 * checks that concern more than one option. It never reads a file or the environment.
 */
import { appOptions, retryConditions, type AppOptions } from './app-option.ts'
import { HealthError } from './error.ts'
import { healthCheckOptions, type HealthCheckOptions } from './health-check-option.ts'
import { allowed, checkOption, checkOptions, nearest, refuse, type OptionSpec } from './option.ts'
import { rules } from './rule.ts'
import { signalTable } from './gpu-signal.ts'
import { tunables, type PolicyOptions, type Value } from './tunable.ts'

type Milliseconds<T> = {
  readonly [K in keyof T as K extends `${infer Name}Seconds` ? `${Name}Ms` : K]: T[K]
}

type Tunables = Milliseconds<{ readonly [K in keyof typeof tunables]: Value<(typeof tunables)[K]> }>

/** Everything an app is judged by, resolved: all times in whole ms, nothing optional. One object per app, shared by its runners. */
export interface Policy extends Tunables {
  readonly hasCheck: boolean
  readonly path: string
  readonly method: 'GET' | 'POST'
  readonly startPeriodMs: number
  readonly timeoutMs: number
  readonly failureThreshold: number
  readonly successThreshold: number
  readonly callRegularly: boolean
  readonly intervalMs: number
  readonly suspectIntervalMs: number
  readonly exclusive: boolean
  readonly exclusiveWaitMs: number
  readonly betweenRequestsMs: number
  readonly readyAfterFirstPass: boolean
  readonly progressTimeoutMs: number | null
  readonly heartbeatTtlMs: number | null
  readonly startupTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly minConcurrency: number
  readonly maxConcurrency: number
  readonly concurrencyBuffer: number
  readonly concurrencyBufferPercent: number
  readonly scalingDelayMs: number
  readonly maxMultiplexing: number
  readonly devices: number
  readonly keepAliveMs: number
  readonly directWaitMs: number
  readonly hardCancelAfterMs: number | null
  readonly terminationGraceMs: number
  readonly realtimeIdleMs: number
  readonly skipRetryConditions: readonly string[]
  readonly retryConfig: Readonly<Record<string, number>> | null
  /** Derived: the larger of startPeriodSeconds and startupTimeoutSeconds. */
  readonly effectiveStartPeriodMs: number
  /** Derived: a failure counts only this long after the last counted one. */
  readonly strikeGapMs: number
}

/** Rules that a dry run may observe: what judges a runner, a request or a device. */
const judging: ReadonlySet<string> = new Set([
  ...Object.keys(rules),
  ...Object.keys(signalTable),
  'xid',
])

/** Rules that the seeds call immediate; a dry run of them needs `allowUnsafe`. */
export const immediateRules: readonly string[] = [
  'outcome.server_error',
  'outcome.stop_header',
  'outcome.connection_lost',
  'outcome.crashed',
  'outcome.request_timeout',
  'health.manual',
  'outcome.tcp_check',
  'start.failed',
  'start.deadline',
]

const ms = (seconds: number): number => Math.round(seconds * 1000)

/** Checks a health check as configured or declared. */
export function checkHealthCheck(path: string, check: HealthCheckOptions): void {
  checkOptions(path, healthCheckOptions, check as unknown as Record<string, unknown>)
  if (check.path === undefined) refuse(`${path}.path`, undefined, allowed(healthCheckOptions.path))
  if (check.heartbeat !== undefined) {
    checkOptions(
      `${path}.heartbeat`,
      {
        ttlSeconds: {
          kind: 'seconds',
          default: null,
          min: 0.1,
          reason: 'how long silence may last',
        },
      },
      check.heartbeat as unknown as Record<string, unknown>,
    )
    if (check.heartbeat.ttlSeconds === undefined)
      refuse(`${path}.heartbeat.ttlSeconds`, undefined, 'a number ≥ 0.1')
  }
  if (check.readyAfterFirstPass === true && check.callRegularly === false)
    refuse(
      `${path}.readyAfterFirstPass`,
      true,
      'false while callRegularly is false: no pass would ever come',
    )
}

/** Checks an app's options and returns them resolved; throws HealthError with the path of the field. */
export function resolvePolicy(
  options: AppOptions,
  policy: PolicyOptions,
  extra: Readonly<Record<string, OptionSpec>> = {},
  path = '',
  tunablesAt = path === '' ? 'policy' : `${path}.policy`,
): Policy {
  const under = (name: string): string => (path === '' ? name : `${path}.${name}`)
  checkOptions(path, appOptions, options as Record<string, unknown>)
  checkOptions(tunablesAt, { ...tunables, ...extra }, policy)
  if (options.healthCheck !== undefined) checkHealthCheck(under('healthCheck'), options.healthCheck)
  const retry: Record<string, number> = {}
  for (const [condition, budget] of Object.entries(options.retryConfig ?? {})) {
    const at = under(`retryConfig.${condition}`)
    if (!(retryConditions as readonly string[]).includes(condition))
      throw new HealthError(
        'HEALTH_POLICY_UNKNOWN',
        `${at} is not a retry condition; the nearest is ${nearest(condition, retryConditions)}.`,
        at,
      )
    checkOption(
      `${at}.retries`,
      { kind: 'integer', default: null, min: 0, max: 10, reason: '' },
      budget?.retries,
    )
    retry[condition] = budget.retries
  }
  const value = <T>(name: keyof typeof appOptions): T =>
    ((options as Record<string, unknown>)[name] ?? appOptions[name].default) as T
  const check = options.healthCheck
  const of = <T>(name: keyof typeof healthCheckOptions): T =>
    ((check as Record<string, unknown> | undefined)?.[name] ??
      healthCheckOptions[name].default) as T
  const tuned: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(tunables)) {
    const chosen = policy[name] ?? spec.default
    if (name.endsWith('Seconds')) tuned[`${name.slice(0, -7)}Ms`] = ms(chosen as number)
    else tuned[name] = chosen
  }
  const t = tuned as unknown as Tunables
  const dryRun = tunablesAt === '' ? 'dryRun' : `${tunablesAt}.dryRun`
  for (const rule of t.dryRun) {
    if (!judging.has(rule))
      refuse(dryRun, rule, `a rule; the nearest is ${nearest(rule, [...judging])}`)
    if (immediateRules.includes(rule) && !t.allowUnsafe)
      refuse(dryRun, rule, 'no immediate rule unless allowUnsafe is true')
  }
  const min = value<number>('minConcurrency')
  if (min > value<number>('maxConcurrency'))
    refuse(
      under('minConcurrency'),
      min,
      `at most maxConcurrency (${value<number>('maxConcurrency')})`,
    )
  const intervalMs = ms(of<number>('intervalSeconds'))
  const startPeriodMs = ms(of<number>('startPeriodSeconds'))
  const startupTimeoutMs = ms(value<number>('startupTimeoutSeconds'))
  const callRegularly = of<boolean>('callRegularly')
  const orNull = (seconds: number | null): number | null => (seconds === null ? null : ms(seconds))
  return {
    ...t,
    hasCheck: check !== undefined,
    path: check?.path ?? '',
    method: of('method'),
    startPeriodMs,
    timeoutMs: ms(of<number>('timeoutSeconds')),
    failureThreshold: of('failureThreshold'),
    successThreshold: of('successThreshold'),
    callRegularly,
    intervalMs,
    suspectIntervalMs: Math.max(
      100,
      orNull(of<number | null>('suspectIntervalSeconds')) ?? Math.round(intervalMs / 3),
    ),
    exclusive: of<boolean | null>('exclusive') ?? !callRegularly,
    exclusiveWaitMs: ms(of<number>('exclusiveWaitSeconds')),
    betweenRequestsMs: ms(of<number>('betweenRequestsSeconds')),
    readyAfterFirstPass: of('readyAfterFirstPass'),
    progressTimeoutMs: orNull(of<number | null>('progressTimeoutSeconds')),
    heartbeatTtlMs: check?.heartbeat ? ms(check.heartbeat.ttlSeconds) : null,
    startupTimeoutMs,
    requestTimeoutMs: ms(value<number>('requestTimeoutSeconds')),
    minConcurrency: min,
    maxConcurrency: value('maxConcurrency'),
    concurrencyBuffer: value('concurrencyBuffer'),
    concurrencyBufferPercent: value('concurrencyBufferPercent'),
    scalingDelayMs: ms(value<number>('scalingDelaySeconds')),
    maxMultiplexing: value('maxMultiplexing'),
    devices: value('devices'),
    keepAliveMs: ms(value<number>('keepAliveSeconds')),
    directWaitMs: orNull(value<number | null>('directWaitSeconds')) ?? startupTimeoutMs,
    hardCancelAfterMs: orNull(value<number | null>('hardCancelAfterSeconds')),
    terminationGraceMs: ms(value<number>('terminationGraceSeconds')),
    realtimeIdleMs: ms(value<number>('realtimeIdleSeconds')),
    skipRetryConditions: value('skipRetryConditions'),
    retryConfig: options.retryConfig === undefined ? null : retry,
    effectiveStartPeriodMs: Math.max(startPeriodMs, startupTimeoutMs),
    strikeGapMs: Math.floor(intervalMs * (1 - t.probeJitterPercent / 100)),
  }
}

/** Options that are allowed and work against each other, one sentence each, with the path of the field first. */
export function policyWarnings(options: AppOptions, path = ''): readonly string[] {
  const under = (name: string): string => (path === '' ? name : `${path}.${name}`)
  const check = options.healthCheck
  if (check === undefined)
    return [`${under('healthCheck')}: none; a runner that is alive but wrong will not be noticed.`]
  const out: string[] = []
  const interval = check.intervalSeconds ?? 15
  const timeout = check.timeoutSeconds ?? 5
  const threshold = check.failureThreshold ?? 3
  if (timeout > interval * threshold)
    out.push(
      `${under('healthCheck.timeoutSeconds')}: ${timeout} is above intervalSeconds × failureThreshold (${interval * threshold}); a hung runner is found late.`,
    )
  if (
    check.callRegularly === false &&
    (check.failureThreshold !== undefined || check.startPeriodSeconds !== undefined)
  )
    out.push(
      `${under('healthCheck.callRegularly')}: false; failureThreshold and startPeriodSeconds are then ignored.`,
    )
  const start = check.startPeriodSeconds ?? 30
  const startup = options.startupTimeoutSeconds ?? 600
  if (check.startPeriodSeconds !== undefined && start < startup)
    out.push(
      `${under('healthCheck.startPeriodSeconds')}: ${start} is below startupTimeoutSeconds; ${startup} is in force.`,
    )
  return out
}
