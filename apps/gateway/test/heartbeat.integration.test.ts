// A runner that reports its own heartbeats: it is told where and with which token, and the token opens nothing else.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { heartbeatTokens, heartbeatUrl, openHeartbeatTokens } from '../src/heartbeat-token.ts'
import { call, startGateway, until } from './gateway-process.ts'

/** Beats until it is told to stop; answers its own heartbeat address, so that the test can try to misuse it. */
const runner = `
const url = process.env.HEALTH_HEARTBEAT_URL
const beat = () => fetch(url, { method: 'POST' }).catch(() => {})
const timer = setInterval(beat, 100)
require('node:http').createServer((request, response) => {
  if (request.url === '/silent') clearInterval(timer)
  response.end(JSON.stringify({ url }))
}).listen(process.env.PORT, '127.0.0.1', beat)
`

test('a runner beats with its own token; silence ends it; the token is good for nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'health-heartbeat-'))
  const app = {
    command: [process.execPath, '-e', runner],
    healthCheck: {
      path: '/health',
      startPeriodSeconds: 0,
      intervalSeconds: 0.5,
      failureThreshold: 1,
      heartbeat: { ttlSeconds: 1 },
    },
    startupTimeoutSeconds: 3,
    minConcurrency: 1,
  }
  writeFileSync(
    join(folder, 'h.json'),
    JSON.stringify({ auth: { keys: ['call'], adminKeys: ['admin'] }, apps: { 'a/beats': app } }),
  )
  await using gateway = startGateway(['--config', join(folder, 'h.json')], { folder })
  const url = await gateway.url()
  const admin = { headers: { authorization: 'Key admin' } }
  const fetched = await fetch(`${url}/run/a/beats/`, {
    method: 'POST',
    headers: { authorization: 'Key call' },
  })
  const id = fetched.headers.get('x-fal-served-from')!
  const beat = new URL(((await fetched.json()) as { url: string }).url)
  expect(beat.pathname).toBe(`/v1/runners/${id}/heartbeat`)
  expect((await call(url, beat.pathname + beat.search, { method: 'POST' })).status).toBe(202)

  const statuses = await Promise.all([
    call(url, beat.pathname, { method: 'POST' }),
    call(url, `${beat.pathname}?token=x`, { method: 'POST' }),
    call(url, `/v1/runners/other/heartbeat${beat.search}`, { method: 'POST' }),
    call(url, `/v1/runners/${id}/kill${beat.search}`, { method: 'POST' }),
    call(url, `/v1/runners/${id}${beat.search}`),
  ])
  expect(statuses.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401])

  await fetch(`${url}/run/a/beats/silent`, {
    method: 'POST',
    headers: { authorization: 'Key call' },
  })
  const { value } = await until(
    () => call(url, `/v1/runners/${id}`, admin),
    (answer) => answer.value.state === 'terminated',
  )
  expect(value.reason).toBe('heartbeat_missed')
  // Nothing that was logged holds the token.
  gateway.child.kill('SIGTERM')
  expect((await gateway.ended).out).not.toContain(beat.searchParams.get('token'))
})

test('a token is the same for a runner after a restart, and another for another', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'health-heartbeat-'))
  const [one, again] = [await openHeartbeatTokens(folder), await openHeartbeatTokens(folder)]
  const token = one.of('r1')
  expect(again.fits('r1', token)).toBe(true)
  expect(one.of('r2')).not.toBe(token)
  const other = heartbeatTokens(new Uint8Array(32))
  for (const wrong of [undefined, '', token.slice(1), `${token}x`, [token], other.of('r1')])
    expect(one.fits('r1', wrong)).toBe(false)
})

test.for([
  ['127.0.0.1', 'http://127.0.0.1:8080/v1/runners/a%2Fb/heartbeat?token=t'],
  ['0.0.0.0', 'http://127.0.0.1:8080/v1/runners/a%2Fb/heartbeat?token=t'],
  ['::', 'http://[::1]:8080/v1/runners/a%2Fb/heartbeat?token=t'],
  ['::1', 'http://[::1]:8080/v1/runners/a%2Fb/heartbeat?token=t'],
] as const)('a gateway on %s is reached at %s', ([host, expected]) => {
  expect(heartbeatUrl(host, 8080, 'a/b', 't')).toBe(expected)
})
