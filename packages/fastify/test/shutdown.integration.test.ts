import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'
import { expect, test } from 'vitest'
import { health } from '../src/index.ts'

const script = fileURLToPath(new URL('stub/app.ts', import.meta.url))

async function start(delaySeconds: number, forceSeconds: number, holds = 'nothing') {
  const args = [script, String(delaySeconds), String(forceSeconds), holds]
  const child = spawn(process.execPath, ['--conditions=@health/source', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { child, ended, url }
}

test('a signal flips readiness, keeps live at 200 through the delay, and ends with 0', async () => {
  const { child, ended, url } = await start(2, 30)
  child.kill('SIGTERM')
  await expect.poll(async () => (await fetch(`${url}/ready`)).status).toBe(503)
  expect((await fetch(`${url}/live`)).status).toBe(200)
  expect((await fetch(`${url}/health`)).status).toBe(200)
  expect(await ended).toEqual([0, null])
})

test('a beacon that is never released ends the process with 1 at the deadline', async () => {
  const { child, ended } = await start(0, 0.3, 'beacon')
  child.kill('SIGTERM')
  expect(await ended).toEqual([1, null])
})

test('a request that hangs is cut at the deadline', async () => {
  const { child, ended, url } = await start(0, 0.3)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET /hang HTTP/1.1\r\nhost: x\r\n\r\n')
  const cut = once(socket, 'close')
  socket.on('error', () => undefined)
  // Answered on another connection, so the hanging request has been read as well.
  expect((await fetch(`${url}/live`)).status).toBe(200)
  child.kill('SIGTERM')
  await cut
  expect(await ended).toEqual([1, null])
})

test('a second signal ends the process at once', async () => {
  const { child, ended, url } = await start(600, 601)
  child.kill('SIGTERM')
  await expect.poll(async () => (await fetch(`${url}/ready`)).status).toBe(503)
  child.kill('SIGTERM')
  expect(await ended).toEqual([143, null])
})

test('a port of its own serves health there and not on the app’s', async () => {
  const lines: string[] = []
  const stream = { write: (line: string) => void lines.push(line) }
  const app = fastify({ logger: { level: 'info', stream } })
  await app.register(health, {
    listen: { port: 0 },
    authorize: (asker) => asker.headers['x-key'] === 'key',
  })
  app.get('/', () => 'hello')
  await app.ready()
  const { port } = lines
    .map((line) => JSON.parse(line) as { port?: number })
    .find((line) => line.port)!
  const base = `http://127.0.0.1:${port}`
  expect((await fetch(`${base}/ready`)).status).toBe(200)
  expect((await fetch(`${base}/`)).status).toBe(404)
  const details = await fetch(`${base}/health/detailed`, { headers: { 'x-key': 'key' } })
  expect(details.status).toBe(200)
  expect((await app.inject('/ready')).statusCode).toBe(404)
  await app.close()
  await expect(fetch(`${base}/ready`)).rejects.toThrow('fetch failed')
})
