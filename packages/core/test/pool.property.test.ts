/**
 * Whatever configurations follow each other, with whatever happens to runners meanwhile: the pool settles, a restored fleet does the
 * same as one that lived on, and an app has runners of the kind that it was last configured to have, and others only until those serve.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  createFleet,
  type Fleet,
  type HealthEvent,
  nextDue,
  restore,
  snapshot,
  step,
} from '../src/index.ts'
import type { AppRecord, Place, RunnerRecord } from '../src/state.ts'
import { traits } from '../src/word.ts'

const apps = ['x/a', 'y/a'] as const
const addresses = [1, 2, 3, 4].map((port) => `http://127.0.0.1:${port}`)

/** One move; which runner and what it means for it is chosen when it is played. */
const move = fc.record({
  wait: fc.constantFrom(0, 0, 1, 500, 1_000, 5_000, 31_000),
  kind: fc.oneof(
    { weight: 2, arbitrary: fc.constant('configure' as const) },
    { weight: 1, arbitrary: fc.constant('remove' as const) },
    {
      weight: 12,
      arbitrary: fc.constantFrom(
        'start' as const,
        'start' as const,
        'answer' as const,
        'answer' as const,
        'refuse' as const,
        'exit' as const,
        'error' as const,
        'drain' as const,
        'kill' as const,
        'idle' as const,
        'wake' as const,
      ),
    },
  ),
  app: fc.constantFrom(...apps),
  which: fc.nat(),
  passed: fc.constantFrom(true, true, true, false),
  revision: fc.constantFrom('r1', 'r2', 'r3'),
  min: fc.integer({ min: 0, max: 3 }),
  max: fc.integer({ min: 3, max: 6 }),
  urls: fc.option(fc.subarray(addresses)),
})
type Move = typeof move extends fc.Arbitrary<infer T> ? T : never

const configure = (at: number, { app, min, max, revision, urls }: Move): HealthEvent => ({
  type: 'app.configured',
  at,
  app,
  options: {
    healthCheck: {
      path: '/health',
      startPeriodSeconds: 1,
      failureThreshold: 2,
      intervalSeconds: 1,
      timeoutSeconds: 1,
    },
    minConcurrency: min,
    maxConcurrency: max,
    keepAliveSeconds: 5,
    startupTimeoutSeconds: 10,
  },
  policy: {},
  revision,
  ...(urls !== null && { urls }),
})

/** Most facts mean something to few runners, and those are chosen: others are told to be void, and are. */
const suits = (kind: Move['kind'], { configuration, flying }: RunnerRecord): boolean =>
  kind === 'start' ? configuration.word === 'provisioning' : kind !== 'answer' || flying > 0

/** The move as a fact about this fleet. */
function factOf(fleet: Fleet, at: number, play: Move): HealthEvent {
  if (play.kind === 'configure' || fleet.apps.size === 0) return configure(at, play)
  if (play.kind === 'remove') return { type: 'app.removed', at, app: play.app }
  const all = [...fleet.runners.values()]
  const runners = all.filter((runner) => suits(play.kind, runner))
  const runner = runners[play.which % runners.length]
  if (runner === undefined || play.kind === 'wake') return { type: 'time.passed', at }
  const life = { at, runner: runner.id, incarnation: runner.incarnation }
  switch (play.kind) {
    case 'start':
      return { type: 'process.started', ...life, pid: null, url: addresses[0]! }
    case 'answer':
      return {
        type: play.passed ? 'probe.passed' : 'probe.failed',
        ...life,
        probe: runner.flying,
        kind: runner.flyingKind,
        latencyMs: 1,
        why: 'refused',
      }
    case 'refuse':
      return { type: 'provision.refused', ...life, why: 'no_capacity', detail: '' }
    case 'exit':
      return { type: 'process.exited', ...life, code: 1, signal: null }
    case 'error':
      return {
        type: 'attempt.ended',
        ...life,
        app: runner.app.id,
        request: 'q',
        attempt: 1,
        mode: 'run',
        outcome: play.passed ? 'error' : 'server_error',
        status: play.passed ? 500 : 503,
        inFlight: 0,
      }
    case 'drain':
    case 'kill':
      return { type: `order.${play.kind}`, at, runner: runner.id, by: 'ann', inFlight: play.min }
    case 'idle':
      return { type: 'work.counted', ...life, inFlight: 0 }
    default:
      return play.kind satisfies never
  }
}

test('every sequence of configurations and facts settles, and a restored fleet goes on the same', () => {
  fc.assert(
    fc.property(
      fc.array(move, { minLength: 1, maxLength: 80, size: 'max' }),
      fc.nat({ max: 80 }),
      (moves, cut) => {
        const lived = createFleet({}, { seed: 1 })
        let other = createFleet({}, { seed: 1 })
        let at = 0
        for (const [index, play] of moves.entries()) {
          at = play.kind === 'wake' ? Math.max(at, soon(lived, at)) : at + play.wait
          const fact = factOf(lived, at, play)
          expect(step(other, fact)).toEqual(step(lived, fact))
          if (index === cut) other = restore(JSON.parse(JSON.stringify(snapshot(lived))))
        }
        expect(snapshot(other)).toEqual(snapshot(lived))
        for (const app of lived.apps.values())
          expect(strangers(app).length).toBeLessThanOrEqual(missing(app))
      },
    ),
    { numRuns: 400 },
  )
})

/** The next deadline, unless there is none. */
function soon(fleet: Fleet, at: number): number {
  const due = nextDue(fleet)
  return Number.isFinite(due) ? due : at
}

const takes = ({ current }: Place): boolean =>
  current !== null && traits(current.configuration).accepting

/** Places whose runner may take work and is not of the kind that the app was configured to have. */
const strangers = ({ places, urls }: AppRecord): readonly Place[] =>
  places.filter(
    (place) =>
      takes(place) &&
      (urls === null ? place.url !== null : place.url === null || !urls.includes(place.url)),
  )

/** Servers that are to be adopted and do not serve yet: as many others may stay for them. */
const missing = ({ places, urls }: AppRecord): number =>
  urls === null
    ? 0
    : urls.length -
      places.filter((place) => place.url !== null && urls.includes(place.url) && takes(place))
        .length
