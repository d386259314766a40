/**
 * Asks ourselves: a server of our own on the loopback, the same client. When many runners time out together and this is late or
 * fails too, the fault is ours. It measures; `guard.self` in the core decides.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Clock, Millis, Prober } from '@health/core'

/** Options of {@link createControl}. */
export interface ControlOptions {
  readonly clock: Clock
  readonly prober: Prober
  /** Default 1000 ms: a loopback answer takes one. */
  readonly timeoutMs?: Millis
}

/** How the control probe went; the two fields of the fact `control.ended`. */
export interface ControlResult {
  readonly passed: boolean
  readonly latencyMs: Millis
}

/** The control probe. */
export interface Control {
  /** Asks once. Callers that come while one is under way share its answer. Never rejects: what fails did not pass. */
  check(): Promise<ControlResult>
  close(): Promise<void>
}

const ANSWER =
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'

/** Opens the server, on a free port of 127.0.0.1. Rejects when none can be had. */
export async function createControl({
  clock,
  prober,
  timeoutMs = 1_000,
}: ControlOptions): Promise<Control> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.once('data', () => socket.end(ANSWER))
    socket.setTimeout(timeoutMs * 2, () => socket.destroy())
  })
  server.maxConnections = 16
  const port = await listen(server)
  let asked: Promise<ControlResult> | null = null
  let probe = 0

  const ask = async (): Promise<ControlResult> => {
    const began = clock.now()
    const passed = await new Promise<boolean>((resolve) => {
      const order = {
        runner: 'control',
        incarnation: 0,
        probe: ++probe,
        kind: 'regular',
        url: `http://127.0.0.1:${port}`,
        method: 'GET',
        path: '/',
        timeoutMs,
      } as const
      prober.probe(order, ({ result }) => resolve(result === 'passed'))
    })
    return { passed, latencyMs: clock.now() - began }
  }
  return {
    check() {
      asked ??= ask().finally(() => (asked = null))
      return asked
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}
