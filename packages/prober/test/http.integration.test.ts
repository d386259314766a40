/** Servers that behave as runners do, well and badly, asked over real sockets. */
import { createServer as createHttpServer } from 'node:http'
import type { Socket } from 'node:net'
import type { ProbeResult } from '@health/core'
import { ManualClock } from '@health/testkit'
import { describe, expect, test } from 'vitest'
import { USER_AGENT } from '../src/target.ts'
import manifest from '../package.json' with { type: 'json' }
import { ask, listen, nobody, OK, open, orderOf, serve } from './stage.ts'

describe('http', () => {
  test.for([
    { name: 'a 200', answer: OK, expected: { result: 'passed', status: 200 } },
    {
      name: 'a 204',
      answer: 'HTTP/1.1 204 No Content\r\n\r\n',
      expected: { result: 'passed', status: 204 },
    },
    {
      name: 'a 503',
      answer: 'HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n',
      expected: { result: 'failed', why: 'status', status: 503 },
    },
    {
      name: 'a redirect',
      answer: 'HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n',
      expected: {
        result: 'failed',
        why: 'status',
        status: 301,
        detail: 'status 301: redirects are not followed',
      },
    },
    {
      name: 'garbage',
      answer: '\x16\x03\x01garbage',
      expected: { result: 'failed', why: 'invalid' },
    },
    {
      name: 'a head without end',
      answer: `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`,
      expected: { result: 'failed', why: 'invalid' },
    },
    {
      name: 'a body without end',
      answer: `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(100_000)}`,
      expected: { result: 'passed', status: 200 },
    },
  ])('$name', async ({ answer, expected }) => {
    const url = await serve((socket) => socket.write(answer))
    expect(await ask(open(), orderOf(url))).toMatchObject(expected)
  })

  test('a refused connection', async () => {
    expect(await ask(open(), orderOf(await nobody()))).toMatchObject({
      result: 'failed',
      why: 'refused',
      detail: 'ECONNREFUSED',
    })
  })

  test('a reset connection', async () => {
    const url = await serve((socket) => socket.resetAndDestroy())
    expect(await ask(open(), orderOf(url))).toMatchObject({ result: 'failed', why: 'reset' })
  })

  test('a connection that ends without an answer', async () => {
    const url = await serve((socket) => socket.end())
    expect(await ask(open(), orderOf(url))).toMatchObject({ result: 'failed', why: 'reset' })
  })

  test('a body shorter than announced', async () => {
    const url = await serve((socket) =>
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok'),
    )
    expect(await ask(open(), orderOf(url))).toMatchObject({ result: 'failed', why: 'invalid' })
  })

  test.for([
    { name: 'silence', first: '', detail: 'no answer' },
    {
      name: 'a drip',
      first: 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\no',
      detail: 'the answer was not complete',
    },
  ])('$name times out on the given clock alone', async ({ first, detail }) => {
    const clock = new ManualClock()
    const written = Promise.withResolvers<void>()
    const url = await serve((socket) => socket.write(first, () => written.resolve()))
    const prober = open(clock)
    const results: ProbeResult[] = []
    const told = new Promise<void>((resolve) =>
      prober.probe(orderOf(url, { timeoutMs: 60_000 }), (result) => {
        results.push(result)
        resolve()
      }),
    )
    await written.promise
    await ask(open(), orderOf(await serve((socket) => socket.write(OK)))) // what was written before has arrived
    await clock.pass(59_999)
    expect(results).toEqual([])
    await clock.pass(1)
    await told
    expect(results).toEqual([{ result: 'failed', why: 'timeout', latencyMs: 60_000, detail }])
    expect(prober.flying).toBe(0)
  })

  test('what a runner is told', async () => {
    const heads: string[] = []
    const url = await serve((socket, request) => {
      heads.push(request)
      socket.write(OK)
    })
    const prober = open()
    await ask(prober, orderOf(url))
    await ask(prober, orderOf(url, { kind: 'manual', method: 'POST', path: '/h?x=1' }))
    await ask(prober, orderOf(url, { kind: 'exclusive' }))
    const host = new URL(url).host
    const common = `Host: ${host}\r\nUser-Agent: ${USER_AGENT}\r\nAccept: */*\r\nConnection: close\r\n`
    expect(heads).toEqual([
      `GET /health HTTP/1.1\r\n${common}\r\n`,
      `POST /h?x=1 HTTP/1.1\r\n${common}Content-Length: 0\r\nx-fal-runner-health-check: true\r\n\r\n`,
      `GET /health HTTP/1.1\r\n${common}x-fal-runner-health-check: true\r\n\r\n`,
    ])
    expect(USER_AGENT).toBe(`health-prober/${manifest.version}`)
  })

  test('each probe has a connection of its own, closed with its verdict', async () => {
    let opened = 0
    const server = createHttpServer((_, response) => response.end('ok'))
    server.on('connection', () => opened++)
    const url = await listen(server)
    const prober = open()
    for (let count = 0; count < 5; count++)
      expect(await ask(prober, orderOf(url))).toMatchObject({ result: 'passed' })
    expect(opened).toBe(5)
    expect(prober.flying).toBe(0)
  })

  test('what one runner did to its connection is nothing to the next probe', async () => {
    const endings: ((socket: Socket) => void)[] = [
      (socket) => socket.write(OK),
      (socket) => socket.end(OK),
      (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nas long as it lasts'),
      (socket) => socket.write(`${OK}${OK}more than was asked for`),
      (socket) => socket.write('HTTP/1.1 500 Oh\r\nContent-Length: 1000\r\n\r\nhalf of it'),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end(),
      (socket) =>
        void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', () => socket.end()),
    ]
    const expected = [200, 200, 200, 200, 500, undefined, undefined, undefined]
    const prober = open()
    const urls = await Promise.all(endings.map((end) => serve(end)))
    const refused = await nobody()
    for (let round = 0; round < 20; round++) {
      const index = (round * 3) % urls.length
      const asked = [index, (index + 1) % urls.length].map((at) => ask(prober, orderOf(urls[at]!)))
      const [first, second, gone] = await Promise.all([...asked, ask(prober, orderOf(refused))])
      expect(first?.status).toBe(expected[index])
      expect(second?.status).toBe(expected[(index + 1) % urls.length])
      expect(gone).toMatchObject({ result: 'failed', why: 'refused' })
    }
    expect(prober.flying).toBe(0)
  })

  test.for([
    { name: 'an address that is none', rest: { url: 'ftp://x' } },
    { name: 'a path with a line break', rest: { path: '/a\r\nX: y' } },
    { name: 'a path without a slash', rest: { path: 'health' } },
  ])('$name is our own fault', async ({ rest }) => {
    expect(await ask(open(), orderOf('http://127.0.0.1:1', rest))).toMatchObject({
      result: 'errored',
    })
  })
})
