import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { composeGateway, type RunningGateway } from '../src/compose.ts'
import { resolveConfig } from '../src/config.ts'

const RUNNER = `
  import { createServer } from 'node:http'
  createServer((request, response) => {
    if (request.url === '/.well-known/health-check') {
      if (process.env.DECLARED === '') return response.writeHead(404).end()
      return response.end(process.env.DECLARED)
    }
    if (request.url === '/fine') return response.writeHead(process.env.SICK === '1' ? 500 : 200).end()
    response.writeHead(Number(new URL(request.url, 'http://runner').searchParams.get('status') ?? 200)).end()
  }).listen(Number(process.env.PORT), '127.0.0.1')
`

type Line = Readonly<Record<string, unknown>>
const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

/** A composed gateway with one app whose runner declares `declared`; resolves lines by their event as they come. */
function start(
  declared: string,
  app: Record<string, unknown> = {},
  env: Record<string, string> = {},
): ReturnType<typeof startApp> {
  return startApp({
    command: [process.execPath, './runner.mjs'],
    env: { DECLARED: declared, ...env },
    startupTimeoutSeconds: 20,
    minConcurrency: 1,
    ...app,
  })
}

/** The same for any app. */
async function startApp(
  app: Record<string, unknown>,
): Promise<{ gateway: RunningGateway; line: (event: string) => Promise<Line> }> {
  const dir = mkdtempSync(join(tmpdir(), 'declaration-'))
  writeFileSync(join(dir, 'runner.mjs'), RUNNER)
  const config = resolveConfig(
    { listen: { host: '127.0.0.1', port: 0 }, dataDir: dir, apps: { 'demo/app': app } },
    join(dir, 'health.config.json'),
    {},
    { env: {}, cwd: dir, caller: dir },
  )
  const lines: Line[] = []
  const waiting = new Map<string, (line: Line) => void>()
  const gateway = await composeGateway({
    config,
    read: async () => config,
    version: '0.0.0',
    log: (line) => {
      lines.push(line)
      waiting.get(line.event)?.(line)
    },
  })
  ends.push(async () => {
    await gateway.stop()
    rmSync(dir, { recursive: true, force: true })
  })
  return {
    gateway,
    line: (event) => {
      const found = lines.find((each) => each['event'] === event)
      return found === undefined
        ? new Promise((resolve) => waiting.set(event, resolve))
        : Promise.resolve(found)
    },
  }
}

test('a declared health check counts where the configuration has none, and ends a runner that fails it', async () => {
  const { gateway, line } = await start(
    JSON.stringify({
      path: '/fine',
      method: 'GET',
      startPeriodSeconds: 0,
      intervalSeconds: 0.1,
      failureThreshold: 2,
    }),
    { startupTimeoutSeconds: 1 },
    { SICK: '1' },
  )
  expect(await line('declaration.read')).toMatchObject({
    app: 'demo/app',
    healthCheck: { path: '/fine' },
  })
  const ended = new Promise((resolve) => {
    gateway.supervisor.observe(({ decisions }) => {
      if (decisions.some(({ rule, to }) => rule === 'health.threshold' && to === 'stopping'))
        resolve(true)
    })
  })
  await ended
})

test('the configuration wins, and a difference is a warning that names both', async () => {
  const { gateway, line } = await start(JSON.stringify({ path: '/fine', failureThreshold: 7 }), {
    healthCheck: { path: '/fine', failureThreshold: 3 },
  })
  expect((await line('declaration.differs'))['text']).toContain(
    'failureThreshold 3 configured, 7 declared',
  )
  expect(gateway.supervisor.fleet.apps.get('demo/app')?.policy.failureThreshold).toBe(3)
})

test.for([
  ['failureThreshold', '{"path":"/fine","failureThreshold":0}'],
  ['surprise', '{"path":"/fine","surprise":1}'],
  ['path', '{"method":"GET"}'],
  ['not a JSON object', 'not json'],
  ['larger than', `{"path":"/${'x'.repeat(20_000)}"}`],
])('an invalid declaration is a warning and none: %s', async ([word, declared]) => {
  const { gateway, line } = await start(declared!)
  expect((await line('declaration.invalid'))['text']).toContain(word)
  expect(gateway.supervisor.fleet.apps.get('demo/app')?.policy.hasCheck).toBe(false)
})

test('many servers that come up together are asked a few at a time, each once', async () => {
  const SERVERS = 100
  const asked: (string | undefined)[] = []
  let now = 0
  let most = 0
  let all = (): void => {}
  const everyone = new Promise<void>((resolve) => (all = resolve))
  const server = createServer((request, response) => {
    if (request.url !== '/.well-known/health-check') return response.end()
    asked.push(request.headers.host)
    most = Math.max(most, ++now)
    setTimeout(() => {
      now--
      response.writeHead(404).end()
      if (asked.length === SERVERS) all()
    }, 50)
  }).listen(0, '127.0.0.1')
  ends.push(async () => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  // Every address of 127/8 is this machine, so that each server has one of its own.
  const others = Array.from({ length: SERVERS - 1 }, (_, n) => `127.0.0.${n + 2}`)
  for (const address of others) {
    const alias = createServer(server.listeners('request')[0] as RequestListener)
    alias.listen(port, address)
    ends.push(async () => void alias.close())
    await once(alias, 'listening')
  }
  const urls = ['127.0.0.1', ...others].map((address) => `http://${address}:${port}`)
  await startApp({ urls, maxMultiplexing: 1 })
  await everyone
  expect(new Set(asked).size).toBe(SERVERS)
  expect(asked).toHaveLength(SERVERS)
  expect(most).toBeLessThanOrEqual(32)
  expect(most).toBeGreaterThan(1)
})

test('a declaration that trickles in is none, and its connection is closed', async () => {
  let closed = (): void => {}
  const gone = new Promise<void>((resolve) => (closed = resolve))
  const server = createServer((request, response) => {
    if (request.url !== '/.well-known/health-check') return response.end()
    response.writeHead(200).write('{')
    const trickle = setInterval(() => response.write(' '), 200)
    response.on('close', () => {
      clearInterval(trickle)
      closed()
    })
  }).listen(0, '127.0.0.1')
  ends.push(async () => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const { line } = await startApp({ urls: [`http://127.0.0.1:${port}`] })
  expect((await line('declaration.invalid'))['text']).toContain('did not come within 2 s')
  await gone
})

test('503s of runners that were well a moment ago are told as misuse', async () => {
  const { gateway, line } = await start('', {
    healthCheck: { path: '/fine', intervalSeconds: 0.2 },
    startupTimeoutSeconds: 1,
  })
  for (let n = 0; n < 3; n++) {
    const checked = new Promise<void>((resolve) => {
      const forget = gateway.supervisor.observe(({ event }) => {
        if (event.type !== 'probe.passed' || event.kind !== 'regular') return
        forget()
        resolve()
      })
    })
    await checked
    expect((await fetch(`${gateway.url}/run/demo/app?status=503`)).status).toBe(503)
  }
  expect(await line('misuse.status_503')).toMatchObject({ app: 'demo/app', well: 3 })
})
