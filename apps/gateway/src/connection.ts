/**
 * Bounds the open connections: at the limit the one that has been idle longest is closed for the newcomer; when none is idle the
 * newcomer is. It never cuts a connection with a request on it.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** On an answer: its connection. The request forgets its own when somebody destroys its body, as undici does. */
const carrier = Symbol('carrier')
type Carried = ServerResponse & { [carrier]?: Socket }

/** Connections that carry no request, longest idle first. */
export function limitConnections(server: Server, limit: () => number, refused: () => void): void {
  const idle = new Set<Socket>()
  let open = 0
  server.on('connection', (socket) => {
    open++
    if (open > limit()) {
      refused()
      const [longest] = idle
      ;(longest ?? socket).destroy()
    }
    idle.add(socket)
    socket.once('close', () => {
      open--
      idle.delete(socket)
    })
  })
  // A WebSocket is never idle, however long it is silent.
  server.on('upgrade', ({ socket }: IncomingMessage) => void idle.delete(socket))
  function over(this: Carried): void {
    const socket = this[carrier]
    if (socket !== undefined && !socket.destroyed) idle.add(socket)
  }
  server.on('request', (request: IncomingMessage, response: Carried) => {
    idle.delete(request.socket)
    response[carrier] = request.socket
    // One listener for all: a closure for each request would be felt.
    response.on('close', over)
  })
}
