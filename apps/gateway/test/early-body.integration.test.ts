// A body that comes with its head is had at once, every other one as a stream; either way it is the same body, and the connection goes on.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFleet, step } from '@health/core'
import { Incoming, SHORT_BYTES, takeShort } from '../src/early-body.ts'
import { createFront } from '../src/front.ts'
import type { Gateway } from '../src/gateway.ts'

let server: Server
let port: number
/** How each body was had, in order; what was left of its request. */
let seen: string[]
let left: string[]
let requests: IncomingMessage[]

beforeEach(async () => {
  seen = []
  left = []
  requests = []
  server = createServer({ IncomingMessage: Incoming }, (request, response) => {
    requests.push(request)
    response.on('close', () =>
      left.push(`${request.url} ${request.complete ? 'whole' : 'part'} ${request.aborted}`),
    )
    takeShort(request, (body) => {
      if (body !== null) {
        seen.push(`${request.url} early`)
        return void response.end(`${request.url} ${body.toString('latin1')}`, 'latin1')
      }
      seen.push(`${request.url} stream`)
      // As whoever refuses a call does.
      if (request.url === '/refused')
        return void response.writeHead(404, { 'content-length': 2 }).end('no')
      let text = ''
      request.on('data', (piece) => (text += piece))
      request.on('error', () => {})
      request.on('end', () => response.end(`${request.url} ${text}`))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

/** Writes the pieces one after the other, each when the server has read the one before; answers all that is answered. */
async function say(pieces: readonly string[], answers: number): Promise<string[]> {
  const socket = connect(port, '127.0.0.1').setNoDelay()
  socket.on('error', () => {})
  let text = ''
  socket.on('data', (piece) => (text += piece.toString('latin1')))
  for (const [at, piece] of pieces.entries()) {
    socket.write(piece, 'latin1')
    // The server is in this thread: it reads before we go on.
    if (at < pieces.length - 1) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const bodies = (): string[] =>
    text
      .split(/HTTP\/1\.1 \d+ [^\r]*\r\n/)
      .slice(1)
      .map((answer) => answer.slice(answer.indexOf('\r\n\r\n') + 4))
  await expect.poll(() => bodies().length).toBe(answers)
  socket.destroy()
  return bodies()
}

const post = (path: string, body: string, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\n${more}content-length: ${body.length}\r\n\r\n${body}`
const chunked = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const [long, tooLong] = ['y'.repeat(40_000), 'z'.repeat(SHORT_BYTES + 1)]

test.for<{ name: string; pieces: string[]; how: string[]; bodies: string[] }>([
  { name: 'in one piece', pieces: [post('/a', 'one')], how: ['/a early'], bodies: ['/a one'] },
  {
    name: 'bytes that are no text',
    pieces: [post('/a', '\x00\xff')],
    how: ['/a early'],
    bodies: ['/a \x00\xff'],
  },
  {
    name: 'two of one connection in one piece',
    pieces: [post('/a', 'one') + post('/b', 'two')],
    how: ['/a early', '/b early'],
    bodies: ['/a one', '/b two'],
  },
  {
    name: 'one after the other on one connection',
    pieces: [post('/a', 'one'), post('/b', 'two')],
    how: ['/a early', '/b early'],
    bodies: ['/a one', '/b two'],
  },
  {
    name: 'the body after the head',
    pieces: [post('/a', 'one').slice(0, -3), 'one'],
    how: ['/a stream'],
    bodies: ['/a one'],
  },
  {
    name: 'a part of the body with the head',
    pieces: [post('/a', 'onetwo').slice(0, -3), 't', 'wo'],
    how: ['/a stream'],
    bodies: ['/a onetwo'],
  },
  {
    name: 'a whole one, then a part',
    pieces: [post('/a', 'one') + post('/b', 'two').slice(0, -2), 'wo'],
    how: ['/a early', '/b stream'],
    bodies: ['/a one', '/b two'],
  },
  {
    name: 'the head in two',
    pieces: [post('/a', 'one').slice(0, 20), post('/a', 'one').slice(20)],
    how: ['/a early'],
    bodies: ['/a one'],
  },
  { name: 'chunks', pieces: [chunked('/a', 'one')], how: ['/a stream'], bodies: ['/a one'] },
  {
    name: 'a go-ahead asked for',
    pieces: [post('/a', 'one', 'expect: 100-continue\r\n')],
    how: ['/a stream'],
    bodies: ['', '/a one'],
  },
  {
    name: 'no body',
    pieces: ['POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n'],
    how: ['/a stream'],
    bodies: ['/a '],
  },
])('$name', async ({ pieces, how, bodies }) => {
  expect(await say(pieces, bodies.length)).toEqual(bodies)
  expect(seen).toEqual(how)
  await expect.poll(() => left.length).toBe(how.length)
  expect(left).toEqual(how.map((one) => `${one.split(' ')[0]} whole false`))
})

test('what is refused before its body is here leaves the connection to the next one', async () => {
  const pieces = [post('/refused', 'onetwo').slice(0, -3), `two${post('/b', 'next')}`]
  expect(await say(pieces, 2)).toEqual(['no', '/b next'])
  expect(seen).toEqual(['/refused stream', '/b early'])
})

test('a longer one comes through, however many reads it takes', async () => {
  expect(await say([post('/a', long), post('/b', long)], 2)).toEqual([`/a ${long}`, `/b ${long}`])
  expect(await say([post('/c', tooLong)], 1)).toEqual([`/c ${tooLong}`])
  expect(seen.at(-1)).toBe('/c stream')
})

test('a caller who leaves in the middle of its body is seen to have left', async () => {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(post('/a', 'onetwo').slice(0, -3))
  await expect.poll(() => seen).toEqual(['/a stream'])
  socket.destroy()
  await expect.poll(() => left).toEqual(['/a part true'])
})

test('a request whose body was had is let go of by its connection', async () => {
  const socket = connect(port, '127.0.0.1')
  socket.write(post('/a', 'one'))
  await once(socket, 'data')
  const [request] = requests
  expect([request!.readableEnded, request!.complete, request!.aborted]).toEqual([true, true, false])
  const { parser } = request!.socket as unknown as { parser: { incoming: unknown } }
  await expect.poll(() => parser.incoming).toBe(null)
  socket.destroy()
})

test('a call that finds a fault of ours loses its connection, and nothing else', async () => {
  const fleet = createFleet({}, { seed: 1 })
  step(fleet, { type: 'app.configured', at: 0, app: 'a/b', options: {}, policy: {}, revision: '1' })
  const told: string[] = []
  const broken = {
    enter(): never {
      throw new Error('the line is broken')
    },
    leave: () => true,
  }
  const gateway = {
    fleet,
    lines: { of: () => broken },
    gate: { isOpen: true, caller: () => ({ owner: 'x' }) },
    config: () => ({ limits: { bodyBytes: 1000 } }),
    clock: { now: () => 0 },
    metrics: { request: () => {} },
    closing: () => false,
  } as unknown as Gateway
  const front = createFront(
    gateway,
    () => {},
    (_id, error) => (told.push(String(error)), { status: 500, errorType: 'x', detail: 'x' }),
  )
  server.removeAllListeners('request').on('request', front)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(post('/run/a/b/c', 'one'))
  await once(socket, 'close')
  expect(told).toEqual(['Error: the line is broken'])
})
