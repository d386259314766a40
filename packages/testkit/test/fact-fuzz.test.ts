/** Facts in any order, sensible or not: nothing throws, nothing is kept twice and differs, and the journal alone gives the same again. */
import {
  createFleet,
  type Fleet,
  type HealthEvent,
  type OutcomeName,
  outcomes,
  step,
} from '@health/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { audit } from '../src/audit.ts'
import { relive } from '../src/relive.ts'

/** One fact, as chance draws it; who it is about is looked up when it is told. */
interface Draw {
  readonly kind: (typeof kinds)[number]
  /** Ms since the one before. */
  readonly ms: number
  /** Which runner, and a free choice. */
  readonly who: number
  readonly choice: number
  readonly stale: boolean
}

const kinds = [
  'process.started',
  'process.started',
  'provision.refused',
  'port.opened',
  'setup.failed',
  'process.exited',
  'probe.passed',
  'probe.passed',
  'probe.failed',
  'probe.failed',
  'probe.failed',
  'probe.errored',
  'attempt.ended',
  'attempt.ended',
  'attempt.ended',
  'traffic.counted',
  'work.counted',
  'heartbeat.received',
  'attempt.stalled',
  'order.drain',
  'order.stop',
  'order.kill',
  'order.check',
  'order.start',
  'policy.configured',
  'policy.changed',
  'app.configured',
  'app.removed',
  'clock.resumed',
  'control.ended',
  'core.started',
  'request.cancelled',
  'request.expired',
  'lease.expired',
  'order.shutdown',
  'time.passed',
] as const

const draws = fc.array(
  fc.record({
    kind: fc.constantFrom(...kinds),
    ms: fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: 0, max: 900 }) },
      { weight: 2, arbitrary: fc.integer({ min: 1_000, max: 40_000 }) },
    ),
    who: fc.nat(9),
    choice: fc.nat(999),
    stale: fc.boolean(),
  }),
  { minLength: 10, maxLength: 45 },
)
const settings = fc.record({
  seed: fc.nat(1_000_000),
  regular: fc.boolean(),
  exclusive: fc.boolean(),
  firstPass: fc.boolean(),
  heartbeat: fc.boolean(),
  urls: fc.boolean(),
  runners: fc.integer({ min: 0, max: 4 }),
  threshold: fc.integer({ min: 1, max: 3 }),
})
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never

function configured(at: number, given: Settings, choice: number): HealthEvent {
  return {
    type: 'app.configured',
    at,
    app: 'a/one',
    options: {
      healthCheck: {
        path: '/h',
        intervalSeconds: 5,
        startPeriodSeconds: 1,
        failureThreshold: given.threshold,
        callRegularly: given.regular,
        exclusive: given.exclusive,
        exclusiveWaitSeconds: 2,
        ...(given.exclusive && { betweenRequestsSeconds: 4 }),
        ...(given.firstPass && given.regular && { readyAfterFirstPass: true }),
        ...(given.heartbeat && { heartbeat: { ttlSeconds: 12 } }),
      },
      startupTimeoutSeconds: 3,
      minConcurrency: given.runners,
      maxConcurrency: given.runners + (choice % 3),
      keepAliveSeconds: 5,
      maxMultiplexing: 2,
    },
    policy: { panicCooldownSeconds: 3, drainTimeoutSeconds: 6, backoffStepSeconds: 2 },
    revision: `r${choice % 2}`,
    ...(given.urls && {
      urls: ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'].slice(choice % 2),
    }),
  }
}

const names = Object.keys(outcomes) as OutcomeName[]
const statuses: Partial<Record<OutcomeName, number>> = {
  healthy: 200,
  rate_limited: 429,
  error: 500,
  server_error: 503,
  gateway_timeout: 504,
}

function factOf(fleet: Fleet, draw: Draw, given: Settings): HealthEvent {
  const { kind, choice } = draw
  const at = fleet.now + draw.ms
  const runners = [...fleet.runners.values()]
  const runner = runners[draw.who % Math.max(1, runners.length)]
  const life = {
    runner: runner?.id ?? 'nobody',
    incarnation: (runner?.incarnation ?? 1) - (draw.stale && choice % 5 === 0 ? 1 : 0),
  }
  const inFlight = choice % 3
  const record = {
    attempts: 1 + (choice % 10),
    spent: {},
    noRetry: false,
    retryConfig: null,
    ended: [],
    cancelled: false,
    expired: false,
  }
  const request = `q-${choice}`
  switch (kind) {
    case 'process.started':
      return { type: kind, at, ...life, pid: 7, url: 'http://127.0.0.1:1' }
    case 'provision.refused':
      return {
        type: kind,
        at,
        ...life,
        why: choice % 4 === 0 ? 'bad_config' : 'no_capacity',
        detail: 'no',
      }
    case 'port.opened':
      return { type: kind, at, ...life, latencyMs: 1 }
    case 'setup.failed':
      return { type: kind, at, ...life, detail: 'no' }
    case 'process.exited':
      return { type: kind, at, ...life, code: 1, signal: null }
    case 'probe.passed':
    case 'probe.failed':
    case 'probe.errored':
      return {
        type: kind,
        at,
        ...life,
        probe: choice % 7 === 0 ? choice : (runner?.flying ?? 1),
        kind: runner?.flyingKind ?? 'regular',
        latencyMs: choice,
        ...(kind === 'probe.failed' && { why: choice % 2 === 0 ? 'timeout' : 'refused' }),
      }
    case 'attempt.ended': {
      const outcome = names[choice % names.length]!
      return {
        type: kind,
        at,
        app: 'a/one',
        ...life,
        request,
        attempt: 1,
        mode: 'queue',
        outcome,
        status: statuses[outcome] ?? null,
        inFlight,
        ...(choice % 3 === 0 && {
          headers: { check: choice % 2 === 0, ...(choice % 9 === 0 && { stop: choice % 2 === 0 }) },
        }),
        ...(choice % 2 === 0 && { record }),
      }
    }
    case 'traffic.counted':
      return {
        type: kind,
        at,
        app: 'a/one',
        runners: runner === undefined ? [] : [runner.id],
        started: [1],
        ended: [1],
        served: [choice % 2],
        inFlight: [inFlight],
        waiting: choice % 5,
        queued: choice % 2,
      }
    case 'work.counted':
    case 'attempt.stalled':
      return { type: kind, at, ...life, inFlight }
    case 'heartbeat.received':
      return { type: kind, at, ...life }
    case 'order.drain':
    case 'order.stop':
    case 'order.kill':
      return { type: kind, at, runner: life.runner, by: 'me', replace: choice % 2 === 0, inFlight }
    case 'order.check':
      return { type: kind, at, runner: life.runner, by: 'me', manual: choice % 2 === 0 }
    case 'order.start':
      return { type: kind, at, app: 'a/one', by: 'me' }
    case 'policy.changed':
      return {
        type: kind,
        at,
        app: null,
        change: { capPercent: choice % 100, doubtPerSecond: choice % 4 === 0 ? null : 1 },
        by: 'me',
      }
    case 'policy.configured':
      return { type: kind, at, policy: choice % 3 === 0 ? {} : { capPercent: choice % 100 } }
    case 'app.configured':
      return configured(at, given, choice)
    case 'app.removed':
      return { type: kind, at, app: 'a/one' }
    case 'clock.resumed':
      return { type: kind, at, gapMs: 60_000, wall: at }
    case 'control.ended':
      return { type: kind, at, passed: choice % 2 === 0, latencyMs: 1 }
    case 'core.started':
      return { type: kind, at, version: '1', wall: at }
    case 'request.cancelled':
      return {
        type: kind,
        at,
        app: 'a/one',
        request,
        cause: 'caller',
        ...(choice % 2 === 0 && { runner: life.runner, attempt: 1 }),
      }
    case 'request.expired':
      return { type: kind, at, app: 'a/one', request }
    case 'lease.expired':
      return { type: kind, at, app: 'a/one', request, attempt: 1, record }
    case 'order.shutdown':
      return { type: kind, at, by: 'me', keepRunners: choice % 4 > 0 }
    case 'time.passed':
      return { type: kind, at }
    default:
      return kind satisfies never
  }
}

const runs = Number(process.env['HEALTH_FUZZ_RUNS'] ?? 10_000)
let moved = 0
const words = new Set<string>()
const rules = new Set<string>()

test(
  'any facts in any order leave a fleet that agrees with itself and with its journal',
  { timeout: 120_000 },
  () => {
    fc.assert(
      fc.property(settings, draws, (given, list) => {
        const fleet = createFleet({}, { seed: given.seed })
        const journal: HealthEvent[] = []
        const decisions: unknown[] = []
        const commands: unknown[] = []
        const tell = (event: HealthEvent): void => {
          const result = step(fleet, event)
          if (result.seq > 0) journal.push({ ...event, seq: result.seq })
          decisions.push(...result.decisions)
          commands.push(...result.commands)
          for (const decision of result.decisions) {
            words.add(decision.to)
            rules.add(decision.because ?? decision.rule)
          }
          const [wrong] = audit(fleet)
          if (wrong !== undefined) throw new Error(`after ${JSON.stringify(event)}: ${wrong}`)
        }
        tell(configured(0, given, 2))
        for (const draw of list) tell(factOf(fleet, draw, given))
        tell({ type: 'time.passed', at: fleet.now + 60_000 })
        moved += decisions.length
        // Each run is lived again one way; a fourth of them is saved and restored again and again.
        const ways = [
          {},
          { wakes: true },
          { wakes: true },
          { wakes: true, cut: 1 + (given.seed % 7) },
        ]
        const again = relive(journal, {
          seed: given.seed,
          until: fleet.now,
          ...ways[given.seed % 4],
        })
        const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
        if (!same(again.decisions, decisions)) throw new Error('other decisions')
        if (!same(again.commands, commands)) throw new Error('other commands')
        if (again.fleet.seq !== fleet.seq) throw new Error('other numbers')
      }),
      { numRuns: runs, seed: 20_261_121 },
    )
    // What was never reached was never tried.
    expect(moved).toBeGreaterThan(runs)
    const reached = new Set([...words].map((word) => word.replace(/\+.*/, '')))
    expect([...reached]).toEqual(
      expect.arrayContaining([
        'backoff',
        'failing',
        'gone',
        'idle',
        'killing',
        'provisioning',
        'setup',
        'stopping',
        'verifying',
      ]),
    )
  },
)
