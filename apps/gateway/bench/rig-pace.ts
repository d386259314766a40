/**
 * Callers that send at a steady rate over connections of their own, used in turns, whatever the answers take: an open loop, in which a
 * slow server is not asked less. It knows how often an answer was 200 and what those took, and nothing of who served.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** How often, for how long, and over how many connections to begin with. */
export interface Pace {
  readonly perSecond: number
  readonly seconds: number
  /** While all of them wait, more are opened. */
  readonly connections: number
}

/** What calls came to; times are those of good ones, in ms. */
export interface Paced {
  readonly good: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** What has no answer so long after the last call has failed, in ms. */
const LAST_WAIT_MS = 500
/** Past so many connections that all wait, calls fail at once. */
const MAX_CONNECTIONS = 4000

/** Sends GETs as `pace` says. */
export async function pace(port: number, path: string, pace: Pace): Promise<Paced> {
  const request = `GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`
  const took: number[] = []
  const idle: Caller[] = []
  const all = new Set<Caller>()
  const add = (): Caller => {
    const caller = new Caller(port, {
      answered(ms, status) {
        if (status === 200) took.push(ms)
        idle.push(caller)
      },
      closed() {
        all.delete(caller)
        if (idle.includes(caller)) idle.splice(idle.indexOf(caller), 1)
      },
    })
    all.add(caller)
    return caller
  }
  idle.push(...Array.from({ length: pace.connections }, add))
  await Promise.all(idle.map(({ ready }) => ready))
  const begun = performance.now()
  const planned = Math.round(pace.seconds * pace.perSecond)
  let due = 0
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const passed = performance.now() - begun
      for (; due < Math.min(planned, (passed * pace.perSecond) / 1000); due++) {
        const caller = idle.shift() ?? (all.size < MAX_CONNECTIONS ? add() : null)
        caller?.send(request)
      }
      const over = passed > pace.seconds * 1000
      if (!over || (idle.length < all.size && passed < pace.seconds * 1000 + LAST_WAIT_MS)) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  for (const caller of all) caller.close()
  took.sort((a, b) => a - b)
  const at = (share: number): number => took[Math.floor(took.length * share)] ?? Number.NaN
  return { good: took.length, failed: planned - took.length, p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** Who hears of one connection's calls. */
export interface Listener {
  /** `ms` since the call was due. */
  answered(ms: number, status: number): void
  /** Closed by the other side, a call on it unanswered or not. */
  closed(): void
}

/** One connection with one call at a time. */
export class Caller {
  readonly ready: Promise<unknown>
  readonly #socket: Socket
  #head = ''
  /** Bytes of the body that are still to come; -1: the head is not whole yet. */
  #missing = -1
  #since = 0

  constructor(port: number, listener: Listener) {
    this.#socket = connect(port, '127.0.0.1').setNoDelay()
    this.ready = once(this.#socket, 'connect')
    // Whoever waits for it hears of a refusal; a broken connection shows as a call without an answer.
    this.ready.catch(() => {})
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => listener.closed())
    this.#socket.on('data', (piece: Buffer) => {
      if (this.#missing === -1) {
        this.#head += piece.toString('latin1')
        const end = this.#head.indexOf('\r\n\r\n')
        if (end === -1) return
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? 0)
        this.#missing = length - (this.#head.length - end - 4)
      } else this.#missing -= piece.length
      if (this.#missing > 0) return
      const status = Number(this.#head.slice(9, 12))
      const last = /\r\nconnection: *close/i.test(this.#head)
      this.#head = ''
      this.#missing = -1
      listener.answered(performance.now() - this.#since, status)
      if (last) this.#socket.destroy()
    })
  }

  /** `since`: when it was due, for a call that waited for a connection. */
  send(request: string, since = performance.now()): void {
    this.#since = since
    this.#socket.write(request)
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy()
  }
}
