/**
 * What a call takes when nobody is busy: requests at a fixed rate over many connections, each timed from its write to the first
 * piece of its answer. A queue of our own making would hide in a closed loop; at this rate there is none.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Percentiles of what calls took, in ms. */
export interface Paced {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly answers: number
}

/** Sends `perSecond` GETs for `seconds` over `connections` that are used in turns. A connection that still waits is passed over. */
export async function pace(
  port: number,
  path: string,
  { connections, perSecond, seconds }: Record<'connections' | 'perSecond' | 'seconds', number>,
): Promise<Paced> {
  const request = `GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`
  const took: number[] = []
  const sent = new Map<Socket, number>()
  const sockets = Array.from({ length: connections }, () => connect(port, '127.0.0.1').setNoDelay())
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  for (const socket of sockets) {
    socket.on('data', () => {
      const at = sent.get(socket)
      if (at === undefined) return
      took.push(performance.now() - at)
      sent.delete(socket)
    })
  }
  const begun = performance.now()
  let due = 0
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const passed = performance.now() - begun
      if (passed > seconds * 1000) {
        clearInterval(timer)
        return resolve()
      }
      for (; due < (passed * perSecond) / 1000; due++) {
        const socket = sockets[due % connections]!
        if (sent.has(socket)) continue
        sent.set(socket, performance.now())
        socket.write(request)
      }
    }, 1)
  })
  for (const socket of sockets) socket.destroy()
  took.sort((a, b) => a - b)
  const at = (share: number): number => took[Math.floor(took.length * share)] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99), answers: took.length }
}
