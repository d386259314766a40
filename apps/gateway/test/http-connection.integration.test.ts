// The number of connections is bounded: idle ones make room, busy ones are never cut.
import { createServer, get, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { limitConnections } from '../src/connection.ts'

let server: Server
let port: number
let refused: number
let answers: (() => void)[]
const sockets: Socket[] = []
beforeEach(async () => {
  refused = 0
  answers = []
  server = createServer((request, response) => {
    if (request.url === '/slow') answers.push(() => response.end('slow'))
    else response.end('ok')
  })
  limitConnections(
    server,
    () => 2,
    () => refused++,
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  server.closeAllConnections()
  server.close()
})

const open = async (): Promise<Socket> => {
  const seen = once(server, 'connection')
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  sockets.push(socket)
  await seen
  return socket
}
const ask = async (socket: Socket, path: string): Promise<void> => {
  const seen = once(server, 'request')
  socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`)
  await seen
}

test('at the limit the longest idle connection is closed for the new one', async () => {
  const first = await open()
  const second = await open()
  // The first was used last.
  await ask(first, '/')
  await once(first, 'data')
  const closed = once(second, 'close')
  const third = await open()
  await closed
  await ask(third, '/')
  expect(String(await once(third, 'data'))).toContain('200')
  expect([refused, first.destroyed]).toEqual([1, false])
})

test('when all are busy the new one is closed, and they go on', async () => {
  for (const socket of [await open(), await open()]) await ask(socket, '/slow')
  const third = await open()
  await once(third, 'close')
  for (const answer of answers) answer()
  expect(String((await once(sockets[0]!, 'data'))[0])).toContain('slow')
  expect(refused).toBe(1)
})

test('room comes back', async () => {
  for (let i = 0; i < 5; i++) {
    const status = await new Promise((resolve, reject) => {
      get({ port, host: '127.0.0.1', agent: false }, (response) =>
        response.resume().on('end', () => resolve(response.statusCode)),
      ).on('error', reject)
    })
    expect(status).toBe(200)
  }
})

test('a request that has lost its socket gives its connection back all the same', async () => {
  // What undici does to a request whose body it was given, once it has sent it.
  server.once('request', (request) => {
    Object.assign(request, { socket: null })
    request.destroy()
  })
  const first = await open()
  await ask(first, '/slow')
  answers[0]!()
  expect(String(await once(first, 'data'))).toContain('slow')
  await open()
  const closed = once(first, 'close')
  await open()
  await closed
  expect(refused).toBe(1)
})
