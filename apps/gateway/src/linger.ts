/**
 * What happens to a body that is still coming when its answer is out, as a refusal often is: it is read and thrown away for a
 * while. To close at once would reset the connection, and take the answer from a caller who is still sending.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Lanes } from './lane.ts'

/** How long the rest of a body may take, in ms; then the connection is closed. */
export const LINGER_MS = 5000

/** Watches the requests of a server that have a body. */
export function lingerAfterAnswers(server: Server, lanes: Lanes): void {
  // Before whoever answers: some refuse at once.
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const { headers, socket } = request
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined)
      return
    response.on('prefinish', () => {
      if (request.complete || socket.destroyed) return
      // Node closes both ways after an answer that says `connection: close`; ours only.
      socket.destroySoon = () => {
        socket.end()
        request.once('end', () => socket.destroy())
      }
      // Whoever read it has stopped, and what was told to stop with it reads no more.
      request.unpipe()
      request.resume()
      const wait = lanes.wait(LINGER_MS, () => {
        if (!request.complete) socket.destroy()
      })
      request.once('close', () => wait.cancel())
    })
  })
}
