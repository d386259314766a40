/** The real prober keeps the contract of the port. */
import { createServer, type AddressInfo } from 'node:net'
import { proberContract, SystemClock } from '@health/testkit'
import { onTestFinished } from 'vitest'
import { createProber } from '../src/prober.ts'

/** A server that says this to everybody; '' is nothing. */
async function say(answer: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => socket.write(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

proberContract('the prober', async () => {
  const prober = createProber({ clock: new SystemClock() })
  onTestFinished(() => prober.close())
  return {
    prober,
    well: { runner: 'well', url: await say('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n') },
    ill: { runner: 'ill', url: await say('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n') },
    mute: { runner: 'mute', url: await say('') },
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  }
})
