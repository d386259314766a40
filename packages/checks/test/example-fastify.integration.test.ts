import { describe, expect, test } from 'vitest'
import { startExample } from './stub/example.ts'

test('health-fastify: every endpoint, details for the key, a shutdown that ends with 0', async () => {
  await using example = await startExample('health-fastify/server.mjs', { HEALTH_KEY: 'key' })
  const status = async (path: string, headers: Record<string, string> = {}) =>
    (await fetch(example.url + path, { headers })).status
  for (const path of [
    '/live',
    '/ready',
    '/startup',
    '/health',
    '/health/groups/storage',
    '/metrics',
  ])
    expect([path, await status(path)]).toEqual([path, 200])
  expect(await status('/health/checks/none')).toBe(404)
  expect(await status('/health/detailed')).toBe(401)
  expect(await status('/health/detailed', { authorization: 'Bearer key' })).toBe(200)
  expect(await (await fetch(example.url)).json()).toEqual({ hello: 'world' })
  expect(await example.stop()).toBe(0)
})

describe('runner-contract', () => {
  test('declares its check, becomes ready, and answers each error truthfully', async () => {
    await using example = await startExample('runner-contract/runner.mjs')
    const declared = await fetch(`${example.url}/.well-known/health-check`)
    expect(await declared.json()).toEqual({
      path: '/health-check',
      method: 'GET',
      startPeriodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 3,
      callRegularly: true,
    })
    await expect.poll(async () => (await fetch(`${example.url}/ready`)).status).toBe(200)
    const call = async (body: unknown) => {
      const headers = { 'content-type': 'application/json' }
      return fetch(example.url, { method: 'POST', headers, body: JSON.stringify(body) })
    }
    const seen: [unknown, number][] = []
    for (const prompt of ['a cat', '', 'slow', 'oom', 'odd'])
      seen.push([prompt, (await call({ prompt })).status])
    expect(seen).toEqual([
      ['a cat', 200],
      ['', 422],
      ['slow', 504],
      ['oom', 503],
      ['odd', 200],
    ])
    expect((await call({})).status).toBe(422)
    const asked = (await call({ prompt: 'odd' })).headers.get('x-fal-runner-health-check')
    expect(asked).toBe('true')
    expect((await call({ prompt: 'a cat' })).headers.has('x-fal-runner-health-check')).toBe(false)
  })
})
