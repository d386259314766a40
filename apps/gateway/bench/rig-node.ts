/**
 * The Node servers that are measured, each in a process of its own: `node rig-node.ts KIND`. `BENCH_URL` is the server behind.
 * It tells its port over the channel and serves until its parent is gone. Each loads what it needs and nothing of the others.
 */
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import fastify, { type FastifyInstance } from 'fastify'
import type { Dispatcher } from 'undici'

const behind = process.env['BENCH_URL'] ?? ''
const big = Buffer.alloc(32_768, 'x')

/** Bodies pass as streams: nothing is parsed. */
function passing(): FastifyInstance {
  const app = fastify({ bodyLimit: 10_485_760 })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  return app
}

async function portOf(app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

const kinds: Readonly<Record<string, () => Promise<number>>> = {
  /** What stands behind where there is no nginx. */
  async runner() {
    const server = process.getBuiltinModule('node:http').createServer((request, response) => {
      request.resume()
      const body = request.url === '/big' ? big : 'ok'
      response.writeHead(200, { 'content-length': body.length }).end(body)
    })
    server.keepAliveTimeout = 60_000
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  },
  /** The least that a gateway with Fastify in front and undici behind can do: no rules, no counting, hop-by-hop headers less. */
  async dispatch() {
    const { Pool } = await import('undici')
    const app = passing()
    const pool = new Pool(behind, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
    app.all('/run/bench/app/*', (request, reply) => {
      reply.hijack()
      const { raw } = reply
      const headers = forward(request.raw.rawHeaders, request.ip)
      let flow: Dispatcher.DispatchController | null = null
      const announced = request.headers['content-length'] ?? '0'
      pool.dispatch(
        {
          method: request.method as Dispatcher.HttpMethod,
          path: request.url.slice('/run/bench/app'.length),
          headers,
          body: announced === '0' ? null : (request.body as Readable),
        },
        {
          onRequestStart: (controller) => void (flow = controller),
          onResponseStart(controller, status) {
            const { rawHeaders } = controller
            raw.writeHead(
              status,
              forward(Array.isArray(rawHeaders) ? rawHeaders.map(String) : [], null),
            )
          },
          onResponseData(controller, chunk) {
            if (raw.write(chunk)) return
            controller.pause()
            raw.once('drain', () => controller.resume())
          },
          onResponseEnd: () => void raw.end(),
          onResponseError: () => void raw.destroy(),
        },
      )
      raw.once('close', () => {
        if (!raw.writableFinished) flow?.abort(new Error('gone'))
      })
    })
    return portOf(app)
  },
  /** With its defaults: undici, at most 128 connections that are kept, one request at a time on each. */
  async 'reply-from'() {
    const { default: from } = await import('@fastify/reply-from')
    const app = fastify()
    await app.register(from, { base: behind })
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    app.all('/run/bench/app/*', (request, reply) =>
      reply.from(request.url.slice('/run/bench/app'.length)),
    )
    return portOf(app)
  },
  /** Its connections to the server behind are kept, which it does not do by itself. */
  async 'http-proxy'() {
    const { Agent, createServer } = process.getBuiltinModule('node:http')
    const { default: httpProxy } = await import('http-proxy')
    const agent = new Agent({ keepAlive: true, maxSockets: 128 })
    const proxy = httpProxy.createProxyServer({ target: behind, agent })
    proxy.on('error', (_error, _request, response) => void response.destroy())
    const server = createServer((request, response) => {
      request.url = request.url!.slice('/run/bench/app'.length)
      proxy.web(request, response)
    })
    server.keepAliveTimeout = 60_000
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  },
  /** One route and nothing else: what a start costs at least. */
  async route() {
    const app = fastify()
    app.get('/live', () => ({ status: 'healthy' }))
    return portOf(app)
  },
}

const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'host'])

function forward(raw: readonly string[], address: string | null): string[] {
  const out: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (!hopByHop.has(name)) out.push(name, raw[i + 1]!)
  }
  if (address !== null) out.push('x-forwarded-for', address)
  return out
}

process.on('disconnect', () => process.exit())
process.send?.({ port: await kinds[process.argv[2] ?? '']!() })
