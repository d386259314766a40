// The queue end to end: submit, poll, fetch, cancel; retries on other runners; deadlines.
import { demandOf, views } from '@health/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exchange } from './exchange.ts'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

const app = (more: object = {}): object => ({
  command: ['node', RUNNER],
  healthCheck: { path: '/health', intervalSeconds: 1, startPeriodSeconds: 1 },
  startupTimeoutSeconds: 20,
  minConcurrency: 1,
  maxConcurrency: 2,
  ...more,
})

const json = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>

describe('the queue', () => {
  let gateway: RunningGateway
  beforeAll(async () => {
    gateway = await startGateway({
      policy: { retryBaseSeconds: 0.05, retryMaxSeconds: 0.2 },
      apps: {
        'test/echo': app(),
        'test/one': app({ maxConcurrency: 1 }),
        'test/never': app({ minConcurrency: 0, maxConcurrency: 0 }),
        'test/still': app({ minConcurrency: 0, maxConcurrency: 0 }),
      },
    })
  })
  afterAll(() => gateway.close())

  const submit = async (path: string, init: RequestInit = {}): Promise<Record<string, string>> => {
    const response = await fetch(`${gateway.url}/queue/${path}`, {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
      ...init,
    })
    expect(response.status).toBe(200)
    return (await response.json()) as Record<string, string>
  }
  test('why a request is where it is, when no rule had to decide anything', async () => {
    await submit('test/still')
    const { request_id: id } = await submit('test/still')
    const why = await fetch(`${gateway.url}/v1/requests/${id}/explain`)
    expect([why.status, (await json(why))['detail']]).toEqual([
      404,
      `Nothing had to be decided about request ${id}. It waits, 1 ahead of it.`,
    ])
  })

  const finished = async (id: string): Promise<void> => {
    await gateway.until(() => (gateway.queue.entry(id)?.status === 'COMPLETED' ? true : null))
  }

  test('a request is stored, run once and its answer kept', async () => {
    const answer = await submit('test/echo/sub/path?x=1')
    expect(answer).toMatchObject({
      status: 'IN_QUEUE',
      queue_position: 0,
      response_url: `${gateway.url}/queue/test/echo/requests/${answer['request_id']}`,
    })
    await finished(answer['request_id']!)
    const why = await fetch(`${gateway.url}/v1/requests/${answer['request_id']}/explain`)
    const { runner } = gateway.queue.entry(answer['request_id']!)!.attempts[0]!
    expect([why.status, (await json(why))['detail']]).toEqual([
      404,
      `Nothing had to be decided about request ${answer['request_id']}. It ended with 200 from ${runner}.`,
    ])
    const status = await fetch(answer['status_url']!)
    expect(status.status).toBe(200)
    expect(await json(status)).toMatchObject({
      status: 'COMPLETED',
      logs: null,
      metrics: { inference_time: expect.any(Number) },
    })
    const result = await fetch(answer['response_url']!)
    expect(result.status).toBe(200)
    expect(result.headers.get('x-fal-request-id')).toBe(answer['request_id'])
    expect(result.headers.get('content-type')).toBe('application/json')
    expect(await json(result)).toMatchObject({
      method: 'POST',
      path: '/sub/path?x=1',
      body: '{"a":1}',
    })
  })

  test('every way to ask for the same request', async () => {
    const { request_id: id } = await submit('test/echo/x')
    await finished(id!)
    for (const tail of ['', '/', '/response', '/response/']) {
      for (const path of ['test/echo', 'test/echo/x', 'test/echo/any/sub/path']) {
        const response = await fetch(`${gateway.url}/queue/${path}/requests/${id}${tail}`)
        expect([response.status, await json(response)]).toEqual([
          200,
          expect.objectContaining({ path: '/x' }),
        ])
      }
    }
    for (const tail of ['/status', '/status/', '/status?logs=1', '/status?logs=true']) {
      expect((await fetch(`${gateway.url}/queue/test/echo/requests/${id}${tail}`)).status).toBe(200)
    }
    expect((await fetch(`${gateway.url}/queue/test/one/requests/${id}`)).status).toBe(404)
    const v1 = await json(await fetch(`${gateway.url}/v1/requests/${id}`))
    expect(v1).toMatchObject({
      id,
      app: 'test/echo',
      mode: 'queue',
      status: 'COMPLETED',
      position: null,
      priority: 'normal',
      final: { status: 200, error_type: null },
    })
    expect(v1['attempts']).toEqual([
      expect.objectContaining({
        n: 1,
        outcome: 'healthy',
        rule: 'outcome.healthy',
        status: 200,
        condition: null,
        startedAt: expect.stringMatching(/Z$/),
      }),
    ])
  })

  test('a waiting request knows its place; the result before the end is a 400', async () => {
    const ids: string[] = []
    for (const priority of ['low', 'normal', 'normal']) {
      const answer = await submit('test/never', { headers: { 'x-fal-queue-priority': priority } })
      ids.push(answer['request_id']!)
    }
    const status = async (id: string): Promise<unknown> => {
      const response = await fetch(`${gateway.url}/queue/test/never/requests/${id}/status`)
      return [response.status, await json(response)]
    }
    expect(await status(ids[0]!)).toEqual([
      202,
      expect.objectContaining({ status: 'IN_QUEUE', queue_position: 2, logs: null }),
    ])
    expect(await status(ids[2]!)).toEqual([202, expect.objectContaining({ queue_position: 1 })])
    const early = await fetch(`${gateway.url}/queue/test/never/requests/${ids[0]}`)
    expect([early.status, await json(early)]).toEqual([
      400,
      expect.objectContaining({ detail: 'Request is still in progress', status: 'IN_QUEUE' }),
    ])
    const size = await json(await fetch(`${gateway.url}/v1/queues/test/never`))
    expect(size).toEqual({ size: 3, oldestSeconds: expect.any(Number) })
    expect(
      await json(await fetch(`${gateway.url}/v1/queues/test/never`, { method: 'DELETE' })),
    ).toEqual({ flushed: 3 })
    const flushed = await json(await fetch(`${gateway.url}/v1/requests/${ids[0]}`))
    expect(flushed['final']).toMatchObject({
      status: 499,
      error_type: 'client_cancelled',
      cause: 'flushed',
    })
  })

  const bodies: readonly { what: string; init: RequestInit; seen: object }[] = [
    { what: 'no body with a JSON type', init: { body: null }, seen: { body: '' } },
    {
      what: 'plain text',
      init: { body: 'just text', headers: { 'content-type': 'text/plain' } },
      seen: { body: 'just text' },
    },
    {
      what: 'text that is no JSON, without a type',
      init: { body: '{"a":', headers: { 'content-type': 'application/octet-stream' } },
      seen: { body: '{"a":' },
    },
  ]
  test.for(bodies)('$what is stored and sent as it came', async ({ init, seen }) => {
    const { request_id: id } = await submit('test/echo', init)
    await finished(id!)
    expect(await json(await fetch(`${gateway.url}/queue/test/echo/requests/${id}`))).toMatchObject(
      seen,
    )
  })

  test.for([
    { status: 204, type: 'application/json', body: '' },
    { status: 200, type: 'text/html', body: expect.stringContaining('pid') as string },
  ])(
    'an answer comes back as the runner gave it: $status $type',
    async ({ status, type, body }) => {
      const { request_id: id } = await submit(
        `test/echo?status=${status}&type=${encodeURIComponent(type)}&x-model=cat`,
      )
      await finished(id!)
      const response = await fetch(`${gateway.url}/queue/test/echo/requests/${id}`)
      expect([
        response.status,
        response.headers.get('content-type'),
        response.headers.get('x-model'),
        await response.text(),
      ]).toEqual([status, type, 'cat', body])
      expect(gateway.runner(response.headers.get('x-fal-served-from')!)).not.toBeNull()
    },
  )

  test('URLs are on the host by which the caller came', async () => {
    const target = 'https://queue.fal.run/test/echo?q=1'
    const byProxy = await json(
      await fetch(`${gateway.url}/proxy`, {
        method: 'POST',
        headers: { 'x-fal-target-url': target },
      }),
    )
    expect(byProxy['status_url']).toBe(
      `https://queue.fal.run/test/echo/requests/${String(byProxy['request_id'])}/status`,
    )
    await finished(String(byProxy['request_id']))
    const status = await fetch(`${gateway.url}/proxy`, {
      headers: { 'x-fal-target-url': String(byProxy['status_url']) },
    })
    expect(status.status).toBe(200)
  })

  test('a 503 ends the runner; the request is tried again on another one and delivered once', async () => {
    const { request_id: id } = await submit('test/echo?status=503')
    const first = await gateway.until(() => gateway.queue.entry(id!)?.attempts[0] ?? null)
    expect(first).toMatchObject({
      n: 1,
      outcome: 'server_error',
      rule: 'outcome.server_error',
      condition: 'server_error',
      status: 503,
    })
    await gateway.until(() => (gateway.runner(first.runner)?.substate === 'gone' ? true : null))
    expect(gateway.runner(first.runner)).toMatchObject({
      state: 'terminated',
      reason: 'server_error',
    })
    // The same wish ends the next one too: cancelling is the way out of ten attempts.
    await fetch(`${gateway.url}/queue/test/echo/requests/${id}/cancel`, { method: 'PUT' })
    await finished(id!)
  }, 60_000)
  test('what cannot be cured is tried ten times, and the last answer is the final one', async () => {
    const { request_id: id } = await submit('test/echo?status=504')
    await finished(id!)
    const { attempts, final } = gateway.queue.entry(id!)!
    expect(attempts.map(({ n, status }) => [n, status])).toEqual(
      Array.from({ length: 10 }, (_, i) => [i + 1, 504]),
    )
    expect(final?.status).toBe(504)
    const why = await json(await fetch(`${gateway.url}/v1/requests/${id}/explain`))
    expect(why).toMatchObject({ kind: 'request', id, decision: { rule: 'retry.ceiling' } })
  })

  test('budgets by condition: of the request first, then of the app', async () => {
    const wish = { timeout: { retries: 5 }, server_error: { retries: 2 }, nonsense: { retries: 9 } }
    const { request_id: id } = await submit('test/echo?status=504', {
      headers: { 'x-fal-retry-config': JSON.stringify(wish) },
    })
    await finished(id!)
    expect(gateway.queue.entry(id!)?.attempts).toHaveLength(3)
    for (const ignored of ['not json', '[]', '{"server_error":3}']) {
      const { request_id: other } = await submit('test/echo?status=422', {
        headers: { 'x-fal-retry-config': ignored },
      })
      await finished(other!)
      expect(gateway.queue.entry(other!)?.attempts).toHaveLength(1)
    }
  })

  test('a runner that crashes costs an attempt; the next one runs elsewhere', async () => {
    const { request_id: id } = await submit('test/echo?exit', {
      headers: { 'x-fal-retry-config': '{"connection_error":{"retries":1}}' },
    })
    await finished(id!)
    const { attempts, final } = gateway.queue.entry(id!)!
    expect(attempts.map(({ outcome, condition }) => [outcome, condition])).toEqual([
      ['crashed', 'connection_error'],
      ['crashed', 'connection_error'],
    ])
    expect(attempts[0]!.runner).not.toBe(attempts[1]!.runner)
    expect(final).toMatchObject({ status: 503, errorType: 'runner_disconnected' })
    const result = await fetch(`${gateway.url}/queue/test/echo/requests/${id}`)
    expect([result.status, result.headers.get('x-fal-error-type'), await json(result)]).toEqual([
      503,
      'runner_disconnected',
      expect.objectContaining({ error_type: 'runner_disconnected' }),
    ])
    const status = await json(await fetch(`${gateway.url}/queue/test/echo/requests/${id}/status`))
    expect(status).toMatchObject({ status: 'COMPLETED', error_type: 'runner_disconnected' })
  }, 60_000)

  test('each cookie of an answer is a line of its own, as the runner sent it', async () => {
    const cookies = ['a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2; Path=/']
    const wish = cookies.map((cookie) => `cookie=${encodeURIComponent(cookie)}`).join('&')
    const { request_id: id } = await submit(`test/echo?${wish}`)
    await finished(id!)
    const result = await fetch(`${gateway.url}/queue/test/echo/requests/${id}`)
    expect(result.headers.getSetCookie()).toEqual(cookies)
  })

  test('a header of an answer may have the name of what every object has', async () => {
    const { request_id: id } = await submit('test/echo?constructor=b')
    await finished(id!)
    const result = await fetch(`${gateway.url}/queue/test/echo/requests/${id}`)
    expect(result.headers.get('constructor')).toBe('b')
  })

  test.for([299, 451, 599, 600, 999])(
    'a status that a runner may say is read again: %i',
    async (status) => {
      const { request_id: id } = await submit(`test/echo?status=${status}`, {
        headers: { 'x-fal-no-retry': '1' },
      })
      await finished(id!)
      const head = `GET /queue/test/echo/requests/${id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`
      expect(await exchange(gateway.url, head)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    },
  )

  test('when both wait, direct calls go first and every fifth slot is for the queue', async () => {
    await fetch(`${gateway.url}/run/test/one`)
    const first = fetch(`${gateway.url}/run/test/one/x?delay=300`)
    await gateway.until(() =>
      demandOf(gateway.supervisor.fleet, 'test/one').inFlight === 1 ? true : null,
    )
    const ids = [await submit('test/one/q'), await submit('test/one/q')].map(
      (answer) => answer['request_id']!,
    )
    const calls = Array.from({ length: 12 }, () => fetch(`${gateway.url}/run/test/one/d`))
    await gateway.until(() =>
      demandOf(gateway.supervisor.fleet, 'test/one').waiting === 12 ? true : null,
    )
    await first
    await Promise.all(calls)
    for (const id of ids) await finished(id)
    const [runner] = [
      ...views(gateway.supervisor.fleet, { app: 'test/one', states: new Set(['ready']) }),
    ]
    const { seen } = (await (await fetch(`${runner!.url}/seen`)).json()) as {
      seen: { url: string }[]
    }
    const order = seen.map(({ url }) => url).filter((url) => url === '/d' || url === '/q')
    const turns = order.flatMap((url, i) => (url === '/q' ? [i] : []))
    expect(order).toHaveLength(14)
    expect(turns[0]).toBeLessThan(5)
    expect(turns[1]! - turns[0]!).toBe(5)
  })
})
