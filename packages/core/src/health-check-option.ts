/** The options of a health check as data: default, range and the reason for it. Times in seconds, as configured. */
import type { OptionSpec } from './option.ts'

/** The health check of an app, as configured or declared by a runner. */
export interface HealthCheckOptions {
  readonly path: string
  readonly method?: 'GET' | 'POST'
  readonly startPeriodSeconds?: number
  readonly timeoutSeconds?: number
  readonly failureThreshold?: number
  readonly successThreshold?: number
  readonly callRegularly?: boolean
  readonly intervalSeconds?: number
  readonly suspectIntervalSeconds?: number
  readonly exclusive?: boolean
  readonly exclusiveWaitSeconds?: number
  readonly betweenRequestsSeconds?: number
  readonly readyAfterFirstPass?: boolean
  readonly progressTimeoutSeconds?: number
  readonly heartbeat?: { readonly ttlSeconds: number }
}

/** Options of a health check. A default of null is derived from other options; the reason says how. */
export const healthCheckOptions = {
  path: {
    kind: 'path',
    default: null,
    reason: 'required; the route that answers 2xx while the runner is well',
  },
  method: {
    kind: 'word',
    default: 'GET',
    words: ['GET', 'POST'],
    reason: 'a probe reads; a declaration by the runner says when it does not',
  },
  startPeriodSeconds: {
    kind: 'seconds',
    default: 30,
    min: 0,
    reason:
      'failures of a younger runner do not count; effective is the larger of this and startupTimeoutSeconds',
  },
  timeoutSeconds: {
    kind: 'seconds',
    default: 5,
    min: 0,
    above: true,
    reason: 'a check that needs longer is not a light check',
  },
  failureThreshold: {
    kind: 'integer',
    default: 3,
    min: 1,
    reason: 'one lost packet is not a verdict, three in a row are',
  },
  successThreshold: {
    kind: 'integer',
    default: 1,
    min: 1,
    reason: 'one pass breaks the row of failures',
  },
  callRegularly: {
    kind: 'boolean',
    default: true,
    reason: 'false: only when asked for by header, order or after an error',
  },
  intervalSeconds: {
    kind: 'seconds',
    default: 15,
    min: 0.1,
    reason:
      'three strikes take 45 s: shorter than a user waits, longer than a pause of garbage collection',
  },
  suspectIntervalSeconds: {
    kind: 'seconds',
    default: null,
    min: 0.1,
    reason:
      'a third of the interval: extra probes while failing may acquit early, never convict early',
  },
  exclusive: {
    kind: 'boolean',
    default: null,
    reason: 'the opposite of callRegularly: a check that is not light must not run beside requests',
  },
  exclusiveWaitSeconds: {
    kind: 'seconds',
    default: 60,
    min: 0,
    reason: 'longer than most requests; then the check is skipped and asked again later',
  },
  betweenRequestsSeconds: {
    kind: 'seconds',
    default: 0,
    min: 0,
    reason: 'off: a check that is not regular is made only when asked',
  },
  readyAfterFirstPass: {
    kind: 'boolean',
    default: false,
    reason: 'an open port makes a runner ready; true waits for one pass as well',
  },
  progressTimeoutSeconds: {
    kind: 'seconds',
    default: null,
    min: 0.1,
    nullable: true,
    reason: 'off: only the app knows how long silence is normal',
  },
  heartbeat: {
    kind: 'object',
    default: null,
    reason: 'off: a runner may push signs of life instead; { ttlSeconds }',
  },
} as const satisfies Record<keyof HealthCheckOptions, OptionSpec>
