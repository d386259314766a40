/**
 * The connections to one server: the last one used is used first, idle ones are given up long before the server does, so that no
 * request meets a connection that is being closed; how long a server that does not say waits is learnt from what it closes. It opens as many as are asked for at once; who asks bounds that.
 */
import { Readable } from 'node:stream'
import { Connection, unsent, type Address, type Owner } from './connection.ts'
import { Journey } from './journey.ts'
import { requestHead } from './request-head.ts'
import type { Flight, Outgoing, Receiver, Route } from './route.ts'

/** How a way behaves. */
export interface RouteOptions {
  /** Longest time until a connection is made, in ms. Default 5000. */
  readonly connectMs?: number
  /** Longest time an idle connection is kept, in ms; at most half of what the server announces. Default 1000. */
  readonly idleMs?: number
  /** Most idle connections; past it the next one is closed instead of kept. Default 256. */
  readonly maxIdle?: number
}

/** Opens the way to a server at `http://host:port`. Connections are made when needed. Throws TypeError for anything else. */
export function openRoute(url: string, options: RouteOptions = {}): Route {
  const parsed = new URL(url)
  if (parsed.protocol !== 'http:')
    throw new TypeError(`Only http:// is spoken here, not ${parsed.protocol}//.`)
  if (parsed.href !== `${parsed.origin}/`)
    throw new TypeError('The address of a server is http://host:port, nothing before or behind it.')
  const host = parsed.hostname.startsWith('[') ? parsed.hostname.slice(1, -1) : parsed.hostname
  return new Pool({ host, port: Number(parsed.port) || 80 }, parsed.host, options)
}

/** Requests of this turn of the loop, and their ways. */
const departing: { readonly pool: Pool; readonly journey: Journey }[] = []

/**
 * Requests go out when all that came in a turn of the loop has been worked off: sent one after the other, they find their receiver
 * awake, and to wake it for each costs as much as all the rest of a short call. By then it is known, too, which idle connections
 * the server has given up and which have become free.
 */
function departAtTurnEnd(pool: Pool, journey: Journey): void {
  if (departing.push({ pool, journey }) > 1) return
  setImmediate(() => {
    for (const one of departing.splice(0)) one.pool.depart(one.journey)
  })
}

/** What a server closed of itself is remembered for so long, in ms: it may have been a restart of its own. */
const LEARNT_MS = 600_000

class Pool implements Route, Owner {
  readonly #address: Address
  readonly #host: string
  readonly #connectMs: number
  readonly #idleMs: number
  readonly #maxIdle: number
  readonly #all = new Set<Connection>()
  /** The last one used is the last one here. */
  readonly #idle: Connection[] = []
  #sweeping: NodeJS.Timeout | null = null
  #closed = false
  /** Half of the shortest time after which the server closed an idle connection, and until when that is remembered. */
  #learntMs = Number.POSITIVE_INFINITY
  #learntUntil = Number.NEGATIVE_INFINITY

  constructor(address: Address, host: string, options: RouteOptions) {
    this.#address = address
    this.#host = host
    this.#connectMs = options.connectMs ?? 5000
    this.#idleMs = options.idleMs ?? 1000
    this.#maxIdle = options.maxIdle ?? 256
  }

  send(request: Outgoing, receiver: Receiver): Flight {
    if (this.#closed) return unsent(request, receiver, 'disconnected')
    const head = requestHead(request, this.#host)
    if (head === null) return unsent(request, receiver, 'unsendable')
    const journey = new Journey(head, request, receiver)
    // A stream may fail in this very turn, and somebody must hear it.
    if (request.body instanceof Readable) this.#take().carry(journey)
    else departAtTurnEnd(this, journey)
    return journey
  }

  /** Chooses a connection for a request, and sends it. */
  depart(journey: Journey): void {
    if (journey.aborted) return
    if (this.#closed) journey.receiver.lost('disconnected')
    else this.#take().carry(journey)
  }

  close(): void {
    this.#closed = true
    if (this.#sweeping !== null) clearTimeout(this.#sweeping)
    this.#sweeping = null
    this.#idle.length = 0
    for (const connection of this.#all) connection.close()
  }

  free(connection: Connection, keepMs: number): void {
    if (this.#closed || this.#idle.length >= this.#maxIdle) return connection.close()
    const now = performance.now()
    const learntMs = now < this.#learntUntil ? this.#learntMs : Number.POSITIVE_INFINITY
    connection.idleSince = now
    connection.idleUntil = now + Math.min(this.#idleMs, keepMs / 2, learntMs)
    this.#idle.push(connection)
    this.#sweeping ??= setTimeout(() => this.#sweep(), this.#idleMs).unref()
  }

  gone(connection: Connection, unasked: boolean): void {
    this.#all.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    if (unasked && connection.idleSince > 0) this.#learn(connection.idleSince)
  }

  /** The server gave up one that was idle: no other is kept half as long. */
  #learn(idleSince: number): void {
    const now = performance.now()
    const half = (now - idleSince) / 2
    this.#learntMs = now < this.#learntUntil ? Math.min(this.#learntMs, half) : half
    this.#learntUntil = now + LEARNT_MS
    for (const idle of this.#idle)
      idle.idleUntil = Math.min(idle.idleUntil, idle.idleSince + this.#learntMs)
  }

  #take(): Connection {
    const now = this.#idle.length === 0 ? 0 : performance.now()
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      if (last.idleUntil > now && last.usable) return last
      last.close()
    }
    const made = new Connection(this, this.#address, this.#connectMs)
    this.#all.add(made)
    return made
  }

  #sweep(): void {
    this.#sweeping = null
    const now = performance.now()
    for (let i = this.#idle.length - 1; i >= 0; i--)
      if (this.#idle[i]!.idleUntil <= now) this.#idle.splice(i, 1)[0]!.close()
    if (this.#idle.length > 0)
      this.#sweeping = setTimeout(() => this.#sweep(), this.#idleMs).unref()
  }
}
