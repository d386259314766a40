/**
 * A connection to one target, opened for one exchange and closed after it. No connection is used twice; what is used again is
 * Node's socket object, once its connection is closed: making one costs as much as the rest of a probe in this process.
 */
import { isIP, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Target } from './target.ts'

/** How to trust servers that are asked over TLS. */
export interface Trust {
  /** Certificates (PEM) of authorities, in place of the system's. */
  readonly ca?: string
}

/** Who uses a line. Nothing is told before `open` returned, nothing after `close`. */
export interface LineUser {
  /** The connection stands, over TLS included. */
  opened(line: Line): void
  /** The bytes are overwritten by the next piece. */
  received(bytes: Buffer): void
  failed(error: Error): void
  /** The other side closed. May be told twice. */
  ended(): void
}

/** Socket objects that are kept for the next probes; more fly at a time only when many runners hang. */
const MOST_IDLE = 64
/** All sockets read into the same bytes: a piece is read through before the next one comes, and nothing of it is kept. */
const PIECE = Buffer.allocUnsafeSlow(65_536)

/** One connection. */
export class Line {
  user: LineUser | null = null
  readonly socket: Socket
  #reusable = false

  /** `idle` is where it goes when it is closed and can be connected again. */
  constructor(socket: Socket | null, opened: 'connect' | 'secureConnect', idle: Line[] | null) {
    const callback = (count: number): boolean => {
      this.user?.received(PIECE.subarray(0, count))
      return true
    }
    this.socket = socket ?? new Socket({ onread: { buffer: PIECE, callback } })
    this.socket.on(opened, () => this.user?.opened(this))
    this.socket.on('error', (error) => {
      this.#reusable = false
      this.user?.failed(error)
    })
    this.socket.on('end', () => this.user?.ended())
    this.socket.on('close', () => {
      this.user?.ended()
      if (this.#reusable && idle !== null && idle.length < MOST_IDLE) idle.push(this)
    })
  }

  /** Closes it. `clean`: its user saw all it waited for, and no error and no end. */
  close(clean: boolean): void {
    this.user = null
    this.#reusable = clean && this.socket.writableLength === 0
    this.socket.destroy()
  }
}

/** Opens lines. */
export class Lines {
  readonly #trust: Trust
  readonly #idle: Line[] = []

  constructor(trust: Trust) {
    this.#trust = trust
  }

  /** Begins to connect. */
  open(target: Target, user: LineUser): Line {
    const line = this.#lineTo(target)
    line.user = user
    return line
  }

  #lineTo({ host, port, tls }: Target): Line {
    const { ca } = this.#trust
    if (tls) {
      const socket = connectTls({
        host,
        port,
        ALPNProtocols: ['http/1.1'],
        ...(isIP(host) === 0 && { servername: host }),
        ...(ca !== undefined && { ca }),
      })
      const line = new Line(socket, 'secureConnect', null)
      socket.on('data', (piece: Buffer) => line.user?.received(piece))
      return line
    }
    // A name may have several addresses, which Node tries on handles of its own making.
    if (isIP(host) === 0) {
      const line = new Line(null, 'connect', null)
      line.socket.connect({ host, port, autoSelectFamily: true })
      return line
    }
    const line = this.#idle.pop() ?? new Line(null, 'connect', this.#idle)
    line.socket.connect({ host, port, autoSelectFamily: false })
    return line
  }
}

/** On the loopback a connection to a port where nobody listens may meet itself, when the kernel gives it that very port. */
export function isItself(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress
}
