/**
 * Plants secrets wherever a health check can meet one, asks everything in every way, and looks for them in everything that
 * comes out: bodies, headers, log lines, metrics, events, history, the webhook.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CheckFailure, type Change, type CheckOptions } from '@health/checks'
import { http } from '@health/checks/http'
import { mysql } from '@health/checks/mysql'
import { nats } from '@health/checks/nats'
import { postgres } from '@health/checks/postgres'
import { rabbitmq } from '@health/checks/rabbitmq'
import { redis } from '@health/checks/redis'
import { tcp } from '@health/checks/tcp'
import { tls } from '@health/checks/tls'
import fastify from 'fastify'
import { expect, test } from 'vitest'
import { health } from '../src/index.ts'

// One word in all of them, so that a part of a secret is found as well. The host is a name, so it must resolve to be met.
const canary = 'kanarienvogel'
const secret = (what: string) => `${canary}-${what}`
const login = `${secret('user')}:${secret('password')}`
const host = 'localhost'

function thrower(thrown: unknown): () => never {
  return () => {
    throw thrown
  }
}

const loaded = (more: object) =>
  Object.assign(new Error(`connect to ${secret('host')} as ${login} failed`), more)

/** Errors as they come, and as somebody would make them to get something out. */
const thrown: Record<string, CheckOptions['check']> = {
  message: thrower(loaded({})),
  code: thrower(loaded({ code: secret('code') })),
  name: thrower(loaded({ name: secret('name') })),
  fields: thrower(loaded({ address: secret('host'), config: { headers: { key: secret('key') } } })),
  cause: thrower(new Error(secret('outer'), { cause: loaded({ code: secret('inner') }) })),
  several: thrower(new AggregateError([loaded({}), loaded({})], secret('all'))),
  text: thrower(secret('text')),
  object: thrower({ message: secret('message'), toString: () => secret('string') }),
  failure: thrower(new CheckFailure(canary)),
  rejection: () => Promise.reject(loaded({})),
  answer: () => ({ status: 'unhealthy', error: secret('error'), password: secret('password') }),
  unit: () => ({ status: 'degraded', observed: { value: 1, unit: secret('unit') } }),
  value: () => ({ status: 'degraded', observed: { value: secret('value'), unit: 'ms' } }),
  row: () => ({ rows: [{ password: secret('row') }] }),
  response: () => new Response(secret('body'), { status: 500, statusText: canary }),
  hang: () => new Promise(() => undefined),
}

test('no secret leaves by any way', async () => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')

  const settings = { timeoutSeconds: 5 } as const
  const real: Record<string, CheckOptions> = {
    postgres: postgres({ url: `postgres://${login}@${host}:${port}/${canary}`, ...settings }),
    mysql: mysql({ url: `mysql://${login}@${host}:${port}/${canary}`, ...settings }),
    redis: redis({ url: `redis://${login}@${host}:${port}/0`, ...settings }),
    rabbitmq: rabbitmq({ url: `amqp://${login}@${host}:${port}/${canary}`, ...settings }),
    nats: nats({ url: `nats://${login}@${host}:${port}`, ...settings }),
    http: http({
      url: `http://${login}@${host}:${port}/${canary}`,
      headers: { key: secret('key') },
    }),
    tcp: tcp({ host: `${canary}.invalid`, port, ...settings }),
    tls: tls({ host, port, servername: `${canary}.test`, ...settings }),
  }
  const planted = Object.entries(thrown).map(([name, check]) => [
    name,
    { check, timeoutSeconds: 0.2, critical: name !== 'unit' && name !== 'value' },
  ])

  const out: string[] = []
  const hook = createServer((request, response) => {
    // The webhook's own headers are meant for it; its body is not.
    request.on('data', (piece: Buffer) => out.push(piece.toString()))
    request.on('end', () => {
      response.end(secret('answer'))
      hook.emit('told')
    })
  })
  hook.listen(0, '127.0.0.1')
  await once(hook, 'listening')
  const told = once(hook, 'told')

  const app = fastify({
    logger: { level: 'trace', stream: { write: (line: string) => void out.push(line) } },
  })
  const seen: unknown[] = []
  await app.register(health, {
    version: '1.2.3',
    checks: { ...Object.fromEntries(planted as [string, CheckOptions][]), ...real },
    groups: { all: [...Object.keys(thrown), ...Object.keys(real)] },
    metricsPath: '/metrics',
    authorize: (request) => {
      if (request.headers['x-throw'] !== undefined) throw loaded({})
      return request.headers.authorization === `Bearer ${secret('token')}`
    },
    onChange: (change: Change) => void out.push(JSON.stringify(change)),
    onError: (error) => void seen.push(error),
    alert: {
      url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/${secret('path')}`,
      headers: { authorization: secret('hook') },
      tries: 1,
    },
  })

  const names = [...Object.keys(thrown), ...Object.keys(real)]
  const fixed = '/live /ready /startup /health /health?verbose /health/detailed /metrics'.split(' ')
  const single = names.map((name) => `/health/checks/${name}`)
  const paths = [...fixed, '/health/groups/all', '/ready?verbose', ...single]
  const accepts = [
    'application/json',
    'application/health+json',
    'application/vnd.microprofile.health+json',
    'text/plain',
  ]
  const authorizations = [`Bearer ${secret('token')}`, `Bearer ${secret('wrong')}`]
  let bodies = 0
  for (const url of paths) {
    for (const accept of accepts) {
      for (const authorization of authorizations) {
        const headers = { accept, authorization, cookie: secret('cookie'), 'x-key': secret('key') }
        const answer = await app.inject({ url, headers })
        out.push(JSON.stringify(answer.headers), answer.body)
        expect(answer.statusCode).not.toBe(500)
        bodies++
      }
    }
  }
  const denied = await app.inject({ url: '/health/detailed', headers: { 'x-throw': '1' } })
  expect(denied.statusCode).toBe(401)
  out.push(denied.body)
  await told

  // The trap was set: every planted check failed, and what it threw was met.
  const details = await app.inject({
    url: '/health/detailed',
    headers: { authorization: authorizations[0]! },
  })
  const { checks, history } = details.json<{
    checks: Record<string, { status: string; error: string | null }>
    history: unknown[]
  }>()
  const well = Object.entries(checks).filter(([, { status }]) => status === 'healthy')
  expect(well.map(([name]) => name)).toEqual(['row'])
  expect(checks['postgres']?.error).toBe('connection_refused')
  expect(history.length).toBeGreaterThan(names.length)
  expect(seen.length).toBeGreaterThanOrEqual(names.length - 6)
  expect(bodies).toBe(paths.length * 8)

  const text = out.join('\n')
  expect(text).toContain('check.changed')
  expect(text).toContain('"previous":"healthy"')
  for (const line of text.split('\n')) {
    expect(line).not.toContain(canary)
    // A stack, or the port of what was asked.
    expect(line).not.toMatch(/\bat .+:\d+:\d+|node:internal|\.ts:\d/)
    expect(line).not.toContain(`:${port}`)
  }
  await app.close()
  hook.closeAllConnections()
  hook.close()
})
