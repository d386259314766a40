import { ManualClock } from '@health/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { createSystemClock, shiftClock, type Gap, type ObservedClock } from '../src/system-clock.ts'
import type { WallSegment } from '../src/wall-history.ts'

class Source {
  mono = 5_000
  date = 1_700_000_000_000
  monotonic = (): number => this.mono
  unix = (): number => this.date
  pass(ms: number, wall = ms): void {
    this.mono += ms
    this.date += wall
  }
}

function make(
  from = 0,
  history: readonly WallSegment[] = [],
): { clock: ObservedClock; source: Source; gaps: Gap[] } {
  const source = new Source()
  const clock = createSystemClock({ source, from, history })
  onTestFinished(() => clock.close())
  const gaps: Gap[] = []
  clock.onGap((gap) => gaps.push(gap))
  return { clock, source, gaps }
}

test.for([
  { given: [100, 100, 100], now: 300, paused: 0 },
  { given: [1_000], now: 1_000, paused: 0 },
  { given: [1_001], now: 1_000, paused: 1 },
  { given: [200, 60_000, 200], now: 1_400, paused: 59_000 },
  { given: [60_000, 60_000], now: 2_000, paused: 118_000 },
  { given: [0, 0.4, 0.4], now: 0, paused: 0 },
])('wake-ups after $given ms: observed $now, left out $paused', ({ given, now, paused }) => {
  const { clock, source, gaps } = make()
  for (const ms of given) {
    source.pass(ms)
    clock.settle()
  }
  expect(clock.now()).toBe(now)
  expect(clock.pausedMs).toBe(paused)
  expect(gaps.reduce((sum, { gapMs }) => sum + gapMs, 0)).toBe(paused)
})

test('a gap is reported once, with the wall time after it', () => {
  const { clock, source, gaps } = make()
  source.pass(61_000)
  clock.now()
  clock.settle()
  clock.settle()
  expect(gaps).toEqual([{ gapMs: 60_000, wall: 1_700_000_061_000 }])
})

test('a wall clock that runs ahead while the monotonic one stands is a gap: the machine slept', () => {
  const { clock, source, gaps } = make()
  source.pass(100, 3_600_100)
  clock.settle()
  expect(clock.now()).toBe(100)
  expect(gaps).toEqual([{ gapMs: 3_600_000, wall: 1_700_003_600_100 }])
})

test('a wall clock that is set back moves dates, and nothing else', () => {
  const { clock, source, gaps } = make()
  source.pass(100, -3_600_000)
  clock.settle()
  expect(clock.now()).toBe(100)
  expect(gaps).toEqual([{ gapMs: 0, wall: 1_699_996_400_000 }])
  expect(clock.wall()).toBe(1_699_996_400_000)
})

test('every observed time keeps the date it had, across gaps and restarts', () => {
  const { clock, source } = make(10_000, [[0, 1_600_000_000_000]])
  source.pass(500)
  clock.settle()
  source.pass(61_000)
  clock.settle()
  expect(clock.wall(4_000)).toBe(1_600_000_004_000)
  expect(clock.wall(10_400)).toBe(1_700_000_000_400)
  expect(clock.now()).toBe(11_500)
  expect(clock.wall()).toBe(1_700_000_061_500)
})

test('real alarms run in order and never early', async () => {
  const clock = createSystemClock()
  onTestFinished(() => clock.close())
  const began = clock.now()
  const ran: [string, number][] = []
  const due = (name: string, ms: number): Promise<void> =>
    new Promise((resolve) => {
      clock.after(ms, () => {
        ran.push([name, clock.now() - began])
        resolve()
      })
    })
  clock.after(15, () => ran.push(['cancelled', 0]))()
  await Promise.all([due('b', 20), due('a', 5), due('c', 30)])
  expect(ran.map(([name]) => name)).toEqual(['a', 'b', 'c'])
  for (const [i, least] of [5, 20, 30].entries()) expect(ran[i]![1]).toBeGreaterThanOrEqual(least)
})

test('the gap comes before the alarms of the wake-up that found it', async () => {
  const source = new Source()
  const clock = createSystemClock({ source })
  onTestFinished(() => clock.close())
  const told: string[] = []
  clock.onGap(() => told.push('gap'))
  await new Promise<void>((resolve) => {
    clock.after(5, () => {
      told.push('alarm')
      resolve()
    })
    source.pass(60_000)
  })
  expect(told).toEqual(['gap', 'alarm'])
})

test('closed, it calls nobody', async () => {
  const clock = createSystemClock()
  let called = false
  clock.after(1, () => (called = true))
  clock.close()
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(called).toBe(false)
})

test('a given clock goes on where the journal ended', () => {
  const manual = new ManualClock()
  const clock = shiftClock(manual, 7_000)
  manual.advance(10)
  expect(clock.now()).toBe(7_010)
  expect(clock.wall(7_010)).toBe(manual.wall())
  expect(shiftClock(manual, 0)).toBe(manual)
})
