// How late our own loop was while a probe flew: what lies before it, or is over, is not its own.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watchLoop } from '../src/loop-watch.ts'

let now = 0
beforeEach(() => {
  now = 0
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  vi.spyOn(performance, 'now').mockImplementation(() => now)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** The next beat comes after so many ms, in place of 20. */
const beat = (ms = 20): void => {
  now += ms
  vi.advanceTimersByTime(20)
}

test('the longest stall since a moment, and of one that had begun before only what was left', () => {
  const watch = watchLoop()
  watch.enter()
  beat()
  beat(500)
  beat()
  beat(120)
  beat()
  expect(watch.latest(0)).toBe(480)
  expect(watch.latest(420)).toBe(100)
  expect(watch.latest(530)).toBe(100)
  expect(watch.latest(now)).toBe(0)
  // The beat that is overdue now.
  now += 300
  expect(watch.latest(530)).toBe(280)
})

test('it beats while a probe flies, and once after the last', () => {
  const watch = watchLoop()
  for (let n = 0; n < 2; n++) {
    watch.enter()
    watch.enter()
    watch.leave()
    beat()
    expect(vi.getTimerCount()).toBe(1)
    watch.leave()
    beat()
    expect(vi.getTimerCount()).toBe(0)
  }
})
