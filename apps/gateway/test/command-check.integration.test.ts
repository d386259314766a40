// `health check URL` as the binary has it: the exit code that a script sees, and to whom the key goes. What counts as unhealthy is tested
// where it is decided, in `@health/checks`.
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { run, serve } from './terminal.ts'

describe('an answer', () => {
  test.for([
    [200, '{"status":"healthy"}', 0, []],
    [200, '{"status":"degraded"}', 0, []],
    [503, '{"status":"unhealthy","checks":{"db":{"status":"unhealthy"}}}', 4, ['db']],
    [200, '{"status":"unhealthy","checks":{"gpu":{"status":"unhealthy"}}}', 4, ['gpu']],
    [302, '', 4, ['status 302']],
  ] as const)('%i %s: exit %i', async ([status, body, code, failed]) => {
    await using server = await serve((_request, response) =>
      response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body),
    )
    const ran = await run(['check', `${server.url}/health`, '--json'])
    expect(ran.code).toBe(code)
    expect(JSON.parse(ran.out)).toEqual({
      url: `${server.url}/health`,
      status,
      healthy: code === 0,
      latencyMs: expect.any(Number) as number,
      failed,
    })
    expect((await run(['check', server.url, '--docker'])).code).toBe(code === 0 ? 0 : 1)
  })

  test('the key goes to our own gateway only', async () => {
    const seen: (string | undefined)[] = []
    await using server = await serve((request, response) => {
      seen.push(request.headers.authorization)
      response.end()
    })
    await run(['check', server.url], { env: { HEALTH_KEY: 'k', HEALTH_URL: server.url } })
    await run(['check', server.url], { env: { HEALTH_KEY: 'k' } })
    expect(seen).toEqual(['Key k', undefined])
  })
})

describe('no whole answer', () => {
  /** A server that does to each connection what it is told. */
  const listen = async (onSocket: (socket: Socket) => void) => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      onSocket(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  }
  const rows: readonly [string, (socket: Socket) => void][] = [
    ['silence', () => undefined],
    ['garbage', (socket) => socket.end('hello\r\n\r\n')],
    ['a reset', (socket) => socket.once('data', () => socket.resetAndDestroy())],
    [
      'half an answer',
      (socket) =>
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')),
    ],
  ]
  test.for(rows)('%s is unhealthy: exit 4', async ([, onSocket]) => {
    await using server = await listen(onSocket)
    const ran = await run(['check', server.url, '--timeout', '0.3'])
    expect(ran.err).toMatch(/^unhealthy: [^\n]+\n$/)
    expect(ran.code).toBe(4)
  })

  test('a closed port cannot be connected to: exit 2', async () => {
    const { url, [Symbol.asyncDispose]: close } = await listen(() => undefined)
    await close()
    const ran = await run(['check', url])
    expect(ran.err).toMatch(/^cannot connect: [^\n]+\n$/)
    expect(ran.code).toBe(2)
    expect((await run(['check', url, '--docker'])).code).toBe(1)
  })
})

test.for([
  [[]],
  [['localhost:8080']],
  [['http://h', 'more']],
  [['http://h', '--timeout', 'soon']],
  [['http://h', '--colour']],
] as const)('%j is refused in one line', async ([args]) => {
  const ran = await run(['check', ...args])
  expect(ran).toMatchObject({ code: 1, out: '' })
  expect(ran.err).toMatch(/^health check: [^\n]+\n$/)
})
