/** The heap answers as a sorted list would, and each item knows its place. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap } from '../src/heap.ts'

const step = fc.record({
  item: fc.nat(30),
  key: fc.integer({ min: 0, max: 50 }),
  drop: fc.boolean(),
})

test('after any puts, moves and drops it holds what a list holds, smallest first', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const heap = new Heap<'place', { readonly n: number; place: number }>('place')
      const items = Array.from({ length: 31 }, (_, n) => ({ n, place: -1 }))
      const model = new Map<number, number>()
      for (const { item, key, drop } of steps) {
        const given = items[item]!
        if (drop) {
          heap.drop(given)
          model.delete(item)
        } else {
          heap.put(given, key)
          model.set(item, key)
        }
        expect(heap.size).toBe(model.size)
        expect(heap.has(given)).toBe(!drop)
        expect(heap.nearest).toBe(Math.min(Infinity, ...model.values()))
        expect(heap.top === undefined ? undefined : model.get(heap.top.n)).toBe(
          model.size === 0 ? undefined : heap.nearest,
        )
      }
      const upTo25 = [...model].filter(([, key]) => key <= 25).map(([n]) => n)
      const found = heap.upTo(25, Infinity, () => true)
      expect(found).toHaveLength(upTo25.length)
      expect(new Set(found.map(({ n }) => n))).toEqual(new Set(upTo25))
      expect(heap.upTo(25, 2, ({ n }) => n % 2 === 0).every(({ n }) => n % 2 === 0)).toBe(true)
      const keys: number[] = []
      for (let top = heap.top; top !== undefined; top = heap.top) {
        keys.push(heap.nearest)
        heap.drop(top)
      }
      expect(keys).toEqual([...model.values()].sort((a, b) => a - b))
    }),
  )
})
