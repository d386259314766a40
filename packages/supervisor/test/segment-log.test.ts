import { existsSync, readFileSync, readdirSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listSegments } from '../src/segment.ts'
import { SegmentLog, type WriteBytes } from '../src/segment-log.ts'
import { folder } from './stage.ts'

const make = (path: string, segmentBytes = 100, write?: WriteBytes): SegmentLog =>
  new SegmentLog({
    folder: path,
    prefix: '',
    segmentBytes,
    header: (seq) => ({ format: 1, seq }),
    onError: (error) => {
      throw error
    },
    ...(write !== undefined && { write }),
  })
const line = (seq: number): string => `{"seq":${seq},"text":"${'x'.repeat(20)}"}\n`

test('a file that is full is followed by the next one, whose header says what came before', async () => {
  const path = folder()
  const log = make(path)
  for (let seq = 1; seq <= 10; seq++) log.append(line(seq), seq - 1)
  await log.close()
  const files = listSegments(path, '')
  expect(files.length).toBeGreaterThan(2)
  expect(files.map(({ number }) => number)).toEqual(files.map((_, i) => i + 1))
  const lines = files.flatMap(({ path: file }) =>
    readFileSync(file, 'utf8').trimEnd().split('\n').slice(1),
  )
  expect(lines.map((text) => (JSON.parse(text) as { seq: number }).seq)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ])
  for (const { path: file, header } of files)
    expect((JSON.parse(readFileSync(file, 'utf8').split('\n')[1]!) as { seq: number }).seq).toBe(
      header!.seq + 1,
    )
})

test('it goes on in the file of before', async () => {
  const path = folder()
  const one = make(path, 1_000)
  one.append(line(1), 0)
  await one.close()
  const two = make(path, 1_000)
  two.append(line(2), 1)
  await two.close()
  expect(readdirSync(path)).toEqual(['00000001.jsonl'])
  expect(readFileSync(join(path, '00000001.jsonl'), 'utf8')).toBe(
    `{"format":1,"seq":0}\n${line(1)}${line(2)}`,
  )
})

test('a write that the disk tears is cut off again, and the next one is whole', async () => {
  const path = folder()
  let room = Infinity
  const log = make(path, 10_000, (fd, data, from, length) => {
    if (room <= 0) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    const count = Math.min(length, room)
    room -= count
    return writeSync(fd, data, from, count)
  })
  log.append(line(1), 0)
  room = 7
  expect(() => log.append(line(2), 1)).toThrow('no space left')
  room = Infinity
  log.append(line(3), 1)
  await log.close()
  expect(readFileSync(join(path, '00000001.jsonl'), 'utf8')).toBe(
    `{"format":1,"seq":0}\n${line(1)}${line(3)}`,
  )
})

test('a file that cannot even be begun leaves nothing behind', () => {
  const path = folder()
  const log = make(path, 10, () => {
    throw new Error('no space left')
  })
  expect(() => log.append(line(1), 0)).toThrow('no space left')
  expect(readdirSync(path)).toEqual([])
})

test.for([
  {
    name: 'too many bytes',
    bounds: { maxBytes: 250, maxAgeMs: Infinity, keepAfter: Infinity },
    left: 2,
  },
  { name: 'too old', bounds: { maxBytes: Infinity, maxAgeMs: -1, keepAfter: Infinity }, left: 1 },
  {
    name: 'within the bounds',
    bounds: { maxBytes: Infinity, maxAgeMs: 1e9, keepAfter: Infinity },
    left: 4,
  },
  {
    name: 'needed by the newest snapshot',
    bounds: { maxBytes: 0, maxAgeMs: -1, keepAfter: 0 },
    left: 4,
  },
  {
    name: 'needed from the third event on',
    bounds: { maxBytes: 0, maxAgeMs: -1, keepAfter: 3 },
    left: 3,
  },
])('bounds, $name: $left files are left', async ({ bounds, left }) => {
  const path = folder()
  const log = make(path, 100)
  // Two or three lines a file, four files.
  for (let seq = 1; seq <= 8; seq++) log.append(line(seq), seq - 1)
  expect(log.segments.length).toBe(4)
  log.prune({ ...bounds, now: Date.now() })
  expect(readdirSync(path).length).toBe(left)
  log.append(line(9), 8)
  await log.close()
})

test('a file that somebody deleted is noticed, and a new one is begun', async () => {
  const path = folder()
  const log = make(path, 1_000)
  log.append(line(1), 0)
  expect(log.gone()).toBe(false)
  unlinkSync(join(path, '00000001.jsonl'))
  expect(log.gone()).toBe(true)
  log.forget()
  log.append(line(2), 1)
  expect(existsSync(join(path, '00000001.jsonl'))).toBe(true)
  await log.close()
})

test('sync and close resolve when everything is on disk, twice over', async () => {
  const log = make(folder(), 50)
  for (let seq = 1; seq <= 5; seq++) log.append(line(seq), seq - 1)
  expect(await Promise.all([log.sync(), log.sync()])).toHaveLength(2)
  await log.close()
  await log.close()
})
