/** A flood of equal errors: the first pass, enough of the rest, and every recovery action. */
import { expect, test } from 'vitest'
import { XidFlood } from '../src/xid-flood.ts'

const told = (flood: XidFlood, count: number, from: number, everyMs: number, xid = 31): number => {
  let passed = 0
  for (let i = 0; i < count; i++)
    if (flood.admit({ device: 'GPU-0', xid, pid: 7 }, from + i * everyMs).passes) passed++
  return passed
}

test('of a thousand in a second the first twenty pass', () => {
  expect(told(new XidFlood(), 1000, 0, 1)).toBe(20)
})

test('a flood that goes on is told every five seconds, and what was held back is said', () => {
  const flood = new XidFlood()
  // Ten a second for a minute: twenty at once, then one in five seconds from the second one on.
  expect(told(flood, 600, 0, 100)).toBe(20 + 11)
  expect(flood.admit({ device: 'GPU-0', xid: 31, pid: 7 }, 60_000)).toEqual({
    passes: true,
    held: 600 - 31,
  })
  expect(flood.admit({ device: 'GPU-0', xid: 31, pid: 7 }, 120_000)).toEqual({
    passes: true,
    held: 0,
  })
})

test('another device, number or process is another kind', () => {
  const flood = new XidFlood()
  told(flood, 1000, 0, 1)
  const at = 1_000
  expect(flood.admit({ device: 'GPU-1', xid: 31, pid: 7 }, at).passes).toBe(true)
  expect(flood.admit({ device: 'GPU-0', xid: 48, pid: 7 }, at).passes).toBe(true)
  expect(flood.admit({ device: 'GPU-0', xid: 31, pid: 8 }, at).passes).toBe(true)
  expect(flood.admit({ device: 'GPU-0', xid: 31 }, at).passes).toBe(true)
  expect(flood.admit({ device: 'GPU-0', xid: 31, pid: 7 }, at).passes).toBe(false)
})

test('a recovery action is never held back', () => {
  expect(told(new XidFlood(), 1000, 0, 0, 154)).toBe(1000)
})

test('kinds without end are forgotten, oldest first', () => {
  const flood = new XidFlood()
  told(flood, 30, 0, 0)
  for (let pid = 100; pid < 700; pid++) flood.admit({ device: 'GPU-0', xid: 31, pid }, 1)
  expect(flood.admit({ device: 'GPU-0', xid: 31, pid: 7 }, 2)).toEqual({ passes: true, held: 0 })
})
