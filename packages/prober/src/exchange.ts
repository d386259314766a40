/**
 * One connection to one runner for one question, then closed: a verdict must not depend on a socket that something else used.
 * It says what it saw; whether it took too long, and whose fault that is, is decided by the prober.
 */
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { endingOf, type Ending } from './failure.ts'
import { ResponseReader, type Reading } from './response.ts'
import type { Target } from './target.ts'

/** What was seen at the end of an exchange. */
export type Sight =
  | { readonly result: 'passed'; readonly status?: number }
  | (Ending & { readonly status?: number })

/** An exchange under way. */
export interface Exchange {
  /** How far it came, for the text of a timeout. */
  readonly progress: string
  /** Closes the connection; nothing is told afterwards. */
  end(): void
}

/** How to trust servers that are asked over TLS. */
export interface Trust {
  /** Certificates (PEM) of authorities, in place of the system's. */
  readonly ca?: string
}

/** All sockets read into the same bytes: a piece is read through before the next one comes, and nothing of it is kept. */
const PIECE = new Uint8Array(65_536)

/** Opens a connection and asks. `seen` is called at most once, never before this returns. */
export function exchange(target: Target, trust: Trust, seen: (sight: Sight) => void): Exchange {
  let connected = false
  let over = false
  const reader = new ResponseReader()

  const tell = (sight: Sight): void => {
    if (over) return
    over = true
    socket.destroy()
    seen(sight)
  }
  const read = (reading: Reading): void => {
    if (reading) tell(judge(reading))
  }
  const socket =
    target.request === '' || !target.tls
      ? open(target, (piece) => read(reader.push(piece)))
      : openTls(target, trust)
  if (target.tls) socket.on('data', (piece: Buffer) => read(reader.push(piece)))

  socket.on(target.tls ? 'secureConnect' : 'connect', () => {
    connected = true
    if (target.request !== '') socket.write(target.request, 'latin1')
    else if (isItself(socket)) tell({ result: 'failed', why: 'refused', detail: 'nobody listens' })
    else tell({ result: 'passed' })
  })
  socket.on('error', (error) => tell(endingOf(error)))
  const ended = (): void => {
    if (reader.begun) read(reader.end())
    else
      tell({
        result: 'failed',
        why: 'reset',
        detail: 'the connection was closed without an answer',
      })
  }
  socket.on('end', ended)
  socket.on('close', ended)

  return {
    get progress() {
      if (!connected) return 'no connection'
      return reader.begun ? 'the answer was not complete' : 'no answer'
    },
    end() {
      over = true
      socket.destroy()
    },
  }
}

function open({ host, port }: Target, piece: (bytes: Uint8Array) => void): Socket {
  return connect({
    host,
    port,
    autoSelectFamily: isIP(host) === 0,
    onread: {
      buffer: PIECE,
      callback(count, bytes) {
        piece(bytes.subarray(0, count))
        return true
      },
    },
  })
}

/** On the loopback a connection to a port where nobody listens may meet itself, when the kernel gives it that very port. */
export function isItself(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress
}

function openTls({ host, port }: Target, { ca }: Trust): Socket {
  return connectTls({
    host,
    port,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca }),
  })
}

function judge(reading: NonNullable<Reading>): Sight {
  if (reading.invalid !== undefined)
    return { result: 'failed', why: 'invalid', detail: reading.invalid }
  const { status } = reading
  if (status >= 200 && status <= 299) return { result: 'passed', status }
  const redirect = status >= 300 && status <= 399 ? ': redirects are not followed' : ''
  return { result: 'failed', why: 'status', status, detail: `status ${status}${redirect}` }
}
