// Callers who break the protocol, or never close their side: no answer is mixed with another, and no connection is kept for ever.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

let gateway: RunningGateway
beforeAll(async () => {
  const app = { command: ['node', RUNNER], startupTimeoutSeconds: 20, minConcurrency: 1 }
  gateway = await startGateway({ apps: { 'test/echo': app } })
})
afterAll(() => gateway.close())

/** A caller whose own side stays open; `text` is what it heard. */
async function caller(): Promise<{ socket: Socket; text: () => string }> {
  const port = Number(new URL(gateway.url).port)
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setNoDelay()
  let text = ''
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece))
  socket.on('error', () => {})
  await once(socket, 'connect')
  return { socket, text: () => text }
}
const connections = (): Promise<number> =>
  new Promise((resolve) => gateway.server.app.server.getConnections((_, n) => resolve(n)))

test('a refusal of garbage is never a part of an answer', async () => {
  const { socket, text } = await caller()
  socket.write('GET /run/test/echo?early&delay=300 HTTP/1.1\r\nhost: x\r\n\r\n')
  await expect.poll(text).toContain('early')
  socket.write('GARBAGE\r\n\r\n')
  await once(socket, 'end')
  socket.destroy()
  expect(text().match(/HTTP\/1\.1/g)).toHaveLength(1)
})

test('who sends garbage and never closes is let go', { timeout: 15_000 }, async () => {
  await expect.poll(connections).toBe(0)
  const { socket, text } = await caller()
  socket.write('GARBAGE\r\n\r\n')
  await expect.poll(text).toContain('HTTP/1.1 400 ')
  await expect.poll(connections, { timeout: 8000 }).toBe(0)
  socket.destroy()
})

test('a connection that outlived a refused body ends as any other', async () => {
  await expect.poll(connections).toBe(0)
  const { socket, text } = await caller()
  socket.write('POST /run/test/none HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab')
  await expect.poll(text).toContain(' 404 ')
  socket.write('cd')
  socket.write('GET /run/test/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  await expect.poll(text).toContain(' 200 ')
  await expect.poll(connections, { timeout: 2000 }).toBe(0)
  socket.destroy()
})

test.for(['/run/test/echo', '/queue/test/echo'])(
  '%s: nobody tells HTTP/1.0 to go on',
  async (path) => {
    const { socket, text } = await caller()
    socket.write(
      `POST ${path} HTTP/1.0\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}`,
    )
    await expect.poll(text).toContain(' 200 ')
    expect(text()).not.toContain(' 100 ')
    socket.destroy()
  },
)
