/** Deadlines against a plain sorted array that is too slow to be wrong. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Deadlines } from '../src/deadline.ts'

/** The same in a few slow lines. */
class SortedDeadlines {
  entries: { key: number; due: number }[] = []

  set(key: number, due: number): void {
    this.clear(key)
    this.entries.push({ key, due })
    this.entries.sort((a, b) => (a.due === b.due ? a.key - b.key : a.due < b.due ? -1 : 1))
  }

  clear(key: number): void {
    this.entries = this.entries.filter((entry) => entry.key !== key)
  }
}

const due = fc.oneof(
  fc.integer({ min: 0, max: 30 }),
  fc.constantFrom(Infinity, -Infinity, 0.5),
  fc.double({ noNaN: true }),
)
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('set' as const), key: fc.nat(40), due }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('clear' as const), key: fc.nat(45) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('take' as const) }) },
)

test('any sequence of set, clear and take leaves what a sorted array would hold', () => {
  fc.assert(
    fc.property(
      fc.nat(20),
      fc.array(due, { maxLength: 41, size: 'max' }),
      fc.array(operation, { maxLength: 80, size: 'max' }),
      (capacity, dues, operations) => {
        const heap = new Deadlines(capacity)
        const sorted = new SortedDeadlines()
        for (const [key, each] of dues.entries()) {
          heap.set(key, each)
          sorted.set(key, each)
        }
        for (const each of operations) {
          if (each.kind === 'set') {
            heap.set(each.key, each.due)
            sorted.set(each.key, each.due)
          } else {
            const key = each.kind === 'clear' ? each.key : heap.top()
            heap.clear(key)
            sorted.clear(key)
          }
          const [first] = sorted.entries
          expect([heap.size, heap.top(), heap.nextDue()]).toEqual([
            sorted.entries.length,
            first?.key ?? -1,
            first?.due ?? Infinity,
          ])
        }
        for (let key = 0; key <= 45; key++) {
          expect(heap.due(key)).toBe(sorted.entries.find((entry) => entry.key === key)?.due ?? NaN)
        }
        expect(drain(heap)).toEqual(sorted.entries)
      },
    ),
    { numRuns: 300, seed: 20_261 },
  )
})

test('ties go to the smaller key, in whatever order they were set', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { minLength: 1 }), (keys) => {
      const heap = new Deadlines()
      for (const key of keys) heap.set(key, 5)
      expect(drain(heap).map(({ key }) => key)).toEqual(keys.toSorted((a, b) => a - b))
    }),
    { seed: 20_262 },
  )
})

test('nothing is due while nothing is set', () => {
  const heap = new Deadlines()
  heap.clear(3)
  heap.clear(-1)
  expect([heap.size, heap.top(), heap.nextDue(), heap.due(3), heap.due(-1)]).toEqual([
    0,
    -1,
    Infinity,
    NaN,
    NaN,
  ])
})

test('it grows to the largest key', () => {
  const heap = new Deadlines(1)
  for (let key = 0; key < 10_000; key++) heap.set(key, 10_000 - key)
  expect([heap.size, heap.top(), heap.nextDue(), heap.due(0)]).toEqual([10_000, 9_999, 1, 10_000])
})

test.for([
  { given: 'a negative key', key: -1, due: 1 },
  { given: 'a fraction', key: 1.5, due: 1 },
  { given: 'a key that would take all memory', key: 2 ** 24, due: 1 },
  { given: 'no key', key: NaN, due: 1 },
  { given: 'no time', key: 1, due: NaN },
])('$given is refused and changes nothing', ({ key, due: when }) => {
  const heap = new Deadlines()
  heap.set(1, 50)
  expect(() => heap.set(key, when)).toThrow(RangeError)
  expect([heap.size, heap.due(1)]).toEqual([1, 50])
})

function drain(heap: Deadlines): { key: number; due: number }[] {
  const entries: { key: number; due: number }[] = []
  while (heap.size > 0) {
    const key = heap.top()
    entries.push({ key, due: heap.nextDue() })
    heap.clear(key)
  }
  return entries
}
