// Many timeouts, one alarm: each entry fires once, in order, at its time, and never after it was taken back.
import { ManualClock } from '@health/testkit'
import { expect, test } from 'vitest'
import { createLanes } from '../src/lane.ts'

test('entries of all lengths fire in the order of their times, each once', () => {
  const clock = new ManualClock()
  const lanes = createLanes(clock)
  const fired: string[] = []
  const add = (ms: number): void => void lanes.wait(ms, () => fired.push(`${ms}@${clock.now()}`))
  add(100)
  add(50)
  clock.advance(30)
  add(100)
  add(50)
  clock.advance(1000)
  expect(fired).toEqual(['50@50', '50@80', '100@100', '100@130'])
})

test('an entry that was taken back never fires, wherever it stood', () => {
  const clock = new ManualClock()
  const lanes = createLanes(clock)
  const fired: number[] = []
  const waits = Array.from({ length: 5 }, (_, i) => lanes.wait(100, () => fired.push(i)))
  for (const i of [0, 2, 4]) waits[i]!.cancel()
  waits[2]!.cancel()
  clock.advance(200)
  expect(fired).toEqual([1, 3])
  waits[1]!.cancel()
  expect(clock.waiting).toBe(0)
})

test('ten thousand entries cost one alarm', () => {
  const clock = new ManualClock()
  const lanes = createLanes(clock)
  const waits = Array.from({ length: 10_000 }, () => lanes.wait(3_600_000, () => {}))
  expect(clock.waiting).toBe(1)
  for (const wait of waits) wait.cancel()
  lanes.wait(3_600_000, () => {})
  expect(clock.waiting).toBe(1)
})

test('what an entry adds or takes back while it fires is respected', () => {
  const clock = new ManualClock()
  const lanes = createLanes(clock)
  const fired: string[] = []
  lanes.wait(10, () => {
    fired.push('first')
    second.cancel()
    lanes.wait(10, () => fired.push('third'))
  })
  const second = lanes.wait(10, () => fired.push('second'))
  clock.advance(10)
  expect(fired).toEqual(['first'])
  clock.advance(10)
  expect(fired).toEqual(['first', 'third'])
})

test('lengths that callers choose do not pile up', () => {
  const clock = new ManualClock()
  const lanes = createLanes(clock)
  for (let ms = 1; ms <= 5000; ms++) lanes.wait(ms, () => {}).cancel()
  expect(clock.waiting).toBeLessThanOrEqual(257)
  lanes.close()
  expect(clock.waiting).toBe(0)
})

test('however many lengths there are, who still waits is told', () => {
  const clock = new ManualClock()
  const lanes = createLanes(clock)
  let fired = 0
  for (let ms = 1; ms <= 600; ms++) lanes.wait(ms, () => fired++)
  clock.advance(600)
  expect(fired).toBe(600)
})
