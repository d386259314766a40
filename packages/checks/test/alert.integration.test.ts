import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createCheckup, type AlertMessage, type AlertOptions, type Checkup } from '../src/index.ts'

let server: Server
let url = ''
let answers: number[] = []
let got: { message: AlertMessage; headers: IncomingMessage['headers'] }[] = []
let checkup: Checkup | null = null

beforeEach(async () => {
  answers = []
  got = []
  server = createServer((request, response) => {
    let text = ''
    request.on('data', (piece: Buffer) => (text += piece.toString()))
    request.on('end', () => {
      got.push({ message: JSON.parse(text) as AlertMessage, headers: request.headers })
      response.writeHead(answers.shift() ?? 204, { location: '/elsewhere' }).end()
      server.emit('told')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=hunter2`
})
afterEach(async () => {
  checkup?.close()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

/** A service whose health is switched by hand, and which is asked after each switch. */
async function service(alert: Omit<AlertOptions, 'url'>, given: { good: boolean }) {
  const lines: object[] = []
  const log = { info: () => undefined, warn: (line: object) => void lines.push(line) }
  const made = createCheckup({
    version: '1.2.3',
    checks: { database: { check: () => given.good, cacheSeconds: 0, failureCacheSeconds: 0 } },
    alert: { url, ...alert },
    log,
  })
  checkup = made
  const become = async (good: boolean) => {
    given.good = good
    await made.report()
  }
  await made.report()
  return { become, lines }
}

describe('the webhook', () => {
  test('tells status, cause and version, with the headers given; nothing at a healthy start', async () => {
    const { become } = await service({ headers: { authorization: 'Bearer key' } }, { good: true })
    const told = once(server, 'told')
    await become(false)
    await told
    expect(got).toHaveLength(1)
    expect(got[0]?.headers.authorization).toBe('Bearer key')
    expect(got[0]?.message).toEqual({
      status: 'unhealthy',
      previous: 'healthy',
      checks: [{ name: 'database', status: 'unhealthy', error: 'failed' }],
      version: '1.2.3',
      timestamp: expect.stringMatching(/Z$/) as string,
    })
  })

  test('a service that is unhealthy from the start is told of', async () => {
    const told = once(server, 'told')
    await service({}, { good: false })
    await told
    expect(got[0]?.message).toMatchObject({ status: 'unhealthy', previous: 'healthy' })
  })

  test('a flapping service tells once, and at the end of the span where it stands then', async () => {
    const { become } = await service({ spanSeconds: 0.5 }, { good: true })
    const first = once(server, 'told')
    await become(false)
    await first
    const second = once(server, 'told')
    for (const good of [true, false, true, false, true]) await become(good)
    expect(got).toHaveLength(1)
    await second
    expect(got.map(({ message }) => message.status)).toEqual(['unhealthy', 'healthy'])
  })

  test('back where it was at the end of the span, there is nothing to tell', async () => {
    const { become } = await service({ spanSeconds: 0.2 }, { good: true })
    const first = once(server, 'told')
    await become(false)
    await first
    for (const good of [true, false]) await become(good)
    // The span ends, silently; then a real change is told at once.
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(got).toHaveLength(1)
    const next = once(server, 'told')
    await become(true)
    await next
    expect(got.map(({ message }) => message.status)).toEqual(['unhealthy', 'healthy'])
  })

  test('is tried again; a redirect is not followed', async () => {
    answers = [500, 302, 200]
    const { become } = await service({ tries: 3 }, { good: true })
    await become(false)
    await expect.poll(() => got.length, { timeout: 30_000 }).toBe(3)
  })

  test('that cannot be reached is one log line, which does not say where it was', async () => {
    answers = [500]
    const { become, lines } = await service({ tries: 1 }, { good: true })
    await become(false)
    await expect
      .poll(() => lines.filter((line) => 'event' in line && line.event === 'alert.failed'))
      .toHaveLength(1)
    expect(JSON.stringify(lines)).not.toMatch(/hunter2|127\.0\.0\.1/)
  })
})

test.for([
  [{ url: 'ftp://x' }, 'alert.url'],
  [{ url: 'nonsense' }, 'alert.url'],
  [{ url: 'http://x', spanSeconds: 0 }, 'alert.spanSeconds'],
  [{ url: 'http://x', tries: 0 }, 'alert.tries'],
  [{ url: 'http://x', span: 5 } as never, 'alert.span does not exist'],
] as const)('%j is refused', ([alert, text]) => {
  expect(() => createCheckup({ alert })).toThrow(text)
})
