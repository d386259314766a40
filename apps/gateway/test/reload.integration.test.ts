/** A configuration that is read again: what is wrong changes nothing and says so, keys count at once, and no request is lost to an app that comes and goes. */
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { call, startGateway, until, type GatewayProcess } from './gateway-process.ts'

const RUNNER = `
import { createServer } from 'node:http'
createServer((request, response) => {
  request.resume().on('end', () => setTimeout(() => response.end('{"ok":true}'), 5))
}).listen(process.env.PORT, '127.0.0.1')
`
const post = { method: 'POST' } as const

/** A gateway with a configuration file that a test rewrites. */
class Stage implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'health-reload-'))
  readonly file: string = join(this.folder, 'health.config.json')
  gateway: GatewayProcess | null = null

  constructor() {
    writeFileSync(join(this.folder, 'runner.mjs'), RUNNER)
  }

  app(more: object = {}): object {
    return {
      command: [process.execPath, './runner.mjs'],
      minConcurrency: 1,
      maxConcurrency: 1,
      startupTimeoutSeconds: 20,
      ...more,
    }
  }

  write(config: object): void {
    writeFileSync(this.file, JSON.stringify(config))
  }

  async start(config: object): Promise<string> {
    this.write(config)
    this.gateway = startGateway(['--config', this.file], { folder: this.folder })
    return this.gateway.url()
  }

  async stop(): Promise<void> {
    this.gateway!.child.kill('SIGTERM')
    await this.gateway!.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway?.[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

interface Watching {
  readonly socket: WebSocket
  readonly closed: Promise<number>
}

const reload = (url: string, more: object = {}) => call(url, '/v1/reload', { ...post, ...more })
const keyed = (key: string) => ({ headers: { authorization: `Key ${key}` } })

describe('what is wrong changes nothing and is said', () => {
  test.for([
    ['malformed', '{bad', 'health.config.json'],
    ['not in this version', JSON.stringify({ queue: { backend: 'redis' } }), 'not in this version'],
    ['an unknown name', JSON.stringify({ lisen: {} }), 'listen'],
  ] as const)('%s', async ([, text, said]) => {
    await using stage = new Stage()
    const url = await stage.start({ apps: {} })
    writeFileSync(stage.file, text)
    const { status, value } = await reload(url)
    expect([status, value.error_type]).toEqual([422, 'invalid_value'])
    expect(value.detail).toContain(said)
  })

  test('a file that is gone', async () => {
    await using stage = new Stage()
    const url = await stage.start({ apps: {} })
    renameSync(stage.file, `${stage.file}.away`)
    expect(await reload(url)).toMatchObject({ status: 422, value: { error_type: 'invalid_value' } })
  })
})

describe('keys count from the next call', () => {
  test('one that was taken out is refused, one that came in is taken', async () => {
    await using stage = new Stage()
    const auth = { keys: ['old', 'stays'], adminKeys: ['admin'] }
    const url = await stage.start({ auth, apps: {} })
    const metrics = async (key: string): Promise<number> =>
      (await fetch(`${url}/metrics`, keyed(key))).status
    expect([await metrics('old'), await metrics('new')]).toEqual([200, 401])
    stage.write({
      auth: { ...auth, keys: ['new', 'stays'] },
      logs: { level: 'warn' },
      apps: {},
    })
    expect(await reload(url, keyed('admin'))).toMatchObject({
      status: 202,
      value: { apps: [], restart: ['logs'] },
    })
    expect(await Promise.all(['old', 'new', 'stays'].map(metrics))).toEqual([401, 200, 200])
  })

  test('a token opens nothing any more when the key that asked for it was taken out', async () => {
    await using stage = new Stage()
    const url = await stage.start({ auth: { readKeys: ['looks'], adminKeys: ['admin'] }, apps: {} })
    const asked = await call(url, '/v1/tokens', {
      ...post,
      headers: { ...keyed('looks').headers, 'content-type': 'application/json' },
      body: JSON.stringify({ scope: 'read', seconds: 600 }),
    })
    const door = async (): Promise<number> =>
      (await call(url, `/v1/realtime?token=${asked.value.token}`)).status
    expect(await door()).toBe(426)
    stage.write({ auth: { keys: ['looks'], adminKeys: ['admin'] }, apps: {} })
    expect((await reload(url, keyed('admin'))).status).toBe(202)
    expect(await door()).toBe(401)
    stage.write({ auth: { adminKeys: ['admin'] }, apps: {} })
    expect((await reload(url, keyed('admin'))).status).toBe(202)
    expect(await door()).toBe(401)
  })

  test('who watches with a key that was taken out, or with a token of it, is let go at once; others stay', async () => {
    await using stage = new Stage()
    const auth = { readKeys: ['looks', 'stays'], adminKeys: ['admin'] }
    const url = await stage.start({ auth, apps: {} })
    const watch = async (path: string, key: string | null): Promise<Watching> => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, {
        headers: key === null ? {} : keyed(key).headers,
      })
      const closed = once(socket, 'close').then(([code]) => code as number)
      await once(socket, 'open')
      return { socket, closed }
    }
    const asked = await call(url, '/v1/tokens', {
      ...post,
      headers: { ...keyed('looks').headers, 'content-type': 'application/json' },
      body: JSON.stringify({ scope: 'read', seconds: 600 }),
    })
    const token = `?token=${asked.value.token}`
    const leave = await Promise.all([
      watch('/v1/realtime', 'looks'),
      watch(`/v1/realtime${token}`, null),
      watch('/v1/inspect', 'looks'),
    ])
    const stays = await watch('/v1/realtime', 'stays')
    const stream = await fetch(`${url}/v1/realtime?topics=nodes`, {
      headers: { ...keyed('looks').headers, accept: 'text/event-stream' },
    })
    stage.write({ auth: { ...auth, readKeys: ['stays'] }, apps: {} })
    expect((await reload(url, keyed('admin'))).status).toBe(202)
    expect(await Promise.all(leave.map(({ closed }) => closed))).toEqual([4401, 4401, 4401])
    expect(await stream.text()).toContain('"type":"snapshot"')
    stays.socket.send('{"type":"ping"}')
    expect(String((await once(stays.socket, 'message'))[0])).toBe('{"type":"pong"}')
    stays.socket.terminate()
  })

  test('the last key cannot be taken out where others than this machine can call', async () => {
    await using stage = new Stage()
    const listen = { host: '0.0.0.0', port: 0 }
    const url = await stage.start({ listen, auth: { adminKeys: ['admin'] }, apps: {} })
    const local = url.replace('0.0.0.0', '127.0.0.1')
    // The file alone would do: it speaks of loopback, where the next start would listen.
    stage.write({ listen: { host: '127.0.0.1', port: 0 }, apps: {} })
    const { status, value } = await reload(local, keyed('admin'))
    expect([status, value.path]).toEqual([422, 'listen.host'])
    expect((await call(local, '/v1/runners')).status).toBe(401)
    expect((await call(local, '/v1/runners', keyed('admin'))).status).toBe(200)
  })
})

describe('a tunable that leaves the file has its default again', () => {
  const caps = async (url: string): Promise<readonly number[]> => [
    (await call(url, '/v1/policy')).value.capPercent,
    (await call(url, '/v1/policy?app=a/one')).value.capPercent,
  ]

  test('at a reload and at a start, for all apps and for those to come', async () => {
    await using stage = new Stage()
    const apps = { 'a/one': stage.app({ minConcurrency: 0 }) }
    const url = await stage.start({ policy: { capPercent: 50 }, apps })
    expect(await caps(url)).toEqual([50, 50])
    stage.write({ policy: { capPercent: 30 }, apps })
    expect(await reload(url)).toMatchObject({ status: 202 })
    expect(await caps(url)).toEqual([30, 30])
    stage.write({ apps })
    expect(await reload(url)).toMatchObject({ status: 202 })
    expect(await caps(url)).toEqual([20, 20])
    await stage.stop()
    const again = await stage.start({ policy: { capPercent: 40 }, apps })
    expect(await caps(again)).toEqual([40, 40])
    await stage.stop()
    expect(await caps(await stage.start({ apps }))).toEqual([20, 20])
  })
})

describe('an override that the new file contradicts', () => {
  test('is named, changes nothing at a reload, and is said at a start', async () => {
    await using stage = new Stage()
    const apps = { 'a/one': stage.app({ minConcurrency: 0 }) }
    const url = await stage.start({ policy: { allowUnsafe: true, capMin: 2 }, apps })
    const body = JSON.stringify({ dryRun: ['outcome.server_error'] })
    const headers = { 'content-type': 'application/json' }
    expect(await call(url, '/v1/policy', { method: 'PUT', body, headers })).toMatchObject({
      status: 200,
    })
    stage.write({ policy: { capMin: 3 }, apps: { ...apps, 'a/two': stage.app() } })
    const refused = await reload(url)
    expect(refused).toMatchObject({ status: 422, value: { path: 'policy.dryRun' } })
    expect(refused.value.detail).toContain('PUT /v1/policy')
    const { value } = await call(url, '/v1/policy')
    expect([value.capMin, value.allowUnsafe]).toEqual([2, true])
    expect((await call(url, '/v1/apps')).value.apps).toHaveLength(1)
    await stage.stop()
    stage.gateway = startGateway(['--config', stage.file], { folder: stage.folder })
    const { code, err } = await stage.gateway.ended
    expect(code).toBe(1)
    expect(err).toContain('PUT /v1/policy')
  })
})

test('a body may be as long as the file says now, announced or not', async () => {
  await using stage = new Stage()
  const apps = { 'a/one': stage.app({ minConcurrency: 0, command: ['sleep', '100'] }) }
  const url = await stage.start({ limits: { bodyBytes: 5000 }, apps })
  const text = JSON.stringify('x'.repeat(3000))
  const headers = { 'content-type': 'application/json' }
  const statuses = (): Promise<readonly number[]> =>
    Promise.all(
      ['/queue/a/one', '/v1/events'].flatMap((path) =>
        [text, new Blob([text]).stream()].map(async (body) => {
          const init = { method: 'POST', headers, body, duplex: 'half' }
          return (await fetch(url + path, init as RequestInit)).status
        }),
      ),
    )
  expect(await statuses()).toEqual([200, 200, 422, 422])
  stage.write({ limits: { bodyBytes: 1000 }, apps })
  await reload(url)
  expect(await statuses()).toEqual([413, 413, 413, 413])
  stage.write({ limits: { bodyBytes: 8000 }, apps })
  await reload(url)
  expect(await statuses()).toEqual([200, 200, 422, 422])
})

test('the length of the queue is the one that the file says now', async () => {
  await using stage = new Stage()
  const apps = { 'a/one': stage.app({ minConcurrency: 0, command: ['sleep', '100'] }) }
  const url = await stage.start({ limits: { queueLength: 1 }, apps })
  const submitted = async (): Promise<number> =>
    (await call(url, '/queue/a/one', { ...post, body: '{}' })).status
  expect([await submitted(), await submitted()]).toEqual([200, 429])
  stage.write({ limits: { queueLength: 2 }, apps })
  expect(await reload(url)).toMatchObject({ status: 202, value: { restart: [] } })
  expect([await submitted(), await submitted()]).toEqual([200, 429])
})

describe('apps that come and go', () => {
  const submit = async (url: string, app: string): Promise<string> =>
    (await call(url, `/queue/${app}`, { ...post, body: '{}' })).value.request_id
  const ends = (url: string, app: string, ids: readonly string[]) =>
    until(
      async () =>
        Promise.all(
          ids.map(
            async (id) => (await call(url, `/queue/${app}/requests/${id}/status`)).value.status,
          ),
        ),
      (all) => all.every((status) => status === 'COMPLETED'),
    )

  test('requests that were on their way when their app left start when it is back', async () => {
    await using stage = new Stage()
    const apps = { 'a/one': stage.app(), 'a/two': stage.app() }
    const url = await stage.start({ apps })
    const ids: string[] = []
    for (let round = 0; round < 6; round++) {
      let going = true
      const flood = (async () => {
        while (going) {
          const id = await submit(url, 'a/one')
          if (id !== undefined) ids.push(id)
        }
      })()
      await new Promise((resolve) => setTimeout(resolve, 100))
      stage.write({ apps: { 'a/two': apps['a/two'] } })
      expect((await reload(url)).status).toBe(202)
      stage.write({ apps })
      expect((await reload(url)).status).toBe(202)
      await new Promise((resolve) => setTimeout(resolve, 100))
      going = false
      await flood
    }
    expect(ids.length).toBeGreaterThan(10)
    await ends(url, 'a/one', ids)
    expect((await call(url, '/run/a/one', { ...post, body: '{}' })).status).toBe(200)
  }, 60_000)

  test('a call that waits for an app that leaves is told at once', async () => {
    await using stage = new Stage()
    const apps = { 'a/never': stage.app({ command: ['sleep', '100'] }), 'a/two': stage.app() }
    const url = await stage.start({ apps })
    const waiting = call(url, '/run/a/never', { ...post, body: '{}' })
    await until(
      () => call(url, '/v1/apps'),
      ({ value }) => value.apps.some(({ waiting: n }: { waiting: number }) => n === 1),
    )
    stage.write({ apps: { 'a/two': apps['a/two'] } })
    await reload(url)
    expect(await waiting).toMatchObject({ status: 404, value: { error_type: 'app_not_found' } })
  })

  test('requests of an app that a start did not know begin when it is there', async () => {
    await using stage = new Stage()
    const two = stage.app()
    const url = await stage.start({
      apps: { 'a/one': stage.app({ minConcurrency: 0, maxConcurrency: 0 }), 'a/two': two },
    })
    const ids = [await submit(url, 'a/one'), await submit(url, 'a/one')]
    await stage.stop()
    const again = await stage.start({ apps: { 'a/two': two } })
    stage.write({ apps: { 'a/one': stage.app({ minConcurrency: 0 }), 'a/two': two } })
    expect((await reload(again)).status).toBe(202)
    await ends(again, 'a/one', ids)
  })

  test('a start that cannot be made refuses no call while another runner serves', async () => {
    await using stage = new Stage()
    const url = await stage.start({
      apps: { 'a/one': stage.app({ minConcurrency: 2, maxConcurrency: 2 }) },
    })
    const runners = async (state: string): Promise<readonly { id: string }[]> =>
      (await call(url, `/v1/runners?state=${state}`)).value.runners
    const [first] = await until(
      () => runners('ready'),
      ({ length }) => length === 2,
    )
    renameSync(join(stage.folder, 'runner.mjs'), join(stage.folder, 'away.mjs'))
    stage.write({
      apps: {
        'a/one': stage.app({
          command: ['./no-such-program'],
          minConcurrency: 2,
          maxConcurrency: 2,
        }),
      },
    })
    await reload(url)
    await call(url, `/v1/runners/${first!.id}/kill`, post)
    await until(
      () => call(url, '/v1/apps'),
      ({ value }) => value.apps[0].degraded === true,
    )
    expect(await runners('ready')).toHaveLength(1)
    expect((await call(url, '/run/a/one', { ...post, body: '{}' })).status).toBe(200)
  })
})
