/**
 * The targets of all probers: one process that listens on many ports, answers everything with 200 and counts what it answered.
 * `node target-server.ts COUNT`: it tells its ports and, when asked, how many requests it has answered so far.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n'
const body = '\r\n{"status":"ok"}\n'
const ports: number[] = []
let answered = 0

for (let index = 0; index < Number(process.argv[2]); index++) {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (data) => {
      answered++
      if (data.includes('lose\r\n')) socket.end(`${head}Connection: close\r\n${body}`)
      else socket.write(head + body)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ports.push((server.address() as AddressInfo).port)
}
process.on('disconnect', () => process.exit())
process.on('message', () => process.send?.({ answered }))
process.send?.(ports)
