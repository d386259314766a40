import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import {
  health,
  RunnerError,
  runnerErrorHandler,
  shutdown,
  type HealthCheckOptions,
} from '../src/index.ts'

const apps: FastifyInstance[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

async function runner(): Promise<FastifyInstance> {
  const app = fastify()
  apps.push(app)
  await app.register(health)
  return app
}

const ok = () => ({ ok: true })
const wellKnown = '/.well-known/health-check'

describe('the declaration', () => {
  test('without one the well-known path is 404', async () => {
    const app = await runner()
    expect((await app.inject(wellKnown)).statusCode).toBe(404)
  })

  test('holds path, method and what was said, and nothing else', async () => {
    const app = await runner()
    app.get('/check', { health: { startPeriodSeconds: 10, failureThreshold: 5 } }, ok)
    const answer = await app.inject(wellKnown)
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-type']).toContain('application/json')
    expect(answer.json()).toEqual({
      path: '/check',
      method: 'GET',
      startPeriodSeconds: 10,
      failureThreshold: 5,
    })
  })

  test('knows all five options, POST and the prefix of a plugin', async () => {
    const app = await runner()
    const all = {
      startPeriodSeconds: 0,
      timeoutSeconds: 1.5,
      failureThreshold: 2,
      callRegularly: true,
      intervalSeconds: 0.5,
    }
    await app.register(
      async (inner) => {
        inner.post('/check', { health: all }, ok)
      },
      { prefix: '/v2' },
    )
    expect((await app.inject(wellKnown)).json()).toEqual({
      path: '/v2/check',
      method: 'POST',
      ...all,
    })
  })

  test('can be the plugin’s own /health', async () => {
    const app = fastify()
    apps.push(app)
    await app.register(health, { healthCheck: { timeoutSeconds: 2 } })
    expect((await app.inject(wellKnown)).json()).toEqual({
      path: '/health',
      method: 'GET',
      timeoutSeconds: 2,
    })
  })

  test('a root route of a prefixed plugin, which Fastify registers twice, is one', async () => {
    const app = await runner()
    await app.register(
      async (inner) => {
        inner.get('/', { health: {} }, ok)
      },
      { prefix: '/check' },
    )
    expect((await app.inject(wellKnown)).json()).toEqual({ path: '/check', method: 'GET' })
  })

  test('below a prefix, where no gateway reads it, it is refused', async () => {
    const app = fastify()
    apps.push(app)
    const scope = app.register((inner) => inner.register(health, { healthCheck: {} }), {
      prefix: '/api',
    })
    await expect(scope).rejects.toMatchObject({
      code: 'HEALTH_POLICY_INVALID',
      message: expect.stringContaining('not read below /api') as string,
    })
  })

  test('a second one is an error that names both routes', async () => {
    const app = await runner()
    app.get('/health-a', { health: {} }, ok)
    expect(() => app.post('/health-b', { health: {} }, ok)).toThrow(
      expect.objectContaining({
        code: 'HEALTH_CHECK_DUPLICATE',
        message:
          'An app has one health check, but GET /health-a and POST /health-b both declare it. Remove one.',
      }),
    )
  })

  test.for<[string, string, HealthCheckOptions, string]>([
    ['GET', '/a', { timeoutSeconds: 0 }, 'GET /a health.timeoutSeconds: 0 is not between'],
    ['GET', '/a', { startPeriodSeconds: -1 }, 'health.startPeriodSeconds: -1'],
    ['GET', '/a', { failureThreshold: 1.5 }, 'health.failureThreshold: 1.5'],
    ['GET', '/a', { intervalSeconds: 0.05 }, 'health.intervalSeconds: 0.05'],
    ['GET', '/a', { callRegularly: 'no' as never }, 'health.callRegularly'],
    ['GET', '/a', { timeout: 5 } as never, 'Did you mean'],
    ['GET', '/a/:id', {}, 'the path must be fixed'],
    ['PUT', '/a', {}, 'a health check is a GET or a POST'],
  ])('%s %s %j is refused', async ([method, url, options, text]) => {
    const app = await runner()
    expect(() => app.route({ method, url, health: options, handler: ok })).toThrow(text)
  })
})

test('reply.requestHealthCheck() sets the header that asks for a manual check', async () => {
  const app = await runner()
  app.post('/predict', (_, reply) => reply.requestHealthCheck().send({ ok: true }))
  const answer = await app.inject({ method: 'POST', url: '/predict' })
  expect(answer.headers['x-fal-runner-health-check']).toBe('true')
})

describe('an error becomes the status that tells the truth', () => {
  const caused = (cause: unknown) => new Error('request failed', { cause })
  const coded = (code: string) => Object.assign(new Error('secret.internal'), { code })
  const status = (statusCode: number) =>
    Object.assign(new Error('upstream said so'), { statusCode })
  test.for<[string, unknown, number, string]>([
    ['a broken runner', new RunnerError('runner_broken', 'GPU OOM'), 503, 'runner_broken'],
    ['bad input', new RunnerError('invalid_input', 'steps'), 422, 'invalid_input'],
    ['a rate limit', new RunnerError('rate_limited'), 429, 'rate_limited'],
    ['a failed inference', new RunnerError('inference_failed'), 500, 'inference_failed'],
    ['a slow dependency', new RunnerError('dependency_timeout'), 504, 'dependency_timeout'],
    [
      'CUDA out of memory',
      new Error('CUDA out of memory. Tried to allocate'),
      503,
      'runner_broken',
    ],
    ['a CUDA error', new Error('CUDA error: an illegal memory access'), 503, 'runner_broken'],
    ['a library’s status', new Error('CUBLAS_STATUS_ALLOC_FAILED'), 503, 'runner_broken'],
    ['a GPU fault as the cause', caused(new Error('NCCL error 2')), 503, 'runner_broken'],
    ['a timeout by name', new DOMException('late', 'TimeoutError'), 504, 'dependency_timeout'],
    ['a timeout by code', coded('UND_ERR_HEADERS_TIMEOUT'), 504, 'dependency_timeout'],
    ['a timeout as the cause', caused(coded('ETIMEDOUT')), 504, 'dependency_timeout'],
    ['a foreign 503', status(503), 500, 'inference_failed'],
    ['a foreign 404', status(404), 404, 'bad_request'],
    [
      'a caller who writes of CUDA',
      Object.assign(status(400), { message: 'CUDA error: x' }),
      400,
      'bad_request',
    ],
    [
      'a prompt that speaks of CUDA',
      new Error('no model for "draw CUDA cores"'),
      500,
      'inference_failed',
    ],
    ['anything else', new Error('password=hunter2'), 500, 'inference_failed'],
  ])('%s → %d', async ([, error, expected, type]) => {
    const app = await runner()
    app.setErrorHandler(runnerErrorHandler)
    app.get('/', () => {
      throw error
    })
    const answer = await app.inject('/')
    expect(answer.statusCode).toBe(expected)
    expect(answer.json()).toMatchObject({ error_type: type, detail: expect.any(String) as string })
    expect(answer.body).not.toMatch(/hunter2|secret/)
  })

  test('failed validation is 422, with Fastify’s sentence', async () => {
    const app = await runner()
    app.setErrorHandler(runnerErrorHandler)
    const schema = { body: { type: 'object', required: ['prompt'] } }
    app.post('/', { schema }, ok)
    const answer = await app.inject({ method: 'POST', url: '/', payload: {} })
    expect(answer.statusCode).toBe(422)
    expect(answer.json()).toEqual({
      detail: "body must have required property 'prompt'",
      error_type: 'invalid_input',
    })
  })

  test('headers tell when to come back and whether to try again', async () => {
    const app = await runner()
    app.setErrorHandler(runnerErrorHandler)
    app.get('/', () => {
      throw new RunnerError('rate_limited', 'slow down', {
        retryAfterSeconds: 7,
        needsRetry: false,
      })
    })
    const { headers } = await app.inject('/')
    expect([headers['retry-after'], headers['x-fal-needs-retry']]).toEqual(['7', '0'])
  })
})

describe('shutdown', () => {
  test('readiness flips first, beacons are waited for, then the app closes', async () => {
    const app = await runner()
    const order: string[] = []
    app.addHook('onClose', (_, done) => {
      order.push('closed')
      done()
    })
    await app.ready()
    const release = app.health.beacon('job')
    const ended = shutdown(app, { forceSeconds: 60 })
    expect((await app.inject('/ready')).statusCode).toBe(503)
    expect((await app.inject('/live')).statusCode).toBe(200)
    order.push('released')
    release()
    expect(await ended).toEqual({ forced: false, held: [] })
    expect(order).toEqual(['released', 'closed'])
  })

  test('the deadline ends the wait and names what was still held', async () => {
    const app = await runner()
    await app.ready()
    app.health.beacon('job that never ends')
    const ended = await shutdown(app, { forceSeconds: 0.02 })
    expect(ended).toEqual({ forced: true, held: ['job that never ends'] })
  })
})

test('overload answers 429 with Retry-After, and health goes on', async () => {
  const app = fastify()
  apps.push(app)
  // One byte: any process is over it at the first sample.
  await app.register(health, {
    overload: { maxRssBytes: 1, sampleSeconds: 0.01, retryAfterSeconds: 3 },
  })
  app.get('/work', ok)
  await app.ready()
  await expect.poll(async () => (await app.inject('/work')).statusCode).toBe(429)
  const answer = await app.inject('/work')
  expect(answer.headers['retry-after']).toBe('3')
  expect(answer.json()).toMatchObject({ error_type: 'overloaded' })
  for (const url of ['/live', '/ready', '/health']) {
    expect((await app.inject(url)).statusCode).toBe(200)
  }
})
