// What a caller may wish for a request, and how wrong wishes are met.
import { describe, expect, test } from 'vitest'
import { Refused } from '../src/error-answer.ts'
import { readQuery, readSubmission, retryWish, startLimit } from '../src/submission.ts'

const place = {
  id: 'r',
  app: 'a/b',
  path: '/',
  owner: 'o',
  now: 1000,
  head: [
    'content-type',
    'application/json',
    'content-length',
    '2',
    'x-a',
    '1',
    'x-a',
    '2',
    'cookie',
    'a',
    'cookie',
    'b',
  ],
}
const refusal = (act: () => unknown): unknown => {
  try {
    act()
  } catch (error) {
    if (error instanceof Refused) return [error.refusal.status, error.refusal.errorType]
    throw error
  }
  return null
}

test.for([
  [undefined, null],
  ['30', 30_000],
  ['0.2', 200],
  [' 1.5 ', 1500],
] as const)('X-Fal-Request-Timeout %s', ([text, ms]) => {
  expect(startLimit(text === undefined ? {} : { 'x-fal-request-timeout': text })).toBe(ms)
})
test.for(['', '0', '0.1', '-1', '1e3', 'soon', 'NaN', 'Infinity', '0x10', '99999999999'])(
  'X-Fal-Request-Timeout %j is refused',
  (text) => {
    expect(refusal(() => startLimit({ 'x-fal-request-timeout': text }))).toEqual([
      400,
      'bad_request',
    ])
  },
)

test.for([
  [undefined, null],
  ['', null],
  ['nonsense', null],
  ['[]', null],
  ['null', null],
  ['{}', null],
  ['{"server_error":3}', null],
  ['{"server_error":{"retries":"3"}}', null],
  ['{"server_error":{"retries":1.5}}', null],
  ['{"unknown":{"retries":3}}', null],
  ['{"__proto__":{"retries":3}}', null],
  ['{"server_error":{"retries":3},"unknown":{"retries":1}}', { server_error: 3 }],
  [
    '{"timeout":{"retries":0},"connection_error":{"retries":-4}}',
    { timeout: 0, connection_error: 0 },
  ],
] as const)('X-Fal-Retry-Config %s', ([text, wish]) => {
  expect(retryWish(text)).toEqual(wish)
})

describe('a submission', () => {
  const body = Buffer.from('{}')
  test('keeps what the runner needs, and only that', () => {
    const headers = {
      'content-type': 'application/json',
      'x-fal-queue-priority': 'low',
      'x-fal-runner-hint': 'warm',
      'x-fal-no-retry': 'Yes',
      'x-fal-request-timeout': '2',
    }
    expect(readSubmission(headers, body, place)).toEqual({
      id: 'r',
      app: 'a/b',
      priority: 'low',
      owner: 'o',
      method: 'POST',
      path: '/',
      body,
      submittedAt: 1000,
      startBefore: 3000,
      hint: 'warm',
      noRetry: true,
      retryConfig: null,
      webhook: null,
      headers: { 'content-type': 'application/json', 'x-a': '1, 2', cookie: 'a; b' },
    })
  })
  test('keeps headers whose names mean something to objects', () => {
    const head = ['constructor', 'a', '__proto__', 'b', 'toString', 'c', '__proto__', 'd']
    const { headers } = readSubmission({}, body, { ...place, head })
    expect(Object.entries(headers)).toEqual([
      ['constructor', 'a'],
      ['__proto__', 'b, d'],
      ['toString', 'c'],
    ])
  })
  test.for([
    ['application/json', '{"a":', [400, 'bad_request']],
    ['application/json; charset=utf-8', 'x', [400, 'bad_request']],
    ['application/vnd.api+json', '{', [400, 'bad_request']],
    ['application/json', '', null],
    ['application/json', ' [1] ', null],
    ['text/plain', '{"a":', null],
    [undefined, '{', null],
  ] as const)('%s %j', ([type, text, expected]) => {
    expect(
      refusal(() =>
        readSubmission(
          { ...(type !== undefined && { 'content-type': type }) },
          Buffer.from(text),
          place,
        ),
      ),
    ).toEqual(expected)
  })
})

test.for([
  ['/', { path: '/', maxLength: null, webhook: null }],
  ['/x?a=1', { path: '/x?a=1', maxLength: null, webhook: null }],
  ['/x?a=1&fal_max_queue_length=5&b', { path: '/x?a=1&b', maxLength: 5, webhook: null }],
  ['/x?fal_webhook=http%3A%2F%2Fh', { path: '/x', maxLength: null, webhook: 'http%3A%2F%2Fh' }],
] as const)('the query of %s', ([path, expected]) => {
  expect(readQuery(path)).toEqual(expected)
})
