// What goes out: the head as text, how its body is framed, and what is not sent at all.
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { requestHead } from '../src/request-head.ts'
import { cutOfConnect } from '../src/fault.ts'
import type { Outgoing } from '../src/index.ts'

const stream = (): Readable => Readable.from([Buffer.from('ab')])
const request = (rest: Partial<Outgoing>): Outgoing => ({
  method: 'POST',
  path: '/a?b=c',
  headers: [],
  body: null,
  ...rest,
})

describe('framing', () => {
  test.for<{ name: string; given: Partial<Outgoing>; lines: string; length: number | null }>([
    { name: 'GET without body', given: { method: 'GET' }, lines: 'host: h:1', length: 0 },
    {
      name: 'POST without body says so',
      given: {},
      lines: 'host: h:1\r\ncontent-length: 0',
      length: 0,
    },
    {
      name: 'a length of none',
      given: { headers: ['content-length', '0'] },
      lines: 'content-length: 0\r\nhost: h:1',
      length: 0,
    },
    {
      name: 'bytes get their length',
      given: { body: Buffer.from('ab') },
      lines: 'host: h:1\r\ncontent-length: 2',
      length: 2,
    },
    {
      name: 'bytes keep their length',
      given: { headers: ['Content-Length', '2'], body: Buffer.from('ab') },
      lines: 'Content-Length: 2\r\nhost: h:1',
      length: 2,
    },
    {
      name: 'a stream with a length',
      given: { headers: ['content-length', '2'], body: stream() },
      lines: 'content-length: 2\r\nhost: h:1',
      length: 2,
    },
    {
      name: 'a stream without',
      given: { body: stream() },
      lines: 'host: h:1\r\ntransfer-encoding: chunked',
      length: null,
    },
    {
      name: 'a host that is given',
      given: { method: 'GET', headers: ['Host', 'x'] },
      lines: 'Host: x',
      length: 0,
    },
    {
      name: 'letters beyond ASCII',
      given: { method: 'GET', headers: ['x', '\xe9\tz'] },
      lines: 'x: \xe9\tz\r\nhost: h:1',
      length: 0,
    },
  ])('$name', ({ given, lines, length }) => {
    const { method, path } = request(given)
    expect(requestHead(request(given), 'h:1')).toEqual({
      text: `${method} ${path} HTTP/1.1\r\n${lines}\r\n\r\n`,
      length,
    })
  })
})

test.for<[name: string, given: Partial<Outgoing>]>([
  ['a method that is no word', { method: 'GE T' }],
  ['an empty method', { method: '' }],
  ['CONNECT', { method: 'CONNECT' }],
  ['a path with a blank', { path: '/a b' }],
  ['a path with a line end', { path: '/a\r\nx: y' }],
  ['a path that is none', { path: 'a' }],
  ['an empty path', { path: '' }],
  ['a path of letters that latin1 has not', { path: '/\u{100}' }],
  ['a name with a blank', { headers: ['a b', 'c'] }],
  ['a name with a colon', { headers: ['a:', 'c'] }],
  ['an empty name', { headers: ['', 'c'] }],
  ['a name without value', { headers: ['a'] }],
  ['a value with a line end', { headers: ['a', 'b\r\nx: y'] }],
  ['a value with LF', { headers: ['a', 'b\ny: z'] }],
  ['a value with a zero byte', { headers: ['a', '\0'] }],
  ['a value that latin1 has not', { headers: ['a', '\u{10a}'] }],
  ['two lengths', { headers: ['content-length', '0', 'Content-Length', '0'] }],
  ['a length that is no number', { headers: ['content-length', '0x0'] }],
  ['a length with a list', { headers: ['content-length', '0, 0'] }],
  ['a length without body', { headers: ['content-length', '1'] }],
  [
    'a length that is not that of the bytes',
    { headers: ['content-length', '3'], body: Buffer.from('ab') },
  ],
  [
    'a transfer coding of somebody else',
    { headers: ['Transfer-Encoding', 'chunked'], body: stream() },
  ],
])('never sent: %s', ([, given]) => {
  expect(requestHead(request(given), 'h:1')).toBeNull()
})

test.for([
  ['ECONNREFUSED', 'refused'],
  ['EHOSTUNREACH', 'refused'],
  ['ENETUNREACH', 'refused'],
  ['ENOTFOUND', 'refused'],
  ['ETIMEDOUT', 'connect_timeout'],
  ['EMFILE', 'no_socket'],
  ['ENFILE', 'no_socket'],
  ['ENOBUFS', 'no_socket'],
  ['EADDRNOTAVAIL', 'no_socket'],
  ['ECONNRESET', 'disconnected'],
  ['', 'disconnected'],
] as const)('%s before a connection is %s', ([code, cut]) => {
  expect(cutOfConnect(code)).toBe(cut)
})
