/**
 * Reads what a runner declares about its health check and writes it as a gateway reads it at `/.well-known/health-check`.
 * Only what was said is written, so that the gateway's own defaults stay in force; nothing is judged here.
 */
import { HealthError } from '@health/core/report'
import { invalid, readCount, readSeconds, refuseUnknown } from './option.ts'

/** What a runner may say of its health check. Left out = the gateway's default. */
export interface HealthCheckOptions {
  /** Failures of a runner younger than this, or than its app's `startupTimeoutSeconds`, do not count. Default 30. */
  readonly startPeriodSeconds?: number
  /** Longest an answer may take. Default 5. */
  readonly timeoutSeconds?: number
  /** Consecutive failures that end the runner. Default 3. */
  readonly failureThreshold?: number
  /** False: only when asked by a response header. Default true. */
  readonly callRegularly?: boolean
  /** From start to start. Default 15. */
  readonly intervalSeconds?: number
}

/** The body of {@link wellKnownPath}. */
export interface HealthCheckDeclaration extends HealthCheckOptions {
  readonly path: string
  readonly method: 'GET' | 'POST'
}

/** Where a gateway reads the declaration. */
export const wellKnownPath = '/.well-known/health-check'

/** On a response: check this runner now, one failure ends it. On a request: this is such a check. */
export const healthCheckHeader = 'x-fal-runner-health-check'

const known = {
  startPeriodSeconds: true,
  timeoutSeconds: true,
  failureThreshold: true,
  callRegularly: true,
  intervalSeconds: true,
} as const satisfies Record<keyof HealthCheckOptions, true>

/**
 * Reads the declaration of one route. Throws HEALTH_POLICY_INVALID or HEALTH_POLICY_UNKNOWN with the route and the option,
 * and HEALTH_CHECK_DUPLICATE naming both routes when there is one `before`.
 */
export function declareHealthCheck(
  method: string,
  path: string,
  options: HealthCheckOptions,
  before: HealthCheckDeclaration | null = null,
): HealthCheckDeclaration {
  const route = `${method} ${path}`
  if (before !== null)
    throw new HealthError(
      'HEALTH_CHECK_DUPLICATE',
      `An app has one health check, but ${before.method} ${before.path} and ${route} both declare it. Remove one.`,
      `${route} health`,
    )
  if (method !== 'GET' && method !== 'POST')
    throw invalid(`${route} health`, 'a health check is a GET or a POST')
  if (!path.startsWith('/') || /[:*?#]/.test(path))
    throw invalid(`${route} health`, 'the path must be fixed: no parameter, no wildcard')
  refuseUnknown(options, known, `${route} health`)
  const at = (name: keyof HealthCheckOptions) => `${route} health.${name}`
  readSeconds(options.startPeriodSeconds, 30, 0, at('startPeriodSeconds'))
  readSeconds(options.timeoutSeconds, 5, 0.001, at('timeoutSeconds'))
  readCount(options.failureThreshold, 3, at('failureThreshold'))
  readSeconds(options.intervalSeconds, 15, 0.1, at('intervalSeconds'))
  if (options.callRegularly !== undefined && typeof options.callRegularly !== 'boolean')
    throw invalid(at('callRegularly'), 'must be true or false')
  return { path, method, ...options }
}

/** What in a declaration works against itself, one sentence each. */
export function declarationWarnings(declaration: HealthCheckDeclaration): readonly string[] {
  const { timeoutSeconds = 5, failureThreshold = 3, intervalSeconds = 15 } = declaration
  const warnings: string[] = []
  if (timeoutSeconds > intervalSeconds * failureThreshold)
    warnings.push(
      `timeoutSeconds ${timeoutSeconds} is above intervalSeconds × failureThreshold (${intervalSeconds * failureThreshold}): one hanging check takes longer than the whole verdict should.`,
    )
  if (declaration.callRegularly === false && declaration.failureThreshold !== undefined)
    warnings.push(
      'failureThreshold has no effect with callRegularly: false: a check that was asked for ends the runner at its first failure.',
    )
  return warnings
}

/** True when a response header value asks for a check, and when a request header value says that this is one. */
export function asksForHealthCheck(value: string | string[] | undefined): boolean {
  const text = Array.isArray(value) ? value[0] : value
  return text !== undefined && !/^\s*(false|0|no)\s*$/i.test(text)
}
