/**
 * Hands out TCP ports of 127.0.0.1 for runners to listen on. A port is taken when its runner has none of it left; the same
 * number comes back as late as possible, so that an answer meant for the last runner is not taken for the next one's. Between
 * our look and the runner's bind another host on this machine keeps off: the number is claimed by a UDP socket, which the
 * kernel gives back however we end.
 */
import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { createServer } from 'node:net'
import { HealthError } from '@health/core'

/** Ports in use, and the next one to try. */
export class PortPool {
  readonly #first: number
  readonly #count: number
  readonly #used = new Map<number, Socket | null>()
  #next: number

  /**
   * `first` and `last` are inclusive. The default range lies below those that kernels give to outgoing connections (Linux
   * 32768 and up), so none of these takes a port between our look and the runner's bind.
   */
  constructor([first, last]: readonly [first: number, last: number] = [20_000, 29_999]) {
    if (
      !(
        Number.isInteger(first) &&
        Number.isInteger(last) &&
        1 <= first &&
        first <= last &&
        last <= 65_535
      )
    ) {
      const message = `portRange must be two ports, first ≤ last, from 1 to 65535; it is ${first} to ${last}.`
      throw new HealthError('HEALTH_POLICY_INVALID', message, 'portRange')
    }
    this.#first = first
    this.#count = last - first + 1
    // Two supervisors on one machine do not begin at the same number.
    this.#next = randomInt(this.#count)
  }

  /** A port that nobody listens on now, taken until {@link release}; null when there is none. */
  async take(): Promise<number | null> {
    for (let tries = 0; tries < this.#count; tries++) {
      const port = this.#first + this.#next
      this.#next = (this.#next + 1) % this.#count
      if (this.#used.has(port)) continue
      this.#used.set(port, null) // before the first await: two callers never look at the same number
      const claimed = await claim(port)
      if (claimed !== null && (await isFree(port))) {
        this.#used.set(port, claimed)
        return port
      }
      claimed?.close()
      this.#used.delete(port)
    }
    return null
  }

  /** Marks a port as taken that a runner of an earlier supervisor has. */
  hold(port: number): void {
    // No claim: its runner listens already, so nobody else finds the port free.
    if (!this.#used.has(port)) this.#used.set(port, null)
  }

  release(port: number): void {
    this.#used.get(port)?.close()
    this.#used.delete(port)
  }

  /** Gives up every claim; the runners that go on listen on their ports themselves. */
  close(): void {
    for (const claimed of this.#used.values()) claimed?.close()
    this.#used.clear()
  }
}

/** Whether the port can be bound on 127.0.0.1 at this moment. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () =>
      server.close(() => resolve(true)),
    )
  })
}

/** Claims the number for this process; null when another host has it. The price: the runner cannot use UDP on the same number. */
function claim(port: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: 'udp4', reuseAddr: false })
    socket.once('error', () => {
      socket.close()
      resolve(null)
    })
    socket.bind({ address: '127.0.0.1', port, exclusive: true }, () => {
      socket.unref()
      resolve(socket)
    })
  })
}
