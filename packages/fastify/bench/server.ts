/** One of the servers that are measured, in a process of its own: `node server.ts KIND`. It tells its port and, when asked, its CPU time. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { health } from '../src/index.ts'

const report = () => ({
  status: 'healthy',
  version: '1.2.3',
  timestamp: new Date().toISOString(),
  uptime_seconds: process.uptime(),
})

const text = { type: 'string' }
const schema = {
  response: {
    200: {
      type: 'object',
      properties: {
        status: text,
        version: text,
        timestamp: text,
        uptime_seconds: { type: 'number' },
      },
    },
  },
}

const query = () => new Promise((resolve) => setImmediate(resolve))
const checks = { database: query, cache: query, queue: query }

/** The three checks as one would write them by hand: run for each request, in parallel. */
const byHand = async () => {
  await Promise.all(Object.values(checks).map((check) => check()))
  return report()
}

const kinds: Record<string, () => Promise<number>> = {
  async 'node:http, cached string'() {
    const body = JSON.stringify(report())
    const server = createServer((_, response) => {
      const length = Buffer.byteLength(body)
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': length })
      response.end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  },
  async 'fastify route'() {
    const app = fastify()
    app.get('/health', () => report())
    return portOf(await app.listen({ port: 0 }))
  },
  async 'fastify route, schema'() {
    const app = fastify()
    app.get('/health', { schema }, () => report())
    return portOf(await app.listen({ port: 0 }))
  },
  async 'fastify route, 3 checks by hand'() {
    const app = fastify()
    app.get('/health', byHand)
    return portOf(await app.listen({ port: 0 }))
  },
  async '@health/fastify /health'() {
    return start()
  },
  async '@health/fastify /health?verbose'() {
    return start()
  },
}

async function start(): Promise<number> {
  const app = fastify()
  await app.register(health, { version: '1.2.3', checks })
  return portOf(await app.listen({ port: 0 }))
}

function portOf(address: string): number {
  return Number(new URL(address).port)
}

process.on('disconnect', () => process.exit())
process.on('message', () => process.send?.({ cpu: process.cpuUsage() }))
process.send?.({ port: await kinds[process.argv[2] ?? '']?.() })
