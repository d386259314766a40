/** A lane counts and finds as a list would, through every packing. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Lane } from '../src/lane.ts'

const moves = ['enter', 'wait', 'open', 'hide', 'stop', 'leave'] as const
const step = fc.record({ move: fc.constantFrom(...moves), pick: fc.nat() })

interface Member {
  readonly n: number
  slot: number
  waiting: boolean
  ready: boolean
}

test('after any moves it ranks, counts and finds the first as a list does', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), (steps) => {
      const lane = new Lane<Member>()
      const members: Member[] = []
      for (const [n, { move, pick }] of steps.entries()) {
        const member = members[pick % Math.max(1, members.length)]
        if (move === 'enter' || member === undefined) {
          const entered = { n, slot: -1, waiting: false, ready: false }
          members.push(entered)
          lane.enter(entered)
          continue
        }
        lane[move](member)
        if (move === 'wait') member.waiting = true
        if (move === 'open') member.ready = true
        if (move === 'hide' || move === 'stop') member.ready = false
        if (move === 'stop') member.waiting = false
        if (move === 'leave') members.splice(members.indexOf(member), 1)
        const waiting = members.filter((one) => one.waiting)
        expect([lane.waiting, lane.ready]).toEqual([
          waiting.length,
          waiting.filter((one) => one.ready).length,
        ])
        expect(lane.firstWaiting()).toBe(waiting[0])
        expect(lane.firstReady()).toBe(members.find((one) => one.ready))
        for (const [at, one] of waiting.entries()) expect(lane.ahead(one)).toBe(at)
      }
      expect([...lane.held()]).toEqual(members)
    }),
    { numRuns: 60 },
  )
})

test('a long queue that is served from the front stays small and exact', () => {
  const lane = new Lane<{ slot: number }>()
  const held: { slot: number }[] = []
  for (let n = 0; n < 20_000; n++) {
    const entered = { slot: -1 }
    lane.enter(entered)
    lane.wait(entered)
    lane.open(entered)
    held.push(entered)
    expect(lane.firstReady()).toBe(held[0])
    if (n % 10 !== 0) lane.leave(held.shift()!)
  }
  expect(held).toHaveLength(2_000)
  expect(held.map((one) => lane.ahead(one))).toEqual(held.map((_, at) => at))
  expect(Math.max(...held.map((one) => one.slot))).toBeLessThan(4 * held.length)
})
