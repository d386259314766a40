/**
 * What happens to a body that is still coming when its answer is out, as a refusal often is: it is read and thrown away for a
 * while. To close at once would reset the connection, and take the answer from a caller who is still sending.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Lanes } from './lane.ts'

/** How long the rest of a body may take, in ms; then the connection is closed. */
export const LINGER_MS = 5000

/** Watches one request, before anything answers it. */
export type Linger = (request: IncomingMessage, response: ServerResponse) => void

/** What watches the requests of a server; those without a body need nothing. */
export function createLinger(lanes: Lanes): Linger {
  return (request, response) => {
    const { headers, socket } = request
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined)
      return
    response.on('prefinish', () => {
      if (request.complete || socket.destroyed) return
      // Node closes both ways after an answer that says `connection: close`; ours only.
      const closing = (): void => {
        socket.end()
        request.once('end', () => socket.destroy())
      }
      socket.destroySoon = closing
      // Whoever read it has stopped, and what was told to stop with it reads no more.
      request.unpipe()
      request.resume()
      const wait = lanes.wait(LINGER_MS, () => {
        if (!request.complete) socket.destroy()
      })
      request.once('close', () => {
        wait.cancel()
        // The next request of this connection has an end of its own.
        if (socket.destroySoon === closing) Reflect.deleteProperty(socket, 'destroySoon')
      })
    })
  }
}
