import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { connect, type AddressInfo } from 'node:net'
import { Hono } from 'hono'
import { afterEach, describe, expect, test } from 'vitest'
import {
  createCheckup,
  createEndpoints,
  fetchHandler,
  nodeHandler,
  serveHealth,
  type NodeHandler,
} from '../src/index.ts'

// Express comes without types; this is the part that is used.
type Express = RequestListener & {
  use(handler: NodeHandler | ((request: unknown, response: ServerResponse) => void)): void
}
const express = createRequire(import.meta.url)('express') as () => Express

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const checkup = () =>
  createCheckup({
    version: '1.2.3',
    checks: {
      database: () => true,
      cache: { check: () => Promise.reject(new Error('x')), critical: false },
    },
  })

type Ask = (path: string, init?: RequestInit) => Promise<Response>

const frameworks: Record<string, () => Promise<Ask>> = {
  async 'node:http'() {
    const handle = nodeHandler(createEndpoints(checkup()))
    const base = await listen(
      createServer((request, response) => {
        if (!handle(request, response)) response.writeHead(418).end('teapot')
      }),
    )
    return (path, init) => fetch(base + path, init)
  },
  async Express() {
    const app = express()
    app.use(nodeHandler(createEndpoints(checkup())))
    app.use((_: unknown, response: ServerResponse) => void response.writeHead(418).end('teapot'))
    const base = await listen(createServer(app))
    return (path, init) => fetch(base + path, init)
  },
  async Hono() {
    const answer = fetchHandler(createEndpoints<Request>(checkup()))
    const app = new Hono()
    app.use(async (context, next) => (await answer(context.req.raw)) ?? next())
    app.all('*', (context) => context.text('teapot', 418))
    return async (path, init) => app.request(path, init)
  },
  async 'a port of its own'() {
    const served = await serveHealth(createEndpoints(checkup()), { port: 0 })
    closers.push(() => served.close())
    return (path, init) => fetch(`http://127.0.0.1:${served.port}${path}`, init)
  },
}

describe.for(Object.entries(frameworks))('%s', ([name, start]) => {
  const other = name === 'a port of its own' ? 404 : 418

  test('gives the same report at the same paths', async () => {
    const ask = await start()
    const seen: Record<string, unknown> = {}
    for (const path of ['/live', '/ready', '/startupz', '/health', '/health/detailed', '/other'])
      seen[path] = (await ask(path)).status
    expect(seen).toEqual({
      '/live': 200,
      '/ready': 200,
      '/startupz': 200,
      '/health': 200,
      '/health/detailed': 401,
      '/other': other,
    })
    const answer = await ask('/health?verbose')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.json()).toMatchObject({
      status: 'degraded',
      version: '1.2.3',
      checks: { database: { status: 'healthy' }, cache: { status: 'unhealthy', error: 'failed' } },
    })
  })

  test('formats, HEAD, single checks; a POST is somebody else’s', async () => {
    const ask = await start()
    const text = await ask('/health', { headers: { accept: 'text/plain' } })
    expect(await text.text()).toBe('ok')
    const head = await ask('/health', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect((await ask('/health/checks/cache')).status).toBe(503)
    expect((await ask('/health/checks/none')).status).toBe(404)
    expect((await ask('/health', { method: 'POST' })).status).toBe(other)
  })
})

test('a caller who leaves before the answer harms nobody', async () => {
  const gate = Promise.withResolvers<void>()
  const waiting = createCheckup({ checks: { slow: () => gate.promise } })
  const served = await serveHealth(createEndpoints(waiting), { port: 0 })
  closers.push(() => served.close())
  const socket = connect(served.port, '127.0.0.1')
  const asked = once(served.server, 'request')
  socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
  await asked
  socket.destroy()
  gate.resolve()
  const answer = await fetch(`http://127.0.0.1:${served.port}/health`)
  expect(answer.status).toBe(200)
})

test('a port that is taken is an error to await', async () => {
  const first = await serveHealth(createEndpoints(createCheckup()), { port: 0 })
  closers.push(() => first.close())
  const second = serveHealth(createEndpoints(createCheckup()), { port: first.port })
  await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
