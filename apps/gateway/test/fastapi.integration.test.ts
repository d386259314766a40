// A real runner, written for its own sake in FastAPI: it runs out of memory once, says so with a 503, is ended and replaced, and the
// queued request that met it is delivered by its successor.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { call, root, startGateway, until } from './gateway-process.ts'

const python = '/usr/bin/python3'
const hasFastapi = spawnSync(python, ['-c', 'import fastapi, uvicorn']).status === 0
const json = { method: 'POST', headers: { 'content-type': 'application/json' } }

test('its own 503 ends it; its successor delivers the request', async (context) => {
  context.skip(!hasFastapi, 'python3-fastapi and python3-uvicorn are not installed')
  const folder = mkdtempSync(join(tmpdir(), 'health-fastapi-'))
  writeFileSync(
    join(folder, 'health.config.json'),
    JSON.stringify({
      apps: {
        'acme/upscale': {
          command: [
            python,
            '-B',
            '-m',
            'uvicorn',
            'app:app',
            '--host',
            '127.0.0.1',
            '--port',
            '{port}',
          ],
          cwd: join(root, 'apps/gateway/examples/fastapi'),
          env: { OOM_ONCE_FILE: join(folder, 'oom') },
          healthCheck: { path: '/health', intervalSeconds: 1 },
          minConcurrency: 1,
        },
      },
      policy: { retryBaseSeconds: 0.05 },
    }),
  )
  await using gateway = startGateway(['--config', join(folder, 'health.config.json')], { folder })
  const url = await gateway.url()
  const submitted = await call(url, '/queue/acme/upscale', { ...json, body: '{"prompt":"cat"}' })
  expect(submitted.status).toBe(200)
  const id = submitted.value.request_id as string
  const { value } = await until(
    () => call(url, `/v1/requests/${id}`),
    (answer) => answer.value.status === 'COMPLETED',
  )
  expect(
    value.attempts.map((attempt: { outcome: string; rule: string }) => [
      attempt.outcome,
      attempt.rule,
    ]),
  ).toEqual([
    ['server_error', 'outcome.server_error'],
    ['healthy', 'outcome.healthy'],
  ])
  expect(value.final.status).toBe(200)
  const [first, second] = value.attempts.map((attempt: { runner: string }) => attempt.runner) as [
    string,
    string,
  ]
  expect(second).not.toBe(first)
  const result = await call(url, `/queue/acme/upscale/requests/${id}`)
  expect(result.value).toEqual({ output: 'CAT', runner: second })
  expect(await call(url, `/v1/runners/${first}`)).toMatchObject({
    value: { state: 'terminated', reason: 'server_error' },
  })
  const why = await call(url, `/v1/runners/${first}/explain`)
  expect(why.value.decision).toMatchObject({ rule: expect.any(String) as string })

  // What does not break the runner does not end it.
  const bad = await call(url, '/run/acme/upscale', { ...json, body: '{}' })
  expect(bad).toMatchObject({ status: 422, value: { detail: [{ loc: ['body', 'prompt'] }] } })
  const failed = await call(url, '/run/acme/upscale', {
    ...json,
    body: '{"prompt":"a","fail":true}',
  })
  expect(failed).toMatchObject({ status: 500, value: { detail: 'The model gave no answer.' } })
  expect(failed.headers.get('x-fal-served-from')).toBe(second)
  expect(await call(url, `/v1/runners/${second}`)).not.toMatchObject({
    value: { state: 'terminated' },
  })
})
