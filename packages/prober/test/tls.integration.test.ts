/** Servers asked over https: trusted by the given authority alone. The key in `fixture` belongs to this test and nothing else. */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import type { ProbeOrder, ProbeResult } from '@health/core'
import { SystemClock } from '@health/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { createProber, type ProberOptions } from '../src/prober.ts'

const read = (name: string): string =>
  readFileSync(new URL(`fixture/${name}`, import.meta.url), 'utf8')
const cert = read('cert.pem')

async function ask(
  host: string,
  options: Partial<ProberOptions>,
  kind: ProbeOrder['kind'] = 'regular',
): Promise<ProbeResult> {
  const server = createServer({ cert, key: read('key.pem') }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const prober = createProber({ clock: new SystemClock(), ...options })
  onTestFinished(async () => {
    await prober.close()
    server.close()
  })
  const url = `https://${host}:${(server.address() as AddressInfo).port}`
  const order: ProbeOrder = {
    runner: 'u1',
    incarnation: 1,
    probe: 1,
    kind,
    url,
    method: 'GET',
    path: '/',
    timeoutMs: 10_000,
  }
  return new Promise((resolve) => prober.probe(order, resolve))
}

test.for(['127.0.0.1', 'localhost'])('%s passes with its authority', async (host) => {
  expect(await ask(host, { trust: { ca: cert } })).toMatchObject({ result: 'passed', status: 200 })
})

test('a certificate that nobody vouches for is invalid', async () => {
  expect(await ask('127.0.0.1', {})).toMatchObject({
    result: 'failed',
    why: 'invalid',
    detail: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  })
})

test('a TCP check only connects', async () => {
  expect(await ask('127.0.0.1', {}, 'tcp')).toMatchObject({ result: 'passed' })
})
