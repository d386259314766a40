/** Another policy against recorded worlds, beside the same worlds really lived under it. */
import { type Life, restore, snapshot, whatIf } from '@health/core'
import { expect, test } from 'vitest'
import { live } from '../src/world.ts'
import type { WorldOptions, WorldRun } from '../src/world-options.ts'
import { climates } from './climate.ts'
import { type Recorded, recorded } from './recorded.ts'

const worlds = Object.keys(climates).flatMap((climate) =>
  [1, 2, 3, 4, 5].map((seed) => ({ climate, seed })),
)
const otherwise = (lives: readonly Life[]) =>
  lives
    .filter(({ fate }) => fate !== 'same')
    .map(({ runner, fate, ended, other }) => ({ runner, fate, ended, other }))

test.for(worlds)(
  '$climate, seed $seed: under its own policy every life is the same',
  ({ climate, seed }) => {
    const { recording } = recorded(`${climate} ${seed}`, () => climates[climate]!(seed))
    const { lives, counts } = whatIf(recording, {})
    expect(otherwise(lives)).toEqual([])
    expect(counts.lives).toBeGreaterThan(5)
    // A cap that differs by nothing makes the shadows read the guards themselves; they must come to the same.
    expect(otherwise(whatIf(recording, { capPercent: 20.000_001 }).lives)).toEqual([])
  },
)

test.for(worlds)(
  '$climate, seed $seed: a recording may begin in the middle',
  ({ climate, seed }) => {
    const { options, run } = recorded(`${climate} ${seed}`, () => climates[climate]!(seed))
    const half = run.journal.length >> 1
    const fleet = live({ ...options, until: run.journal[half]!.at }).fleet
    const events = run.journal.filter(({ seq }) => seq! > fleet.seq)
    const start = snapshot(restore(JSON.parse(JSON.stringify(snapshot(fleet)))))
    const { lives } = whatIf({ start, policy: options.policy ?? {}, seed, events }, {})
    expect(otherwise(lives)).toEqual([])
  },
)

/** Twenty runners; each is sick for a while of its own, so that no guard and no neighbour has a part in it. */
const spells = (failureThreshold: number, lasting: (life: number) => number): WorldOptions => ({
  seed: 3,
  until: 2_400_000,
  apps: [
    {
      id: 'demo/app',
      options: {
        healthCheck: { path: '/health', failureThreshold, intervalSeconds: 10, timeoutSeconds: 2 },
        startupTimeoutSeconds: 30,
        minConcurrency: 20,
        maxConcurrency: 20,
      },
      policy: { capPercent: 100, panicPercent: 100, doubtPerSecond: 1000, doubtBurst: 1000 },
    },
  ],
  sick: ({ life }, at) => {
    const from = 100_000 + life * 100_000
    return life <= 20 && at >= from && at < from + lasting(life)
      ? { share: 1, why: 'status' }
      : null
  },
})
/** From a dropped packet to an illness of a minute and a half. */
const lasting = (life: number): number => 4_000 + life * 4_500

/** The world of spells under a threshold; lived once, however many ask. */
const lived = (threshold: number): Recorded =>
  recorded(`spells ${threshold}`, () => spells(threshold, lasting))

/** When a life of the first twenty ended by doubt. */
const endsOf = (run: WorldRun): ReadonlyMap<string, number> =>
  new Map(
    run.decisions.flatMap(({ subject, rule, to, at }) =>
      rule === 'health.threshold' && to === 'stopping' ? [[subject.id, at] as const] : [],
    ),
  )

test.for([1, 2] as const)(
  'threshold %i asked of a world lived under 3: each earlier ending is the one of the world lived under it',
  (threshold) => {
    const { lives } = whatIf(lived(3).recording, { failureThreshold: threshold })
    const really = endsOf(lived(threshold).run)
    const earlier = lives.filter(({ fate }) => fate === 'earlier')
    expect(earlier.length).toBeGreaterThan(3)
    expect(lives.filter(({ fate }) => fate !== 'same' && fate !== 'earlier')).toEqual([])
    for (const { runner, other } of earlier)
      // The same probe; how long an answer takes is drawn anew in another world.
      expect([runner, Math.abs(really.get(runner)! - other!.at) < 1_000]).toEqual([runner, true])
    const first = lives.filter(({ runner }) => Number(runner.split('-').at(-1)) <= 20)
    expect(
      first
        .filter(({ other }) => other !== null)
        .map(({ runner }) => runner)
        .toSorted(),
    ).toEqual([...really.keys()].toSorted())
  },
)

test.for([4, 6] as const)(
  'threshold %i asked of a world lived under 3: whom it spares may recover or end, and the bounds hold either way',
  (threshold) => {
    const { lives, counts } = whatIf(lived(3).recording, { failureThreshold: threshold })
    const really = endsOf(lived(threshold).run)
    const spared = lives.filter(({ fate }) => fate === 'spared')
    expect(spared.length).toBeGreaterThan(5)
    expect(counts.earlier).toBe(0)
    const outcome = new Set<string>()
    for (const { runner, bounds, ended } of spared) {
      expect(bounds!.ifFailing).toBeGreaterThan(ended!.at)
      const end = really.get(runner)
      outcome.add(end === undefined ? 'recovered' : 'ended')
      expect(end ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(bounds!.ifFailing! - 1_000)
    }
    // Both happen, and the journal alone cannot tell which: that is why nobody may add them up.
    expect([...outcome].toSorted()).toEqual(['ended', 'recovered'])
  },
)

test('a naive replay claims what a what-if does not', () => {
  const { run, recording } = lived(3)
  const ended = endsOf(run).size
  const truth = endsOf(lived(5).run).size
  const { counts } = whatIf(recording, { failureThreshold: 5 })
  // In the journal nobody fails five times: his runner was ended after three. So a replay alone would say that none ends.
  expect(truth).toBeGreaterThan(0)
  expect(counts.spared).toBe(ended)
  expect(counts.same + counts.spared).toBe(counts.lives)
})
