// Which app and which path a call means, by path, by host name and by the clients' proxy mode.
import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { parseQueueTarget, parseTarget, queueBase, rewrite } from '../src/target.ts'

test.for([
  ['a/b', { app: 'a/b', path: '/' }],
  ['a/b/', { app: 'a/b', path: '/' }],
  ['a/b?x=1', { app: 'a/b', path: '/?x=1' }],
  ['a/b/c/d?x=/y', { app: 'a/b', path: '/c/d?x=/y' }],
  ['a/b//c', { app: 'a/b', path: '//c' }],
  ['a/b/%2e%2e/c', { app: 'a/b', path: '/%2e%2e/c' }],
  ['workflows/a/b/c', { app: 'workflows/a/b', path: '/c' }],
  ['comfy/a/b', { app: 'comfy/a/b', path: '/' }],
  ['', null],
  ['a', null],
  ['a/', null],
  ['/a/b', null],
  ['a//b', null],
  ['a?b/c', null],
  ['workflows/a', null],
] as const)('%s', ([rest, expected]) => {
  expect(parseTarget(rest)).toEqual(expected)
})

test.for([
  ['POST', 'a/b', { kind: 'submit', app: 'a/b', path: '/' }],
  ['POST', 'a/b/requests', { kind: 'submit', app: 'a/b', path: '/requests' }],
  ['POST', 'a/b/requests/1/cancel', { kind: 'submit', app: 'a/b', path: '/requests/1/cancel' }],
  ['GET', 'a/b/requests/1', { kind: 'result', app: 'a/b', id: '1' }],
  ['GET', 'a/b/requests/1/', { kind: 'result', app: 'a/b', id: '1' }],
  ['HEAD', 'a/b/requests/1', { kind: 'result', app: 'a/b', id: '1' }],
  ['GET', 'a/b/requests/1/response?x', { kind: 'result', app: 'a/b', id: '1' }],
  ['GET', 'a/b/requests/1/status?logs=1', { kind: 'status', app: 'a/b', id: '1' }],
  ['GET', 'a/b/requests/1/status/', { kind: 'status', app: 'a/b', id: '1' }],
  ['GET', 'a/b/requests/1/status/stream', { kind: 'stream', app: 'a/b', id: '1' }],
  ['GET', 'a/b/sub/path/requests/1/status', { kind: 'status', app: 'a/b', id: '1' }],
  ['PUT', 'a/b/requests/1/cancel', { kind: 'cancel', app: 'a/b', id: '1' }],
  ['PUT', 'a/b/x/requests/1/cancel/', { kind: 'cancel', app: 'a/b', id: '1' }],
  ['GET', 'a/b/requests/1/cancel', null],
  ['GET', 'a/b/requests', null],
  ['GET', 'a/b', null],
  ['PUT', 'a/b/requests/1', null],
  ['DELETE', 'a/b/requests/1', null],
  ['GET', 'a/b/requests/1/other', null],
  ['GET', 'a/b/requests/1/constructor', null],
  ['GET', 'a/b/requests/1/__proto__', null],
] as const)('%s /queue/%s', ([method, rest, expected]) => {
  expect(parseQueueTarget(method, rest)).toEqual(expected)
})

const ask = (url: string, headers: Record<string, string> = {}): IncomingMessage =>
  ({ url, headers: { host: 'gateway:8080', ...headers } }) as unknown as IncomingMessage
const proxy = (target: string): Record<string, string> => ({ 'x-fal-target-url': target })

describe('rewriting', () => {
  test.for([
    [ask('/run/a/b'), '/run/a/b'],
    [ask('/a/b?x=1', { host: 'fal.run' }), '/run/a/b?x=1'],
    [ask('/a/b', { host: 'FAL.run:8080' }), '/run/a/b'],
    [ask('/a/b', { host: 'queue.fal.run' }), '/queue/a/b'],
    [ask('/tokens/', { host: 'rest.fal.ai' }), '/rest/tokens/'],
    // A host name leads to its service only: never to the fleet.
    [ask('/v1/runners/x/kill', { host: 'fal.run' }), '/run/v1/runners/x/kill'],
    [ask('/a/b', { host: 'fal.run.evil.example' }), '/a/b'],
    [ask('/proxy', proxy('https://fal.run/a/b?x=1')), '/run/a/b?x=1'],
    [
      ask('/proxy', proxy('https://queue.fal.run/a/b/requests/1/status')),
      '/queue/a/b/requests/1/status',
    ],
    [ask('/proxy', proxy('https://rest.fal.ai/tokens/')), '/rest/tokens/'],
    [ask('/proxy', proxy('https://evil.example/a/b')), '/proxy'],
    [ask('/proxy', proxy('https://fal.run@evil.example/a/b')), '/proxy'],
    [ask('/proxy', proxy('ftp://fal.run/a/b')), '/proxy'],
    [ask('/proxy', proxy('not a url')), '/proxy'],
    [ask('/proxy', proxy('https://fal.run/../../v1/runners')), '/run/v1/runners'],
    [ask('/proxy'), '/proxy'],
    [ask('/proxyish'), '/proxyish'],
  ] as const)('%j', ([request, expected]) => {
    expect(rewrite(request)).toBe(expected)
  })

  test.for([
    [ask('/queue/a/b'), 'http://gateway:8080/queue'],
    [ask('/a/b', { host: 'queue.fal.run:8080' }), 'http://queue.fal.run:8080'],
    [ask('/proxy', proxy('https://queue.fal.run/a/b')), 'https://queue.fal.run'],
  ] as const)('the URLs of a request begin where its caller came in: %j', ([request, expected]) => {
    rewrite(request)
    expect(queueBase(request, 'http')).toBe(expected)
  })
})
