/** Many subscribers in one process: plain sockets that count bytes, so that the reader costs as little as it can. */
import { connect } from 'node:net'
import { masked } from '../test/stage.ts'

/** How one becomes a subscriber of a server. */
export interface Entry {
  readonly port: number
  /** Path of the upgrade. */
  readonly path: string
  /** The frame that makes a subscriber of a connection. */
  readonly hello: string
}

const AT_ONCE = 200

/** Connects `count` subscribers, then answers each `{ bytes }` when everybody together has received that many. */
export async function subscribe({ port, path, hello }: Entry, count: number): Promise<void> {
  const greeting = masked(hello)
  let received = 0
  let wanted = Number.POSITIVE_INFINITY
  const look = (): void => {
    if (received < wanted) return
    received -= wanted
    wanted = Number.POSITIVE_INFINITY
    process.send!('received')
  }
  const open = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
        ),
      )
      socket.once('error', reject)
      socket.once('data', () => {
        socket.write(greeting)
        socket.on('data', (chunk: Buffer) => {
          received += chunk.length
          look()
        })
        resolve()
      })
    })
  for (let done = 0; done < count; done += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - done) }, open))
  // Some servers answer a greeting; nobody counts that.
  await new Promise((resolve) => setTimeout(resolve, 500))
  received = 0
  process.on('message', ({ bytes }: { bytes: number }) => {
    wanted = bytes
    look()
  })
  process.on('disconnect', () => process.exit())
  process.send!('connected')
}
