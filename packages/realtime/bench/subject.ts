/** The servers that are compared, each in a process of its own: told by messages what to broadcast and what to measure. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { createChannel } from '../src/channel.ts'
import { Frame } from '../src/frame.ts'

/** A way to reach everybody. */
interface Subject {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Sends events, all in this turn. */
  broadcast(events: readonly object[]): void
}

/** The text of an event as long as the channel's own, so that all send the same bytes. */
const textOf = (data: object): string =>
  `{"type":"event","seq":1795254329377000,"topic":"runners","at":"2026-01-01T00:00:00.000Z","data":${JSON.stringify(data)}}`

function channel(): Subject {
  const made = createChannel({ snapshot: () => [], firstSeq: 1_795_254_329_377_000 })
  return {
    upgrade: (request, socket, head) => made.upgrade(request, socket, head),
    broadcast(events) {
      for (const event of events) made.publish('runners', null, event)
    },
  }
}

function ws(preframed: boolean): Subject {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const clients = new Map<WebSocket, Duplex>()
  return {
    upgrade(request, socket, head) {
      server.handleUpgrade(request, socket, head, (client) => {
        clients.set(client, socket)
        client.on('message', () => {})
        client.on('close', () => clients.delete(client))
        client.on('error', () => {})
      })
    },
    broadcast(events) {
      for (const event of events) {
        const text = textOf(event)
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
      for (const event of events) {
        const bytes = new Frame(textOf(event), null).on('websocket')
        for (const socket of sockets) socket.write(bytes)
      }
    },
  }
}

/** Every subject by its name. */
export const subjects: Readonly<Record<string, () => Subject>> = {
  channel,
  ws: () => ws(false),
  'ws, pre-framed': () => ws(true),
  'raw sockets, pre-framed': raw,
}

/** One event, about as long as a runner. */
const event = (n: number): object => ({ n: 1_000_000 + n, text: 'x'.repeat(200) })

/** Bytes of a frame of one event. */
export const frameBytes: number = new Frame(textOf(event(0)), null).on('websocket').length

/** What a server is told. */
export type Order =
  | { readonly do: 'broadcast'; readonly count: number }
  | { readonly do: 'measure' }

const memory = (): number => {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().rss
}

/** Serves one subject until its parent leaves. */
export function serve(name: string): void {
  const subject = subjects[name]!()
  const server = createServer()
  server.on('upgrade', (request, socket, head) => subject.upgrade(request, socket, head))
  server.listen({ port: 0, host: '127.0.0.1', backlog: 10_000 }, () =>
    process.send!({ port: (server.address() as AddressInfo).port, rss: memory() }),
  )
  let n = 0
  process.on('message', (order: Order) => {
    if (order.do === 'measure') {
      const { user, system } = process.cpuUsage()
      return void process.send!({ cpu: user + system, rss: memory() })
    }
    subject.broadcast(Array.from({ length: order.count }, () => event(n++ % 1_000_000)))
  })
  process.on('disconnect', () => process.exit())
}
