// The way to a server over real sockets: which connections are used again, what is heard when one fails, and how bodies flow.
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openRoute } from '../src/index.ts'
import { answering, ask, Ear, OK, open, send, serve } from './stage.ts'
import { samples, type Sample } from './sample.ts'

const big = 'x'.repeat(300_000)

describe('samples over a socket', () => {
  const cutOf = ({ expected, bytes }: Sample): string | null => {
    if (expected === 'unfinished')
      return bytes.includes('\r\n\r\n') && !bytes.startsWith('HTTP/1.1 100')
        ? 'incomplete'
        : 'disconnected'
    return expected === 'incomplete' || expected === 'head_too_large' ? expected : null
  }
  test.for(samples)('$expected: $name', async (sample) => {
    const server = await serve((socket, number) => {
      socket.once('data', () => {
        if (number > 1) return void socket.write(OK)
        socket.write(sample.bytes + (sample.extra ?? ''), 'latin1')
        if (sample.expected === 'at close' || sample.expected === 'unfinished') socket.end()
        else socket.once('data', () => socket.write(OK))
      })
    })
    const route = open(server.url)
    const ear = await ask(route, { method: sample.method ?? 'GET' })
    expect(ear.cut).toBe(cutOf(sample))
    expect(ear.body).toBe(sample.body ?? ear.body)
    const next = await ask(route)
    expect([next.cut, next.status, next.body]).toEqual([null, 200, 'ok'])
    expect(server.sockets.length).toBe(sample.expected === 'whole' && sample.kept !== false ? 1 : 2)
    expect(ear.late).toBe(0)
  })
})

describe('connections', () => {
  test('one after the other use one, at the same time each has its own', async () => {
    const server = await serve(answering(() => OK))
    const route = open(server.url)
    for (let n = 0; n < 3; n++) expect((await ask(route)).body).toBe('ok')
    expect(server.sockets.length).toBe(1)
    await Promise.all([ask(route), ask(route), ask(route)])
    expect(server.sockets.length).toBe(3)
  })

  test('more idle ones than allowed are closed', async () => {
    const server = await serve(answering(() => OK))
    const route = open(server.url, { maxIdle: 1 })
    await Promise.all([ask(route), ask(route)])
    await expect.poll(() => server.sockets.some((socket) => socket.closed)).toBe(true)
    await ask(route)
    expect(server.sockets.length).toBe(2)
  })

  test('an idle one is closed after its time', async () => {
    const server = await serve(answering(() => OK))
    const route = open(server.url, { idleMs: 20 })
    await ask(route)
    await expect.poll(() => server.sockets[0]!.closed).toBe(true)
    await ask(route)
    expect(server.sockets.length).toBe(2)
  })

  test('one that the server closed while idle is not used', async () => {
    const server = await serve(answering(() => OK))
    const route = open(server.url)
    await ask(route)
    server.sockets[0]!.end()
    await expect.poll(() => server.sockets[0]!.closed).toBe(true)
    expect((await ask(route)).body).toBe('ok')
    expect(server.sockets.length).toBe(2)
  })

  test('one that the server gave up while we could not hear it is not used', async () => {
    const gone = new Int32Array(new SharedArrayBuffer(4))
    // A thread of its own: it must close while this one stands still.
    const server = new Worker(impatientServer, { eval: true, workerData: { gone, answer: OK } })
    onTestFinished(async () => void (await server.terminate()))
    const [port] = (await once(server, 'message')) as [number]
    const route = open(`http://127.0.0.1:${port}`)
    expect((await ask(route)).body).toBe('ok')
    // From a timer on, so that what waits in the kernel is read after the request was made, in the same turn.
    await new Promise((resolve) => setTimeout(resolve, 1))
    Atomics.wait(gone, 0, 0, 5000)
    expect(Atomics.load(gone, 0)).toBe(1)
    const ear = await ask(route)
    expect([ear.cut, ear.status, ear.body]).toEqual([null, 200, 'ok'])
  })

  test('a server that closes idle ones without a word is not waited for that long again', async () => {
    const server = await serve(answering(() => OK))
    const route = open(server.url)
    await ask(route)
    await new Promise((resolve) => setTimeout(resolve, 500))
    server.sockets[0]!.end()
    await expect.poll(() => server.sockets[0]!.closed).toBe(true)
    await ask(route)
    await ask(route)
    expect(server.sockets.length).toBe(2)
    // More than half of the time after which the first was closed.
    await new Promise((resolve) => setTimeout(resolve, 400))
    await ask(route)
    expect(server.sockets.length).toBe(3)
  })

  test('one on which the server speaks unasked is cut', async () => {
    const server = await serve(answering(() => OK))
    const route = open(server.url)
    await ask(route)
    server.sockets[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
    await expect.poll(() => server.sockets[0]!.closed).toBe(true)
    expect((await ask(route)).body).toBe('ok')
  })

  test('a way takes http addresses alone', () => {
    expect(() => openRoute('https://127.0.0.1:1')).toThrow(TypeError)
  })
})

/** Answers the first request of a connection, closes it 50 ms later, and then says that it is gone. */
const impatientServer = `
  const { createServer } = require('node:net')
  const { parentPort, workerData } = require('node:worker_threads')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(workerData.answer)
      setTimeout(() => socket.end(() => {
        Atomics.store(workerData.gone, 0, 1)
        Atomics.notify(workerData.gone, 0)
      }), 50)
    })
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

describe('failures', () => {
  test('nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    expect((await ask(open(`http://127.0.0.1:${port}`))).cut).toBe('refused')
  })

  test('a name that does not exist', async () => {
    expect((await ask(open('http://nobody.invalid:1'))).cut).toBe('refused')
  })

  test.for([
    ['before anything', ''],
    ['within the head', 'HTTP/1.1 200 OK\r\nCont'],
  ])('a reset %s', async ([, said]) => {
    const server = await serve((socket) =>
      socket.once('data', () => socket.write(said!, () => socket.resetAndDestroy())),
    )
    expect((await ask(open(server.url))).cut).toBe('disconnected')
  })

  test('a reset within the body', async () => {
    const server = await serve((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'))
    })
    const { ear } = send(open(server.url))
    await expect.poll(() => ear.body).toBe('he')
    server.sockets[0]!.resetAndDestroy()
    expect((await ear.over).cut).toBe('incomplete')
  })

  test('a connection that is never made', async () => {
    const route = open('http://127.0.0.1:1', { connectMs: 0 })
    // Refused and too late are both possible; neither blames anything but the connection.
    expect(['refused', 'connect_timeout']).toContain((await ask(route)).cut)
  })

  test('what cannot be sent is said at once, and its body is not left waiting', () => {
    const body = new PassThrough()
    body.write('x')
    const { ear } = send(open('http://127.0.0.1:1'), { path: 'no path', body })
    expect(ear.cut).toBe('unsendable')
    expect(body.readableFlowing).toBe(true)
  })
})

describe('the end of it', () => {
  test('an aborted request is cut, and nothing is heard', async () => {
    const server = await serve((socket) => socket.resume())
    const { ear, flight } = send(open(server.url))
    await expect.poll(() => server.sockets.length).toBe(1)
    flight.abort()
    await expect.poll(() => server.sockets[0]!.closed).toBe(true)
    flight.resume()
    expect([ear.cut, ear.ended]).toEqual([null, false])
  })

  test('one aborted before this turn ends is never sent', async () => {
    const heard: string[] = []
    const server = await serve(answering((request) => (heard.push(request), OK)))
    const route = open(server.url)
    const { ear, flight } = send(route, { path: '/first' })
    flight.abort()
    expect((await ask(route, { path: '/second' })).body).toBe('ok')
    expect(heard.map((request) => request.split(' ')[1])).toEqual(['/second'])
    expect([ear.ended, ear.cut]).toEqual([false, null])
  })

  test('a way that is closed before this turn ends loses what was to be sent', async () => {
    const server = await serve(answering(() => OK))
    const route = open(server.url)
    const { ear } = send(route)
    route.close()
    expect((await ear.over).cut).toBe('disconnected')
    expect(server.sockets.length).toBe(0)
  })

  test('an abort from within the head or the data ends it there', async () => {
    for (const where of ['head', 'data'] as const) {
      const server = await serve(answering(() => OK))
      const ear = new Ear()
      const flight = open(server.url).send(
        { method: 'GET', path: '/', headers: [], body: null },
        {
          head: (status, headers) => {
            ear.head(status, headers)
            if (where === 'head') flight.abort()
          },
          data: (chunk) => {
            ear.data(chunk)
            flight.abort()
            return true
          },
          end: () => ear.end(),
          lost: (how) => ear.lost(how),
        },
      )
      await expect.poll(() => server.sockets.length).toBe(1)
      await expect.poll(() => server.sockets[0]!.closed).toBe(true)
      expect([ear.status, ear.body, ear.ended, ear.cut]).toEqual([
        200,
        where === 'head' ? '' : 'ok',
        false,
        null,
      ])
    }
  })

  test('an abort after the end does not cut the next request on the connection', async () => {
    const server = await serve(answering(() => OK))
    const route = open(server.url)
    const first = send(route)
    await first.ear.over
    const second = send(route)
    first.flight.abort()
    expect((await second.ear.over).body).toBe('ok')
    expect(server.sockets.length).toBe(1)
  })

  test('a closed way loses what is in flight, and takes nothing any more', async () => {
    const server = await serve(() => {})
    const route = open(server.url)
    const { ear } = send(route)
    await expect.poll(() => server.sockets.length).toBe(1)
    route.close()
    expect(ear.cut).toBeNull()
    expect((await ear.over).cut).toBe('disconnected')
    expect((await ask(route)).cut).toBe('disconnected')
  })
})

describe('flow', () => {
  test.for(['content-length', 'chunked'])(
    'a receiver that stops hears no more until it goes on: %s',
    async (how) => {
      const chunk = `${(100_000).toString(16)}\r\n${big.slice(0, 100_000)}\r\n`
      const answer =
        how === 'chunked'
          ? `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}0\r\n\r\n`
          : `HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n${big}`
      const server = await serve(answering(() => answer))
      const route = open(server.url)
      const { ear, flight } = send(route)
      let stopped = false
      let pieces = 0
      ear.goOn = () => {
        expect(stopped).toBe(false)
        pieces++
        stopped = true
        setImmediate(() => {
          expect(ear.ended).toBe(false)
          stopped = false
          flight.resume()
        })
        return false
      }
      await ear.over
      expect(ear.body).toBe(big)
      expect(pieces).toBeGreaterThan(2)
      await ask(route)
      expect(server.sockets.length).toBe(1)
    },
  )

  test('a slow reader stops the server', async () => {
    const server = await serve(() => {})
    const { ear, flight } = send(open(server.url))
    ear.goOn = () => false
    await expect.poll(() => server.sockets.length).toBe(1)
    const socket = server.sockets[0]!
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    for (let n = 0; n < 200; n++) socket.write(big)
    await expect.poll(() => ear.body.length).toBeGreaterThan(0)
    expect(ear.body.length).toBeLessThan(big.length)
    expect(socket.writableLength).toBeGreaterThan(1_000_000)
    flight.abort()
  })

  test('chunks that were read are the receiver’s to keep', async () => {
    const server = await serve(answering((request) => OK.replace('ok', request.slice(5, 7))))
    const route = open(server.url)
    const kept: Uint8Array[] = []
    for (const path of ['/ab', '/cd']) {
      const ear = new Ear()
      const receiver = {
        head: () => {},
        data: (chunk: Uint8Array) => kept.push(chunk) > 0,
        end: () => ear.end(),
        lost: () => {},
      }
      route.send({ method: 'GET', path, headers: [], body: null }, receiver)
      await ear.over
    }
    expect(kept.map((chunk) => Buffer.from(chunk).toString())).toEqual(['ab', 'cd'])
  })
})

describe('bodies', () => {
  const echo = answering((request) => {
    const body = request.slice(request.indexOf('\r\n\r\n') + 4)
    return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  })
  const streamOf = (...pieces: string[]): Readable =>
    Readable.from(pieces.map((piece) => Buffer.from(piece)))

  test.for<
    [name: string, body: () => Readable | Uint8Array, length: number | null, expected: string]
  >([
    ['a few bytes', () => Buffer.from('ab'), null, 'ab'],
    ['many bytes', () => Buffer.from(big), null, big],
    ['bytes of another kind', () => new Uint8Array([1, 97, 98]).subarray(1), null, 'ab'],
    ['a stream with a length', () => streamOf('a', 'b'), 2, 'ab'],
    ['a large stream with a length', () => streamOf(big), big.length, big],
    ['a stream in chunks', () => streamOf('a', 'bc'), null, '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n'],
    ['a large stream in chunks', () => streamOf(big), null, `493e0\r\n${big}\r\n0\r\n\r\n`],
    ['an empty stream in chunks', () => streamOf(), null, '0\r\n\r\n'],
    ['an empty stream of no length', () => streamOf(), 0, ''],
  ])('%s', async ([, body, length, expected]) => {
    const server = await serve(echo)
    const route = open(server.url)
    const headers = length === null ? [] : ['content-length', String(length)]
    for (let n = 0; n < 2; n++) {
      const ear = await ask(route, { method: 'POST', headers, body: body() })
      expect([ear.cut, ear.body]).toEqual([null, expected])
    }
    expect(server.sockets.length).toBe(1)
  })

  test('a stream is read no faster than the server takes it', async () => {
    const server = await serve((socket) => socket.pause())
    let read = 0
    const body = new Readable({
      read() {
        read++
        this.push(Buffer.alloc(65_536))
      },
    })
    const { flight } = send(open(server.url), { method: 'POST', body })
    await expect.poll(() => body.isPaused()).toBe(true)
    expect(read).toBeLessThan(2000)
    flight.abort()
    body.destroy()
  })

  test.for([
    ['shorter', 'a', 2],
    ['longer', 'abc', 2],
  ] as const)('a stream %s than announced cannot be sent', async ([, text, length]) => {
    const server = await serve(echo)
    const ear = await ask(open(server.url), {
      method: 'POST',
      headers: ['content-length', String(length)],
      body: streamOf(text),
    })
    expect(ear.cut).toBe('unsendable')
  })

  test('a stream that fails, or is gone already, cuts the connection', async () => {
    const server = await serve(() => {})
    const body = new PassThrough()
    const { ear } = send(open(server.url), { method: 'POST', body })
    body.write('x')
    await expect.poll(() => server.sockets.length).toBe(1)
    body.destroy(new Error('the caller left'))
    expect((await ear.over).cut).toBe('disconnected')
    const gone = new PassThrough()
    gone.destroy()
    expect((await ask(open(server.url), { method: 'POST', body: gone })).cut).toBe('disconnected')
  })

  test('an answer before the body was sent is whole; the connection is not used again, the stream is read to its end', async () => {
    const server = await serve((socket) => socket.once('data', () => socket.write(OK)))
    const route = open(server.url)
    const body = new PassThrough()
    body.write('the beginning')
    const ear = await ask(route, { method: 'POST', body })
    expect([ear.status, ear.body, ear.cut]).toEqual([200, 'ok', null])
    expect(body.destroyed).toBe(false)
    body.end(big)
    await once(body, 'end')
    await ask(route)
    expect(server.sockets.length).toBe(2)
  })

  test('an answer that came before a reset is heard, though the rest of the body could not be written', async () => {
    const body = new PassThrough()
    const server = await serve((socket) =>
      socket.once('data', () => {
        socket.write(OK)
        socket.resetAndDestroy()
        // In the same turn: it fails before anybody can have read the answer.
        body.write(big)
      }),
    )
    const sent = ask(open(server.url), { method: 'POST', body })
    body.write('the beginning')
    const ear = await sent
    expect([ear.status, ear.body, ear.cut]).toEqual([200, 'ok', null])
  })

  test('a body that could not be written and no answer is a cut', async () => {
    const body = new PassThrough()
    const server = await serve((socket) =>
      socket.once('data', () => {
        socket.resetAndDestroy()
        body.write(big)
      }),
    )
    const sent = ask(open(server.url), { method: 'POST', body })
    body.write('the beginning')
    expect((await sent).cut).toBe('disconnected')
  })

  test('the head goes out though the body is late', async () => {
    const server = await serve(() => {})
    const body = new PassThrough()
    send(open(server.url), { method: 'POST', body })
    await expect.poll(() => server.sockets.length).toBe(1)
    const [head] = (await once(server.sockets[0]!, 'data')) as [Buffer]
    expect(head.toString()).toContain('transfer-encoding: chunked')
    body.end()
  })
})
