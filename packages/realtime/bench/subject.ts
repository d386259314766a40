/** The servers that are compared, each in a process of its own: told by messages what to broadcast and what to measure. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { createChannel } from '../src/channel.ts'
import { Frame } from '../src/frame.ts'
import type { Entry } from './load.ts'
import { peerFolder } from './peer.ts'

/** A way to reach everybody. */
interface Subject {
  /** Default `/`. */
  readonly path?: string
  /** What a subscriber says first. */
  readonly hello: string
  /** Bytes on the wire of one event for one subscriber. */
  readonly frameBytes: number
  upgrade?(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Sends events, all in this turn. */
  broadcast(events: readonly object[]): void
}

const SEQ = 1_795_254_329_377_000
/** An event as the channel writes it, so that all send the same. */
const messageOf = (data: object): object => ({
  type: 'event',
  seq: SEQ,
  topic: 'runners',
  at: '2026-01-01T00:00:00.000Z',
  data,
})
const textOf = (data: object): string => JSON.stringify(messageOf(data))
const bytesOf = (text: string): number => new Frame(text, null).on('websocket').length
/** One event, about as long as a runner. */
const event = (n: number): object => ({ n: 1_000_000 + n, text: 'x'.repeat(200) })

/** Bytes of a frame of one event. */
export const frameBytes: number = bytesOf(textOf(event(0)))
const SUBSCRIBE = '{"type":"subscribe","topics":["runners"]}'

/** Its pings stay out of the count, and nobody here would answer them. */
function channel(): Subject {
  const made = createChannel({ snapshot: () => [], firstSeq: SEQ, heartbeatMs: 600_000 })
  return {
    hello: SUBSCRIBE,
    frameBytes,
    upgrade: (request, socket, head) => made.upgrade(request, socket, head),
    broadcast(events) {
      for (const each of events) made.publish('runners', null, each)
    },
  }
}

function ws(preframed: boolean): Subject {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const clients = new Map<WebSocket, Duplex>()
  return {
    hello: SUBSCRIBE,
    frameBytes,
    upgrade(request, socket, head) {
      server.handleUpgrade(request, socket, head, (client) => {
        clients.set(client, socket)
        client.on('message', () => {})
        client.on('close', () => clients.delete(client))
        client.on('error', () => {})
      })
    },
    broadcast(events) {
      for (const each of events) {
        const text = textOf(each)
        if (preframed) {
          const bytes = new Frame(text, null).on('websocket')
          for (const socket of clients.values()) socket.write(bytes)
        } else for (const client of clients.keys()) client.send(text)
      }
    },
  }
}

function raw(): Subject {
  const sockets = new Set<Duplex>()
  return {
    hello: SUBSCRIBE,
    frameBytes,
    upgrade(request, socket) {
      const accept = createHash('sha1')
        .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64')
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      )
      sockets.add(socket)
      socket.on('data', () => {})
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    },
    broadcast(events) {
      for (const each of events) {
        const bytes = new Frame(textOf(each), null).on('websocket')
        for (const socket of sockets) socket.write(bytes)
      }
    },
  }
}

/** socket.io as its manual shows it, over WebSocket alone; its pings stay out of the count, too. */
function socketIo(http: Server): Subject {
  const { Server: Io } = createRequire(join(peerFolder, 'package.json'))('socket.io') as {
    Server: new (http: Server, options: object) => { emit(name: string, message: object): void }
  }
  const io = new Io(http, {
    transports: ['websocket'],
    serveClient: false,
    pingInterval: 600_000,
    pingTimeout: 600_000,
  })
  return {
    path: '/socket.io/?EIO=4&transport=websocket',
    hello: '40',
    frameBytes: bytesOf(`42${JSON.stringify(['event', messageOf(event(0))])}`),
    broadcast(events) {
      for (const each of events) io.emit('event', messageOf(each))
    },
  }
}

/** Name of the one that is not a part of this workspace. */
export const PEER = 'socket.io'
/** Every subject by its name; ours first, then what it is compared with. */
export const subjects: Readonly<Record<string, (http: Server) => Subject>> = {
  channel,
  ws: () => ws(false),
  'ws, pre-framed': () => ws(true),
  'raw sockets, pre-framed': raw,
  [PEER]: socketIo,
}

/** What a server is told. */
export type Order =
  | { readonly do: 'broadcast'; readonly count: number }
  | { readonly do: 'clock' }
  | { readonly do: 'weigh' }
/** What a server says when it is ready. */
export interface Ready extends Entry {
  readonly frameBytes: number
}
/** What a server answers to `clock`: CPU in µs. It collects no garbage that is not collected anyway. */
export interface Clocked {
  readonly user: number
  readonly system: number
}
/** What a server answers to `weigh`, in bytes, after everything that can go is gone. */
export interface Weighed {
  /** What the process has. */
  readonly rss: number
  /** What of it is in use, on the heap and outside. */
  readonly used: number
}

function weigh(): Weighed {
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, used: heapUsed + external }
}

/** Serves one subject until its parent leaves. */
export function serve(name: string): void {
  const server = createServer()
  const subject = subjects[name]!(server)
  const { path = '/', hello } = subject
  if (subject.upgrade !== undefined)
    server.on('upgrade', (request, socket, head) => subject.upgrade!(request, socket, head))
  server.listen({ port: 0, host: '127.0.0.1', backlog: 10_000 }, () => {
    const { port } = server.address() as AddressInfo
    const ready: Ready = { port, path, hello, frameBytes: subject.frameBytes }
    process.send!(ready)
  })
  let n = 0
  process.on('message', (order: Order) => {
    if (order.do === 'clock') return void process.send!(process.cpuUsage())
    if (order.do === 'weigh') return void process.send!(weigh())
    subject.broadcast(Array.from({ length: order.count }, () => event(n++ % 1_000_000)))
  })
  process.on('disconnect', () => process.exit())
}
