// Bad input and closed doors: every refusal has its status, its word and its sentence, and nothing is lost by it.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exchange } from './exchange.ts'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

const app = (more: object = {}): object => ({
  command: ['node', RUNNER],
  startupTimeoutSeconds: 20,
  minConcurrency: 1,
  maxConcurrency: 1,
  ...more,
})

interface Refusal {
  readonly what: string
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly status: number
  readonly type: string
  /** The path of the field, for 422. */
  readonly field?: string
}

/** What is refused, and whether all of the refusal is as it must be. */
async function expectRefusal(url: string, row: Refusal): Promise<void> {
  const response = await fetch(url + row.path, {
    method: row.method ?? 'GET',
    headers: row.headers ?? {},
    ...(row.body !== undefined && { body: row.body }),
  })
  const body = (await response.json()) as Record<string, unknown>
  expect({ status: response.status, type: body['error_type'] }).toEqual({
    status: row.status,
    type: row.type,
  })
  expect(body['detail']).toEqual(expect.stringMatching(/\w/))
  expect(body['message']).toBe(body['detail'])
  expect(response.headers.get('x-fal-error-type')).toBe(row.type)
  expect(response.headers.get('x-fal-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  expect(JSON.stringify(body)).not.toMatch(/\bat .*\.ts|node_modules|\/src\//)
  expect(body['path']).toBe(row.field)
}

const json = { 'content-type': 'application/json' }

describe('without keys', () => {
  let gateway: RunningGateway
  beforeAll(async () => {
    gateway = await startGateway({
      limits: { bodyBytes: 1000, directWaiting: 1, queueLength: 3 },
      apps: {
        'test/echo': app(),
        'test/none': app({ minConcurrency: 0, maxConcurrency: 0 }),
        'test/broken': app({ command: ['/nowhere/at/all'] }),
        'test/lazy': app({ command: ['/nowhere/at/all'], minConcurrency: 0 }),
      },
    })
  })
  afterAll(() => gateway.close())

  const rows: readonly Refusal[] = [
    { what: 'an unknown app', path: '/run/test/nobody', status: 404, type: 'app_not_found' },
    { what: 'a path without an app', path: '/run/test', status: 404, type: 'app_not_found' },
    {
      what: 'an unknown app in the queue',
      method: 'POST',
      path: '/queue/test/nobody',
      headers: json,
      body: '{}',
      status: 404,
      type: 'app_not_found',
    },
    { what: 'no such path', path: '/nothing/here', status: 404, type: 'not_found' },
    {
      what: 'no such path, asked with half a JSON body',
      method: 'POST',
      path: '/nothing/here',
      headers: json,
      body: '{',
      status: 404,
      type: 'not_found',
    },
    {
      what: 'no such method, asked with an empty JSON body',
      method: 'POST',
      path: '/v1/policy',
      headers: json,
      status: 404,
      type: 'not_found',
    },
    {
      what: 'proxy mode to nowhere, asked with a picture',
      method: 'POST',
      path: '/proxy',
      headers: { 'content-type': 'image/png' },
      body: 'x',
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'what is not here yet, asked with half a JSON body',
      method: 'POST',
      path: '/rest/tokens/',
      headers: json,
      body: '{',
      status: 501,
      type: 'not_in_this_version',
    },
    {
      what: 'an unknown request',
      path: '/queue/test/echo/requests/none/status',
      status: 404,
      type: 'request_not_found',
    },
    {
      what: 'the result of an unknown request',
      path: '/queue/test/echo/requests/none',
      status: 404,
      type: 'request_not_found',
    },
    {
      what: 'a cancel of an unknown request',
      method: 'PUT',
      path: '/queue/test/echo/requests/none/cancel',
      status: 404,
      type: 'request_not_found',
    },
    {
      what: 'an unknown request under /v1',
      path: '/v1/requests/none',
      status: 404,
      type: 'request_not_found',
    },
    { what: 'an unknown runner', path: '/v1/runners/none', status: 404, type: 'runner_not_found' },
    {
      what: 'an order for an unknown runner',
      method: 'POST',
      path: '/v1/runners/none/stop',
      status: 404,
      type: 'runner_not_found',
    },
    {
      what: 'why, of an unknown runner',
      path: '/v1/runners/none/explain',
      status: 404,
      type: 'runner_not_found',
    },
    {
      what: 'an unknown node',
      method: 'POST',
      path: '/v1/nodes/none/cordon',
      status: 404,
      type: 'node_not_found',
    },
    {
      what: 'an unknown app to start',
      method: 'POST',
      path: '/v1/apps/test/nobody/start',
      status: 404,
      type: 'app_not_found',
    },
    {
      what: 'an unknown queue',
      path: '/v1/queues/test/nobody',
      status: 404,
      type: 'app_not_found',
    },
    {
      what: 'an unknown app in the policy',
      path: '/v1/policy?app=test/nobody',
      status: 404,
      type: 'app_not_found',
    },
    {
      what: 'malformed JSON in the queue',
      method: 'POST',
      path: '/queue/test/echo',
      headers: json,
      body: '{"a":',
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'malformed JSON in an order',
      method: 'PUT',
      path: '/v1/policy',
      headers: json,
      body: '{',
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'another type in an order',
      method: 'PUT',
      path: '/v1/policy',
      headers: { 'content-type': 'text/plain' },
      body: 'x',
      status: 415,
      type: 'unsupported_media_type',
    },
    {
      what: 'a timeout that is no number',
      path: '/run/test/echo',
      headers: { 'x-fal-request-timeout': 'soon' },
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'a timeout that is too short',
      method: 'POST',
      path: '/queue/test/echo',
      headers: { ...json, 'x-fal-request-timeout': '0.1' },
      body: '{}',
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'an infinite timeout',
      path: '/run/test/echo',
      headers: { 'x-fal-request-timeout': 'Infinity' },
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'a queue length that is no number',
      method: 'POST',
      path: '/queue/test/echo?fal_max_queue_length=x',
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'a body that is too large, in the queue',
      method: 'POST',
      path: '/queue/test/echo',
      headers: json,
      body: JSON.stringify('a'.repeat(1000)),
      status: 413,
      type: 'body_too_large',
    },
    {
      what: 'a body that is too large, directly',
      method: 'POST',
      path: '/run/test/echo',
      headers: json,
      body: JSON.stringify('a'.repeat(1000)),
      status: 413,
      type: 'body_too_large',
    },
    {
      what: 'a body that is too large, in an order',
      method: 'PUT',
      path: '/v1/policy',
      headers: json,
      body: JSON.stringify('a'.repeat(1000)),
      status: 413,
      type: 'body_too_large',
    },
    {
      what: 'a tunable that does not exist',
      method: 'PUT',
      path: '/v1/policy',
      headers: json,
      body: '{"capPercnt":1}',
      status: 422,
      type: 'invalid_value',
      field: 'capPercnt',
    },
    {
      what: 'a tunable out of range',
      method: 'PUT',
      path: '/v1/policy',
      headers: json,
      body: '{"maxAttempts":11}',
      status: 422,
      type: 'invalid_value',
      field: 'maxAttempts',
    },
    {
      what: 'a policy that is no object',
      method: 'PUT',
      path: '/v1/policy',
      headers: json,
      body: '[1]',
      status: 422,
      type: 'invalid_value',
      field: '',
    },
    {
      what: 'an event without a type',
      method: 'POST',
      path: '/v1/events',
      headers: json,
      body: '{}',
      status: 422,
      type: 'invalid_value',
      field: 'type',
    },
    {
      what: 'an event with a time',
      method: 'POST',
      path: '/v1/events',
      headers: json,
      body: '{"type":"app.removed","app":"a/b","at":1}',
      status: 422,
      type: 'invalid_value',
      field: 'at',
    },
    {
      what: 'a list with one wrong event',
      method: 'POST',
      path: '/v1/events',
      headers: json,
      body: '[{"type":"app.removed","app":"a/b"},{"type":"app.removed","app":1}]',
      status: 422,
      type: 'invalid_value',
      field: '[1].app',
    },
    {
      what: 'a limit that is no number',
      path: '/v1/decisions?limit=many',
      status: 422,
      type: 'invalid_value',
      field: 'limit',
    },
    { what: 'proxy mode without a target', path: '/proxy', status: 400, type: 'bad_request' },
    {
      what: 'proxy mode to another site',
      path: '/proxy',
      headers: { 'x-fal-target-url': 'https://example.com/test/echo' },
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'proxy mode to a look-alike',
      path: '/proxy',
      headers: { 'x-fal-target-url': 'https://fal.run.example.com/test/echo' },
      status: 400,
      type: 'bad_request',
    },
    {
      what: 'tokens',
      method: 'POST',
      path: '/rest/tokens/',
      status: 501,
      type: 'not_in_this_version',
    },
    {
      what: 'webhooks',
      method: 'POST',
      path: '/queue/test/echo?fal_webhook=http%3A%2F%2Fx',
      status: 501,
      type: 'not_in_this_version',
    },
    {
      what: 'the status stream',
      path: '/queue/test/echo/requests/none/status/stream',
      status: 501,
      type: 'not_in_this_version',
    },
    {
      what: 'a path that cannot be decoded',
      path: '/run/test/echo/%zz',
      status: 400,
      type: 'bad_request',
    },
  ]
  test.for(rows)('$what: $status $type', async (row) => {
    await expectRefusal(gateway.url, row)
    expect(gateway.supervisor.stats.journalFailing).toBe(false)
  })

  test('a call that waits for the start which shows a configuration error is answered at once', async () => {
    const started = Date.now()
    await expectRefusal(gateway.url, {
      what: '',
      path: '/run/test/lazy',
      status: 503,
      type: 'runner_scheduling_failure',
    })
    expect(Date.now() - started).toBeLessThan(4000)
  })

  test('an app whose command does not exist says so at once, and the others run', async () => {
    await gateway.until(() =>
      gateway.supervisor.fleet.apps.get('test/broken')?.broken == null ? null : true,
    )
    await expectRefusal(gateway.url, {
      what: '',
      path: '/run/test/broken',
      status: 503,
      type: 'runner_scheduling_failure',
    })
    const health = await fetch(`${gateway.url}/health`)
    expect([health.status, ((await health.json()) as { status: string }).status]).toEqual([
      200,
      'degraded',
    ])
    expect((await fetch(`${gateway.url}/run/test/echo`)).status).toBe(200)
  })

  test('the queue is bounded, and a caller may ask for a shorter one', async () => {
    const submit = (query = ''): Promise<Response> =>
      fetch(`${gateway.url}/queue/test/none${query}`, { method: 'POST' })
    for (let i = 0; i < 2; i++) expect((await submit()).status).toBe(200)
    const short = await submit('?fal_max_queue_length=1')
    expect([short.status, short.headers.get('retry-after')]).toEqual([429, '1'])
    expect((await submit('?fal_max_queue_length=2')).status).toBe(200)
    const full = await submit()
    expect([full.status, full.headers.get('retry-after')]).toEqual([429, '1'])
    const flushed = await fetch(`${gateway.url}/v1/queues/test/none`, { method: 'DELETE' })
    expect(await flushed.json()).toEqual({ flushed: 3 })
    expect((await submit()).status).toBe(200)
  })

  const guarded = ['/v1/apps', '/v1/runners', '/v1/decisions', '/v1/policy']
  const strangers: readonly Readonly<Record<string, string>>[] = [
    { host: 'evil.example' },
    { host: 'localhost.evil.example' },
    { host: '127.0.0.1.evil.example' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ]
  test.for(guarded.flatMap((path) => strangers.map((headers) => ({ path, headers }))))(
    '$path is closed to web pages: $headers',
    async ({ path, headers }) => {
      expect(await raw(gateway.url, path, headers)).toMatch(/^HTTP\/1\.1 403 /)
    },
  )
  test('a web page may not ask for a token', async () => {
    for (const headers of strangers)
      expect(await raw(gateway.url, '/v1/tokens', headers, 'POST')).toMatch(/^HTTP\/1\.1 403 /)
  })
  test('a web page may not kill a runner, our own page may read', async () => {
    expect(
      await raw(gateway.url, '/v1/runners/x/kill', { origin: 'https://evil.example' }, 'POST'),
    ).toMatch(/^HTTP\/1\.1 403 /)
    const { host } = new URL(gateway.url)
    expect(await raw(gateway.url, '/v1/apps', { origin: `http://${host}` })).toMatch(
      /^HTTP\/1\.1 200 /,
    )
    expect(await raw(gateway.url, '/v1/apps', { host: `localhost:${host.split(':')[1]}` })).toMatch(
      /^HTTP\/1\.1 200 /,
    )
  })

  test('browsers may call apps from anywhere, and nothing else', async () => {
    const origin = 'https://shop.example'
    const asks = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,x-fal-queue-priority',
    }
    for (const path of ['/run/test/echo', '/queue/test/echo', '/proxy']) {
      const preflight = await fetch(gateway.url + path, { method: 'OPTIONS', headers: asks })
      expect([
        preflight.status,
        preflight.headers.get('access-control-allow-origin'),
        preflight.headers.get('access-control-allow-headers'),
      ]).toEqual([204, '*', asks['access-control-request-headers']])
    }
    const answer = await fetch(`${gateway.url}/run/test/echo?access-control-allow-origin=x`, {
      headers: { origin },
    })
    expect([
      answer.headers.get('access-control-allow-origin'),
      answer.headers.get('access-control-expose-headers'),
    ]).toEqual(['*', expect.stringContaining('x-fal-request-id')])
    const refused = await fetch(`${gateway.url}/run/test/nobody`, { headers: { origin } })
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([404, '*'])
    const order = await fetch(`${gateway.url}/v1/runners/x/kill`, {
      method: 'OPTIONS',
      headers: asks,
    })
    expect(order.headers.get('access-control-allow-origin')).toBeNull()
  })

  const heads = [
    {
      what: 'headers of over 16 KB',
      head: `GET /run/test/echo HTTP/1.1\r\nhost: x\r\nx-big: ${'a'.repeat(17_000)}\r\n\r\n`,
      status: 431,
    },
    {
      what: 'too many headers',
      head: `GET /run/test/echo HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(400)}\r\n`,
      status: 431,
    },
    { what: 'no HTTP at all', head: 'hello there\r\n\r\n', status: 400 },
    { what: 'no host', head: 'GET /run/test/echo HTTP/1.1\r\n\r\n', status: 400 },
    { what: 'no host, as HTTP/1.0 may', head: 'GET /live HTTP/1.0\r\n\r\n', status: 200 },
    {
      what: 'two hosts, the first of this machine',
      head: 'GET /v1/apps HTTP/1.1\r\nhost: localhost\r\nHost: evil.example\r\n\r\n',
      status: 400,
    },
    {
      what: 'the whole URL as the target',
      head: 'GET http://x:1/live?a=b HTTP/1.1\r\nhost: y\r\n\r\n',
      status: 200,
    },
    {
      what: 'a URL whose host is not of this machine, whatever the header says',
      head: 'GET http://evil.example/v1/apps HTTP/1.1\r\nhost: localhost\r\n\r\n',
      status: 403,
    },
    {
      what: 'a URL with somebody before its host',
      head: 'GET http://localhost@evil.example/v1/apps HTTP/1.1\r\nhost: localhost\r\n\r\n',
      status: 400,
    },
    { what: 'a later HTTP', head: 'GET /live HTTP/2.0\r\nhost: x\r\n\r\n', status: 505 },
    {
      what: 'a coding that nobody here undoes',
      head: 'POST /run/test/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      status: 501,
    },
    {
      what: 'the same on two lines',
      head: 'POST /queue/test/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      status: 501,
    },
    {
      what: 'chunks of HTTP/1.0',
      head: 'POST /run/test/echo HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      status: 400,
    },
    {
      what: 'chunks, however they are written',
      head: 'POST /run/test/echo HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      status: 200,
    },
    {
      what: 'an expectation that is none of HTTP',
      head: 'GET /live HTTP/1.1\r\nhost: x\r\nexpect: a-miracle\r\nconnection: close\r\n\r\n',
      status: 417,
    },
    {
      what: 'two lengths',
      head: 'POST /run/test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde',
      status: 400,
    },
    {
      what: 'a length and chunks',
      head: 'POST /run/test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      status: 400,
    },
  ]
  test.for(heads)('$what: $status', async ({ head, status }) => {
    const answer = await exchange(gateway.url, head)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toMatch(/x-fal-request-id: [0-9a-f-]{36}/i)
  })

  test('a caller who leaves before its body came is no failure of ours', async () => {
    for (const path of ['/queue/test/echo', '/v1/events']) {
      const { hostname, host, port } = new URL(gateway.url)
      const socket = connect(Number(port), hostname)
      const came = once(gateway.server.app.server, 'request')
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{`,
      )
      const [, response] = (await came) as [IncomingMessage, ServerResponse]
      socket.destroy()
      await once(response, 'close')
    }
    expect(gateway.lines.filter(({ event }) => event === 'request.failed')).toEqual([])
  })

  test('a streamed body past the limit is refused while it comes', async () => {
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(600))
      },
    })
    const response = await fetch(`${gateway.url}/run/test/echo`, {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit)
    expect(response.status).toBe(413)
  })

  test('nothing of this harmed a runner', () => {
    const [app] = [...gateway.supervisor.fleet.apps.values()].filter(({ id }) => id === 'test/echo')
    expect(app?.gone).toEqual([])
  })
})

describe('with keys', () => {
  let gateway: RunningGateway
  beforeAll(async () => {
    gateway = await startGateway({
      auth: { keys: ['caller', 'other'], readKeys: ['reader'], adminKeys: ['boss'] },
      apps: { 'test/echo': app() },
    })
  })
  afterAll(() => gateway.close())

  const get = (path: string, key: string | null, init: RequestInit = {}): Promise<Response> =>
    fetch(gateway.url + path, {
      ...init,
      headers: {
        ...(key !== null && { authorization: `Key ${key}` }),
        ...(init.headers as Record<string, string>),
      },
    })

  const doors: readonly {
    path: string
    method?: string
    none: number
    call: number
    read: number
    admin: number
  }[] = [
    { path: '/live', none: 200, call: 200, read: 200, admin: 200 },
    { path: '/healthz', none: 200, call: 200, read: 200, admin: 200 },
    { path: '/health/detailed', none: 401, call: 403, read: 200, admin: 200 },
    { path: '/healthz/detailed', none: 401, call: 403, read: 200, admin: 200 },
    { path: '/metrics', none: 401, call: 200, read: 200, admin: 200 },
    { path: '/run/test/echo', none: 401, call: 200, read: 200, admin: 200 },
    { path: '/queue/test/echo', method: 'POST', none: 401, call: 200, read: 200, admin: 200 },
    { path: '/v1/apps', none: 401, call: 403, read: 200, admin: 200 },
    { path: '/v1/policy', none: 401, call: 403, read: 200, admin: 200 },
    { path: '/v1/policy', method: 'PUT', none: 401, call: 403, read: 403, admin: 200 },
    { path: '/v1/runners/none/kill', method: 'POST', none: 401, call: 403, read: 403, admin: 404 },
    { path: '/v1/events', method: 'POST', none: 401, call: 403, read: 403, admin: 422 },
    { path: '/v1/queues/test/echo', method: 'DELETE', none: 401, call: 403, read: 403, admin: 200 },
  ]
  test.for(doors)('$method $path', async ({ path, method, none, call, read, admin }) => {
    const seen = []
    for (const key of [null, 'wrong', 'caller', 'reader', 'boss'])
      seen.push((await get(path, key, method === undefined ? {} : { method })).status)
    expect(seen).toEqual([none, none, call, read, admin])
  })

  test('a key comes as Key or Bearer and goes no further than here, like whatever the connection names', async () => {
    const last = async (): Promise<Record<string, string>> => {
      const { seen } = (await (await get('/run/test/echo/seen', 'caller')).json()) as {
        seen: { headers: Record<string, string> }[]
      }
      return seen.at(-1)!.headers
    }
    const seen = async (headers: Record<string, string>): Promise<Record<string, string>> => {
      await get('/run/test/echo/mark', null, { headers })
      return last()
    }
    expect(
      await seen({
        authorization: 'Bearer caller',
        traceparent: '00-1-2-03',
        connection: 'keep-alive, x-hop',
        'x-hop': '1',
      }),
    ).toEqual(
      expect.objectContaining({
        traceparent: '00-1-2-03',
        'x-forwarded-proto': 'http',
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-host': new URL(gateway.url).host,
      }),
    )
    // fetch writes its own `connection`.
    await raw(gateway.url, '/run/test/echo/hop', {
      authorization: 'Key caller',
      connection: 'close, x-hop',
      'x-hop': '1',
      'x-fal-target-url': 'x',
    })
    const bare = await last()
    for (const name of ['authorization', 'x-hop', 'x-fal-target-url'])
      expect(bare).not.toHaveProperty(name)
  })

  test('a request belongs to the key that submitted it', async () => {
    const { request_id: id } = (await (
      await get('/queue/test/echo', 'caller', { method: 'POST' })
    ).json()) as Record<string, string>
    const at = `/queue/test/echo/requests/${id}/status`
    await gateway.until(() => (gateway.queue.entry(id!)?.status === 'COMPLETED' ? true : null))
    expect([
      (await get(at, 'caller')).status,
      (await get(at, 'other')).status,
      (await get(at, 'boss')).status,
    ]).toEqual([200, 404, 200])
    const v1 = `/v1/requests/${id}`
    expect([
      (await get(v1, 'caller')).status,
      (await get(v1, 'other')).status,
      (await get(v1, 'reader')).status,
    ]).toEqual([200, 404, 200])
  })

  test('a read key looks at the requests of others, and cancels its own', async () => {
    const submit = async (key: string): Promise<string> => {
      const response = await get('/queue/test/echo?delay=2000', key, { method: 'POST' })
      return ((await response.json()) as { request_id: string }).request_id
    }
    const cancel = async (id: string, key: string): Promise<number> =>
      (await get(`/queue/test/echo/requests/${id}/cancel`, key, { method: 'PUT' })).status
    const [theirs, its] = [await submit('caller'), await submit('reader')]
    expect((await get(`/v1/requests/${theirs}`, 'reader')).status).toBe(200)
    expect([await cancel(theirs, 'reader'), await cancel(theirs, 'other')]).toEqual([403, 404])
    expect([await cancel(its, 'reader'), await cancel(theirs, 'boss')]).toEqual([202, 202])
  })
})

/** One request written by hand, for headers that fetch would not send. */
function raw(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  method = 'GET',
): Promise<string> {
  const all: Record<string, string> = { host: new URL(url).host, connection: 'close', ...headers }
  return exchange(
    url,
    `${method} ${path} HTTP/1.1\r\n${Object.entries(all)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  )
}
