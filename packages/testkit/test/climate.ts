/** Worlds to test the core in: each name is a kind of weather, each seed one year of it. Two minutes to ten of observed time. */
import type { AppOptions, HealthCheckOptions } from '@health/core'
import type { WorldOptions } from '../src/world-options.ts'

const check = (more: Partial<HealthCheckOptions> = {}): HealthCheckOptions => ({
  path: '/health',
  intervalSeconds: 5,
  timeoutSeconds: 2,
  startPeriodSeconds: 5,
  ...more,
})
const app = (more: AppOptions = {}): AppOptions => ({
  healthCheck: check(),
  startupTimeoutSeconds: 15,
  minConcurrency: 3,
  maxConcurrency: 8,
  maxMultiplexing: 2,
  keepAliveSeconds: 10,
  ...more,
})
const weather = {
  requestEveryMs: 400,
  badAnswers: 0.03,
  flagged: 0.05,
  cancelled: 0.03,
  lostLeases: 0.01,
  failedStarts: 0.1,
  refusedStarts: 0.05,
  hangs: 0.2,
  crashEveryMs: 40_000,
  errored: 0.02,
} as const
const mildly: WorldOptions['sick'] = (runner, at) =>
  (runner.life + Math.floor(at / 60_000)) % 5 === 0
    ? { share: 0.7, why: at % 2 === 0 ? 'timeout' : 'status' }
    : { share: 0.02, why: 'refused' }

/** Every kind of weather: the options of a world, for a seed. */
export const climates: Readonly<Record<string, (seed: number) => WorldOptions>> = {
  mixed: (seed) => ({
    seed,
    until: 240_000,
    apps: [
      { id: 'a/one', options: app() },
      { id: 'a/two', options: app({ minConcurrency: 0, scalingDelaySeconds: 2 }) },
    ],
    ...weather,
    orderEveryMs: 20_000,
    reloadEveryMs: 40_000,
    gapEveryMs: 90_000,
    sick: mildly,
  }),
  storm: (seed) => {
    const size = [3, 5, 10, 20][seed % 4]!
    return {
      seed,
      until: 300_000,
      apps: [{ id: 'a/storm', options: app({ minConcurrency: size, maxConcurrency: size }) }],
      hangs: 0.1,
      ...(seed % 3 === 0 && { refusedStarts: 0.5, failedStarts: 0.2 }),
      ...(seed % 2 === 0 && { orderEveryMs: 30_000 }),
      sick: (runner, at) =>
        at > 60_000 && at < 200_000 && runner.life % 10 < 8
          ? { share: seed % 5 === 0 ? 0.8 : 1, why: seed % 2 === 0 ? 'timeout' : 'status' }
          : null,
      blind: (at) => seed % 4 === 1 && at > 100_000 && at < 140_000,
    }
  },
  exclusive: (seed) => ({
    seed,
    until: 240_000,
    apps: [
      {
        id: 'a/one',
        options: app({
          healthCheck: check({
            exclusive: true,
            exclusiveWaitSeconds: 1,
            ...(seed % 2 === 0 ? { betweenRequestsSeconds: 3 } : { callRegularly: false }),
          }),
        }),
      },
    ],
    ...weather,
    flagged: 0.2,
    errored: seed % 3 === 0 ? 0.6 : 0.02,
    orderEveryMs: 30_000,
    sick: mildly,
  }),
  cautious: (seed) => ({
    seed,
    until: 240_000,
    apps: [
      {
        id: 'a/one',
        options: app({
          healthCheck: check({
            readyAfterFirstPass: true,
            failureThreshold: 1 + (seed % 3),
            successThreshold: 2,
            heartbeat: { ttlSeconds: 20 },
            progressTimeoutSeconds: 1,
          }),
        }),
        policy: {
          stableSeconds: 4,
          backoffStepSeconds: 3,
          ...(seed % 4 === 0 && { dryRun: ['health.threshold'] }),
        },
      },
    ],
    ...weather,
    failedStarts: 0.3,
    sick: mildly,
  }),
  adopted: (seed) => ({
    seed,
    until: 240_000,
    apps: [
      {
        id: 'a/url',
        options: app(),
        urls: [1, 2, 3].map((n) => `http://127.0.0.1:${9_000 + n}`),
      },
      { id: 'a/plain', options: { maxConcurrency: 3, maxMultiplexing: 3, keepAliveSeconds: 5 } },
    ],
    ...weather,
    orderEveryMs: 30_000,
    reloadEveryMs: 60_000,
    sick: mildly,
  }),
  restarted: (seed) => ({
    seed,
    until: 240_000,
    apps: [
      {
        id: 'a/one',
        options: app(seed % 2 === 0 ? { healthCheck: check({ exclusive: true }) } : {}),
      },
    ],
    ...weather,
    restartEveryMs: 30_000,
    gapEveryMs: 60_000,
    sick: mildly,
  }),
}
