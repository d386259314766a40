// Direct calls end to end: a caller, the gateway, real runner processes that fail in each way there is.
import { request as httpRequest } from 'node:http'
import { demandOf, views } from '@health/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

const app = (more: object = {}): object => ({
  command: ['node', RUNNER],
  healthCheck: { path: '/health', intervalSeconds: 1, startPeriodSeconds: 1 },
  startupTimeoutSeconds: 20,
  terminationGraceSeconds: 1,
  minConcurrency: 2,
  maxConcurrency: 2,
  ...more,
})

let gateway: RunningGateway
beforeAll(async () => {
  gateway = await startGateway({
    limits: { directWaiting: 2, bodyBytes: 200_000_000 },
    apps: {
      'test/echo': app(),
      'test/one': app({ minConcurrency: 1, maxConcurrency: 1 }),
      'test/short': app({ requestTimeoutSeconds: 0.3, minConcurrency: 1 }),
      'test/full': app({ minConcurrency: 1, maxConcurrency: 1, directWaitSeconds: 0.2 }),
      'test/silent': app({
        command: ['node', '-e', 'setInterval(() => {}, 1000)'],
        minConcurrency: 1,
        directWaitSeconds: 0.2,
      }),
      'test/none': app({ command: ['/no/such/program'], minConcurrency: 1 }),
      'test/brief': app({ env: { KEEP_ALIVE_MS: '1000' }, minConcurrency: 1, maxConcurrency: 1 }),
    },
  })
})
afterAll(() => gateway.close())

const served = (response: Response): string => response.headers.get('x-fal-served-from') ?? ''
const errorType = (response: Response): string | null => response.headers.get('x-fal-error-type')

/** What the only ready runner of an app has seen. */
async function seenBy(id: string): Promise<{
  cancelled: { id: string; path: string }[]
  seen: { headers: Record<string, string>; size: number }[]
}> {
  const [runner] = [...views(gateway.supervisor.fleet, { app: id, states: new Set(['ready']) })]
  return (await (await fetch(`${runner!.url}/seen`)).json()) as never
}

describe('a direct call', () => {
  test('reaches a runner and comes back', async () => {
    const response = await fetch(`${gateway.url}/run/test/echo/some/path?q=1`, {
      method: 'POST',
      body: 'hello',
      headers: { 'content-type': 'text/plain' },
    })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      method: 'POST',
      path: '/some/path?q=1',
      body: 'hello',
    })
    expect(response.headers.get('x-fal-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(gateway.runner(served(response))?.state).toBe('ready')
  })

  test.for(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s passes', async (method) => {
    const response = await fetch(`${gateway.url}/run/test/echo/m`, { method })
    expect(await response.json()).toMatchObject({ method })
  })

  test.for([
    ['PROPFIND', ''],
    ['REPORT', 'what is asked'],
    ['LOCK', 'held'],
  ] as const)('%s passes, as any method does: %j', async ([method, body]) => {
    const headers = body === '' ? {} : { 'content-type': 'text/xml' }
    const response = await fetch(`${gateway.url}/run/test/echo/m`, {
      method,
      headers,
      ...(body !== '' && { body }),
    })
    expect(await response.json()).toMatchObject({ method, body })
  })

  test('HEAD passes, without a body', async () => {
    const response = await fetch(`${gateway.url}/run/test/echo/m`, { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  test('by the name of the platform', async () => {
    const { hostname, port } = new URL(gateway.url)
    const status = await new Promise<number>((resolve, reject) => {
      httpRequest(
        { hostname, port, path: '/test/echo/x', headers: { host: 'fal.run' } },
        (response) => {
          response.resume()
          resolve(response.statusCode!)
        },
      )
        .on('error', reject)
        .end()
    })
    expect(status).toBe(200)
  })

  test('streams events as they come', async () => {
    const response = await fetch(`${gateway.url}/run/test/echo/stream?events=2&hold`, {
      method: 'POST',
    })
    const reader = response.body!.getReader()
    const next = async (): Promise<string> => new TextDecoder().decode((await reader.read()).value)
    const { url } = gateway.runner(served(response))!
    // The second one does not exist yet when the first is here.
    expect(await next()).toBe('data: {"i":0}\n\n')
    await fetch(`${url}/go`)
    expect(await next()).toBe('data: {"i":1}\n\n')
    await fetch(`${url}/go`)
    expect((await reader.read()).done).toBe(true)
  })

  test('bodies of 100 MB go through both ways without being kept', async () => {
    const size = 100_000_000
    const before = process.memoryUsage.rss()
    const chunk = new Uint8Array(65_536)
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        const left = Math.min(chunk.length, size - sent)
        sent += left
        if (left > 0) controller.enqueue(chunk.subarray(0, left))
        else controller.close()
      },
    })
    const up = await fetch(`${gateway.url}/run/test/one/up`, {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit)
    expect((await up.json()) as object).toMatchObject({ method: 'POST', path: '/up' })
    expect((await seenBy('test/one')).seen.at(-1)?.size).toBe(size)
    const down = await fetch(`${gateway.url}/run/test/one/down?big=${size}`)
    let received = 0
    for await (const piece of down.body!) received += piece.length
    expect(received).toBe(size)
    expect(process.memoryUsage.rss() - before).toBeLessThan(150_000_000)
  })

  test('an announced body waits for the go-ahead', async () => {
    const { hostname, port } = new URL(gateway.url)
    const body = await new Promise<string>((resolve, reject) => {
      const call = httpRequest(
        {
          hostname,
          port,
          path: '/run/test/echo/x',
          method: 'POST',
          headers: { expect: '100-continue', 'content-length': 5 },
        },
        (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
          response.on('end', () => resolve(text))
        },
      )
      call.on('continue', () => call.end('hello'))
      call.on('error', reject)
      call.flushHeaders()
    })
    expect(JSON.parse(body)).toMatchObject({ body: 'hello' })
  })
})

describe('a runner that fails', () => {
  const rows = [
    { what: 'drop', status: 503, type: 'runner_disconnected', reason: 'connection_lost' },
    { what: 'reset', status: 503, type: 'runner_disconnected', reason: 'connection_lost' },
    { what: 'garbage', status: 503, type: 'runner_incomplete_response', reason: 'connection_lost' },
    { what: 'exit', status: 503, type: 'runner_disconnected', reason: 'crashed' },
    { what: 'bighead', status: 502, type: 'runner_incomplete_response', reason: null },
  ]
  test.for(rows)('$what: $status $type, $reason', async ({ what, status, type, reason }) => {
    const response = await fetch(`${gateway.url}/run/test/echo/x?${what}`)
    expect([response.status, errorType(response)]).toEqual([status, type])
    const entry = (await (
      await fetch(`${gateway.url}/v1/requests/${response.headers.get('x-fal-request-id')}`)
    ).json()) as {
      mode: string
      final: unknown
      attempts: { runner: string; outcome: string; rule: string }[]
    }
    expect(entry).toMatchObject({ mode: 'run', final: { status, error_type: type } })
    const { runner, outcome, rule } = entry.attempts[0]!
    expect(rule).toBe(`outcome.${outcome}`)
    expect(outcome).toBe(reason ?? 'error')
    const why = await fetch(
      `${gateway.url}/v1/requests/${response.headers.get('x-fal-request-id')}/explain`,
    )
    expect(await why.json()).toMatchObject({
      kind: 'request',
      decision: { subject: { kind: 'runner', id: runner } },
    })
    expect(gateway.runner(runner)?.reason).toBe(reason)
  })

  test('in the middle of its answer: the caller sees the cut, never a whole answer', async () => {
    const response = await fetch(`${gateway.url}/run/test/echo/x?half`)
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow('terminated')
    await gateway.until(() =>
      gateway.runner(served(response))?.state === 'terminated' ? true : null,
    )
    expect(gateway.runner(served(response))?.reason).toBe('connection_lost')
  })

  test.for([200, 500])(
    'an event stream of status %i that asks for a check is judged by what it asked for, and listed',
    async (status) => {
      type Decision = { seq: number; rule: string; subject: { id: string } }
      const decisions = async (since: number): Promise<readonly Decision[]> => {
        const answer = await fetch(`${gateway.url}/v1/decisions?since=${since}&limit=1000`)
        return ((await answer.json()) as { decisions: Decision[] }).decisions
      }
      const before = (await decisions(0)).at(-1)?.seq ?? 0
      const query = `status=${status}&type=text/event-stream&x-fal-runner-health-check=1`
      const response = await fetch(`${gateway.url}/run/test/one/x?${query}`)
      await response.text()
      const rules = async (): Promise<readonly string[]> =>
        (await decisions(before))
          .filter(({ subject }) => subject.id === served(response))
          .map(({ rule }) => rule)
      await expect.poll(rules).toEqual(['health.manual', 'health.manual'])
      const id = response.headers.get('x-fal-request-id')
      const entry = await (await fetch(`${gateway.url}/v1/requests/${id}`)).json()
      expect(entry).toMatchObject({ final: { status }, attempts: [{ status }] })
    },
  )

  test.for(['text/event-stream', 'application/x-ndjson'])(
    'a stream of %s that asks for a check is not waited for',
    async (type) => {
      const before = Date.now()
      const response = await fetch(
        `${gateway.url}/run/test/one/stream?hold&events=1&check&type=${type}`,
      )
      const id = served(response)
      const told = async (): Promise<boolean> => {
        const answer = await fetch(`${gateway.url}/v1/runners/${id}`)
        const { inFlight, lastProbe } = (await answer.json()) as {
          inFlight: number
          lastProbe: { kind: string; at: string } | null
        }
        if (inFlight !== 1 || lastProbe?.kind !== 'manual') return false
        return Date.parse(lastProbe.at) >= before
      }
      await expect.poll(told).toBe(true)
      await fetch(`${gateway.runner(id)!.url}/go`)
      await response.text()
    },
  )

  test('by taking longer than requestTimeoutSeconds: 504, ended', async () => {
    const response = await fetch(`${gateway.url}/run/test/short/x?delay=60000`)
    expect([response.status, errorType(response)]).toEqual([504, 'request_timeout'])
    const { attempts } = (await (
      await fetch(`${gateway.url}/v1/requests/${response.headers.get('x-fal-request-id')}`)
    ).json()) as { attempts: { runner: string }[] }
    expect(gateway.runner(attempts[0]!.runner)).toMatchObject({
      state: 'terminated',
      reason: 'request_timeout',
    })
  })

  test('its own health path and probes are passed on and not judged', async () => {
    for (const path of ['/ready?status=503', '/startupz?status=503', '/livez?status=500']) {
      const response = await fetch(`${gateway.url}/run/test/one${path}`)
      expect(response.status).toBeGreaterThanOrEqual(500)
      expect(gateway.runner(served(response))?.state).toBe('ready')
    }
  })
})

describe('a call without a free runner', () => {
  test('waits its turn, first come first served, and past the limit is told to come again', async () => {
    await fetch(`${gateway.url}/run/test/one`)
    const ends: string[] = []
    const call = async (name: string, delay: number): Promise<Response> => {
      const response = await fetch(`${gateway.url}/run/test/one/x?delay=${delay}`)
      ends.push(name)
      return response
    }
    const first = call('first', 150)
    await gateway.until(() => (busy('test/one') ? true : null))
    const second = call('second', 1)
    await gateway.until(() => (waitingOf('test/one') === 1 ? true : null))
    const third = call('third', 1)
    await gateway.until(() => (waitingOf('test/one') === 2 ? true : null))
    const fourth = await call('fourth', 1)
    expect([fourth.status, errorType(fourth), fourth.headers.get('retry-after')]).toEqual([
      429,
      'concurrent_requests_limit',
      '1',
    ])
    for (const done of [first, second, third]) expect((await done).status).toBe(200)
    expect(ends).toEqual(['fourth', 'first', 'second', 'third'])
  })

  test('gives up after directWaitSeconds: none free', async () => {
    await fetch(`${gateway.url}/run/test/full`)
    const long = fetch(`${gateway.url}/run/test/full/x?delay=1000`)
    await gateway.until(() => (busy('test/full') ? true : null))
    const response = await fetch(`${gateway.url}/run/test/full`)
    expect([response.status, errorType(response)]).toEqual([503, 'runner_scheduling_failure'])
    expect((await long).status).toBe(200)
  })

  test('gives up after directWaitSeconds: none ready yet', async () => {
    const response = await fetch(`${gateway.url}/run/test/silent`)
    expect([response.status, errorType(response)]).toEqual([504, 'startup_timeout'])
  })

  test('gives up after the time that the caller set', async () => {
    const response = await fetch(`${gateway.url}/run/test/silent`, {
      headers: { 'x-fal-request-timeout': '0.15' },
    })
    expect([response.status, response.headers.get('x-fal-request-timeout-type')]).toEqual([
      504,
      'user',
    ])
  })
})

describe('a call that no runner gets counts with what its caller heard', () => {
  const rows: readonly {
    readonly what: string
    readonly app: string
    readonly status: number
    readonly headers?: Record<string, string>
  }[] = [
    { what: 'none became ready', app: 'test/silent', status: 504 },
    {
      what: 'the caller set a shorter time',
      app: 'test/silent',
      status: 504,
      headers: { 'x-fal-request-timeout': '0.15' },
    },
    { what: 'none can start', app: 'test/none', status: 503 },
    { what: 'the caller left', app: 'test/silent', status: 499 },
  ]
  const counted = async ({ app, status }: (typeof rows)[number]): Promise<number> => {
    const series = `health_requests_total{app="${app}",mode="run",status="${status}"} `
    const page = await (await fetch(`${gateway.url}/metrics`)).text()
    const line = page.split('\n').find((each) => each.startsWith(series))
    return Number(line?.slice(series.length) ?? 0)
  }
  test.for(rows)('$what: $status', async (row) => {
    await gateway.until(() =>
      gateway.supervisor.fleet.apps.get('test/none')?.broken == null ? null : true,
    )
    const before = await counted(row)
    const { app, status, headers } = row
    const leave = new AbortController()
    const call = fetch(`${gateway.url}/run/${app}`, {
      signal: leave.signal,
      ...(headers !== undefined && { headers }),
    }).catch(() => null)
    if (status === 499) {
      await gateway.until(() => (waitingOf(app) === 1 ? true : null))
      leave.abort()
    }
    expect((await call)?.status ?? 499).toBe(status)
    await expect.poll(() => counted(row)).toBe(before + 1)
  })
})

const waitingOf = (id: string): number => demandOf(gateway.supervisor.fleet, id).waiting
const busy = (id: string): boolean => demandOf(gateway.supervisor.fleet, id).inFlight > 0

describe('a caller that leaves', () => {
  test('while it waits: its place is free at once', async () => {
    const leave = new AbortController()
    const call = fetch(`${gateway.url}/run/test/silent`, { signal: leave.signal }).catch(() => null)
    await gateway.until(() => (waitingOf('test/silent') === 1 ? true : null))
    leave.abort()
    await call
    await gateway.until(() => (waitingOf('test/silent') === 0 ? true : null))
    expect(busy('test/silent')).toBe(false)
  })

  test('while a runner works: the runner is told by its own path, and keeps the slot until it answers', async () => {
    await fetch(`${gateway.url}/run/test/one`)
    const leave = new AbortController()
    const call = fetch(`${gateway.url}/run/test/one/slow?delay=60000`, {
      method: 'POST',
      signal: leave.signal,
    }).catch(() => null)
    await gateway.until(() => (busy('test/one') ? true : null))
    for (let reached = false; !reached;)
      reached = (await seenBy('test/one')).seen.some(
        ({ headers }) =>
          headers['x-fal-request-id'] !== undefined && headers['content-length'] === '0',
      )
    leave.abort()
    await call
    await gateway.until(() => (busy('test/one') ? null : true))
    const { cancelled, seen } = await seenBy('test/one')
    expect(cancelled.at(-1)).toEqual({
      id: seen.at(-1)!.headers['x-fal-request-id'],
      path: '/slow/cancel',
    })
    // Nobody is blamed, and the slot is there for the next one.
    expect((await fetch(`${gateway.url}/run/test/one`)).status).toBe(200)
  })
})

test('a connection that the runner is about to close is not used again', async () => {
  const first = await fetch(`${gateway.url}/run/test/brief`)
  // Half of the announced second is the last moment; the second itself is the race.
  for (const pause of [450, 980, 1000, 1020]) {
    await new Promise((resolve) => setTimeout(resolve, pause))
    const response = await fetch(`${gateway.url}/run/test/brief`)
    expect([response.status, served(response)]).toEqual([200, served(first)])
  }
})
