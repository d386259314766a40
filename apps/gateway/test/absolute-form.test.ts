// A target that is a whole URL is brought to the form of all others; what is no URL of HTTP stays.
import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { toOriginForm } from '../src/absolute-form.ts'

test.for([
  ['/run/a/b?c=http://d', 'old', '/run/a/b?c=http://d'],
  ['http://new:1/run/a/b?c=d', 'new:1', '/run/a/b?c=d'],
  ['HTTPS://new/live', 'new', '/live'],
  ['http://new', 'new', '/'],
  ['http://new?a=b', 'new', '/?a=b'],
  ['http://[::1]:80/live', '[::1]:80', '/live'],
  ['http://us@new/live', 'old', 'http://us@new/live'],
  ['http:///live', 'old', 'http:///live'],
  ['ftp://new/live', 'old', 'ftp://new/live'],
  ['*', 'old', '*'],
] as const)('%s', ([url, host, path]) => {
  const request = { url, headers: { host: 'old' } } as IncomingMessage
  toOriginForm(request)
  expect([request.headers.host, request.url]).toEqual([host, path])
})
