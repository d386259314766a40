/** The options of an app that decide something, as data: default, range and the reason for it. Times in seconds, as configured. */
import type { HealthCheckOptions } from './health-check-option.ts'
import type { OptionSpec } from './option.ts'

/** What the core needs to know of an app; the rest (command, environment) is the host's. */
export interface AppOptions {
  readonly healthCheck?: HealthCheckOptions
  readonly startupTimeoutSeconds?: number
  readonly requestTimeoutSeconds?: number
  readonly minConcurrency?: number
  readonly maxConcurrency?: number
  readonly concurrencyBuffer?: number
  readonly concurrencyBufferPercent?: number
  readonly scalingDelaySeconds?: number
  readonly maxMultiplexing?: number
  readonly devices?: number
  readonly keepAliveSeconds?: number
  readonly directWaitSeconds?: number
  readonly hardCancelAfterSeconds?: number | null
  readonly terminationGraceSeconds?: number
  readonly realtimeIdleSeconds?: number
  readonly skipRetryConditions?: readonly string[]
  readonly retryConfig?: Readonly<Record<string, { readonly retries: number }>>
}

/** Conditions under which a queued request may be tried again. `gateway_lost` is ours and cannot be skipped. */
export const retryConditions = [
  'timeout',
  'server_error',
  'connection_error',
  'rate_limited',
] as const

/** One of {@link retryConditions}. */
export type RetryCondition = (typeof retryConditions)[number]

/** Options of an app that decide something. */
export const appOptions = {
  healthCheck: {
    kind: 'object',
    default: null,
    reason: 'none: only outcomes of requests and TCP checks judge the runner',
  },
  startupTimeoutSeconds: {
    kind: 'seconds',
    default: 600,
    min: 0,
    above: true,
    reason: 'models load for minutes',
  },
  requestTimeoutSeconds: {
    kind: 'seconds',
    default: 3600,
    min: 0,
    above: true,
    reason: 'the longest job anyone should hold a GPU for',
  },
  minConcurrency: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 100_000,
    reason: 'an unused app costs nothing',
  },
  maxConcurrency: {
    kind: 'integer',
    default: 1,
    min: 0,
    max: 100_000,
    reason: 'one GPU until somebody asks for more',
  },
  concurrencyBuffer: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 100_000,
    reason: 'no idle runner unless wished',
  },
  concurrencyBufferPercent: {
    kind: 'percent',
    default: 0,
    min: 0,
    max: 1000,
    reason: 'no idle runner unless wished',
  },
  scalingDelaySeconds: {
    kind: 'seconds',
    default: 0,
    min: 0,
    reason: 'a waiting request starts a runner at once',
  },
  maxMultiplexing: {
    kind: 'integer',
    default: 1,
    min: 1,
    max: 100_000,
    reason: 'a model owns its GPU',
  },
  devices: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 64,
    reason: 'a runner gets no GPU unless it asks',
  },
  keepAliveSeconds: {
    kind: 'seconds',
    default: 60,
    min: 0,
    reason: 'long enough to catch the next request, short enough not to pay for the night',
  },
  directWaitSeconds: {
    kind: 'seconds',
    default: null,
    min: 0,
    reason: 'startupTimeoutSeconds: a direct call may wait for a runner to start',
  },
  hardCancelAfterSeconds: {
    kind: 'seconds',
    default: null,
    min: 0,
    nullable: true,
    reason: 'off: cancelling is cooperative',
  },
  terminationGraceSeconds: {
    kind: 'seconds',
    default: 5,
    min: 0,
    max: 30,
    reason: 'time to finish what is in flight; the platform frees the GPU within half a minute',
  },
  realtimeIdleSeconds: {
    kind: 'seconds',
    default: 60,
    min: 0,
    above: true,
    reason: 'a silent socket gives its runner back after a minute',
  },
  skipRetryConditions: {
    kind: 'list',
    default: [],
    words: retryConditions,
    reason: 'every condition of the table is tried again',
  },
  retryConfig: {
    kind: 'object',
    default: null,
    reason: 'none: the table decides; { condition: { retries } }',
  },
} as const satisfies Record<keyof AppOptions, OptionSpec>
