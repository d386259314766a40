/** The same snapshot and the same facts give the same commands and decisions, byte for byte, however a fleet is woken, saved or cut. */
import { beginSnapshot, type Fleet, restore, snapshot, type SnapshotWriter } from '@health/core'
import { expect, test } from 'vitest'
import { audit } from '../src/audit.ts'
import { relive } from '../src/relive.ts'
import { live } from '../src/world.ts'
import { climates } from './climate.ts'

/** What stands where two long texts part; null when they are the same. */
function excerpt(given: string, expected: string): string | null {
  if (given === expected) return null
  let at = 0
  while (given[at] === expected[at]) at++
  return `${given.slice(at - 80, at + 40)} instead of ${expected.slice(at, at + 40)}`
}

const seeds = [1, 2, 3, 4, 5]
const worlds = Object.keys(climates).flatMap((climate) => seeds.map((seed) => ({ climate, seed })))

/** The first entry that differs, for a message that a person can read. */
function firstDifference(given: readonly unknown[], expected: readonly unknown[]): string | null {
  for (let i = 0; i < Math.max(given.length, expected.length); i++) {
    const [a, b] = [JSON.stringify(given[i]), JSON.stringify(expected[i])]
    if (a !== b) return `entry ${i}: ${a} instead of ${b}`
  }
  return null
}

test.for(worlds)(
  'a journal of $climate weather, seed $seed, gives the same again',
  ({ climate, seed }) => {
    const options = climates[climate]!(seed)
    const wrong = new Set<string>()
    const lived = live({
      ...options,
      watch: (fleet, event) => {
        for (const each of audit(fleet)) wrong.add(`${event.at} ${event.type}: ${each}`)
      },
    })
    expect([...wrong].slice(0, 5)).toEqual([])
    expect(lived.decisions.length).toBeGreaterThan(50)
    const { until } = options
    const same = (name: string, again: ReturnType<typeof relive>): void => {
      expect([name, firstDifference(again.decisions, lived.decisions)]).toEqual([name, null])
      expect([name, firstDifference(again.commands, lived.commands)]).toEqual([name, null])
    }
    same('without wake-ups', relive(lived.journal, { seed, until }))
    same('with wake-ups', relive(lived.journal, { seed, until, wakes: true }))
    same(
      'restored again and again',
      relive(lived.journal, { seed, until, wakes: true, cut: 1 + ((seed * 7) % 13) }),
    )
  },
)

test.for(worlds)(
  'a snapshot of $climate weather, seed $seed, in slices is the fleet at its beginning',
  ({ climate, seed }) => {
    let writer: SnapshotWriter | null = null
    let whole = ''
    let text = ''
    let done = 0
    const wrong: string[] = []
    let steps = 0
    // A restart makes another fleet, and nobody goes on with the writer of the old one.
    const { restartEveryMs: _, ...options } = climates[climate]!(seed)
    live({
      ...options,
      watch: (fleet: Fleet) => {
        steps++
        if (writer === null && steps % 7 === 0) {
          whole = JSON.stringify(snapshot(fleet))
          writer = beginSnapshot(fleet)
          text = ''
        } else if (writer !== null && steps % 3 === 0) {
          const piece = writer.piece(2)
          text += piece ?? ''
          if (piece !== null) return
          writer = null
          done++
          const parted = excerpt(text, whole)
          if (parted !== null) wrong.push(parted)
        }
      },
    })
    expect(wrong).toEqual([])
    expect(done).toBeGreaterThan(10)
  },
)

test('a restored fleet says the same of itself', () => {
  const { fleet } = live(climates['mixed']!(11))
  const once = snapshot(fleet)
  expect(snapshot(restore(JSON.parse(JSON.stringify(once))))).toEqual(once)
})
