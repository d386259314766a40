/** Answers as servers write them, well and badly, with what a strict reader makes of them; for the reader alone and for real sockets. */
import type { Cut } from '../src/index.ts'

/** One answer. */
export interface Sample {
  readonly name: string
  /** As latin1 text. */
  readonly bytes: string
  /** GET when absent. */
  readonly method?: string
  /** How it ends: whole, with the end of the connection, never, or as a failure. */
  readonly expected:
    | 'whole'
    | 'at close'
    | 'unfinished'
    | Extract<Cut, 'incomplete' | 'head_too_large'>
  readonly status?: number
  readonly body?: string
  /** Bytes after the answer: the connection must not be used again. */
  readonly extra?: string
  /** Whether the connection may be used again; true when absent and the answer is whole without extra bytes. */
  readonly kept?: boolean
}

const OK = 'HTTP/1.1 200 OK\r\n'
const ok = (head: string, body: string): string => `${OK}${head}\r\n${body}`
const chunked = (body: string): string => ok('Transfer-Encoding: chunked\r\n', body)

const good: readonly Sample[] = [
  { name: 'a length', bytes: ok('Content-Length: 2\r\n', 'ok'), expected: 'whole', body: 'ok' },
  { name: 'no body', bytes: ok('Content-Length: 0\r\n', ''), expected: 'whole', body: '' },
  {
    name: 'leading zeros of a length',
    bytes: ok('Content-Length: 0002\r\n', 'ok'),
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'blanks around a value',
    bytes: ok('Content-Length:\t 2 \t\r\n', 'ok'),
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'no reason',
    bytes: 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok',
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'no blank after the status',
    bytes: 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok',
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'letters beyond ASCII',
    bytes: 'HTTP/1.1 200 Gr\xfc\xdf\r\nx: \xe9\r\nContent-Length: 1\r\n\r\n\xff',
    expected: 'whole',
    body: '\xff',
  },
  {
    name: 'an empty value',
    bytes: ok('x:\r\nContent-Length: 0\r\n', ''),
    expected: 'whole',
    body: '',
  },
  {
    name: 'chunks',
    bytes: chunked('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'),
    expected: 'whole',
    body: 'hello world',
  },
  { name: 'no chunk but the last', bytes: chunked('0\r\n\r\n'), expected: 'whole', body: '' },
  {
    name: 'a zero written long',
    bytes: chunked('2\r\nok\r\n000\r\n\r\n'),
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'hex of both cases',
    bytes: chunked(`a\r\n${'x'.repeat(10)}\r\nB\r\n${'y'.repeat(11)}\r\n0\r\n\r\n`),
    expected: 'whole',
    body: 'x'.repeat(10) + 'y'.repeat(11),
  },
  {
    name: 'chunk extensions',
    bytes: chunked('2;a=1;b="c d"\r\nok\r\n0;last\r\n\r\n'),
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'trailers',
    bytes: chunked('2\r\nok\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n'),
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'line ends inside a chunk',
    bytes: chunked('8\r\n\r\n0\r\n\r\n\n\r\n0\r\n\r\n'),
    expected: 'whole',
    body: '\r\n0\r\n\r\n\n',
  },
  {
    name: 'the coding in capitals',
    bytes: ok('TRANSFER-ENCODING: CHUNKED\r\n', '2\r\nok\r\n0\r\n\r\n'),
    expected: 'whole',
    body: 'ok',
  },
  {
    name: '204',
    bytes: 'HTTP/1.1 204 No Content\r\n\r\n',
    expected: 'whole',
    status: 204,
    body: '',
  },
  {
    name: '304 with the length of what was not sent',
    bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
    expected: 'whole',
    status: 304,
    body: '',
  },
  {
    name: 'HEAD with a length',
    bytes: ok('Content-Length: 9\r\n', ''),
    method: 'HEAD',
    expected: 'whole',
    body: '',
  },
  {
    name: 'HEAD with chunks announced',
    bytes: chunked(''),
    method: 'HEAD',
    expected: 'whole',
    body: '',
  },
  {
    name: '100 first',
    bytes: `HTTP/1.1 100 Continue\r\n\r\n${ok('Content-Length: 2\r\n', 'ok')}`,
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'a sign of life a hundred times',
    bytes: `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)}${ok('Content-Length: 2\r\n', 'ok')}`,
    expected: 'whole',
    body: 'ok',
  },
  {
    name: '102 and 103 first',
    bytes: `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${ok('Content-Length: 2\r\n', 'ok')}`,
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'close announced',
    bytes: ok('Connection: close\r\nContent-Length: 2\r\n', 'ok'),
    expected: 'whole',
    body: 'ok',
    kept: false,
  },
  {
    name: 'close among other words',
    bytes: ok('connection: Foo, CLOSE\r\nContent-Length: 2\r\n', 'ok'),
    expected: 'whole',
    body: 'ok',
    kept: false,
  },
  {
    name: 'keep-alive of no time',
    bytes: ok('Keep-Alive: timeout=0\r\nContent-Length: 2\r\n', 'ok'),
    expected: 'whole',
    body: 'ok',
    kept: false,
  },
  {
    name: 'HTTP/1.0 with a length',
    bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
    expected: 'whole',
    body: 'ok',
    kept: false,
  },
  {
    name: 'HTTP/1.0 that keeps',
    bytes: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok',
    expected: 'whole',
    body: 'ok',
  },
  {
    name: 'neither length nor chunks',
    bytes: ok('x: y\r\n', 'until the end'),
    expected: 'at close',
    body: 'until the end',
  },
  {
    name: 'HTTP/1.0 until the end',
    bytes: 'HTTP/1.0 200 OK\r\n\r\nold',
    expected: 'at close',
    body: 'old',
  },
  { name: 'nothing until the end', bytes: ok('', ''), expected: 'at close', body: '' },
  {
    name: 'bytes after a length',
    bytes: ok('Content-Length: 2\r\n', 'ok'),
    extra: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    expected: 'whole',
    body: 'ok',
    kept: false,
  },
  {
    name: 'bytes after chunks',
    bytes: chunked('0\r\n\r\n'),
    extra: '\r\n',
    expected: 'whole',
    body: '',
    kept: false,
  },
  {
    name: 'a body after HEAD',
    bytes: ok('Content-Length: 2\r\n', ''),
    method: 'HEAD',
    extra: 'ok',
    expected: 'whole',
    body: '',
    kept: false,
  },
  {
    name: 'a body after 204',
    bytes: 'HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\n',
    extra: 'ok',
    expected: 'whole',
    status: 204,
    body: '',
    kept: false,
  },
  { name: 'a head of 16 KB', bytes: padded(16_384, 'ok'), expected: 'whole', body: 'ok' },
]

const unfinished: readonly Sample[] = [
  { name: 'nothing', bytes: '', expected: 'unfinished' },
  { name: 'half a head', bytes: 'HTTP/1.1 200 OK\r\nConte', expected: 'unfinished' },
  {
    name: 'half a length',
    bytes: ok('Content-Length: 5\r\n', 'he'),
    expected: 'unfinished',
    body: 'he',
  },
  { name: 'half a chunk', bytes: chunked('5\r\nhe'), expected: 'unfinished', body: 'he' },
  { name: 'no last chunk', bytes: chunked('2\r\nok\r\n'), expected: 'unfinished', body: 'ok' },
  { name: 'no end of trailers', bytes: chunked('0\r\nx: y\r\n'), expected: 'unfinished', body: '' },
  { name: 'interim answers alone', bytes: 'HTTP/1.1 100 Continue\r\n\r\n', expected: 'unfinished' },
]

const heads: Readonly<Record<string, string>> = {
  'length and chunks': 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n',
  'chunks and length': 'Transfer-Encoding: chunked\r\nContent-Length: 2\r\n',
  'two lengths': 'Content-Length: 2\r\nContent-Length: 3\r\n',
  'two equal lengths': 'Content-Length: 2\r\nContent-Length: 2\r\n',
  'a list of lengths': 'Content-Length: 2, 2\r\n',
  'a length with a sign': 'Content-Length: +2\r\n',
  'a negative length': 'Content-Length: -2\r\n',
  'a length in hex': 'Content-Length: 0x2\r\n',
  'a length with a fraction': 'Content-Length: 2.0\r\n',
  'a length with a blank inside': 'Content-Length: 2 2\r\n',
  'an empty length': 'Content-Length:\r\n',
  'a length beyond all numbers': 'Content-Length: 99999999999999999999\r\n',
  'two codings': 'Transfer-Encoding: gzip, chunked\r\n',
  'chunks twice': 'Transfer-Encoding: chunked, chunked\r\n',
  'the coding in two lines': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
  'another coding': 'Transfer-Encoding: identity\r\n',
  'a coding with a tail': 'Transfer-Encoding: chunked;q=1\r\n',
  'a coding with a tab of another kind': 'Transfer-Encoding: \x0bchunked\r\n',
  'a blank before the colon': 'Content-Length : 2\r\n',
  'a tab before the colon': 'Transfer-Encoding\t: chunked\r\n',
  'a folded line': 'x: a\r\n b\r\nContent-Length: 2\r\n',
  'a folded line with a tab': 'x: a\r\n\tb\r\nContent-Length: 2\r\n',
  'a first line that is folded': ' Content-Length: 2\r\n',
  'an empty name': ': x\r\nContent-Length: 2\r\n',
  'no colon': 'Content-Length 2\r\n',
  'a name with a blank': 'Content Length: 2\r\n',
  'a name in quotes': '"Content-Length": 2\r\n',
  'a zero byte in a name': 'Content\0-Length: 2\r\n',
  'a zero byte in a value': 'x: a\0b\r\nContent-Length: 2\r\n',
  'a bare LF between lines': 'x: a\nContent-Length: 2\r\n',
  'a bare CR between lines': 'x: a\rContent-Length: 2\r\n',
  'a bare CR before CRLF': 'x: a\r\r\nContent-Length: 2\r\n',
  'a delete': 'x: \x7f\r\nContent-Length: 2\r\n',
}
const starts: Readonly<Record<string, string>> = {
  'a bare LF after the status line': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
  'an empty line first': `\r\n${ok('Content-Length: 2\r\n', 'ok')}`,
  'a blank first': ` ${ok('Content-Length: 2\r\n', 'ok')}`,
  'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
  'the protocol in small letters': 'http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/2.0': 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.2': 'HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.10': 'HTTP/1.10 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'two blanks': 'HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok',
  'a tab for a blank': 'HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nok',
  'two digits': 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok',
  'four digits': 'HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok',
  'a status below 100': 'HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok',
  'a status of letters': 'HTTP/1.1 2oo OK\r\nContent-Length: 2\r\n\r\nok',
  'a control character in the reason': 'HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok',
  'a request': 'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
  'a switch of protocols': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
  'interim answers without end': 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(10_001),
}
const bodies: Readonly<Record<string, string>> = {
  'no size': '\r\nok\r\n0\r\n\r\n',
  'a size with a sign': '+2\r\nok\r\n0\r\n\r\n',
  'a size with 0x': '0x2\r\nok\r\n0\r\n\r\n',
  'a size of letters': 'g\r\nok\r\n0\r\n\r\n',
  'a blank before a size': ' 2\r\nok\r\n0\r\n\r\n',
  'a blank after a size': '2 \r\nok\r\n0\r\n\r\n',
  'a tab after a size': '2\t;x\r\nok\r\n0\r\n\r\n',
  'a size of 13 digits': `${'0'.repeat(12)}2\r\nok\r\n0\r\n\r\n`,
  'a size that wraps around': 'fffffffffffffffff\r\nok\r\n0\r\n\r\n',
  'a size that ends with LF': '2\nok\r\n0\r\n\r\n',
  'a size that ends with CR': '2\rok\r\n0\r\n\r\n',
  'an extension that ends with LF': '2;a\nok\r\n0\r\n\r\n',
  'a zero byte in an extension': '2;\0\r\nok\r\n0\r\n\r\n',
  'an extension of 17 KB': `2;${'x'.repeat(17_000)}\r\nok\r\n0\r\n\r\n`,
  'data longer than its size': '1\r\nok\r\n0\r\n\r\n',
  'data that ends with LF': '2\r\nok\n0\r\n\r\n',
  'data that ends with CR': '2\r\nok\r0\r\n\r\n',
  'a last chunk that ends with LF': '0\n\n',
  'trailers that end with LF': '0\r\nx: y\n\r\n',
  'a folded trailer': '0\r\nx: y\r\n z\r\n\r\n',
  'a trailer without colon': '0\r\nx y\r\n\r\n',
  'a length among the trailers': '0\r\nContent-Length: 2\r\n\r\n',
  'a coding among the trailers': '0\r\ntransfer-encoding: chunked\r\n\r\n',
  'trailers of 17 KB': `0\r\n${'x: y\r\n'.repeat(3000)}\r\n`,
}
const tooLarge: Readonly<Record<string, string>> = {
  'a head of 16 KB and one byte': padded(16_385, 'ok'),
  'a head without end': `${OK}x: ${'y'.repeat(20_000)}`,
  '257 lines': ok(`${'x: y\r\n'.repeat(256)}Content-Length: 2\r\n`, 'ok'),
}

const refused = (
  texts: Readonly<Record<string, string>>,
  expected: 'incomplete' | 'head_too_large',
  whole: (text: string) => string = (text) => text,
): readonly Sample[] =>
  Object.entries(texts).map(([name, text]) => ({ name, bytes: whole(text), expected }))

/** An answer whose head has so many bytes. */
function padded(bytes: number, body: string): string {
  const bare = ok(`Content-Length: ${body.length}\r\nx: \r\n`, '').length
  return ok(`Content-Length: ${body.length}\r\nx: ${'y'.repeat(bytes - bare)}\r\n`, body)
}

/** Every answer of the tests. */
export const samples: readonly Sample[] = [
  ...good,
  ...unfinished,
  ...refused(heads, 'incomplete', (head) => ok(head, 'ok')),
  ...refused(starts, 'incomplete'),
  ...refused(bodies, 'incomplete', chunked),
  ...refused(tooLarge, 'head_too_large'),
]
