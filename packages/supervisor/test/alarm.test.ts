import { chance } from '@health/core'
import { expect, test } from 'vitest'
import { Alarms } from '../src/alarm.ts'

test('callbacks come in order of due time, then of asking', () => {
  const alarms = new Alarms()
  const ran: string[] = []
  for (const [due, name] of [
    [30, 'c'],
    [10, 'a'],
    [20, 'b'],
    [10, 'a2'],
  ] as const)
    alarms.add(due, () => ran.push(name))
  for (let next = alarms.take(100); next; next = alarms.take(100)) next()
  expect(ran).toEqual(['a', 'a2', 'b', 'c'])
})

test('what is not due stays', () => {
  const alarms = new Alarms()
  alarms.add(10, () => {})
  expect(alarms.take(9)).toBeNull()
  expect(alarms.nextDue()).toBe(10)
  expect(alarms.take(10)).not.toBeNull()
  expect(alarms.nextDue()).toBe(Infinity)
})

test('a cancelled alarm never runs, and cancelling twice or late changes nothing', () => {
  const alarms = new Alarms()
  const cancel = alarms.add(1, () => {})
  alarms.add(2, () => {})
  cancel()
  cancel()
  expect(alarms.size).toBe(1)
  expect(alarms.nextDue()).toBe(2)
  const late = alarms.add(3, () => {})
  alarms.take(3)
  alarms.take(3)
  late()
  expect(alarms.size).toBe(0)
})

test('random adds and cancels come out sorted', () => {
  const alarms = new Alarms()
  const expected: number[] = []
  for (let i = 0; i < 5_000; i++) {
    const due = Math.floor(chance(1, 2, i) * 1_000)
    const cancel = alarms.add(due, () => ran.push(due))
    if (chance(1, 3, i) < 0.7) cancel()
    else expected.push(due)
  }
  const ran: number[] = []
  expect(alarms.size).toBe(expected.length)
  for (let next = alarms.take(1_000); next; next = alarms.take(1_000)) next()
  expect(ran).toEqual(expected.sort((a, b) => a - b))
})
