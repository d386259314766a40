import type { Command } from '@health/core'
import { expect, onTestFinished, test, vi } from 'vitest'
import { OrderGate } from '../src/order-gate.ts'

const order = (type: 'stop' | 'kill' | 'provision' | 'probe', n: number): Command =>
  ({ type, id: `${type}:${n}`, runner: `r${n}`, incarnation: 1 }) as unknown as Command

function make() {
  const done: string[] = []
  const syncs: { resolve: () => void; reject: (error: Error) => void }[] = []
  const lines: string[] = []
  const journal = {
    failing: false,
    sync: () => new Promise<void>((resolve, reject) => syncs.push({ resolve, reject })),
  }
  const gate = new OrderGate({
    journal,
    perform: (command) => done.push(command.id),
    log: ({ event }) => lines.push(event),
  })
  return { gate, done, syncs, journal, lines }
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a probe never waits; what cannot be repeated waits for the disk, in order', async () => {
  const { gate, done, syncs } = make()
  gate.pass(order('provision', 1))
  gate.pass(order('probe', 2))
  gate.pass(order('stop', 3))
  expect(done).toEqual(['probe:2'])
  syncs[0]!.resolve()
  await settled()
  expect(done).toEqual(['probe:2', 'provision:1'])
  syncs[1]!.resolve()
  await settled()
  expect(done).toEqual(['probe:2', 'provision:1', 'stop:3'])
})

test('an order that went on leaves no timeout behind', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { gate, syncs } = make()
  gate.pass(order('stop', 1))
  expect(vi.getTimerCount()).toBe(1)
  syncs[0]!.resolve()
  await settled()
  expect(vi.getTimerCount()).toBe(0)
})

test('what comes while the disk works shares the next sync', async () => {
  const { gate, done, syncs } = make()
  for (let n = 1; n <= 100; n++) gate.pass(order('kill', n))
  syncs[0]!.resolve()
  await settled()
  expect(syncs).toHaveLength(2)
  syncs[1]!.resolve()
  await settled()
  expect(done).toEqual(Array.from({ length: 100 }, (_, i) => `kill:${i + 1}`))
})

test('a disk that refuses delays nothing, and is said', async () => {
  const { gate, done, syncs, journal, lines } = make()
  gate.pass(order('stop', 1))
  syncs[0]!.reject(new Error('no space left'))
  await settled()
  expect(done).toEqual(['stop:1'])
  expect(lines).toEqual(['journal.unsynced'])
  journal.failing = true
  gate.pass(order('stop', 2))
  await settled()
  expect(done).toEqual(['stop:1', 'stop:2'])
  expect(syncs).toHaveLength(1)
})

test('a disk that hangs delays an order by a second at most', async () => {
  const { gate, done, lines } = make()
  const began = performance.now()
  gate.pass(order('stop', 1))
  while (done.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  expect(performance.now() - began).toBeGreaterThanOrEqual(990)
  expect(lines).toEqual(['journal.slow'])
})

test('held, it keeps what cannot be repeated, in order, until it is released', async () => {
  const { gate, done, syncs } = make()
  gate.hold()
  gate.pass(order('provision', 1))
  gate.pass(order('probe', 2))
  gate.pass(order('stop', 3))
  await settled()
  expect([done, syncs.length]).toEqual([['probe:2'], 0])
  gate.release()
  syncs[0]!.resolve()
  await settled()
  expect(done).toEqual(['probe:2', 'provision:1', 'stop:3'])
})

test('closed, it performs nothing', async () => {
  const { gate, done, syncs } = make()
  gate.pass(order('stop', 1))
  gate.close()
  syncs[0]!.resolve()
  await settled()
  expect(done).toEqual([])
})
