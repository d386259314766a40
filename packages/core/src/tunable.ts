/** Every tunable of `policy`, as data: default, range and the reason for it. Times in seconds, as configured. */
import type { OptionSpec } from './option.ts'

/** Tunables of `policy`, global or per app. */
export const tunables = {
  tcpCheckTimeoutSeconds: {
    kind: 'seconds',
    default: 2,
    min: 0,
    above: true,
    reason: 'a connect on a local network takes microseconds; two seconds survive one lost SYN',
  },
  maxConcurrentProbes: {
    kind: 'integer',
    default: 64,
    min: 1,
    max: 100_000,
    reason: 'scheduled probes never crowd out requests',
  },
  probeJitterPercent: {
    kind: 'percent',
    default: 10,
    min: 0,
    max: 50,
    reason: 'keeps probes apart without stretching three strikes',
  },
  capPercent: {
    kind: 'percent',
    default: 20,
    min: 0,
    max: 100,
    reason: 'at most a fifth of an app is replaced on doubt at once',
  },
  capMin: {
    kind: 'integer',
    default: 1,
    min: 0,
    max: 100_000,
    reason: 'a small app still heals, one runner at a time',
  },
  panicPercent: {
    kind: 'percent',
    default: 50,
    min: 1,
    max: 100,
    reason: 'when half fail together the checker is as likely as the runners',
  },
  panicMin: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 100_000,
    reason: 'two of two are not a crowd',
  },
  panicCooldownSeconds: {
    kind: 'seconds',
    default: 30,
    min: 0,
    reason: 'a successor must hold two intervals before the next one goes',
  },
  doubtPerSecond: {
    kind: 'number',
    default: 0.2,
    min: 0,
    above: true,
    max: 1000,
    reason: 'one ending by doubt in five seconds is a rate people can follow',
  },
  doubtBurst: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 100_000,
    reason: 'a few at once are normal',
  },
  selfPercent: {
    kind: 'percent',
    default: 50,
    min: 1,
    max: 100,
    reason: 'when half of all probes time out together, look at the one who asks',
  },
  dryRun: { kind: 'list', default: [], reason: 'every rule is enforced' },
  maxAttempts: {
    kind: 'integer',
    default: 10,
    min: 1,
    max: 10,
    reason: 'ten in all: the ceiling the platform promises',
  },
  retryBaseSeconds: { kind: 'seconds', default: 0.5, min: 0, reason: 'the first retry comes soon' },
  retryMaxSeconds: {
    kind: 'seconds',
    default: 30,
    min: 0,
    reason: 'the last one does not come tomorrow',
  },
  retryRunner429: {
    kind: 'boolean',
    default: true,
    reason: 'the seed retries queued requests that a runner rate-limits',
  },
  needsRetryScope: {
    kind: 'word',
    default: 'any',
    words: ['any', 'errors'],
    reason: 'the seed: force a retry even if the status would not',
  },
  poisonThreshold: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 10,
    reason: 'one request that ended three runners is the suspect, not the fourth runner',
  },
  poisonQuarantine: { kind: 'boolean', default: false, reason: 'the seed says up to ten attempts' },
  backoffStepSeconds: {
    kind: 'seconds',
    default: 30,
    min: 0,
    reason: 'each failed start waits half a minute longer',
  },
  backoffMaxSeconds: {
    kind: 'seconds',
    default: 600,
    min: 0,
    reason: 'ten minutes is the longest wait between two tries',
  },
  stableSeconds: {
    kind: 'seconds',
    default: 10,
    min: 0,
    reason: 'a runner that was ready for ten seconds did start',
  },
  noCapacitySeconds: {
    kind: 'seconds',
    default: 20,
    min: 0,
    above: true,
    reason: 'hardware comes back at any time; asking costs little',
  },
  startsPerSecond: {
    kind: 'number',
    default: 1,
    min: 0,
    above: true,
    max: 1000,
    reason: 'starts that waited are released one by one',
  },
  giveUpStarts: {
    kind: 'integer',
    default: 5,
    min: 1,
    max: 1000,
    reason: 'five failures in a row are worth waking somebody',
  },
  giveUpWindowSeconds: {
    kind: 'seconds',
    default: 600,
    min: 0,
    above: true,
    reason: 'counted over ten minutes',
  },
  resultRetentionSeconds: {
    kind: 'seconds',
    default: 86_400,
    min: 0,
    reason: 'results are kept a day',
  },
  healthyDelaySeconds: {
    kind: 'seconds',
    default: 60,
    min: 0,
    reason: 'a reset node proves itself for a minute',
  },
  drainTimeoutSeconds: {
    kind: 'seconds',
    default: 300,
    min: 0,
    reason: 'long requests get five minutes to end',
  },
  allowUnsafe: {
    kind: 'boolean',
    default: false,
    reason: 'a dry run of the immediate rules leaves broken runners in service',
  },
} as const satisfies Record<string, OptionSpec>

export type Value<S> = S extends { kind: 'boolean' }
  ? boolean
  : S extends { kind: 'word'; words: readonly (infer W)[] }
    ? W
    : S extends { kind: 'list' }
      ? readonly string[]
      : number

/** Tunables as configured, all optional; names of node and GPU tunables are allowed beside them. */
export type PolicyOptions = {
  readonly [K in keyof typeof tunables]?: Value<(typeof tunables)[K]>
} & { readonly [name: string]: unknown }
