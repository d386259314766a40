// The bytes of a frame, by the rules of RFC 6455: a final text frame without a mask, in the shortest of the three forms of length.
import { expect, test } from 'vitest'
import { Frame } from '../src/frame.ts'

const bytesOf = (text: string): Buffer => new Frame(text, 1).on('websocket')

test.for([
  [0, [0x81, 0]],
  [1, [0x81, 1]],
  [125, [0x81, 125]],
  [126, [0x81, 126, 0, 126]],
  [65_535, [0x81, 126, 0xff, 0xff]],
  [65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
  [200_000, [0x81, 127, 0, 0, 0, 0, 0, 3, 0x0d, 0x40]],
] as const)('%i bytes', ([length, head]) => {
  const text = 'x'.repeat(length)
  const bytes = bytesOf(text)
  expect([...bytes.subarray(0, head.length)]).toEqual(head)
  expect(bytes.subarray(head.length).toString()).toBe(text)
})

test('the length counts bytes, not characters', () => {
  const bytes = bytesOf('é日🙂')
  expect(bytes[1]).toBe(2 + 3 + 4)
  expect(bytes.subarray(2).toString()).toBe('é日🙂')
})

test('on a stream it carries its number', () => {
  expect(new Frame('{"é":1}', 7).on('stream').toString()).toBe('id: 7\ndata: {"é":1}\n\n')
  expect(new Frame('{}', null).on('stream').toString()).toBe('data: {}\n\n')
})
