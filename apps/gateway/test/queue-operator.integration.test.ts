// What an operator does with queued requests: looks at a quarantined one and lets it run again, flushes a queue; and what happens
// when the thread that writes the queue's file ends.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { sampleSubmission } from '@health/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startGateway, type RunningGateway } from './running-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'queue-operator-'))
const sick = join(folder, 'sick')
const script = fileURLToPath(new URL('./queue-runner.mjs', import.meta.url))
const app = (more: object = {}): object => ({
  command: ['node', script],
  env: { SICK: sick },
  startupTimeoutSeconds: 30,
  minConcurrency: 1,
  maxConcurrency: 1,
  ...more,
})

interface Shown {
  readonly status: string
  readonly final: Readonly<Record<string, unknown>> | null
  readonly attempts: readonly { readonly n: number; readonly runner: string }[]
}

let gateway: RunningGateway
/** The thread that writes the queue's file. */
let writer: Worker | null = null
const alerts: string[] = []
beforeAll(async () => {
  const heard = (worker: Worker): void => void (writer = worker)
  process.on('worker', heard)
  gateway = await startGateway({
    policy: { retryBaseSeconds: 0.05, retryMaxSeconds: 0.2 },
    apps: {
      'test/poison': app({ policy: { poisonThreshold: 2, poisonQuarantine: true } }),
      'test/brief': app({ policy: { resultRetentionSeconds: 0.2 } }),
      'test/never': app({ minConcurrency: 0, maxConcurrency: 0 }),
    },
  })
  process.off('worker', heard)
  gateway.supervisor.onAlert(({ name, subject }) => alerts.push(`${name} ${subject.id}`))
})
afterAll(async () => {
  await gateway.close()
  rmSync(folder, { recursive: true })
})

const send = async (
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> => {
  const response = await fetch(`${gateway.url}${path}`, init)
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? (JSON.parse(text) as Record<string, unknown>) : { text },
  }
}
const post = (path: string): ReturnType<typeof send> => send(path, { method: 'POST' })
const submit = async (path: string): Promise<string> => {
  const { status, body } = await post(`/queue/${path}`)
  expect(status).toBe(200)
  return String(body['request_id'])
}
const shown = async (id: string): Promise<Shown> =>
  (await send(`/v1/requests/${id}`)).body as unknown as Shown
const completed = (id: string): Promise<true> =>
  gateway.until(() => (gateway.queue.entry(id)?.status === 'COMPLETED' ? true : null))
const forgotten = (id: string): Promise<true> =>
  gateway.until(() => (gateway.queue.entry(id) === null ? true : null))

test('a poison request goes into quarantine, outlives other results, and runs again when an operator says so', async () => {
  const retention = (resultRetentionSeconds: number | null): ReturnType<typeof send> =>
    send('/v1/policy?app=test/poison', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ resultRetentionSeconds }),
    })
  writeFileSync(sick, '')
  const id = await submit('test/poison/work')
  await completed(id)
  const ended = await shown(id)
  expect(ended).toMatchObject({
    status: 'COMPLETED',
    final: { status: 503, error_type: 'poison_request', cause: 'retry.poison' },
  })
  expect(ended.attempts).toHaveLength(2)
  expect(new Set(ended.attempts.map(({ runner }) => runner)).size).toBe(2)
  expect(alerts).toEqual([`request.poison ${id}`])
  expect(await send(`/queue/test/poison/requests/${id}`)).toMatchObject({
    status: 503,
    body: { error_type: 'poison_request' },
  })
  expect((await send(`/v1/requests/${id}/explain`)).body).toMatchObject({
    decision: { from: 'leased', to: 'rejected', rule: 'retry.poison' },
  })

  rmSync(sick)
  const other = await submit('test/poison/work')
  await completed(other)
  expect((await retention(0.2)).status).toBe(200)
  await forgotten(other)
  expect((await shown(id)).final).toEqual(ended.final)
  await retention(null)

  expect((await post(`/v1/requests/${id}/requeue`)).body).toMatchObject({
    id,
    app: 'test/poison',
    final: null,
    attempts: ended.attempts,
  })
  await completed(id)
  const again = await shown(id)
  expect(again.final).toMatchObject({ status: 200, error_type: null })
  expect(again.attempts.map(({ n }) => n)).toEqual([1, 2, 3])
  expect((await send(`/queue/test/poison/requests/${id}`)).body).toEqual({ text: 'well' })
  expect(gateway.lines.filter(({ event }) => event === 'request.requeued')).toEqual([
    expect.objectContaining({ request: id, app: 'test/poison', by: 'operator' }),
  ])
})

describe('who cannot be requeued', () => {
  test.for([
    { given: 'a request that is done', path: 'test/poison/work', status: 409 },
    { given: 'a request that waits', path: 'test/never/work', status: 409 },
    { given: 'nobody', path: null, status: 404 },
  ])('$given: $status', async ({ path, status }) => {
    const id = path === null ? 'nobody' : await submit(path)
    if (path === 'test/poison/work') await completed(id)
    const before = gateway.queue.entry(id)
    const answer = await post(`/v1/requests/${id}/requeue`)
    expect([answer.status, answer.body['error_type']]).toEqual([
      status,
      status === 409 ? 'request_not_quarantined' : 'request_not_found',
    ])
    expect(gateway.queue.entry(id)).toEqual(before)
  })
})

test('results of an app are kept as long as that app says', async () => {
  const kept = await submit('test/poison/work')
  await completed(kept)
  const brief = await submit('test/brief/work')
  await gateway.until(() => {
    const entry = gateway.queue.entry(brief)
    return entry === null || entry.status === 'COMPLETED' ? true : null
  })
  await forgotten(brief)
  expect((await send(`/queue/test/brief/requests/${brief}`)).status).toBe(404)
  expect((await shown(kept)).status).toBe('COMPLETED')
})

describe('flush', () => {
  const flush = (): ReturnType<typeof send> => send('/v1/queues/test/never', { method: 'DELETE' })
  const fill = (name: string, count: number): Promise<unknown> =>
    Promise.all(
      Array.from({ length: count }, (_, n) =>
        gateway.queue.submit(sampleSubmission(`${name}-${n}`, { app: 'test/never' })),
      ),
    )
  const counted = async (): Promise<number> => {
    const { text } = (await send('/metrics')).body
    const line = /health_requests_total\{app="test\/never",mode="queue",status="499"\} (\d+)/
    return Number(line.exec(String(text))?.[1] ?? 0)
  }
  const said = (): unknown => gateway.lines.findLast(({ event }) => event === 'queue.flushed')

  test('each flushed request ends, is counted and has its decision; the log says so once', async () => {
    await flush()
    const before = await counted()
    await fill('few', 250)
    expect((await flush()).body).toEqual({ flushed: 250 })
    expect(await counted()).toBe(before + 250)
    expect(said()).toMatchObject({ app: 'test/never', requests: 250, told: 250, by: 'operator' })
    for (const id of ['few-0', 'few-249']) {
      expect((await shown(id)).final).toMatchObject({
        status: 499,
        error_type: 'client_cancelled',
        cause: 'flushed',
      })
      const { body } = await send(`/v1/requests/${id}/explain`)
      expect(body).toMatchObject({ decision: { from: 'queued', to: 'cancelled', rule: 'cancel' } })
      expect(JSON.stringify(body['chain'])).toContain('flushed')
    }
    expect((await flush()).body).toEqual({ flushed: 0 })
  })

  test('of more than 10 000 the log alone speaks', async () => {
    const before = await counted()
    await fill('many', 10_001)
    expect((await flush()).body).toEqual({ flushed: 10_001 })
    expect(await counted()).toBe(before + 10_001)
    expect(said()).toMatchObject({ requests: 10_001, told: 0 })
    expect((await shown('many-10000')).final).toMatchObject({ status: 499, cause: 'flushed' })
    expect((await send('/v1/requests/many-10000/explain')).status).toBe(404)
  })
})

test('while the file cannot be written submits are refused with 503 and the rest goes on; then finished work is written and waiting work runs', async () => {
  const dir = join(gateway.config.dataDir, 'queue')
  const busy = await submit('test/poison/work?delay=500')
  await gateway.until(() => (gateway.queue.entry(busy)?.status === 'IN_PROGRESS' ? true : null))
  const waits = await submit('test/poison/work')
  // What cannot be opened again stays down until the test says so.
  renameSync(dir, `${dir}-away`)
  writeFileSync(dir, '')
  const logged = gateway.lines.length
  const downSince = performance.now()
  await writer!.terminate()
  const refused = await post('/queue/test/poison/work')
  expect([refused.status, refused.body['error_type'], refused.headers.get('retry-after')]).toEqual([
    503,
    'storage_failed',
    '1',
  ])
  expect((await send('/ready')).status).toBe(503)
  expect((await send('/live')).status).toBe(200)
  expect((await shown(waits)).status).toBe('IN_QUEUE')
  expect((await post('/run/test/poison/work')).body).toEqual({ text: 'well' })
  // The direct call had the only runner after the queued request: that one has been answered, and its end waits.
  expect((await shown(busy)).status).toBe('IN_PROGRESS')
  // Asked twice a second for leases, and told once, by the submit that was refused first.
  const told = (): unknown[] =>
    gateway.lines
      .slice(logged)
      .filter(({ event }) => event === 'queue.failed' || event === 'queue.recovered')
      .map(({ event, level, doing, code, refused: count }) => [
        event,
        level,
        doing,
        code,
        typeof count,
      ])
  await gateway.until(() => (performance.now() - downSince > 1_500 ? true : null))
  expect(told().length).toBe(1)

  rmSync(dir)
  renameSync(`${dir}-away`, dir)
  for (const id of [busy, waits]) {
    await completed(id)
    const { final, attempts } = await shown(id)
    expect([final?.['status'], attempts.length]).toEqual([200, 1])
  }
  expect((await send('/ready')).status).toBe(200)
  await completed(await submit('test/poison/work'))
  await gateway.until(() => (told().length > 1 ? true : null))
  expect(told()).toEqual([
    ['queue.failed', 'error', expect.any(String), 'HEALTH_STORAGE_FAILED', 'undefined'],
    ['queue.recovered', 'info', undefined, undefined, 'number'],
  ])
}, 30_000)
