import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { health, type HealthOptions } from '../src/index.ts'

const apps: FastifyInstance[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

async function start(options: HealthOptions = {}): Promise<FastifyInstance> {
  const app = fastify()
  apps.push(app)
  await app.register(health, options)
  await app.ready()
  return app
}

const down = () => {
  throw new Error('connect ECONNREFUSED db.internal:5432')
}
const up = () => true

async function ask(app: FastifyInstance, url: string, accept?: string) {
  const answer = await app.inject({ url, headers: accept === undefined ? {} : { accept } })
  const { statusCode, headers, body } = answer
  const isJson = String(headers['content-type']).includes('json')
  return { status: statusCode, headers, body: isJson ? (JSON.parse(body) as unknown) : body }
}

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string
const head = { version: '1.2.3', timestamp: time, uptime_seconds: expect.any(Number) as number }

describe('status and body by path', () => {
  const options: HealthOptions = {
    version: '1.2.3',
    checks: {
      database: { check: up, groups: ['storage'] },
      cache: { check: down, critical: false, groups: ['storage', 'fast'] },
    },
  }
  const database = {
    status: 'healthy',
    latency_ms: expect.any(Number) as number,
    age_ms: expect.any(Number) as number,
    error: null,
  }
  const cache = { ...database, status: 'unhealthy', error: 'failed' }
  test.for<[string, number, unknown]>([
    ['/live', 200, { status: 'alive' }],
    ['/livez', 200, { status: 'alive' }],
    ['/ready', 200, { status: 'ready' }],
    ['/readyz', 200, { status: 'ready' }],
    ['/startup', 200, { status: 'started' }],
    ['/startupz', 200, { status: 'started' }],
    ['/health', 200, { status: 'degraded', ...head }],
    ['/healthz', 200, { status: 'degraded', ...head }],
    ['/health?verbose', 200, { status: 'degraded', ...head, checks: { database, cache } }],
    ['/health?verbose=false', 200, { status: 'degraded', ...head }],
    ['/health?verbose&exclude=cache', 200, { status: 'healthy', ...head, checks: { database } }],
    [
      '/health?exclude=cahce',
      200,
      {
        status: 'degraded',
        ...head,
        warnings: ['no check to exclude is called "cahce"'],
      },
    ],
    ['/health/checks/database', 200, { status: 'healthy', ...head, checks: { database } }],
    ['/health/checks/cache', 503, { status: 'unhealthy', ...head, checks: { cache } }],
    ['/health/groups/storage', 200, { status: 'degraded', ...head, checks: { database, cache } }],
    ['/health/groups/fast', 200, { status: 'degraded', ...head, checks: { cache } }],
    [
      '/health/checks/nothing',
      404,
      {
        detail: 'There is no check "nothing".',
        error_type: 'check_not_found',
        message: 'There is no check "nothing".',
      },
    ],
    [
      '/health/groups/nothing',
      404,
      {
        detail: 'There is no group "nothing".',
        error_type: 'group_not_found',
        message: 'There is no group "nothing".',
      },
    ],
  ])('%s → %d', async ([url, status, body]) => {
    const answer = await ask(await start(options), url)
    expect(answer).toMatchObject({ status, body })
    expect(answer.body).toEqual(body)
    expect(answer.headers['cache-control']).toBe('no-store')
  })
})

test.for<[string, HealthOptions, Record<string, number>]>([
  ['no checks at all', {}, { '/live': 200, '/ready': 200, '/health': 200 }],
  [
    'a critical one down',
    { checks: { db: down } },
    { '/live': 200, '/ready': 503, '/health': 503 },
  ],
  [
    'another one down',
    { checks: { db: { check: down, critical: false } } },
    { '/live': 200, '/ready': 200, '/health': 200 },
  ],
  [
    'other codes',
    { checks: { db: down }, statusCodes: { unhealthy: 500 } },
    { '/live': 200, '/ready': 500, '/health': 500 },
  ],
  [
    'not started',
    { manualStart: true },
    { '/live': 200, '/ready': 503, '/startup': 503, '/health': 503 },
  ],
  [
    'a startup check down',
    { checks: { warm: { check: down, groups: ['startup'], critical: false } } },
    { '/live': 200, '/ready': 503, '/startup': 503, '/health': 503 },
  ],
  [
    'a delayed background check that has not run',
    { checks: { slow: { check: up, intervalSeconds: 60, initialDelaySeconds: 60 } } },
    { '/live': 200, '/ready': 503, '/health': 503 },
  ],
])('%s', async ([, options, expected]) => {
  const app = await start(options)
  const seen: Record<string, number> = {}
  for (const url of Object.keys(expected)) seen[url] = (await ask(app, url)).status
  expect(seen).toEqual(expected)
})

describe('/health/detailed', () => {
  const checks = { database: down }
  test('without the option it is 401, and says which option', async () => {
    const { status, body } = await ask(await start({ checks }), '/health/detailed')
    expect(status).toBe(401)
    expect(JSON.stringify(body)).toContain('authorize')
  })

  test.for<[string, () => boolean | Promise<boolean>, number]>([
    ['no', () => false, 401],
    ['a promise of no', () => Promise.resolve(false), 401],
    ['a throw', down as never, 401],
    ['a truthy word', (() => 'yes') as never, 401],
    ['yes', () => true, 200],
  ])('authorize says %s', async ([, authorize, expected]) => {
    expect((await ask(await start({ checks, authorize }), '/health/detailed')).status).toBe(
      expected,
    )
  })

  test('is 200 with the status in the body, and shows what others do not see', async () => {
    const app = await start({
      checks,
      authorize: (request) => request.headers.authorization === 'Bearer key',
      info: { region: 'eu', commit: () => 'abc123' },
    })
    const answer = await app.inject({
      url: '/health/detailed',
      headers: { authorization: 'Bearer key' },
    })
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toMatchObject({
      status: 'unhealthy',
      info: { region: 'eu', commit: 'abc123' },
      checks: { database: { critical: true, error: 'failed' } },
      history: [
        { check: 'database', from: null, to: 'unhealthy', cause: 'failed' },
        { check: null, from: null, to: 'unhealthy', cause: 'database' },
      ],
    })
  })
})

describe('formats', () => {
  const options = { version: '2.0.1', checks: { database: up } }
  test.for<[string, string, string, RegExp]>([
    ['/health', 'application/health+json', 'application/health+json', /"status":"pass"/],
    ['/health', 'application/vnd.microprofile.health+json', 'microprofile', /"status":"UP"/],
    ['/health?verbose', 'text/plain', 'text/plain', /^\[\+\]database ok\nhealthz check passed\n$/],
    ['/health?format=text', '*/*', 'text/plain', /^ok$/],
    ['/live', 'text/plain', 'text/plain', /^ok$/],
    ['/health/detailed', 'text/plain', 'application/json', /unauthorized/],
    ['/health', 'text/html,*/*;q=0.8', 'application/json', /"status":"healthy"/],
  ])('%s for %s', async ([url, accept, type, body]) => {
    const answer = await (await start(options)).inject({ url, headers: { accept } })
    expect(answer.headers['content-type']).toContain(type)
    expect(answer.body).toMatch(body)
  })
})

describe('life', () => {
  test('ready() starts it, a block holds it back, stopping ends it, live stays', async () => {
    const app = await start({ manualStart: true })
    const reason = async () => {
      const { status, body } = await ask(app, '/ready')
      return `${status} ${(body as { reason?: string }).reason ?? 'ready'}`
    }
    const release = app.health.block('model')
    expect(await reason()).toBe('503 waiting for model')
    release()
    expect(await reason()).toBe('503 initializing')
    app.health.ready()
    expect(await reason()).toBe('200 ready')
    const again = app.health.block('index')
    expect(await reason()).toBe('503 waiting for index')
    expect((await ask(app, '/startup')).status).toBe(200)
    again()
    app.health.stopping()
    expect(await reason()).toBe('503 shutting down')
    expect((await ask(app, '/live')).status).toBe(200)
    // A runner that drains still answers its health check: only readiness has flipped.
    expect((await ask(app, '/health')).status).toBe(200)
  })

  test('a failing startup check that passes later starts the service once and for all', async () => {
    let warm = false
    const app = await start({
      checks: {
        warm: { check: () => warm, groups: ['startup'], failureCacheSeconds: 0, cacheSeconds: 0 },
      },
    })
    expect((await ask(app, '/startup')).status).toBe(503)
    warm = true
    expect((await ask(app, '/startup')).status).toBe(200)
    warm = false
    expect((await ask(app, '/startup')).status).toBe(200)
  })
})

test('/ready does not wait for a check that cannot make it unready', async () => {
  const never = () => new Promise<never>(() => undefined)
  const app = await start({
    checks: { database: up, hung: { check: never, critical: false, timeoutSeconds: 600 } },
  })
  expect((await ask(app, '/ready')).status).toBe(200)
})

describe('what is refused at registration', () => {
  test.for<[string, HealthOptions, string, string]>([
    [
      'a group member that does not exist',
      { checks: { database: up }, groups: { storage: ['databse'] } },
      'HEALTH_CHECK_UNKNOWN',
      'Group "storage" names a check "databse" that does not exist. There are: database.',
    ],
    [
      'an unknown option',
      { check: {} } as never,
      'HEALTH_POLICY_UNKNOWN',
      'Did you mean "checks"?',
    ],
    [
      'an unknown option of a check',
      { checks: { a: { check: up, timeout: 5 } as never } },
      'HEALTH_POLICY_UNKNOWN',
      'checks.a.timeout does not exist. Did you mean "timeoutSeconds"?',
    ],
    [
      'a timeout of nothing',
      { checks: { a: { check: up, timeoutSeconds: 0 } } },
      'HEALTH_POLICY_INVALID',
      'checks.a.timeoutSeconds: 0 is not between 0.001',
    ],
    [
      'a threshold of nothing',
      { checks: { a: { check: up, failureThreshold: 0 } } },
      'HEALTH_POLICY_INVALID',
      'checks.a.failureThreshold',
    ],
    [
      'a threshold past any sense',
      { checks: { a: { check: up, failureThreshold: 1_000_001 } } },
      'HEALTH_POLICY_INVALID',
      'checks.a.failureThreshold',
    ],
    ['a name with a slash', { checks: { 'a/b': up } }, 'HEALTH_POLICY_INVALID', 'checks.a/b'],
    ['no function', { checks: { a: 5 as never } }, 'HEALTH_POLICY_INVALID', 'checks.a.check'],
    [
      'a status that is none',
      { statusCodes: { unhealthy: 99 } },
      'HEALTH_POLICY_INVALID',
      'statusCodes.unhealthy',
    ],
    [
      'a status past the last one',
      { statusCodes: { unhealthy: 600 } },
      'HEALTH_POLICY_INVALID',
      'statusCodes.unhealthy',
    ],
    [
      'a status whose answer has no body',
      { statusCodes: { healthy: 204 } },
      'HEALTH_POLICY_INVALID',
      'statusCodes.healthy',
    ],
    ['the environment as info', { info: process.env as never }, 'HEALTH_POLICY_INVALID', 'info'],
    ['an object as info', { info: { a: {} as never } }, 'HEALTH_POLICY_INVALID', 'info.a'],
    [
      'a declaration of what another port serves',
      { listen: { port: 0 }, healthCheck: {} },
      'HEALTH_POLICY_INVALID',
      'healthCheck',
    ],
    ['a prefix without slash', { prefix: 'x' }, 'HEALTH_POLICY_INVALID', 'prefix'],
  ])('%s', async ([, options, code, text]) => {
    const app = fastify()
    await expect(app.register(health, options).ready()).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text) as string,
    })
  })

  test('a second check of one name', async () => {
    const app = await start({ checks: { database: up } })
    expect(() => app.health.add('database', up)).toThrow(
      'There is a check "database" already. Give this one another name.',
    )
  })
})

test('a prefix, metrics and HEAD', async () => {
  const app = await start({
    prefix: '/internal',
    metricsPath: '/metrics',
    checks: { database: up },
  })
  expect((await ask(app, '/health')).status).toBe(404)
  expect((await ask(app, '/internal/health')).status).toBe(200)
  const answer = await app.inject({ method: 'HEAD', url: '/internal/health' })
  expect([answer.statusCode, answer.body]).toEqual([200, ''])
  const { headers, body } = await ask(app, '/internal/metrics')
  expect(headers['content-type']).toContain('text/plain; version=0.0.4')
  expect(body).toContain('health_check_status{check="database"} 1\n')
  expect(body).toContain('health_check_runs_total{check="database",status="healthy"} 1\n')
})

test.for(['/live', '/health?verbose', '/health/checks/database', '/health/groups/storage'])(
  'in a scope with a prefix, and however the router takes it: %s',
  async (url) => {
    const lenient = { ignoreTrailingSlash: true, caseSensitive: false }
    const app = fastify({ routerOptions: lenient })
    apps.push(app)
    const options: HealthOptions = {
      checks: { database: { check: up, groups: ['storage'] } },
      overload: { maxRssBytes: 1, sampleSeconds: 0.01 },
    }
    await app.register(
      async (scope) => {
        await scope.register(health, options)
        scope.get('/work', up)
      },
      { prefix: '/api' },
    )
    await expect.poll(async () => (await ask(app, '/api/work')).status).toBe(429)
    expect((await ask(app, `/api${url}`)).status).toBe(200)
    expect((await ask(app, url)).status).toBe(404)
    const [path, query] = url.split('?')
    const spelled = `/API${path}/${query === undefined ? '' : `?${query}`}`
    expect((await ask(app, spelled)).status).toBe(200)
  },
)

test('the health system itself broken is 500, and tells nothing', async () => {
  const secret = 'postgres://user:hunter2@db.internal'
  const app = await start({
    authorize: () => true,
    info: {
      get region(): string {
        if (broken) throw new Error(secret)
        return 'eu'
      },
    },
  })
  broken = true
  const { status, body } = await ask(app, '/health/detailed')
  broken = false
  expect(status).toBe(500)
  expect(JSON.stringify(body)).not.toContain('hunter2')
})
let broken = false
