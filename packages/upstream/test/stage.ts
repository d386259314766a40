/** What the tests of a way need: servers that say exactly what a test writes, and a receiver that remembers. */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import {
  openRoute,
  type Cut,
  type Flight,
  type Outgoing,
  type Receiver,
  type Route,
  type RouteOptions,
} from '../src/index.ts'

/** A server of raw sockets. */
export interface RawServer {
  readonly url: string
  /** Every connection so far. */
  readonly sockets: readonly Socket[]
}

/** Calls `connected` for each connection; all end with the test. */
export async function serve(
  connected: (socket: Socket, number: number) => void,
): Promise<RawServer> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    sockets.push(socket)
    connected(socket, sockets.length)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
}

/** Answers each request, whose head and body have come, with what `answer` gives. */
export const answering =
  (answer: (request: string, number: number) => string | null) =>
  (socket: Socket): void => {
    let text = ''
    let number = 0
    socket.on('data', (piece) => {
      text += piece.toString('latin1')
      for (let end = endOf(text); end !== -1; end = endOf(text)) {
        const said = answer(text.slice(0, end), ++number)
        text = text.slice(end)
        if (said !== null) socket.write(said, 'latin1')
      }
    })
  }

/** Where the first whole request in `text` ends; -1: not yet. */
function endOf(text: string): number {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return -1
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(text.slice(0, head + 2))) {
    const last = text.indexOf('0\r\n\r\n', head)
    return last === -1 ? -1 : last + 5
  }
  const end = head + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1] ?? 0)
  return text.length >= end ? end : -1
}

/** A way that is closed with the test. */
export function open(url: string, options: RouteOptions = {}): Route {
  const route = openRoute(url, options)
  onTestFinished(() => route.close())
  return route
}

/** What came of a request. */
export class Ear implements Receiver {
  status: number | null = null
  headers: readonly string[] = []
  body = ''
  ended = false
  cut: Cut | null = null
  /** How many things were heard after the end; must stay 0. */
  late = 0
  /** Asked after each piece of data whether to go on. */
  goOn: () => boolean = () => true
  readonly over: Promise<this>
  readonly #settle: (ear: this) => void

  constructor() {
    const { promise, resolve } = Promise.withResolvers<this>()
    this.over = promise
    this.#settle = resolve
  }

  get #isOver(): boolean {
    if (!this.ended && this.cut === null) return false
    this.late++
    return true
  }

  head(status: number, headers: readonly string[]): void {
    if (this.#isOver) return
    this.status = status
    this.headers = headers
  }

  data(chunk: Uint8Array): boolean {
    if (this.#isOver) return true
    this.body += Buffer.from(chunk).toString('latin1')
    return this.goOn()
  }

  end(): void {
    if (this.#isOver) return
    this.ended = true
    this.#settle(this)
  }

  lost(how: Cut): void {
    if (this.#isOver) return
    this.cut = how
    this.#settle(this)
  }
}

/** A request with its ear. */
export function send(route: Route, request: Partial<Outgoing> = {}): { ear: Ear; flight: Flight } {
  const ear = new Ear()
  const flight = route.send({ method: 'GET', path: '/', headers: [], body: null, ...request }, ear)
  return { ear, flight }
}

/** Sends, and waits for what comes of it. */
export const ask = (route: Route, request: Partial<Outgoing> = {}): Promise<Ear> =>
  send(route, request).ear.over

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
