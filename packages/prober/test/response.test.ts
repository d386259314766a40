import { expect, test } from 'vitest'
import { ResponseReader, type Reading } from '../src/response.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** What a reader says of a text that comes in pieces of `size` bytes, then the end of the connection. */
function read(text: string, size: number, ends = true): string {
  const reader = new ResponseReader()
  const all = bytes(text)
  for (let at = 0; at < all.length; at += size) {
    const told = reader.push(all.subarray(at, at + size))
    if (told) return say(told)
  }
  return ends ? say(reader.end()) : 'nothing yet'
}

function say(reading: Reading): string {
  if (!reading) return 'nothing yet'
  return reading.invalid ?? String(reading.status)
}

const rows: { name: string; text: string; expected: RegExp }[] = [
  { name: 'a length', text: `${OK}Content-Length: 2\r\n\r\nok`, expected: /^200$/ },
  { name: 'a length of zero', text: `${OK}Content-Length: 0\r\n\r\n`, expected: /^200$/ },
  {
    name: 'no reason phrase',
    text: 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
    expected: /^200$/,
  },
  { name: 'HTTP/1.0 until the end', text: 'HTTP/1.0 200 OK\r\n\r\nsome', expected: /^200$/ },
  { name: 'no content', text: 'HTTP/1.1 204 No Content\r\n\r\n', expected: /^204$/ },
  {
    name: 'chunks',
    text: `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    expected: /^200$/,
  },
  {
    name: 'chunks with extension and trailer',
    text: `${OK}transfer-encoding: Chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n`,
    expected: /^200$/,
  },
  {
    name: 'the same length twice',
    text: `${OK}Content-Length: 2\r\ncontent-length: 2\r\n\r\nok`,
    expected: /^200$/,
  },
  {
    name: 'headers that speak of a length and are none',
    text: `${OK}X: a, content-length: 9\r\nX-Content-Length: 9\r\nContent-Length-X: 9\r\ncontent-LENGTH:\t2 \r\n\r\nok`,
    expected: /^200$/,
  },
  {
    name: 'a reason with a colon and a length',
    text: 'HTTP/1.1 200 Content-Length: 9\r\nContent-Length: 2\r\n\r\nok',
    expected: /^200$/,
  },
  {
    name: 'early hints before',
    text: `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
    expected: /^200$/,
  },
  {
    name: 'a status with its head only',
    text: 'HTTP/1.1 503 Busy\r\nContent-Length: 900\r\n\r\n',
    expected: /^503$/,
  },
  { name: 'a redirect', text: 'HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n', expected: /^302$/ },
  { name: 'a body longer than is read', text: `${OK}\r\n${'x'.repeat(70_000)}`, expected: /^200$/ },
  {
    name: 'a chunk longer than is read',
    text: `${OK}Transfer-Encoding: chunked\r\n\r\nfffff\r\n${'x'.repeat(70_000)}`,
    expected: /^200$/,
  },
  {
    name: 'trailers without end',
    text: `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${'x: y\r\n'.repeat(15_000)}`,
    expected: /^200$/,
  },
  { name: 'garbage', text: 'SSH-2.0-OpenSSH_9.2\r\n', expected: /not HTTP/ },
  { name: 'HTTP/2', text: 'HTTP/2 200\r\n\r\n', expected: /not HTTP/ },
  { name: 'a status of two digits', text: 'HTTP/1.1 20 OK\r\n\r\n', expected: /not HTTP/ },
  { name: 'a status below 100', text: 'HTTP/1.1 099 X\r\n\r\n', expected: /not HTTP/ },
  {
    name: 'a head beyond 16 KiB',
    text: `${OK}X: ${'y'.repeat(17_000)}`,
    expected: /head is longer/,
  },
  {
    name: 'a head beyond 16 KiB that ends',
    text: `${OK}X: ${'y'.repeat(17_000)}\r\n\r\n`,
    expected: /head is longer/,
  },
  {
    name: 'lines that end with LF alone',
    text: `${OK}A: b\nC: d\r\n\r\n`,
    expected: /header is malformed/,
  },
  { name: 'a folded header', text: `${OK}A: b\r\n c\r\n\r\n`, expected: /header is malformed/ },
  { name: 'a space before the colon', text: `${OK}A : b\r\n\r\n`, expected: /header is malformed/ },
  { name: 'a header without a name', text: `${OK}: b\r\n\r\n`, expected: /header is malformed/ },
  { name: 'a header without a colon', text: `${OK}A\r\n\r\n`, expected: /header is malformed/ },
  {
    name: 'a malformed header after the length',
    text: `${OK}Content-Length: 2\r\nA B: c\r\n\r\nok`,
    expected: /header is malformed/,
  },
  {
    name: 'a CR alone in a header',
    text: `${OK}A: b\rContent-Length: 2\r\n\r\nok`,
    expected: /header is malformed/,
  },
  { name: 'a LF in the reason', text: 'HTTP/1.1 200 O\nK\r\n\r\n', expected: /not HTTP/ },
  { name: 'a NUL in a header', text: `${OK}A: \0\r\n\r\n`, expected: /header is malformed/ },
  {
    name: 'two lengths',
    text: `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`,
    expected: /content-length/,
  },
  {
    name: 'a negative length',
    text: `${OK}Content-Length: -1\r\n\r\n`,
    expected: /content-length/,
  },
  {
    name: 'length and chunks',
    text: `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n`,
    expected: /exclude each other/,
  },
  {
    name: 'another transfer encoding',
    text: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    expected: /transfer-encoding/,
  },
  {
    name: 'a chunk size that is none',
    text: `${OK}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    expected: /chunk is malformed/,
  },
  {
    name: 'a chunk that is too long',
    text: `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n`,
    expected: /chunk is malformed/,
  },
  {
    name: 'a chunk size line without end',
    text: `${OK}Transfer-Encoding: chunked\r\n\r\n2;${'a'.repeat(2_000)}`,
    expected: /chunk is malformed/,
  },
  {
    name: 'a switch of protocols',
    text: 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n',
    expected: /switched/,
  },
  {
    name: 'informational answers without end',
    text: 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(20),
    expected: /too many informational/,
  },
  {
    name: 'an end in the middle of the head',
    text: `${OK}Content-Le`,
    expected: /ended in the middle/,
  },
  {
    name: 'an end in the middle of the body',
    text: `${OK}Content-Length: 9\r\n\r\nok`,
    expected: /ended in the middle/,
  },
  {
    name: 'an end in the middle of chunks',
    text: `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`,
    expected: /ended in the middle/,
  },
]

test.for(rows)('$name', ({ text, expected }) => {
  for (const size of [Infinity, 7, 1]) {
    const told = read(text, Math.min(size, text.length))
    expect(told).toMatch(expected)
  }
})

test('a 2xx is told only with the last byte of its body', () => {
  expect(read(`${OK}Content-Length: 3\r\n\r\nok`, 1, false)).toBe('nothing yet')
  expect(read(`${OK}Content-Length: 3\r\n\r\nok!`, 1, false)).toBe('200')
})

test('nothing has begun before the first byte', () => {
  const reader = new ResponseReader()
  expect(reader.begun).toBe(false)
  reader.push(bytes('H'))
  expect(reader.begun).toBe(true)
})
