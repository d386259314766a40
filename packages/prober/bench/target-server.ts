/**
 * The targets of all probers: one process that listens on many ports of the loopback, answers everything with 200 and counts what it answered.
 * `node target-server.ts COUNT`: it tells its addresses and, when asked, how many requests it has answered so far.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n'
const body = '\r\n{"status":"ok"}\n'
/** Ports of one address: the kernel looks long for a free one when most of its range is taken. */
const each = 1_000
const targets: string[] = []
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
  const address = `127.0.0.${1 + Math.floor(index / each)}`
  server.listen(0, address)
  await once(server, 'listening')
  targets.push(`${address}:${(server.address() as AddressInfo).port}`)
}
process.on('disconnect', () => process.exit())
process.on('message', () => process.send?.({ answered }))
process.send?.(targets)
