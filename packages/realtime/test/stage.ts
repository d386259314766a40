/** A channel on a real server of loopback, and clients that remember what they got. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import WebSocket, { type ClientOptions } from 'ws'
import { type Channel, type ChannelOptions, createChannel } from '../src/channel.ts'

export interface Stage extends AsyncDisposable {
  readonly channel: Channel
  readonly server: Server
  readonly port: number
  /** Objects of each topic, as a snapshot gives them. */
  readonly state: Record<string, object[]>
  client(options?: ClientOptions, path?: string): Client
}

/** `at`: a port that a stage before had; default: any that is free. */
export async function stage(options: Partial<ChannelOptions> = {}, at = 0): Promise<Stage> {
  const state: Record<string, object[]> = {}
  const channel = createChannel({ snapshot: (topic) => state[topic] ?? [], ...options })
  const server = createServer((request, response) => {
    const query = new URL(request.url!, 'http://any').searchParams
    const wrong = channel.stream(response, {
      topics: query.get('topics') ?? undefined,
      apps: query.get('apps') ?? undefined,
      since: query.get('since') ?? undefined,
      lastEventId: request.headers['last-event-id'] as string | undefined,
    })
    if (wrong !== null) response.writeHead(422).end(JSON.stringify(wrong))
  })
  server.on('upgrade', (request, socket, head) => channel.upgrade(request, socket, head))
  server.listen(at, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const clients: Client[] = []
  return {
    channel,
    server,
    port,
    state,
    client(clientOptions = {}, path = '/') {
      const made = new Client(`ws://127.0.0.1:${port}${path}`, clientOptions)
      clients.push(made)
      return made
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.socket.terminate()
      await channel.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export type Message = Record<string, any>

/** A client that remembers. */
export class Client {
  readonly socket: WebSocket
  readonly got: Message[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  #waiting = new Set<() => void>()

  constructor(url: string, options: ClientOptions) {
    this.socket = new WebSocket(url, options)
    this.socket.on('error', () => {})
    this.socket.on('message', (data: Buffer) => {
      this.got.push(JSON.parse(data.toString()) as Message)
      for (const look of this.#waiting) look()
    })
    this.closed = new Promise((resolve) =>
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    )
  }

  async open(): Promise<this> {
    await once(this.socket, 'open')
    return this
  }

  say(message: object): this {
    this.socket.send(JSON.stringify(message))
    return this
  }

  /** Resolves with all messages once there are this many. */
  async messages(count: number): Promise<readonly Message[]> {
    if (this.got.length < count)
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (this.got.length < count) return
          this.#waiting.delete(look)
          resolve()
        }
        this.#waiting.add(look)
      })
    return this.got
  }

  /** Resolves when everything said before has been dealt with. */
  async settled(): Promise<void> {
    const count = this.got.length
    this.say({ type: 'ping' })
    const pong = (): boolean => this.got.slice(count).some(({ type }) => type === 'pong')
    while (!pong()) await this.messages(this.got.length + 1)
    this.got.splice(
      this.got.findIndex(({ type }, i) => i >= count && type === 'pong'),
      1,
    )
  }
}

/** A plain socket that has shaken hands and reads only when told to. */
export async function rawClient(port: number, path = '/'): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  const [head] = (await once(socket, 'data')) as [Buffer]
  if (!head.toString().startsWith('HTTP/1.1 101')) throw new Error(head.toString())
  return socket
}

/** A text frame as a client sends it. */
export function masked(text: string): Buffer {
  const payload = Buffer.from(text)
  if (payload.length > 125) throw new Error('short texts only')
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}
