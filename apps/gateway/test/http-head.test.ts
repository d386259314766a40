// Which headers travel, both ways.
import { expect, test } from 'vitest'
import { forwardHead, readRunnerHead } from '../src/response-head.ts'

const from = { id: 'r-1', address: '10.0.0.1', proto: 'http', host: 'gw', ours: false }
const flat = (head: Readonly<Record<string, string>>): string[] => Object.entries(head).flat()
const set = [
  'x-forwarded-for',
  '10.0.0.1',
  'x-forwarded-proto',
  'http',
  'x-forwarded-host',
  'gw',
  'x-fal-request-id',
  'r-1',
]

test.for([
  {
    what: 'plain ones pass, in order, repeated ones too',
    raw: ['Accept', 'a', 'X-A', '1', 'X-A', '2'],
    out: ['accept', 'a', 'x-a', '1', 'x-a', '2'],
  },
  {
    what: 'traces pass',
    raw: ['traceparent', '00-1', 'baggage', 'k=v'],
    out: ['traceparent', '00-1', 'baggage', 'k=v'],
  },
  {
    what: 'length and type pass',
    raw: ['Content-Length', '3', 'Content-Type', 't'],
    out: ['content-length', '3', 'content-type', 't'],
  },
  {
    what: 'hop-by-hop ones stay',
    raw: flat({
      Connection: 'keep-alive',
      'Keep-Alive': 'x',
      'Transfer-Encoding': 'chunked',
      TE: 'trailers',
      Upgrade: 'x',
      Expect: '100-continue',
      'Proxy-Authorization': 'x',
    }),
    out: [],
  },
  {
    what: 'what the connection names stays',
    raw: ['X-Hop', '1', 'Connection', 'close, x-hop', 'X-Stay', '1'],
    out: ['x-stay', '1'],
  },
  {
    what: 'what any line of the connection names stays',
    raw: [
      'Connection',
      'x-hop',
      'Connection',
      'x-leap',
      'Connection',
      'close',
      'X-Hop',
      '1',
      'X-Leap',
      '1',
    ],
    out: [],
  },
  {
    what: 'what only we may say stays',
    raw: flat({
      Host: 'h',
      'X-Fal-Target-Url': 'u',
      'X-Forwarded-For': 'spoofed',
      'X-Fal-Request-Id': 'spoofed',
    }),
    out: [],
  },
  {
    what: 'the credentials of others pass',
    raw: ['Authorization', 'Bearer theirs'],
    out: ['authorization', 'Bearer theirs'],
  },
])('to a runner: $what', ({ raw, out }) => {
  expect(forwardHead(raw, from)).toEqual([...out, ...set])
})

test('to a runner: our own key stays', () => {
  expect(forwardHead(['Authorization', 'Key ours'], { ...from, ours: true })).toEqual(set)
})

test.for([
  {
    what: 'plain ones pass',
    raw: ['Content-Type', 'a/b', 'Set-Cookie', '1', 'Set-Cookie', '2'],
    forward: ['content-type', 'a/b', 'set-cookie', '1', 'set-cookie', '2'],
    outcome: undefined,
  },
  {
    what: 'the stop header acts and stays',
    raw: ['X-Fal-Stop-Runner', '1', 'a', 'b'],
    forward: ['a', 'b'],
    outcome: { stop: true },
  },
  {
    what: 'the stop header keeps a runner',
    raw: ['X-Fal-Stop-Runner', 'FALSE'],
    forward: [],
    outcome: { stop: false },
  },
  {
    what: 'needs-retry acts and stays',
    raw: ['X-Fal-Needs-Retry', 'no'],
    forward: [],
    outcome: { needsRetry: false },
  },
  {
    what: 'a wished check acts and stays',
    raw: ['X-Fal-Runner-Health-Check', 'please'],
    forward: [],
    outcome: { check: true },
  },
  {
    what: 'a check that is not wished only stays',
    raw: ['X-Fal-Runner-Health-Check', '0'],
    forward: [],
    outcome: {},
  },
  {
    what: 'retry-after acts and passes',
    raw: ['Retry-After', '7'],
    forward: ['retry-after', '7'],
    outcome: { retryAfterMs: 7000 },
  },
  {
    what: 'hop-by-hop ones stay',
    raw: flat({
      Connection: 'x-hop',
      'X-Hop': '1',
      'Transfer-Encoding': 'chunked',
      'Keep-Alive': '5',
      Trailer: 'x',
    }),
    forward: [],
    outcome: undefined,
  },
  {
    what: 'what any line of the connection names stays',
    raw: ['Connection', 'x-hop', 'Connection', 'keep-alive', 'X-Hop', '1'],
    forward: [],
    outcome: undefined,
  },
  {
    what: 'a runner does not name itself',
    raw: flat({ 'x-fal-served-from': 'me', 'x-fal-request-id': 'mine' }),
    forward: [],
    outcome: undefined,
  },
])('from a runner: $what', ({ raw, forward, outcome }) => {
  const head = readRunnerHead(raw)
  expect(head.forward).toEqual(forward)
  expect(head.outcome).toEqual(outcome)
})

test('hints and streams are seen', () => {
  expect(readRunnerHead(['x-fal-runner-hints', 'a, b,,c']).hints).toEqual(['a', 'b', 'c'])
  const lines = ['x-fal-runner-hints', 'a, b', 'X-Fal-Runner-Hints', 'c']
  expect(readRunnerHead(lines).hints).toEqual(['a', 'b', 'c'])
  expect(readRunnerHead(['x-fal-runner-hints', '']).hints).toEqual([])
  expect(readRunnerHead([]).hints).toBeNull()
  expect(readRunnerHead(['content-type', 'text/event-stream; charset=utf-8']).stream).toBe(true)
  expect(readRunnerHead(['content-type', 'Text/Event-Stream']).stream).toBe(true)
  expect(readRunnerHead(['content-type', 'text/event-streams']).stream).toBe(false)
})
