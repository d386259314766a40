/** What the tests of a prober need: servers of one answer, an address of nobody, orders, and a prober that is closed afterwards. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Clock, ProbeOrder, ProbeResult, Prober } from '@health/core'
import { SystemClock } from '@health/testkit'
import { onTestFinished } from 'vitest'
import { createProber } from '../src/prober.ts'

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

export async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A server that does this with each connection once a request came. */
export function serve(answer: (socket: Socket, request: string) => void): Promise<string> {
  return listen(
    createServer((socket) => socket.once('data', (data) => answer(socket, String(data)))),
  )
}

/** An address where nobody listens. */
export async function nobody(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

let number = 0
export function orderOf(url: string, rest: Partial<ProbeOrder> = {}): ProbeOrder {
  return {
    runner: 'r1',
    incarnation: 1,
    probe: ++number,
    kind: 'regular',
    url,
    method: 'GET',
    path: '/health',
    timeoutMs: 5_000,
    ...rest,
  }
}

export function open(clock: Clock = new SystemClock(), rest: { maxFlying?: number } = {}): Prober {
  const prober = createProber({ clock, ...rest })
  onTestFinished(() => prober.close())
  return prober
}

export const ask = (prober: Prober, order: ProbeOrder): Promise<ProbeResult> =>
  new Promise((resolve) => prober.probe(order, resolve))
