// What an answer's body is gathered from is given back at once, and only what belongs to nobody else.
import { expect, test } from 'vitest'
import { AnswerBody } from '../src/answer-body.ts'

const KB = 1024
const piece = (bytes: number, fill: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(bytes).fill(fill)
const bodyOf = (most: number, pieces: readonly Uint8Array[]): AnswerBody => {
  const body = new AnswerBody(most)
  for (const one of pieces) body.add(one)
  return body
}

test.for([
  ['nothing', []],
  ['one piece', [piece(64 * KB, 1)]],
  ['large and small ones', [piece(64 * KB, 1), piece(10, 2), piece(64 * KB, 3), piece(1, 4)]],
] as const)('%s: the body is what came, in order', ([, pieces]) => {
  const expected = Buffer.concat(pieces)
  const body = bodyOf(KB * KB, pieces)
  expect(body.tooLarge).toBe(false)
  expect(Buffer.compare(body.take(), expected)).toBe(0)
})

test('once the body is whole, its pieces take no memory; the newest one stays its reader’s', () => {
  const pieces = [piece(64 * KB, 1), piece(64 * KB, 2), piece(64 * KB, 3)]
  const whole = bodyOf(KB * KB, pieces).take()
  expect(whole).toHaveLength(192 * KB)
  expect(pieces.map(({ buffer }) => buffer.byteLength)).toEqual([0, 0, 64 * KB])
})

test('of a body that is too large nothing is kept, whatever still comes', () => {
  const pieces = [piece(64 * KB, 1), piece(64 * KB, 2), piece(64 * KB, 3), piece(64 * KB, 4)]
  const body = bodyOf(130 * KB, pieces)
  expect(body.tooLarge).toBe(true)
  expect(pieces.map(({ buffer }) => buffer.byteLength)).toEqual([0, 64 * KB, 64 * KB, 64 * KB])
  expect(body.take()).toHaveLength(0)
})

test('a piece that lies in a buffer with others, or is small, is left alone', () => {
  const shared = piece(64 * KB, 7)
  const pieces = [shared.subarray(0, 20 * KB), shared.subarray(20 * KB), piece(KB, 1), piece(1, 2)]
  bodyOf(KB * KB, pieces).take()
  expect(shared).toHaveLength(64 * KB)
  expect(pieces[2]).toHaveLength(KB)
})
