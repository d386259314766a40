/** The exporter against a fake: Xids by change only, silence, nonsense, and an answer without end. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SystemClock } from '@health/testkit'
import { Dcgm } from '../src/dcgm.ts'
import { Telling } from './telling.ts'

let server: Server
let answer: (response: ServerResponse) => void
let url: string
let source: Dcgm | null = null
let telling = new Telling()

const metrics = (temperature: number, xid: number): string =>
  `DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a"} ${temperature}\nDCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-a"} ${xid}\n`

beforeEach(async () => {
  telling = new Telling()
  server = createServer((_request, response) => answer(response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
})

afterEach(async () => {
  await source?.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

/** A hundred times faster than the machine: ten seconds of silence take a tenth of one. */
function open(address = url, faster = 100): void {
  const real = new SystemClock()
  const clock = {
    now: () => real.now() * faster,
    wall: () => real.wall(),
    after: (ms: number, callback: () => void) => real.after(ms / faster, callback),
  }
  source = new Dcgm({ clock, intervalMs: 2_000, url: address })
  source.start(telling.tell)
}

test('an Xid is an event when it changes: not the one that stood there, not the one that stays', async () => {
  let xid = 31
  answer = (response) => response.end(metrics(50, xid))
  open()
  await telling.next('sampled')
  xid = 79
  expect(await telling.next('xid')).toMatchObject({ device: 'GPU-a', xid: 79, sequence: 1 })
  await telling.later('sampled')
  await telling.later('sampled')
  expect(telling.of('xid')).toHaveLength(1)
  xid = 0
  await telling.later('sampled')
  await telling.later('sampled')
  xid = 79
  await telling.next('xid', ({ sequence }) => sequence === 2)
})

test('a device that vanishes is not in the sample any more; the core will miss it', async () => {
  let text = `${metrics(50, 0)}DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-b"} 51\n`
  answer = (response) => response.end(text)
  open()
  expect((await telling.next('sampled')).devices).toHaveLength(2)
  text = metrics(50, 0)
  await telling.next('sampled', ({ devices }) => devices.length === 1)
})

test('paused while it waits for an answer it goes on once, not twice as often', async () => {
  const asked: ServerResponse[] = []
  let waiting: (() => void) | null = null
  answer = (response) => {
    asked.push(response)
    waiting?.()
  }
  const next = async (): Promise<ServerResponse> => {
    if (asked.length === 0) await new Promise<void>((resolve) => (waiting = resolve))
    return asked.shift()!
  }
  open(url, 10)
  const before = await next()
  await source?.suspend()
  source?.resume()
  const after = await next()
  before.end(metrics(90, 0))
  after.end(metrics(50, 0))
  await next()
  // Another one would have begun by now.
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(asked).toEqual([])
  expect(telling.of('sampled').map(({ devices }) => devices[0]?.temperatureC)).toEqual([50])
})

test.for([
  ['never answers', () => {}, 'hung'],
  ['answers 500', (response: ServerResponse) => response.writeHead(500).end(), 'invalid'],
  ['answers nonsense', (response: ServerResponse) => response.end('<html>'), 'invalid'],
  ['cuts the connection', (response: ServerResponse) => response.destroy(), 'exited'],
  [
    'answers without end',
    (response: ServerResponse) => {
      const part = 'x'.repeat(1024 * 1024)
      const more = (): void => {
        while (!response.destroyed && response.write(part));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    },
    'invalid',
  ],
] as const)('an exporter that %s is a failure after three times', async ([, how, why]) => {
  answer = how
  // Megabytes must come before the silence of a hung exporter would be over, on a busy machine too.
  open(url, why === 'invalid' ? 5 : 100)
  expect(await telling.next('failed')).toMatchObject({ why })
  answer = (response) => response.end(metrics(50, 0))
  await telling.next('recovered')
  expect(telling.of('failed')).toHaveLength(1)
})

test('nobody listens', async () => {
  await new Promise((resolve) => server.close(resolve))
  open()
  expect(await telling.next('failed')).toMatchObject({
    why: 'exited',
    detail: expect.stringMatching(/ECONNREFUSED/),
  })
})
