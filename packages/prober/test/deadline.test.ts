import { ManualClock } from '@health/testkit'
import { expect, test } from 'vitest'
import { Deadlines } from '../src/deadline.ts'

test('each timeout expires at its time, of whatever length, and one clock timer per length is enough', () => {
  const clock = new ManualClock()
  const deadlines = new Deadlines(clock)
  const told: string[] = []
  const add = (name: string, ms: number) =>
    deadlines.add(ms, () => void told.push(`${name}@${clock.now()}`))
  add('a', 100)
  clock.advance(10)
  add('b', 100)
  add('short', 20)
  add('c', 100)
  expect(clock.waiting).toBe(2)
  clock.advance(1_000)
  expect(told).toEqual(['short@30', 'a@100', 'b@110', 'c@110'])
  expect(clock.waiting).toBe(0)
})

test('a removed timeout never expires, wherever it stood', () => {
  const clock = new ManualClock()
  const deadlines = new Deadlines(clock)
  const told: number[] = []
  const rows = [0, 1, 2, 3, 4].map((index) => deadlines.add(50, () => void told.push(index)))
  for (const index of [0, 2, 4, 2]) deadlines.remove(rows[index]!)
  clock.advance(50)
  expect(told).toEqual([1, 3])
  for (const row of rows) deadlines.remove(row)
  deadlines.add(50, () => void told.push(9))
  clock.advance(50)
  expect(told).toEqual([1, 3, 9])
})

test('one that is added while others expire waits its full time', () => {
  const clock = new ManualClock()
  const deadlines = new Deadlines(clock)
  const told: number[] = []
  const again = (): void => {
    told.push(clock.now())
    if (told.length < 3) deadlines.add(10, again)
  }
  deadlines.add(10, again)
  clock.advance(100)
  expect(told).toEqual([10, 20, 30])
})

test('clear forgets all', () => {
  const clock = new ManualClock()
  const deadlines = new Deadlines(clock)
  deadlines.add(10, () => expect.unreachable())
  deadlines.clear()
  expect(clock.advance(100)).toBe(0)
})
