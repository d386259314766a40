/**
 * WebSocket connections of one address: the handshake with its refusals, limits on what a client sends, heartbeats, the end. What is
 * said on a connection is not its business. Frames go straight to the socket, already framed; `ws` reads, and answers pings.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import type { Wire } from './subscriber.ts'

/** What let somebody in, and for how long. */
export interface Pass {
  /** Good for this many ms, then closed with 4401. Default null: for as long as it stays. */
  readonly forMs?: number | null
  /** Asked at each `review`: null while it is good, else why it is not, which must not repeat a secret. Default: it stays good. */
  readonly revoked?: () => string | null
}

/** What may connect, and within which bounds. */
export interface DoorOptions {
  /** False: the page that asks is not one of ours, and gets 403. Default: an `Origin` must be absent or name the `Host`. */
  readonly origin?: (request: IncomingMessage) => boolean
  /**
   * A pass: welcome. A text: it is let in and closed with 4401 and this reason, which must not repeat a secret. Default: everybody is
   * welcome.
   */
  readonly authorize?: (request: IncomingMessage) => Pass | string
  /** Ms between pings; a peer that left two unanswered is dropped at the next. Default 15 000. */
  readonly heartbeatMs?: number
  /** Largest frame of a client, in bytes; past it 1009. Default 65 536. */
  readonly maxFrameBytes?: number
  /** Frames of a client per second, pings included; past it 1008. Default 100. */
  readonly maxFramesPerSecond?: number
  /** Connections at once; past it 1013 after the handshake. Default 10 000. */
  readonly maxConnections?: number
}

/** What to do with a connection. */
export interface Guest {
  /** A text frame; null for a binary one. */
  receive(text: string | null): void
  /** It is over: nothing may be written any more. Called once. */
  close(): void
}

/** An open door. */
export interface Door {
  /** Takes an upgrade; the caller has chosen it by its path. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  readonly size: number
  /** Closes with 4401 whoever is let in no more: for when keys were changed. */
  review(): void
  /** Closes every connection with 1001 and takes no more; resolves when all are gone. */
  close(): Promise<void>
}

const HEARTBEAT_MS = 15_000
const FRAME_BYTES = 65_536
const FRAMES_PER_SECOND = 100
const CONNECTIONS = 10_000
/** A peer that does not answer a close is dropped after this long, in ms. */
const CLOSE_MS = 2000
const PING: Buffer = Buffer.from([0x89, 0x00])

/** Whether an upgrade comes from no web page, or from one of the same host. */
export function isSameOrigin(request: IncomingMessage): boolean {
  const { origin, host } = request.headers
  return (
    origin === undefined ||
    (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`))
  )
}

/** Opens a door; `greet` makes a guest of each connection that is let in. */
export function openDoor(
  options: DoorOptions,
  greet: (wire: Wire, request: IncomingMessage) => Guest,
): Door {
  const guests = new Set<Connection>()
  const maxFrames = options.maxFramesPerSecond ?? FRAMES_PER_SECOND
  const maxConnections = options.maxConnections ?? CONNECTIONS
  const settings = {
    noServer: true,
    WebSocket: Peer,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: options.maxFrameBytes ?? FRAME_BYTES,
    closeTimeout: CLOSE_MS,
    // Frames are counted here; this bounds what a client that pings and does not read makes us hold.
    maxPendingAutoPongs: maxFrames * 2,
  }
  const server = new WebSocketServer(settings)
  let heart: NodeJS.Timeout | null = null
  let closing = false
  let emptied: () => void = () => {}

  const beat = (): void => {
    for (const guest of guests) guest.beat()
  }
  const left = (guest: Connection): void => {
    if (!guests.delete(guest) || guests.size > 0) return
    if (heart !== null) clearInterval(heart)
    heart = null
    emptied()
  }

  return {
    upgrade(request, socket, head) {
      if (closing) return void socket.destroy()
      if (!(options.origin ?? isSameOrigin)(request)) return refuse(socket)
      const word = options.authorize?.(request) ?? {}
      const full = guests.size >= maxConnections
      server.handleUpgrade(request, socket, head, (websocket) => {
        const guest = new Connection(websocket, socket, maxFrames, left)
        guests.add(guest)
        heart ??= setInterval(beat, options.heartbeatMs ?? HEARTBEAT_MS)
        if (typeof word === 'string') return guest.end(4401, word)
        if (full) return guest.end(1013, 'too many connections')
        guest.admit(word)
        guest.begin(greet(guest, request))
      })
    },
    get size() {
      return guests.size
    },
    review() {
      for (const guest of guests) guest.review()
    },
    async close() {
      closing = true
      if (guests.size === 0) return
      const over = new Promise<void>((resolve) => {
        emptied = resolve
      })
      for (const guest of guests) guest.end(1001, 'the gateway ends')
      await over
    },
  }
}

/** A socket that tells its connection and nobody else: five listeners for each of thousands would be most of its memory. */
class Peer extends WebSocket {
  connection: Connection | null = null

  override emit(event: string | symbol, ...given: any[]): boolean {
    const { connection } = this
    if (connection === null) return false
    switch (event) {
      case 'message':
        // ws gives one Buffer for a message, since it was not asked for anything else.
        connection.hear(given[1] === true ? null : (given[0] as Buffer))
        break
      case 'ping':
        connection.counts()
        break
      case 'pong':
        connection.answered()
        break
      case 'close':
        connection.over()
        break
      default:
      // A broken frame or connection is followed by `close`; there is nothing more to do about an error.
    }
    return true
  }
}

/** One connection. */
class Connection implements Wire {
  readonly transport = 'websocket'
  readonly sink: Duplex
  readonly #websocket: Peer
  readonly #maxFrames: number
  readonly #left: (connection: Connection) => void
  #guest: Guest | null = null
  #unanswered = 0
  #frames = 0
  #second = 0
  #ended = false
  #leave: NodeJS.Timeout | null = null
  #revoked: Pass['revoked'] = undefined

  constructor(
    websocket: Peer,
    socket: Duplex,
    maxFrames: number,
    left: (connection: Connection) => void,
  ) {
    this.#websocket = websocket
    this.sink = socket
    this.#maxFrames = maxFrames
    this.#left = left
    websocket.connection = this
  }

  begin(guest: Guest): void {
    this.#guest = guest
  }

  /** It stays no longer than what let it in. */
  admit({ forMs = null, revoked }: Pass): void {
    this.#revoked = revoked
    if (forMs === null) return
    this.#leave = setTimeout(() => this.end(4401, 'the token has expired'), forMs)
    this.#leave.unref()
  }

  review(): void {
    const reason = this.#revoked?.() ?? null
    if (reason !== null) this.end(4401, reason)
  }

  get backlog(): number {
    return this.sink.writableLength
  }

  write(bytes: Buffer): void {
    if (this.#ended) return
    this.sink.write(bytes)
  }

  whenDrained(callback: () => void): void {
    const socket = this.sink
    if (socket.writableNeedDrain) socket.once('drain', callback)
    // Behind what waits: written when all before it is.
    else socket.write(Buffer.alloc(0), () => callback())
  }

  end(code: number, reason: string): void {
    if (this.#ended) return
    this.#dismiss()
    this.#websocket.close(code, reason)
  }

  beat(): void {
    if (this.#ended) return
    if (this.#unanswered === 2) {
      this.#dismiss()
      return this.#websocket.terminate()
    }
    this.#unanswered++
    this.sink.write(PING)
  }

  /** A text frame's bytes; null for a binary one. */
  hear(data: Buffer | null): void {
    if (!this.#ended && this.counts())
      this.#guest?.receive(data === null ? null : data.toString('utf8'))
  }

  answered(): void {
    this.#unanswered = 0
  }

  /** False when this frame was one too many. */
  counts(): boolean {
    if (this.#ended) return false
    this.#unanswered = 0
    const now = performance.now()
    if (now - this.#second >= 1000) {
      this.#second = now
      this.#frames = 0
    }
    if (++this.#frames <= this.#maxFrames) return true
    this.end(1008, `more than ${this.#maxFrames} frames a second`)
    return false
  }

  over(): void {
    this.#dismiss()
    this.#left(this)
  }

  /** Nothing is written after a close: the guest goes at once, whenever the peer answers. */
  #dismiss(): void {
    this.#ended = true
    if (this.#leave !== null) clearTimeout(this.#leave)
    this.#leave = null
    this.#guest?.close()
    this.#guest = null
  }
}

/** 403 in place of a handshake. */
function refuse(socket: Duplex): void {
  const body = JSON.stringify({
    detail: 'This page is of another origin.',
    error_type: 'forbidden',
    message: 'This page is of another origin.',
  })
  socket.on('error', () => {})
  socket.end(
    `HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}
