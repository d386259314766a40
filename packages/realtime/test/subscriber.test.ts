// A reader's bounds, on a wire whose backlog the test sets.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Frame } from '../src/frame.ts'
import { Subscriber, type Wire } from '../src/subscriber.ts'

class FakeWire implements Wire {
  readonly transport = 'websocket'
  readonly sink = null
  backlog = 0
  written: string[] = []
  ended: number[] = []
  #drained: (() => void)[] = []

  write(bytes: Buffer): void {
    this.written.push(bytes.subarray(2).toString())
    this.backlog += bytes.length
  }
  whenDrained(callback: () => void): void {
    this.#drained.push(callback)
  }
  end(code: number): void {
    this.ended.push(code)
  }
  drain(): void {
    this.backlog = 0
    for (const callback of this.#drained.splice(0)) callback()
  }
}

const frame = (text: string): Frame => new Frame(text, null)
const bytes = (text: string): Buffer => frame(text).on('websocket')
class Fresh extends Subscriber {
  protected override refresh(): readonly Frame[] {
    return [frame('fresh')]
  }
}
const bounds = { maxBacklog: 10, behindMs: 5000 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a reader that keeps up gets everything', () => {
  const wire = new FakeWire()
  const subscriber = new Fresh(wire, bounds)
  for (const text of ['a', 'b', 'c']) {
    subscriber.deliver(bytes(text))
    wire.drain()
  }
  expect(wire.written).toEqual(['a', 'b', 'c'])
})

test('past the bound it gets nothing, then one fresh state, then everything again', () => {
  const wire = new FakeWire()
  const subscriber = new Fresh(wire, bounds)
  wire.backlog = 11
  for (const text of ['a', 'b', 'c']) subscriber.deliver(bytes(text))
  expect(subscriber.behind).toBe(true)
  expect(wire.written).toEqual([])
  wire.drain()
  subscriber.deliver(bytes('d'))
  expect(wire.written).toEqual(['fresh', 'd'])
  expect(subscriber.behind).toBe(false)
  vi.advanceTimersByTime(10_000)
  expect(wire.ended).toEqual([])
})

test('past the time it is closed with 1013, once, and gets nothing more', () => {
  const wire = new FakeWire()
  const subscriber = new Fresh(wire, bounds)
  wire.backlog = 11
  subscriber.deliver(bytes('a'))
  vi.advanceTimersByTime(4999)
  expect(wire.ended).toEqual([])
  vi.advanceTimersByTime(1)
  expect(wire.ended).toEqual([1013])
  wire.drain()
  subscriber.deliver(bytes('b'))
  subscriber.answer([frame('c')])
  expect(wire.written).toEqual([])
  expect(wire.ended).toEqual([1013])
})

test('a state that is larger than the bound does not make its reader slow', () => {
  const wire = new FakeWire()
  const subscriber = new Fresh(wire, bounds)
  const large = 'x'.repeat(100)
  subscriber.answer([frame(large)])
  subscriber.deliver(bytes('a'))
  expect(wire.written).toEqual([large, 'a'])
  wire.backlog = 113
  subscriber.deliver(bytes('b'))
  expect(subscriber.behind).toBe(true)
})

test('asking again and again for a state does not pile them up', () => {
  const wire = new FakeWire()
  const subscriber = new Fresh(wire, bounds)
  const large = 'x'.repeat(100)
  for (let i = 0; i < 50; i++) subscriber.answer([frame(large)])
  expect(wire.written).toEqual([large])
  wire.drain()
  expect(wire.written).toEqual([large, 'fresh'])
})

test('a reader that left while it was behind leaves no timer', () => {
  const wire = new FakeWire()
  const subscriber = new Fresh(wire, bounds)
  wire.backlog = 11
  subscriber.deliver(bytes('a'))
  subscriber.close()
  expect(vi.getTimerCount()).toBe(0)
  wire.drain()
  expect(wire.written).toEqual([])
})
