import { unlinkSync, writeSync } from 'node:fs'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { HealthEvent } from '@health/core'
import { ManualClock } from '@health/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { FileJournal, type Replacement } from '../src/journal.ts'
import { readJournal } from '../src/journal-tail.ts'
import { SegmentLog } from '../src/segment-log.ts'
import { folder, until } from './stage.ts'

const fact = (seq: number, pad = 0): HealthEvent =>
  ({ type: 'order.start', seq, at: seq, app: 'x'.repeat(pad), by: 'me' }) as HealthEvent

interface Bench {
  readonly path: string
  readonly journal: FileJournal
  readonly log: SegmentLog
  readonly clock: ManualClock
  readonly said: [boolean, string][]
  /** Bytes that the disk still takes. */
  room: number
  /** What `replace` does. */
  snapshot: () => Replacement | null
}

function make(memoryBytes = 10_000): Bench {
  const path = folder()
  const clock = new ManualClock()
  const log = new SegmentLog({
    folder: path,
    prefix: '',
    segmentBytes: 100_000,
    header: (seq) => ({ format: 1, policy: {}, seed: 1, seq }),
    onError: (error) => {
      throw error
    },
    write: (fd, data, from, length) => {
      if (bench.room <= 0) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      const count = Math.min(length, bench.room)
      bench.room -= count
      return writeSync(fd, data, from, count)
    },
  })
  const bench: Bench = {
    path,
    log,
    clock,
    said: [],
    room: Infinity,
    snapshot: () => null,
    journal: new FileJournal({
      log,
      clock,
      from: 0,
      memoryBytes,
      replace: () => bench.snapshot(),
      onFailing: (failing, text) => bench.said.push([failing, text]),
    }),
  }
  onTestFinished(() => bench.journal.close())
  return bench
}

const textOf = ({ path }: Bench): string =>
  readdirSync(path)
    .sort()
    .map((name) => readFileSync(join(path, name), 'utf8'))
    .join('')
const seqsOf = async ({ path }: Bench, after = 0): Promise<number[]> => {
  const seqs: number[] = []
  await readJournal(path, after, (event) => seqs.push(event.seq!))
  return seqs
}

test('a line has its number and time first, and a line end', () => {
  const bench = make()
  bench.journal.append(fact(1))
  bench.journal.flush()
  expect(textOf(bench)).toBe(
    '{"format":1,"policy":{},"seed":1,"seq":0}\n{"seq":1,"at":1,"type":"order.start","app":"","by":"me"}\n',
  )
})

test('lines are with the kernel within the turn, without being asked', async () => {
  const bench = make()
  bench.journal.append(fact(1))
  bench.journal.append(fact(2))
  expect(bench.journal.pending).toBe(2)
  await new Promise((resolve) => setImmediate(resolve))
  expect(bench.journal.pending).toBe(0)
  expect(await seqsOf(bench)).toEqual([1, 2])
})

test('sync resolves when everything appended before is written', async () => {
  const bench = make(1 << 30)
  for (let seq = 1; seq <= 10_000; seq++) bench.journal.append(fact(seq))
  await bench.journal.sync()
  expect(await seqsOf(bench)).toHaveLength(10_000)
})

test('a disk that refuses: lines wait, one alert, and nothing is lost when it takes them again', async () => {
  const bench = make()
  bench.journal.append(fact(1))
  bench.journal.flush()
  bench.room = 5
  for (const seq of [2, 3]) bench.journal.append(fact(seq))
  bench.journal.flush()
  expect(bench.journal.failing).toBe(true)
  expect(bench.journal.pending).toBe(2)
  expect(bench.said).toEqual([[true, expect.stringContaining('ENOSPC')]])
  await expect(bench.journal.sync()).rejects.toThrow('does not take')
  bench.clock.advance(5_000)
  expect(bench.said).toHaveLength(1)
  bench.room = Infinity
  bench.journal.append(fact(4))
  bench.clock.advance(1_000)
  expect(bench.journal.failing).toBe(false)
  expect(bench.said.at(-1)).toEqual([false, expect.stringContaining('nothing was lost')])
  expect(await seqsOf(bench)).toEqual([1, 2, 3, 4])
})

test('past the bound lines are dropped, memory stays small, and a snapshot with a gap line replaces them', async () => {
  const bench = make(2_000)
  bench.journal.append(fact(1))
  bench.journal.flush()
  bench.room = 0
  for (let seq = 2; seq <= 1_000; seq++) {
    bench.journal.append(fact(seq, 50))
    bench.journal.flush()
    expect(bench.journal.waiting.join('').length).toBeLessThanOrEqual(2_000)
  }
  expect(bench.journal.lost).toEqual({ from: 2, to: 1_000 })
  bench.room = Infinity
  let taken = (): void => {}
  bench.snapshot = () => ({
    seq: 1_000,
    at: 1_000,
    done: new Promise((resolve) => (taken = resolve)),
  })
  bench.clock.advance(1_000)
  // What happens while the snapshot is written is behind it.
  bench.journal.append(fact(1_001))
  taken()
  await until(() => !bench.journal.failing)
  expect(textOf(bench)).toContain(
    '{"seq":1000,"at":1000,"type":"journal.gap","from":2,"to":1000}\n',
  )
  expect(await seqsOf(bench, 1_000)).toEqual([1_001])
  await expect(seqsOf(bench)).rejects.toThrow('the events 2 to 1000 are in no snapshot')
})

test('while no snapshot can be written either, everything waits for the next try', async () => {
  const bench = make(2_000)
  bench.room = 0
  for (let seq = 1; seq <= 100; seq++) {
    bench.journal.append(fact(seq, 50))
    bench.journal.flush()
  }
  bench.clock.advance(1_000)
  expect(bench.journal.failing).toBe(true)
  bench.snapshot = () => ({ seq: 100, at: 100, done: Promise.reject(new Error('no space left')) })
  await bench.clock.pass(1_000)
  bench.journal.append(fact(101))
  expect(bench.journal.lost).toEqual({ from: 1, to: 101 })
  bench.room = Infinity
  bench.snapshot = () => ({ seq: 101, at: 101, done: Promise.resolve() })
  await bench.clock.pass(1_000)
  await until(() => !bench.journal.failing)
  bench.journal.append(fact(102))
  bench.journal.flush()
  expect(await seqsOf(bench, 101)).toEqual([102])
})

test('a journal file that somebody deleted is replaced by a snapshot', async () => {
  const bench = make()
  bench.journal.append(fact(1))
  bench.journal.flush()
  unlinkSync(join(bench.path, '00000001.jsonl'))
  bench.journal.check()
  expect(bench.said).toEqual([[true, expect.stringContaining('deleted')]])
  bench.snapshot = () => ({ seq: 1, at: 1, done: Promise.resolve() })
  await bench.clock.pass(1_000)
  bench.journal.append(fact(2))
  await bench.journal.sync()
  expect(await seqsOf(bench, 1)).toEqual([2])
})

test('close writes all that waits, however much it is', async () => {
  const bench = make(1 << 30)
  for (let seq = 1; seq <= 10_000; seq++) bench.journal.append(fact(seq))
  await bench.journal.close()
  expect(await seqsOf(bench)).toHaveLength(10_000)
})

test('close writes what waits, on a disk that came back too', async () => {
  const bench = make()
  bench.room = 0
  bench.journal.append(fact(1))
  bench.journal.flush()
  bench.room = Infinity
  bench.journal.append(fact(2))
  await bench.journal.close()
  expect(await seqsOf(bench)).toEqual([1, 2])
})
