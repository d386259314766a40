import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HealthError } from '@health/core'
import { expect, test } from 'vitest'
import { readJournal } from '../src/journal-tail.ts'
import { folder } from './stage.ts'

const head = (seq: number, format = 1): string =>
  `{"format":${format},"policy":{},"seed":1,"seq":${seq}}\n`
const line = (seq: number): string =>
  `{"seq":${seq},"at":${seq},"type":"order.start","app":"a","by":"b"}\n`
const gap = (seq: number, from: number): string =>
  `{"seq":${seq},"at":${seq},"type":"journal.gap","from":${from},"to":${seq}}\n`

function write(files: Readonly<Record<number, string>>): string {
  const path = join(folder(), 'journal')
  mkdirSync(path)
  for (const [number, text] of Object.entries(files))
    writeFileSync(join(path, `${number.padStart(8, '0')}.jsonl`), text)
  return path
}

async function read(path: string, after = 0) {
  const seqs: number[] = []
  const end = await readJournal(path, after, (event) => seqs.push(event.seq!))
  return { seqs, ...end }
}

test('an empty folder is an empty journal', async () => {
  expect(await read(write({}))).toEqual({
    seqs: [],
    header: null,
    cut: null,
    drop: false,
    warning: null,
  })
})

test.for([
  { name: 'everything', after: 0, seqs: [1, 2, 3, 4, 5] },
  { name: 'what a snapshot does not hold', after: 3, seqs: [4, 5] },
  { name: 'nothing, when the snapshot is the newest', after: 5, seqs: [] },
])('$name comes back in order', async ({ after, seqs }) => {
  const path = write({
    1: head(0) + line(1) + line(2),
    2: head(2) + line(3),
    3: head(3) + line(4) + line(5),
  })
  expect((await read(path, after)).seqs).toEqual(seqs)
})

test.for([
  { name: 'no line end', tail: line(3).slice(0, -1).slice(0, 20) },
  { name: 'a whole line without its end', tail: line(3).slice(0, -1).slice(0, -1) },
  { name: 'a line end, and no JSON', tail: '{"seq":3,"at":3,"ty\n' },
  { name: 'JSON, and no event', tail: '{"seq":3}\n' },
  { name: 'zeros, as a power cut leaves them', tail: '\0'.repeat(64) },
])(
  'a torn last line ($name) is dropped with a warning, and the file is to be cut there',
  async ({ tail }) => {
    const text = head(0) + line(1) + line(2)
    const path = write({ 1: text + tail })
    const end = await read(path)
    expect(end.seqs).toEqual([1, 2])
    expect(end.cut).toBe(text.length)
    expect(end.warning).toContain('00000001.jsonl:4')
  },
)

test('a file whose first line is torn is dropped when it is the newest', async () => {
  const end = await read(write({ 1: head(0) + line(1), 2: '{"form' }))
  expect(end.seqs).toEqual([1])
  expect(end.drop).toBe(true)
  expect(end.cut).toBeNull()
})

test.for([
  {
    name: 'an inner line',
    files: { 1: head(0) + line(1) + 'rubbish\n' + line(2) },
    after: 0,
    where: '00000001.jsonl:3',
  },
  {
    name: 'the last line of an older file',
    files: { 1: head(0) + '{"se', 2: head(1) + line(2) },
    after: 0,
    where: '00000001.jsonl:2',
  },
  {
    name: 'a number that falls',
    files: { 1: head(0) + line(2) + line(1) + line(3) },
    after: 0,
    where: '00000001.jsonl:3',
  },
  {
    name: 'a missing file',
    files: { 1: head(0) + line(1), 3: head(2) + line(3) },
    after: 0,
    where: 'the file 2 before it is missing',
  },
  {
    name: 'missing events',
    files: { 4: head(9) + line(10) },
    after: 3,
    where: 'the events 4 to 9',
  },
  {
    name: 'a gap that no snapshot covers',
    files: { 1: head(0) + line(1) + gap(9, 2) + line(10) },
    after: 1,
    where: 'the events 2 to 9 are in no snapshot',
  },
  {
    name: 'no header',
    files: { 1: line(1) + line(2), 2: head(2) + line(3) },
    after: 0,
    where: '00000001.jsonl:1',
  },
])('refused by name: $name', async ({ files, after, where }) => {
  const error = await read(write(files), after).then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(HealthError)
  expect(error).toMatchObject({
    code: 'HEALTH_JOURNAL_CORRUPT',
    message: expect.stringContaining(where),
  })
})

test('a gap that a snapshot covers is passed over', async () => {
  const path = write({ 1: head(0) + line(1), 2: head(1) + gap(9, 2) + line(10) })
  expect((await read(path, 9)).seqs).toEqual([10])
})

test('a newer format is refused by name', async () => {
  await expect(read(write({ 1: head(0, 2) + line(1) }))).rejects.toMatchObject({
    code: 'HEALTH_JOURNAL_FORMAT',
    message: expect.stringContaining('format 2'),
  })
})

test('an event that cannot be taken is refused by file and line', async () => {
  const path = write({ 1: head(0) + line(1) + line(2) + line(3) })
  const take = (): never => {
    throw new HealthError('HEALTH_EVENT_INVALID', 'no such app')
  }
  await expect(readJournal(path, 1, take)).rejects.toThrow(
    '00000001.jsonl:3 cannot be read (no such app)',
  )
})

test('lines longer than one piece come whole', async () => {
  const long = `{"seq":2,"at":2,"type":"order.start","app":"${'x'.repeat(3 << 20)}","by":"b"}\n`
  expect((await read(write({ 1: head(0) + line(1) + long + line(3) }))).seqs).toEqual([1, 2, 3])
})
