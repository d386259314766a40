// A target that is a whole URL is brought to the form of all others; what is no URL of HTTP stays, and is told.
import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { toOriginForm } from '../src/absolute-form.ts'

test.for([
  ['/run/a/b?c=http://d', true, 'old', '/run/a/b?c=http://d'],
  ['http://new:1/run/a/b?c=d', true, 'new:1', '/run/a/b?c=d'],
  ['HTTPS://new/live', true, 'new', '/live'],
  ['http://new', true, 'new', '/'],
  ['http://new?a=b', true, 'new', '/?a=b'],
  ['http://[::1]:80/live', true, '[::1]:80', '/live'],
  ['*', true, 'old', '*'],
  ['http://us@new/live', false, 'old', 'http://us@new/live'],
  ['http:///live', false, 'old', 'http:///live'],
  ['ftp://new/live', false, 'old', 'ftp://new/live'],
] as const)('%s', ([url, known, host, path]) => {
  const request = { url, headers: { host: 'old' } } as IncomingMessage
  expect(toOriginForm(request)).toBe(known)
  expect([request.headers.host, request.url]).toEqual([host, path])
})
