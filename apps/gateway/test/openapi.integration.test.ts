/** The description that a running gateway gives: every route is in it, and what the gateway answers is what it says. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { UNLISTED } from '../src/openapi.ts'
import { operations } from '../src/openapi-operation.ts'
import { RUNNER, type RunningGateway, startGateway } from './running-gateway.ts'
import { type Schema, violations } from './schema-check.ts'

let gateway: RunningGateway
let api: {
  readonly info: { readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}
interface Described {
  readonly summary: string
  readonly 'x-access': string
  readonly security: readonly object[]
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }>
  >
}

beforeAll(async () => {
  gateway = await startGateway({
    apps: {
      'demo/echo': {
        command: ['node', RUNNER],
        healthCheck: { path: '/health', intervalSeconds: 1, startPeriodSeconds: 1 },
        minConcurrency: 1,
        maxConcurrency: 2,
        startupTimeoutSeconds: 20,
      },
    },
  })
  api = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as typeof api
})
afterAll(() => gateway.close())

test('every route is described in words, and every operation is served', () => {
  const silent = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, { summary }]) =>
      summary === UNLISTED
        ? [`${method.toUpperCase()} ${path}: add it to openapi-operation.ts`]
        : [],
    ),
  )
  expect(silent).toEqual([])
  const served = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  )
  expect(Object.keys(operations).filter((key) => !served.includes(key))).toEqual([])
})

test('what needs a key says so', () => {
  const access = (path: string, method: string): string => api.paths[path]![method]!['x-access']
  expect(access('/v1/runners', 'get')).toBe('read')
  expect(access('/v1/runners/{id}/kill', 'post')).toBe('admin')
  expect(access('/metrics', 'get')).toBe('call')
  expect(api.paths['/live']!['get']!.security).toEqual([])
  expect(api.paths['/v1/policy']!['put']!.security).toEqual([{ key: [] }])
})

/** What is wrong with an answer, by the description of its operation. */
async function misfit(method: string, template: string, path: string, body?: unknown) {
  return misfitOf(method, template, path, {
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  })
}

/** The same of a request that is put together by hand. */
async function misfitOf(method: string, template: string, path: string, more: RequestInit) {
  const response = await fetch(gateway.url + path, { method, ...more })
  const text = await response.text()
  const described = api.paths[template]?.[method.toLowerCase()]?.responses[response.status]
  if (described === undefined)
    return `${method} ${template} answers ${response.status}: ${text.slice(0, 200)}`
  const type = response.headers.get('content-type')?.split(';')[0] ?? ''
  if (described.content?.[type] === undefined && described.content?.['*/*'] === undefined)
    return `${method} ${template} answers ${response.status} as ${type}`
  const schema = described.content[type]?.schema
  return schema === undefined ? [] : violations(schema, JSON.parse(text), api.components.schemas)
}

test('what the gateway answers is what the description says', { timeout: 60_000 }, async () => {
  const id = await gateway.until(() => {
    const ready = [...gateway.supervisor.fleet.runners.values()].find(
      ({ configuration, lastProbe }) =>
        configuration.states.has('ready') && lastProbe?.kind === 'regular',
    )
    return ready?.id ?? null
  })
  const submitted = (await (
    await fetch(`${gateway.url}/queue/demo/echo`, { method: 'POST', body: '{}' })
  ).json()) as { request_id: string }
  const request = submitted.request_id
  await gateway.until(() => (gateway.queue.entry(request)?.final == null ? null : true))
  gateway.supervisor.tell({
    type: 'node.configured',
    node: 'n1',
    devices: ['GPU-1'],
    canReset: false,
    canReboot: false,
    canValidate: false,
  })
  gateway.supervisor.tell({
    type: 'gpu.sampled',
    node: 'n1',
    devices: [
      { uuid: 'GPU-1', index: 0, name: 'H100', temperatureC: 50, throttle: 0x48, powerW: 1.5 },
    ],
  })
  const runner = `/v1/runners/${id}`
  const asked: readonly (readonly [string, string, string, unknown?])[] = [
    ['GET', '/v1/apps', '/v1/apps'],
    ['GET', '/v1/runners', '/v1/runners?limit=1'],
    ['GET', '/v1/runners', '/v1/runners?limit=abc'],
    ['GET', '/v1/runners', '/v1/runners?state=redy'],
    ['GET', '/v1/decisions', '/v1/decisions?since=abc'],
    ['GET', '/v1/realtime', '/v1/realtime'],
    ['GET', '/v1/inspect', '/v1/inspect'],
    ['GET', '/health/groups/{group}', '/health/groups/x'],
    ['GET', '/health/checks/{check}', '/health/checks/x'],
    ['GET', '/health/checks/{check}', '/health/checks/journal'],
    ['POST', '/queue/{owner}/{alias}', '/queue/demo/echo?fal_webhook=http://127.0.0.1:1', {}],
    [
      'GET',
      '/queue/{owner}/{alias}/requests/{id}/status/stream',
      `/queue/demo/echo/requests/${request}/status/stream`,
    ],
    ['GET', '/v1/runners/{id}', runner],
    ['GET', '/v1/runners/{id}', '/v1/runners/nobody'],
    ['GET', '/v1/runners/{id}/explain', `${runner}/explain`],
    ['GET', '/v1/nodes', '/v1/nodes'],
    ['GET', '/v1/nodes/{id}', '/v1/nodes/n1'],
    ['GET', '/v1/requests/{id}', `/v1/requests/${request}`],
    ['GET', '/v1/queues/{owner}/{alias}', '/v1/queues/demo/echo'],
    ['GET', '/v1/decisions', '/v1/decisions?limit=3'],
    ['GET', '/v1/decisions', '/v1/decisions'],
    ['GET', '/v1/policy', '/v1/policy?app=demo/echo'],
    ['PUT', '/v1/policy', '/v1/policy', { capMin: 2 }],
    ['PUT', '/v1/policy', '/v1/policy', { capMin: -2 }],
    ['PUT', '/v1/policy', '/v1/policy', { capMinn: 2 }],
    [
      'GET',
      '/queue/{owner}/{alias}/requests/{id}/status',
      `/queue/demo/echo/requests/${request}/status`,
    ],
    ['GET', '/health', '/health'],
    ['GET', '/ready', '/ready'],
    ['GET', '/live', '/live'],
    ['GET', '/health/detailed', '/health/detailed'],
    ['POST', '/v1/nodes/{id}/cordon', '/v1/nodes/n1/cordon', {}],
    ['POST', '/v1/nodes/{id}/cordon', '/v1/nodes/n1/cordon', { device: 'GPU-9' }],
    ['GET', '/v1/nodes/{id}/explain', '/v1/nodes/n1/explain'],
    ['POST', '/v1/breaker/close', '/v1/breaker/close', {}],
    [
      'POST',
      '/v1/events',
      '/v1/events',
      { type: 'heartbeat.received', runner: id, incarnation: 1 },
    ],
    ['POST', '/v1/events', '/v1/events', { type: 'no.such' }],
    ['POST', '/v1/runners/{id}/check', `${runner}/check`, { manual: true }],
    ['POST', '/v1/apps/{owner}/{alias}/start', '/v1/apps/demo/echo/start', {}],
    ['DELETE', '/v1/queues/{owner}/{alias}', '/v1/queues/demo/echo'],
    ['POST', '/v1/tokens', '/v1/tokens', { scope: 'read', seconds: 5 }],
    ['POST', '/v1/runners/{id}/kill', `${runner}/kill`, {}],
    ['GET', '/v1/runners', '/v1/runners?state=terminated'],
    ['POST', '/v1/runners/{id}/stop', '/v1/runners/nobody/stop', {}],
  ]
  for (const [method, template, path, body] of asked)
    expect([method, path, await misfit(method, template, path, body)]).toEqual([method, path, []])
})

test('bodies that cannot be read, requests on their way and other formats are described too', async () => {
  const json = { 'content-type': 'application/json' }
  const submitted = (await (
    await fetch(`${gateway.url}/queue/demo/echo`, { method: 'POST', body: '{"delayMs":2000}' })
  ).json()) as { request_id: string }
  const request = '/queue/{owner}/{alias}/requests/{id}'
  const at = `/queue/demo/echo/requests/${submitted.request_id}`
  const asked: readonly (readonly [string, string, string, RequestInit?])[] = [
    ['GET', `${request}/status`, `${at}/status`],
    ['GET', request, at],
    ['GET', `${request}/response`, `${at}/response`],
    ['PUT', `${request}/cancel`, `${at}/cancel`],
    ['PUT', `${request}/cancel`, `${at}/cancel`],
    ['POST', '/v1/events', '/v1/events', { body: '{', headers: json }],
    ['POST', '/v1/reload', '/v1/reload', { body: '{', headers: json }],
    ['PUT', '/v1/policy', '/v1/policy', { body: 'x', headers: { 'content-type': 'text/plain' } }],
    ['POST', '/v1/breaker/close', '/v1/breaker/close', { body: '{"x":1}', headers: json }],
    [
      'POST',
      '/run/{owner}/{alias}',
      '/run/demo/echo',
      { body: '{}', headers: { 'x-fal-request-timeout': 'soon' } },
    ],
    ['GET', '/health', '/health', { headers: { accept: 'application/health+json' } }],
    ['GET', '/live', '/live', { headers: { accept: 'text/plain' } }],
  ]
  for (const [method, template, path, more = {}] of asked)
    expect([method, path, await misfitOf(method, template, path, more)]).toEqual([method, path, []])
})
