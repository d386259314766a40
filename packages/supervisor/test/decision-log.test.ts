import { appendFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Decision } from '@health/core'
import { expect, test } from 'vitest'
import { DecisionLog } from '../src/decision-log.ts'
import { folder } from './stage.ts'

const decision = (seq: number, id = `r${seq % 3}`): Decision => ({
  seq,
  at: seq,
  subject: { kind: 'runner', id, incarnation: 1 },
  from: 'idle',
  to: 'verifying',
  rule: 'outcome.error',
  compared: [],
  enforced: true,
  because: null,
  commands: [],
  events: [seq],
})
const make = (path: string): DecisionLog =>
  new DecisionLog({
    folder: path,
    onError: (error) => {
      throw error
    },
  })
const seqs = (found: readonly Decision[]): number[] => found.map(({ seq }) => seq)

test.for([
  { since: 0, limit: 3, expected: [1, 2, 3] },
  { since: 7, limit: 100, expected: [8, 9] },
  { since: 9, limit: 100, expected: [] },
  { since: 99, limit: 100, expected: [] },
])('after $since, at most $limit: $expected', async ({ since, limit, expected }) => {
  const log = make(folder())
  for (let seq = 1; seq <= 9; seq++) log.append(decision(seq))
  expect(seqs(log.since(since, limit))).toEqual(expected)
  await log.close()
})

test('older ones come from the files, newer ones from memory, each once', async () => {
  const path = folder()
  const log = make(path)
  const last = 30_000
  for (let seq = 1; seq <= last; seq++) {
    log.append(decision(seq))
    if (seq % 1_000 === 0) log.flush()
  }
  expect(readdirSync(path).length).toBeGreaterThan(3)
  expect(seqs(log.since(0, 5))).toEqual([1, 2, 3, 4, 5])
  const middle = log.since(9_990, 1_000)
  expect(seqs(middle)).toEqual(Array.from({ length: 1_000 }, (_, i) => 9_991 + i))
  expect(seqs(log.since(0, last))).toEqual(Array.from({ length: last }, (_, i) => i + 1))
  expect(seqs(await log.of({ kind: 'runner', id: 'r1' }, 20_000))).toHaveLength(10_000)
  expect(await log.of({ kind: 'node', id: 'r1' })).toEqual([])
  await log.close()
})

test.for([
  ['in the middle', '{"seq":3,"at"'],
  ['before its end', JSON.stringify(decision(3))],
])(
  'the next one knows where the files end, drops a line torn %s, and writes only what is new',
  async ([, torn]) => {
    const path = folder()
    const one = make(path)
    for (const seq of [1, 2]) one.append(decision(seq))
    await one.close()
    appendFileSync(join(path, 'decisions-00000001.jsonl'), torn!)
    const two = make(path)
    expect(two.onDisk).toBe(2)
    // A replay tells them all again.
    for (const seq of [1, 2, 3]) two.append(decision(seq))
    await two.close()
    const three = make(path)
    expect(seqs(three.since(0, 10))).toEqual([1, 2, 3])
    await three.close()
  },
)

test('a disk that refuses costs the file, not the memory, and is said once', async () => {
  const errors: unknown[] = []
  const log = new DecisionLog({
    folder: folder(),
    onError: (error) => errors.push(error),
    write: () => {
      throw new Error('no space left')
    },
  })
  for (const seq of [1, 2]) {
    log.append(decision(seq))
    log.flush()
  }
  expect(seqs(log.since(0, 10))).toEqual([1, 2])
  expect(errors).toHaveLength(1)
  await log.close()
})

test('the oldest files go first', async () => {
  const path = folder()
  const log = make(path)
  for (let seq = 1; seq <= 20_000; seq++) log.append(decision(seq))
  log.flush()
  for (let seq = 20_001; seq <= 30_000; seq++) {
    log.append(decision(seq))
    if (seq % 500 === 0) log.flush()
  }
  const before = readdirSync(path).length
  log.prune({ maxBytes: 2 << 20, maxAgeMs: Infinity, now: Date.now() })
  const left = readdirSync(path)
  expect(left.length).toBeLessThan(before)
  expect(left).not.toContain('decisions-00000001.jsonl')
  await log.close()
})
