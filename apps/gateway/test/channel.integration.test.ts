// The live channel on a real gateway: what happens to a runner is told as it happens, in the objects of /v1; who may not read gets nothing.
import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import WebSocket, { type ClientOptions } from 'ws'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

type Message = Record<string, any>

const app = (more: object = {}): object => ({
  command: ['node', RUNNER],
  startupTimeoutSeconds: 20,
  minConcurrency: 1,
  maxConcurrency: 1,
  ...more,
})

/** A client that remembers what it got. */
class Client {
  readonly socket: WebSocket
  readonly got: Message[] = []
  readonly closed: Promise<number>
  #waiting = new Set<() => void>()

  constructor(url: string, path: string, options: ClientOptions = {}) {
    this.socket = new WebSocket(url.replace('http', 'ws') + path, options)
    this.socket.on('error', () => {})
    this.socket.on('message', (data: Buffer) => {
      this.got.push(JSON.parse(data.toString()) as Message)
      for (const look of this.#waiting) look()
    })
    this.closed = new Promise((resolve) => this.socket.once('close', resolve))
  }

  async subscribe(message: object): Promise<this> {
    if (this.socket.readyState !== WebSocket.OPEN) await once(this.socket, 'open')
    this.socket.send(JSON.stringify({ type: 'subscribe', ...message }))
    return this
  }

  /** The first message that fits, as soon as it is there. */
  message(fits: (message: Message) => boolean): Promise<Message> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.got.find(fits)
        if (found === undefined) return
        this.#waiting.delete(look)
        resolve(found)
      }
      this.#waiting.add(look)
      look()
    })
  }
}

const ask = async (
  url: string,
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; value: Message }> => {
  const response = await fetch(url + path, init)
  return { status: response.status, value: (await response.json()) as Message }
}

describe('an open gateway', () => {
  let gateway: RunningGateway
  beforeAll(async () => {
    gateway = await startGateway({ apps: { 'test/echo': app(), 'test/other': app() } })
  })
  afterAll(() => gateway.close())

  const ready = async (client: Client, name = 'test/echo'): Promise<string> => {
    const found = await client.message(
      ({ topic, data, runners }) =>
        (topic === 'runners' && data.app === name && data.state === 'ready') ||
        runners?.some((runner: Message) => runner['app'] === name && runner['state'] === 'ready'),
    )
    return (found['data']?.id ??
      found['runners'].find((runner: Message) => runner['app'] === name).id) as string
  }

  test('a 503 is told: the decision, the end, the one that is gone, its successor', async () => {
    const client = new Client(gateway.url, '/v1/realtime')
    await client.subscribe({ topics: ['runners', 'nodes', 'requests', 'decisions', 'gpu'] })
    const snapshot = await client.message(({ type }) => type === 'snapshot')
    expect(Object.keys(snapshot)).toEqual([
      'type',
      'seq',
      'runners',
      'nodes',
      'requests',
      'decisions',
      'gpu',
    ])
    const id = await ready(client)
    const answer = await fetch(`${gateway.url}/run/test/echo?status=503`, { method: 'POST' })
    await answer.text()
    expect(answer.status).toBe(503)
    const decision = await client.message(
      ({ topic, data }) => topic === 'decisions' && data.rule === 'outcome.server_error',
    )
    expect(decision['data'].subject).toMatchObject({ kind: 'runner', id })
    const gone = await client.message(
      ({ topic, data }) => topic === 'runners' && data.id === id && data.substate === 'gone',
    )
    expect(gone['data']).toEqual((await ask(gateway.url, `/v1/runners/${id}`)).value)
    await client.message(
      ({ topic, data }) =>
        topic === 'runners' && data.app === 'test/echo' && data.id !== id && data.state === 'ready',
    )
    const seqs = client.got.map(({ seq }) => seq as number)
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b))
    client.socket.terminate()
  })

  test('a queued request is told from its submit to its end; another app is not', async () => {
    const client = new Client(gateway.url, '/v1/realtime')
    await client.subscribe({ topics: ['requests'], apps: ['test/echo'] })
    await client.message(({ type }) => type === 'snapshot')
    const submit = async (name: string): Promise<string> =>
      (
        await ask(gateway.url, `/queue/${name}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{}',
        })
      ).value['request_id'] as string
    await submit('test/other')
    const id = await submit('test/echo')
    await client.message(({ data }) => data?.id === id && data.status === 'COMPLETED')
    const told = client.got.filter(({ type }) => type === 'event').map(({ data }) => data)
    expect(told.every((data) => data.app === 'test/echo')).toBe(true)
    const statuses = told.filter((data) => data.id === id).map(({ status }) => status as string)
    expect(statuses.at(-1)).toBe('COMPLETED')
    expect(statuses).toContain('IN_PROGRESS')
    expect(told.at(-1)).toEqual((await ask(gateway.url, `/v1/requests/${id}`)).value)
    client.socket.terminate()
  })

  test('a runner that waits for its start is told of, before anything happens to it', async () => {
    const broken = await startGateway({
      apps: { 'test/broken': app({ command: ['node', '-e', 'process.exit(1)'] }) },
    })
    const client = new Client(broken.url, '/v1/realtime')
    await client.subscribe({ topics: ['runners'], apps: ['test/broken'] })
    const { data } = await client.message(({ data }) => data?.substate === 'backoff')
    expect(broken.runner(data.id)).toMatchObject({ app: 'test/broken', substate: 'backoff' })
    client.socket.terminate()
    await broken.close()
  })

  test.for([
    ['topics=runners&apps=test/echo', 'text/event-stream'],
    ['topics=runners&topics=nodes&apps=test/echo&apps=test/nobody', 'Text/Event-Stream; q=1'],
  ])('over SSE the same, by Accept: %s', async ([query, accept]) => {
    const request = httpRequest(`${gateway.url}/v1/realtime?${query}`, {
      headers: { accept },
    }).end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect(response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    let text = ''
    response.setEncoding('utf8')
    for await (const chunk of response) {
      text += String(chunk)
      if (text.includes('"snapshot"') && text.endsWith('\n\n')) break
    }
    expect(text).toMatch(/^retry: 1000\n\nid: \d+\ndata: \{"type":"snapshot"/)
    expect(text).toContain('"app":"test/echo"')
    expect(text).not.toContain('"app":"test/other"')
    request.on('error', () => {})
    request.destroy()
  })

  test.for([
    ['a plain request', '/v1/realtime', {}, 426, 'upgrade_required'],
    ['the inspector, plain', '/v1/inspect', {}, 426, 'upgrade_required'],
    [
      'an unknown topic',
      '/v1/realtime?topics=cats',
      { accept: 'text/event-stream' },
      422,
      'unknown_topic',
    ],
    [
      'a since that is none',
      '/v1/realtime?since=x',
      { accept: 'text/event-stream' },
      422,
      'bad_since',
    ],
    [
      'a foreign page',
      '/v1/realtime',
      { accept: 'text/event-stream', origin: 'http://evil.example' },
      403,
      'forbidden',
    ],
  ] as const)('refused: %s', async ([, path, headers, status, type]) => {
    const answer = await ask(gateway.url, path, { headers })
    expect(answer).toMatchObject({ status, value: { error_type: type } })
  })

  test.for([
    ['a foreign page', { origin: 'http://evil.example' }],
    ['a page with no origin to speak of', { origin: 'null' }],
    ['a name that was bound to this machine', { headers: { host: 'evil.example:80' } }],
  ] as const)('403 at the handshake: %s', async ([, options]) => {
    for (const path of ['/v1/realtime', '/v1/inspect'])
      expect(await refusal(gateway.url, path, options)).toEqual(refused)
  })

  interface Call {
    readonly method?: string
    readonly headers?: Readonly<Record<string, string | number>>
  }

  test('an upgrade elsewhere is a plain request, as if nobody had asked', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = async (path: string, options: Call, body?: string): Promise<string> => {
      const request = httpRequest(gateway.url + path, {
        ...options,
        agent,
        headers: {
          connection: 'Upgrade, HTTP2-Settings',
          upgrade: 'h2c',
          'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA',
          ...options.headers,
        },
      })
      // The head alone first: what follows it is read by whoever reads the head.
      request.flushHeaders()
      await new Promise((resolve) => setImmediate(resolve))
      request.end(body)
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
      return `${response.statusCode} ${text}`
    }
    expect(await ask('/live', {})).toContain('200')
    // A wish for another protocol at our door, too.
    expect(await ask('/v1/realtime', {})).toContain('426')
    const body = 'x'.repeat(5000)
    for (const framing of [{ 'content-length': body.length }, { 'transfer-encoding': 'chunked' }]) {
      const post = { method: 'POST', headers: { 'content-type': 'text/plain', ...framing } }
      expect(await ask('/run/test/echo', post, body)).toMatch(new RegExp(`^200 .*"${body}"`))
    }
    expect(await ask('/run/test/echo', { headers: { upgrade: 'websocket' } })).toMatch(/^501 /)
    agent.destroy()
  })
})

/** How a page is turned away at the handshake: with the answer that every refusal is. */
async function refusal(url: string, path: string, options: ClientOptions) {
  const client = new Client(url, path, options)
  const [, response] = (await once(client.socket, 'unexpected-response')) as [
    unknown,
    IncomingMessage,
  ]
  response.destroy()
  const { statusCode: status, headers } = response
  return { status, id: headers['x-fal-request-id'], type: headers['x-fal-error-type'] }
}
const refused = { status: 403, id: expect.stringMatching(/^[0-9a-f-]{36}$/), type: 'forbidden' }

describe('a gateway with keys', () => {
  let gateway: RunningGateway
  beforeAll(async () => {
    gateway = await startGateway({
      auth: { keys: ['call-key'], readKeys: ['read-key'], adminKeys: ['admin-key'] },
      apps: {},
    })
  })
  afterAll(() => gateway.close())

  const tokenOf = async (key: string, body: object): Promise<{ status: number; value: Message }> =>
    ask(gateway.url, '/v1/tokens', {
      method: 'POST',
      headers: { authorization: `Key ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const enter = async (path: string, options: ClientOptions = {}): Promise<number | 'welcome'> => {
    const client = new Client(gateway.url, path, options)
    await once(client.socket, 'open')
    // What is refused is closed before it can ask; what is welcome is answered.
    client.socket.send('{"type":"ping"}')
    const entered = await Promise.race([
      client.closed,
      client.message(({ type }) => type === 'pong').then(() => 'welcome' as const),
    ])
    client.socket.terminate()
    return entered
  }

  test.for([
    ['no key', undefined, 4401],
    ['a bad key', 'Key nonsense', 4401],
    ['a key that may only call', 'Key call-key', 4401],
    ['a read key', 'Key read-key', 'welcome'],
    ['an admin key', 'Bearer admin-key', 'welcome'],
  ] as const)('%s', async ([, authorization, expected]) => {
    const headers = authorization === undefined ? {} : { authorization }
    expect(await enter('/v1/realtime', { headers })).toBe(expected)
  })

  test.for([
    ['without a key', undefined],
    ['with a key', 'Key read-key'],
  ] as const)('a foreign page is refused at the handshake %s', async ([, authorization]) => {
    const headers = authorization === undefined ? {} : { authorization }
    for (const path of ['/v1/realtime', '/v1/inspect'])
      expect(await refusal(gateway.url, path, { headers, origin: 'http://evil.example' })).toEqual(
        refused,
      )
  })

  test('a token of a read key opens it, another does not', async () => {
    const { status, value } = await tokenOf('read-key', { scope: 'read', seconds: 60 })
    expect(status).toBe(200)
    expect(await enter(`/v1/realtime?token=${value['token']}`)).toBe('welcome')
    const calling = (await tokenOf('read-key', { scope: 'call', seconds: 60 })).value['token']
    const forged = `${value['token']}`.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))
    for (const token of [calling, forged, '', '.', 'x', 'x'.repeat(2000)])
      expect(await enter(`/v1/realtime?token=${token}`)).toBe(4401)
  })

  test('a token opens a stream, and no other door', async () => {
    const { token } = (await tokenOf('admin-key', { scope: 'read', seconds: 60 })).value
    const stream = await fetch(`${gateway.url}/v1/realtime?token=${token}`, {
      headers: { accept: 'text/event-stream' },
    })
    expect(stream.status).toBe(200)
    await stream.body!.cancel()
    expect((await ask(gateway.url, `/v1/runners?token=${token}`)).status).toBe(401)
    const headers = { authorization: `Key ${token}` }
    expect((await ask(gateway.url, '/v1/runners', { headers })).status).toBe(401)
  })

  test('what a token let in ends with the token; what a key let in stays', async () => {
    const { token } = (await tokenOf('read-key', { scope: 'read', seconds: 1 })).value
    const keyed = new Client(gateway.url, '/v1/realtime', {
      headers: { authorization: 'Key read-key' },
    })
    // A good key counts, whatever the token beside it.
    const both = new Client(gateway.url, `/v1/realtime?token=${token}`, {
      headers: { authorization: 'Key read-key' },
    })
    const watching = new Client(gateway.url, `/v1/realtime?token=${token}`)
    const inspecting = new Client(gateway.url, `/v1/inspect?token=${token}`)
    const stream = await fetch(`${gateway.url}/v1/realtime?topics=runners&token=${token}`, {
      headers: { accept: 'text/event-stream' },
    })
    await Promise.all([keyed, both, watching].map((one) => one.subscribe({ topics: ['runners'] })))
    await watching.message(({ type }) => type === 'snapshot')
    expect(await Promise.all([watching.closed, inspecting.closed])).toEqual([4401, 4401])
    expect(await stream.text()).toContain('"type":"snapshot"')
    for (const one of [keyed, both]) {
      one.socket.send('{"type":"ping"}')
      await one.message(({ type }) => type === 'pong')
      one.socket.terminate()
    }
  })

  test.for([
    ['more than the key may', 'read-key', { scope: 'admin', seconds: 60 }, 403, undefined],
    ['more than a call key may', 'call-key', { scope: 'read', seconds: 60 }, 403, undefined],
    ['no scope', 'read-key', { seconds: 60 }, 422, 'scope'],
    ['a scope that is none', 'read-key', { scope: 'all' }, 422, 'scope'],
    ['no time at all', 'read-key', { scope: 'read', seconds: 0 }, 422, 'seconds'],
    ['for ever', 'read-key', { scope: 'read', seconds: 1e9 }, 422, 'seconds'],
    ['a time that is none', 'read-key', { scope: 'read', seconds: '60' }, 422, 'seconds'],
    ['a field too many', 'read-key', { scope: 'read', owner: 'x' }, 422, 'owner'],
    ['without a key', 'nonsense', { scope: 'read' }, 401, undefined],
  ] as const)('no token: %s', async ([, key, body, status, path]) => {
    const answer = await tokenOf(key, body)
    expect({ status: answer.status, path: answer.value['path'] }).toEqual({ status, path })
    expect(answer.value['token']).toBeUndefined()
  })

  test('its end tells all who are there', async () => {
    const other = await startGateway({ apps: {} })
    const client = new Client(other.url, '/v1/realtime')
    await client.subscribe({ topics: ['runners'] })
    await client.message(({ type }) => type === 'snapshot')
    await other.close()
    expect(await client.closed).toBe(1001)
  })
})
