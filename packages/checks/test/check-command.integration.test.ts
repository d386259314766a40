import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  checkCommand,
  createCheckup,
  createEndpoints,
  nodeHandler,
  type CheckFunction,
} from '../src/index.ts'
import { closedPort, listen, type Stub } from './stub/server.ts'

const servers: Server[] = []
let hanging: Stub
beforeAll(async () => {
  hanging = await listen()
})
afterAll(async () => {
  await hanging[Symbol.asyncDispose]()
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

async function serve(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(handler)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const service = (checks: Record<string, CheckFunction>) =>
  serve((request, response) => {
    const checkup = createCheckup({ checks })
    nodeHandler(createEndpoints(checkup, { authorize: () => true }))(request, response)
  })

const says = (status: number, body: unknown) =>
  serve((_, response) => response.writeHead(status).end(JSON.stringify(body)))

async function run(...args: string[]) {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const code = await checkCommand(args, { out: write, error: write })
  return { code, text: lines.join('\n') }
}

const good = () => true
const bad = () => false

describe('exit codes and what is printed', () => {
  test.for<[string, () => Promise<string>, number, RegExp]>([
    [
      'healthy',
      async () => `${await service({ good })}/health`,
      0,
      /^healthy: .* answered 200 in \d+ ms$/,
    ],
    [
      'unhealthy',
      async () => `${await service({ good, database: bad, cache: bad })}/health`,
      4,
      /^unhealthy: .* answered 503 .*: database, cache$/,
    ],
    [
      'details, 200 with the status in the body',
      async () => `${await service({ database: bad })}/health/detailed`,
      4,
      /: database$/,
    ],
    ['not ready', async () => `${await service({ database: bad })}/ready`, 4, /: database$/],
    [
      'another’s words',
      () =>
        says(200, {
          status: 'DOWN',
          checks: [
            { name: 'db', status: 'DOWN' },
            { name: 'a', status: 'UP' },
          ],
        }),
      4,
      /: db$/,
    ],
    [
      'the draft’s',
      () => says(503, { status: 'fail', checks: { 'db:time': [{ status: 'fail' }] } }),
      4,
      /: db:time$/,
    ],
    [
      'Kubernetes’ lines',
      () =>
        serve((_, response) =>
          response
            .writeHead(500)
            .end('[+]ping ok\n[-]database failed: reason withheld\nhealthz check failed\n'),
        ),
      4,
      /: database$/,
    ],
    ['no JSON', () => says(500, 'broken'), 4, /answered 500 .*: status 500$/],
    ['a redirect', () => says(302, {}), 4, /: status 302$/],
    [
      'nobody there',
      async () => `http://127.0.0.1:${await closedPort()}/health`,
      2,
      /^cannot connect: .*: connection_refused after \d+ ms$/,
    ],
    ['no such name', async () => 'http://nowhere.invalid/health', 2, /: host_not_found after/],
  ])('%s', async ([, url, code, text]) => {
    const ended = await run(await url())
    expect(ended.text).toMatch(text)
    expect(ended.code).toBe(code)
  })

  test('no answer in time', async () => {
    const ended = await run(`http://127.0.0.1:${hanging.port}/`, '--timeout', '0.3')
    // It connected: the service is there, and not well.
    expect(ended.code).toBe(4)
    expect(ended.text).toMatch(/^unhealthy: .*: timeout after \d+ ms$/)
    await hanging.idle()
  })

  test('--docker knows 0 and 1 only', async () => {
    const [well, sick] = [await service({ good }), await service({ bad })]
    const gone = `http://127.0.0.1:${await closedPort()}`
    const codes = []
    for (const base of [well, sick, gone])
      codes.push((await run('--docker', `${base}/health`)).code)
    expect(codes).toEqual([0, 1, 1])
  })

  test.for([['--json'], ['--format', 'json']])('%j', async (flags) => {
    const url = `${await service({ database: bad })}/health`
    const { code, text } = await run(url, ...flags)
    expect(code).toBe(4)
    expect(JSON.parse(text)).toEqual({
      url,
      status: 503,
      healthy: false,
      latencyMs: expect.any(Number) as number,
      failed: ['database'],
    })
  })

  test('a password in the URL is used and never printed', async () => {
    const { text } = await run(`http://user:hunter2@127.0.0.1:${await closedPort()}/`, '--json')
    expect(text).not.toContain('hunter2')
  })
})

describe('usage', () => {
  test.for([
    [[], 'a URL is needed'],
    [['127.0.0.1:8080/health'], 'must begin with http'],
    [['file:///etc/passwd'], 'must begin with http'],
    [['http://a/', 'http://b/'], 'one URL at a time'],
    [['http://a/', '--timeout', '0'], '--timeout takes seconds'],
    [['http://a/', '--timeout', 'soon'], '--timeout takes seconds'],
    [['http://a/', '--format', 'xml'], '--format takes text or json'],
    [['http://a/', '--nonsense'], '--nonsense'],
  ] as const)('%j', async ([args, text]) => {
    const ended = await run(...args)
    expect(ended.code).toBe(1)
    expect(ended.text).toContain(text)
    expect(ended.text).toContain('Try: health check --help')
  })

  test('--help', async () => {
    const ended = await run('--help')
    expect(ended).toEqual({
      code: 0,
      text: expect.stringContaining('Exit codes: 0 healthy') as string,
    })
  })
})
