// The official client, unchanged, against the gateway: once through its proxy mode, once through rewritten URLs.
import { createFalClient, type FalClient } from '@fal-ai/client'
import { views } from '@health/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

let gateway: RunningGateway
beforeAll(async () => {
  const app = {
    command: ['node', RUNNER],
    startupTimeoutSeconds: 20,
    minConcurrency: 1,
    maxConcurrency: 2,
    healthCheck: { path: '/health' },
  }
  gateway = await startGateway({
    auth: { keys: ['id:secret'], readKeys: [], adminKeys: ['boss'] },
    apps: { 'test/echo': app },
  })
})
afterAll(() => gateway.close())

const ways: readonly { readonly way: string; readonly connect: () => FalClient }[] = [
  {
    way: 'proxy mode',
    connect: () =>
      createFalClient({
        credentials: 'id:secret',
        proxyUrl: { url: `${gateway.url}/proxy`, when: 'always' },
      }),
  },
  {
    way: 'rewritten URLs',
    connect: () =>
      createFalClient({
        credentials: 'id:secret',
        requestMiddleware: async (request) => ({
          ...request,
          url: request.url
            .replace('https://fal.run', `${gateway.url}/run`)
            .replace('https://queue.fal.run', `${gateway.url}/queue`),
        }),
      }),
  },
]

interface Echo {
  readonly method: string
  readonly path: string
  readonly body: string
}

describe.for(ways)('the official client by $way', ({ connect }) => {
  let fal: FalClient
  beforeAll(() => {
    fal = connect()
  })

  test('run', async () => {
    const { data, requestId } = await fal.run('test/echo/sub', { input: { prompt: 'a cat' } })
    expect(data).toMatchObject({ method: 'POST', path: '/sub', body: '{"prompt":"a cat"}' })
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('run without input: an empty body with a JSON content type', async () => {
    const { data } = await fal.run('test/echo', {})
    expect(data).toMatchObject({ method: 'POST', path: '/', body: '' })
  })

  test('run by GET puts the input into the query', async () => {
    const { data } = await fal.run('test/echo', { method: 'get', input: { q: 'x' } })
    expect(data).toMatchObject({ method: 'GET', path: '/?q=x' })
  })

  test('subscribe by polling', async () => {
    const seen: string[] = []
    const { data, requestId } = await fal.subscribe('test/echo', {
      input: { prompt: 'a dog' },
      pollInterval: 20,
      onQueueUpdate: (update) => void seen.push(update.status),
    })
    expect(data).toMatchObject({ body: '{"prompt":"a dog"}' })
    expect(seen.at(-1)).toBe('COMPLETED')
    expect(gateway.queue.entry(requestId)?.attempts).toHaveLength(1)
  })

  test('queue: submit, status, result', async () => {
    const submitted = await fal.queue.submit('test/echo', {
      input: { n: 1 },
      priority: 'low',
      hint: 'warm',
    })
    expect(submitted).toMatchObject({ status: 'IN_QUEUE', queue_position: expect.any(Number) })
    const id = submitted.request_id
    await gateway.until(() => (gateway.queue.entry(id)?.status === 'COMPLETED' ? true : null))
    const status = await fal.queue.status('test/echo', { requestId: id, logs: true })
    expect(status).toMatchObject({ status: 'COMPLETED', request_id: id })
    const { data, requestId } = await fal.queue.result('test/echo', { requestId: id })
    expect((data as Echo).body).toBe('{"n":1}')
    expect(requestId).toBe(id)
  })

  test('cancel reaches the runner that works on it, by the id of the request', async () => {
    const { request_id: id } = await fal.queue.submit('test/echo/slow?delay=60000', { input: {} })
    await gateway.until(() => (gateway.queue.entry(id)?.status === 'IN_PROGRESS' ? true : null))
    await reached(id)
    await fal.queue.cancel('test/echo', { requestId: id })
    await gateway.until(() => (gateway.queue.entry(id)?.status === 'COMPLETED' ? true : null))
    await expect(fal.queue.result('test/echo', { requestId: id })).rejects.toMatchObject({
      status: 499,
    })
    await expect(fal.queue.cancel('test/echo', { requestId: id })).rejects.toMatchObject({
      status: 400,
    })
  })

  test('an unknown request is a 404', async () => {
    await expect(fal.queue.cancel('test/echo', { requestId: 'nothing' })).rejects.toMatchObject({
      status: 404,
    })
  })

  test('stream delivers each event as it comes', async () => {
    const stream = await fal.stream('test/echo', { input: {} })
    const seen: unknown[] = []
    for await (const event of stream) seen.push(event)
    expect(seen).toEqual([{ i: 0 }, { i: 1 }, { i: 2 }])
  })

  test('an error of the runner reaches the caller as it is', async () => {
    await expect(fal.run('test/echo/x?status=422', { input: {} })).rejects.toMatchObject({
      status: 422,
    })
  })

  test('a wrong key is refused in words the client shows', async () => {
    const stranger = createFalClient({
      credentials: 'who:knows',
      proxyUrl: { url: `${gateway.url}/proxy`, when: 'always' },
    })
    await expect(stranger.run('test/echo', {})).rejects.toMatchObject({
      status: 401,
      message: 'invalid key credentials',
    })
  })
})

/** Resolves once a runner has seen the request; a cancel before that would be for nobody. */
async function reached(id: string): Promise<void> {
  for (;;) {
    for (const { url } of views(gateway.supervisor.fleet, { states: new Set(['ready']) })) {
      const { seen } = (await (await fetch(`${url}/seen`)).json()) as {
        seen: { headers: Record<string, string> }[]
      }
      if (seen.some(({ headers }) => headers['x-fal-request-id'] === id)) return
    }
  }
}
