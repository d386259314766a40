import { expect, test } from 'vitest'
import { jsonPieces } from '../src/json-pieces.ts'

const rows = Array.from({ length: 3_000 }, (_, i) => [i, `r${i}`, null, { a: i }])

test.for([
  { name: 'a number', value: 1 },
  { name: 'nothing', value: undefined },
  { name: 'an empty object', value: {} },
  { name: 'an empty list', value: [] },
  { name: 'members that JSON leaves out', value: { a: undefined, b: 1, c: [undefined, null] } },
  { name: 'names that need quoting', value: { 'a"b': 'c\n', é: '€' } },
  { name: 'rows', value: { rows, n: 1 } },
  {
    name: 'objects that hold rows',
    value: {
      apps: [
        { id: 'a', rows },
        { id: 'b', rows: [] },
      ],
    },
  },
  { name: 'a long list of numbers', value: Array.from({ length: 2_000 }, (_, i) => i) },
])('$name: the pieces joined are the whole', ({ value }) => {
  expect([...jsonPieces(value)].join('')).toBe(JSON.stringify(value) ?? 'null')
})

test('no piece is large', () => {
  const pieces = [...jsonPieces({ format: 1, apps: [{ id: 'a', runners: rows }] })]
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(40_000)
})
