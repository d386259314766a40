// kill -9 of a gateway with work in it, and what its successor makes of that; the same for an orderly end.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { call, startGateway, until, type GatewayProcess } from './gateway-process.ts'
import { RUNNER } from './running-gateway.ts'

let folder: string
let gateways: GatewayProcess[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'restart-'))
  gateways = []
})
afterEach(async () => {
  for (const gateway of gateways) await gateway[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

async function start(more: object = {}): Promise<{ gateway: GatewayProcess; url: string }> {
  const app = {
    command: ['node', RUNNER],
    startupTimeoutSeconds: 30,
    keepAliveSeconds: 60,
    maxConcurrency: 1,
    terminationGraceSeconds: 1,
    ...more,
  }
  const file = join(folder, 'health.config.json')
  writeFileSync(file, JSON.stringify({ shutdown: { graceSeconds: 1 }, apps: { 'test/app': app } }))
  const gateway = startGateway(['--config', file], { folder })
  gateways.push(gateway)
  return { gateway, url: await gateway.url() }
}

const submit = async (url: string, path: string): Promise<string> =>
  String((await call(url, `/queue/test/app${path}`, { method: 'POST' })).value.request_id)
const request = async (url: string, id: string): Promise<Entry> =>
  (await call(url, `/v1/requests/${id}`)).value
const runners = async (
  url: string,
): Promise<{ id: string; url: string; pid: number; substate: string }[]> =>
  (await call(url, '/v1/runners?state=ready')).value.runners
const completed = (url: string, id: string): Promise<Entry> =>
  until(
    () => request(url, id),
    ({ status }) => status === 'COMPLETED',
  )

interface Entry {
  readonly status: string
  readonly attempts: readonly {
    readonly n: number
    readonly outcome: string
    readonly runner: string
    readonly status: number | null
  }[]
  readonly final: { readonly status: number } | null
}

test('a request that ran when its gateway was killed runs once more: its old runner is told to cancel, then gets it', async () => {
  const first = await start()
  const slow = await submit(first.url, '/slow?delay=60000')
  const waiting = await submit(first.url, '/waiting')
  const [runner] = await until(
    () => runners(first.url),
    (list) => list.length === 1,
  )
  const seen = async (): Promise<{
    seen: { url: string }[]
    cancelled: { id: string; path: string }[]
  }> => (await fetch(`${runner!.url}/seen`)).json() as never
  await until(seen, (has) => has.seen.length === 1)
  first.gateway.child.kill('SIGKILL')
  await first.gateway.ended

  const second = await start()
  // The same process, not restarted; it heard of the cancel before it got anything new.
  await until(seen, (has) => has.cancelled.length > 0)
  expect((await seen()).cancelled[0]).toEqual({ id: slow, path: '/slow/cancel' })
  expect((await runners(second.url)).map(({ id, pid }) => [id, pid])).toEqual([
    [runner!.id, runner!.pid],
  ])
  // Both lives of it are on the runner's list now; a cancel before that would be for the first.
  await until(seen, (has) => has.seen.filter(({ url }) => url.startsWith('/slow')).length === 2)
  await call(second.url, `/queue/test/app/requests/${slow}/cancel`, { method: 'PUT' })
  const { attempts, final } = await completed(second.url, slow)
  expect(attempts.map(({ n, outcome, status }) => [n, outcome, status])).toEqual([
    [1, 'gateway_lost', null],
    [2, 'healthy', 499],
  ])
  expect(final?.status).toBe(499)
  // What waited was not lost either, and ran once.
  const other = await completed(second.url, waiting)
  expect([other.attempts.length, other.final?.status]).toEqual([1, 200])
})

test('an orderly end hands running requests back without spending an attempt; nothing accepted is lost', async () => {
  const first = await start()
  const slow = await submit(first.url, '/slow?delay=3000')
  const more = [await submit(first.url, '/a'), await submit(first.url, '/b')]
  await until(
    () => request(first.url, slow),
    ({ status }) => status === 'IN_PROGRESS',
  )
  first.gateway.child.kill('SIGTERM')
  expect((await first.gateway.ended).code).toBe(0)

  const second = await start()
  for (const id of [slow, ...more]) {
    const { attempts, final } = await completed(second.url, id)
    expect([attempts.map(({ n, outcome }) => [n, outcome]), final?.status]).toEqual([
      [[1, 'healthy']],
      200,
    ])
  }
})
