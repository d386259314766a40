import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readLines } from '../src/segment.ts'
import { folder } from './stage.ts'

const long = 'x'.repeat(700)

test.for([
  { name: 'English alone', texts: ['{"a":1}', '', long] },
  { name: 'letters of several bytes', texts: ['{"a":"ü"}', 'é€😀', long, '日本'] },
  { name: 'bytes that are no text', texts: ['a', '\u00ff\u00fe', 'b'], raw: true },
])('$name: each line is where the file has it, over pieces and to the byte', ({ texts, raw }) => {
  const file = join(folder(), 'lines')
  // More than one piece, so that lines are cut by its end.
  const all = Array.from({ length: 6_000 }, (_, i) => texts[i % texts.length]!)
  writeFileSync(file, Buffer.from(all.map((text) => `${text}\n`).join(''), raw ? 'latin1' : 'utf8'))
  const bytes = readFileSync(file)
  const lines = [...readLines(file)].flat()
  expect(lines.map(({ number }) => number)).toEqual(all.map((_, i) => i + 1))
  let from = 0
  const wrong = lines.filter(({ text, end, whole }) => {
    const there = bytes.toString('utf8', from, end - 1)
    const ends = bytes[end - 1] === 10
    from = end
    return !whole || !ends || text !== there
  })
  expect(wrong).toEqual([])
  expect(from).toBe(bytes.length)
})

test('a last line without an end is told with its length, and is not whole', () => {
  const file = join(folder(), 'lines')
  writeFileSync(file, 'ä\nbü')
  expect([...readLines(file)].flat()).toEqual([
    { text: 'ä', number: 1, end: 3, whole: true },
    { text: 'bü', number: 2, end: 6, whole: false },
  ])
})
