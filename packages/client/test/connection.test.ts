// A connection on sockets that the test opens, feeds and breaks, in time that the test moves.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { connectChannel, type ChannelOptions, type SocketLike } from '../src/index.ts'

class FakeSocket implements SocketLike {
  readonly url: string
  sent: unknown[] = []
  closed = false
  #listeners: Record<string, ((event: unknown) => void)[]> = {}

  constructor(url: string) {
    this.url = url
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }
  close(): void {
    this.closed = true
  }
  addEventListener(type: string, listener: (event: any) => void): void {
    ;(this.#listeners[type] ??= []).push(listener)
  }
  emit(type: string, event: unknown = {}): void {
    for (const listener of this.#listeners[type] ?? []) listener(event)
  }
  say(message: object | string): void {
    this.emit('message', { data: typeof message === 'string' ? message : JSON.stringify(message) })
  }
}

/** A connection whose sockets are all here, and everything it said. */
async function stage(options: Partial<ChannelOptions> = {}) {
  const sockets: FakeSocket[] = []
  const heard: unknown[] = []
  const connection = connectChannel({
    url: 'http://gateway:8080',
    topics: ['runners'],
    random: () => 1,
    socket: (url) => {
      const socket = new FakeSocket(url)
      sockets.push(socket)
      return socket
    },
    onSnapshot: ({ seq }) => heard.push(`snapshot ${seq}`),
    onEvent: ({ seq }) => heard.push(`event ${seq}`),
    onState: (state) => heard.push(state),
    onProblem: ({ code }) => heard.push(`problem ${code}`),
    ...options,
  })
  await vi.advanceTimersByTimeAsync(0)
  return { connection, sockets, heard }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('subscribes when it is open, and hands on what comes', async () => {
  const { connection, sockets, heard } = await stage({ apps: ['a/b'] })
  expect(sockets[0]!.url).toBe('ws://gateway:8080/v1/realtime')
  sockets[0]!.emit('open')
  expect(sockets[0]!.sent).toEqual([{ type: 'subscribe', topics: ['runners'], apps: ['a/b'] }])
  sockets[0]!.say({ type: 'snapshot', seq: 5, runners: [] })
  sockets[0]!.say({ type: 'event', seq: 7, topic: 'runners', data: {} })
  expect(heard).toEqual(['connecting', 'open', 'snapshot 5', 'event 7'])
  expect(connection).toMatchObject({ state: 'open', seq: 7 })
})

test('a connection that fails before it opens, without a close, is tried again', async () => {
  const { sockets, heard } = await stage()
  sockets[0]!.emit('error')
  expect(heard).toEqual(['connecting', 'waiting'])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sockets.length).toBeGreaterThan(1)
})

test('comes back after a loss and goes on after the last number', async () => {
  const { sockets } = await stage()
  sockets[0]!.emit('open')
  sockets[0]!.say({ type: 'snapshot', seq: 5 })
  sockets[0]!.say({ type: 'event', seq: 9, topic: 'runners' })
  sockets[0]!.emit('close', { code: 1006, reason: '' })
  await vi.advanceTimersByTimeAsync(250)
  sockets[1]!.emit('open')
  expect(sockets[1]!.sent).toEqual([
    { type: 'subscribe', topics: ['runners'], since: 9 },
    { type: 'ping' },
  ])
})

test('waits longer after each failure, to a limit; what was said resets it', async () => {
  const { sockets } = await stage({ firstDelayMs: 100, maxDelayMs: 400 })
  const lose = async (after: number): Promise<void> => {
    const count = sockets.length
    sockets.at(-1)!.emit('close', { code: 1006, reason: '' })
    await vi.advanceTimersByTimeAsync(after - 1)
    expect(sockets.length).toBe(count)
    await vi.advanceTimersByTimeAsync(1)
    expect(sockets.length).toBe(count + 1)
  }
  for (const wait of [100, 200, 400, 400]) await lose(wait)
  sockets.at(-1)!.emit('open')
  sockets.at(-1)!.say({ type: 'snapshot', seq: 1 })
  await lose(100)
})

test('jitter keeps at least half of the pause', async () => {
  const { sockets } = await stage({ firstDelayMs: 100, random: () => 0 })
  sockets[0]!.emit('close', { code: 1006, reason: '' })
  await vi.advanceTimersByTimeAsync(49)
  expect(sockets.length).toBe(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(sockets.length).toBe(2)
})

test('silence is asked about, and a second silence is a loss', async () => {
  const { sockets } = await stage({ silenceMs: 1000, firstDelayMs: 100 })
  sockets[0]!.emit('open')
  await vi.advanceTimersByTimeAsync(1000)
  expect(sockets[0]!.sent.at(-1)).toEqual({ type: 'ping' })
  sockets[0]!.say({ type: 'pong' })
  await vi.advanceTimersByTimeAsync(1999)
  expect(sockets[0]!.closed).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(sockets[0]!.closed).toBe(true)
  await vi.advanceTimersByTimeAsync(100)
  expect(sockets.length).toBe(2)
})

describe('it stops', () => {
  test('when it is refused, and says why once', async () => {
    const { connection, sockets, heard } = await stage()
    sockets[0]!.emit('open')
    sockets[0]!.emit('close', { code: 4401, reason: 'no' })
    await vi.advanceTimersByTimeAsync(100_000)
    expect(heard).toEqual(['connecting', 'open', 'refused', 'problem refused'])
    expect(sockets.length).toBe(1)
    connection.close()
    expect(connection.state).toBe('refused')
  })

  test.for(['connecting', 'open', 'waiting'])('when it is told to while %s', async (state) => {
    const { connection, sockets, heard } = await stage()
    if (state !== 'connecting') sockets[0]!.emit('open')
    if (state === 'waiting') sockets[0]!.emit('close', { code: 1006, reason: '' })
    expect(connection.state).toBe(state)
    connection.close()
    sockets[0]!.say({ type: 'snapshot', seq: 1 })
    sockets[0]!.emit('close', { code: 1000, reason: '' })
    await vi.advanceTimersByTimeAsync(100_000)
    expect(sockets.length).toBe(1)
    expect(heard.at(-1)).toBe('closed')
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('who is told of it', () => {
  test.for(['open', 'waiting'])('may end it when it is told %s', async (last) => {
    const heard: string[] = []
    const { connection, sockets } = await stage({
      onState: (state) => {
        heard.push(state)
        if (state === last) connection.close()
      },
    })
    sockets[0]!.emit('open')
    sockets[0]!.emit('close', { code: 1006, reason: '' })
    await vi.advanceTimersByTimeAsync(100_000)
    expect(heard.slice(-2)).toEqual([last, 'closed'])
    expect(sockets.length).toBe(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('may throw: the platform hears of it, and it goes on', async () => {
    const thrown: string[] = []
    vi.stubGlobal('queueMicrotask', (rethrow: () => void) => {
      expect(rethrow).toThrow('ours')
      thrown.push('ours')
    })
    const fail = (): never => {
      throw new Error('ours')
    }
    const { connection, sockets } = await stage({
      onState: fail,
      onSnapshot: fail,
      onEvent: fail,
      onProblem: fail,
    })
    sockets[0]!.emit('open')
    expect(sockets[0]!.sent).toEqual([{ type: 'subscribe', topics: ['runners'] }])
    sockets[0]!.say({ type: 'snapshot', seq: 5 })
    sockets[0]!.say({ type: 'event', seq: 9, topic: 'runners' })
    sockets[0]!.say('no json')
    expect(connection).toMatchObject({ state: 'open', seq: 9 })
    sockets[0]!.emit('close', { code: 1006, reason: '' })
    await vi.advanceTimersByTimeAsync(250)
    expect(sockets.length).toBe(2)
    expect(thrown.length).toBe(7)
    connection.close()
  })
})

describe('with a key', () => {
  const answer = (status: number, body: object) => {
    const asked: { url: string; init: RequestInit }[] = []
    vi.stubGlobal('fetch', async (url: URL, init: RequestInit) => {
      asked.push({ url: url.href, init })
      return new Response(JSON.stringify(body), { status })
    })
    return asked
  }

  test('it asks for a token for each connection; the key is in no address', async () => {
    const asked = answer(200, { token: 't 1' })
    const { sockets } = await stage({ url: 'https://gateway/base', key: 'secret' })
    await vi.advanceTimersByTimeAsync(0)
    expect(sockets[0]!.url).toBe('wss://gateway/base/v1/realtime?token=t+1')
    expect(asked.map(({ url }) => url)).toEqual(['https://gateway/base/v1/tokens'])
    expect(asked[0]!.init.headers).toMatchObject({ authorization: 'Key secret' })
    sockets[0]!.emit('close', { code: 1006, reason: '' })
    await vi.advanceTimersByTimeAsync(250)
    expect(asked.length).toBe(2)
  })

  test('the end of a token is no refusal: it goes on with another one, after the last number', async () => {
    const asked = answer(200, { token: 't' })
    const { sockets, heard } = await stage({ key: 'good' })
    await vi.advanceTimersByTimeAsync(0)
    sockets[0]!.emit('open')
    sockets[0]!.say({ type: 'snapshot', seq: 5 })
    sockets[0]!.emit('close', { code: 4401, reason: 'the token has expired' })
    await vi.advanceTimersByTimeAsync(250)
    expect(asked.length).toBe(2)
    sockets[1]!.emit('open')
    expect(sockets[1]!.sent).toMatchObject([{ type: 'subscribe', since: 5 }, { type: 'ping' }])
    // A second one that is refused before a word is a refusal.
    sockets[1]!.emit('close', { code: 4401, reason: 'no' })
    await vi.advanceTimersByTimeAsync(100_000)
    expect(sockets.length).toBe(2)
    expect(heard.slice(-2)).toEqual(['refused', 'problem refused'])
  })

  test.for([401, 403])('a key that will not do ends it: %i', async (status) => {
    answer(status, { message: 'invalid key credentials' })
    const { sockets, heard } = await stage({ key: 'bad' })
    expect(heard).toEqual(['connecting', 'refused', 'problem refused'])
    expect(sockets).toEqual([])
  })

  test.for([
    ['a key that no header takes', { key: 'a\nb' }],
    ['a password in the address', { key: 'k', url: 'http://u:p@gateway' }],
  ] as const)('%s ends it, and is repeated nowhere', async ([, options]) => {
    const asked = answer(200, { token: 't' })
    const said: string[] = []
    const { connection } = await stage({
      ...options,
      onProblem: ({ code, message }) => said.push(`${code} ${message}`),
    })
    expect(connection.state).toBe('refused')
    expect(said).toHaveLength(1)
    expect(said[0]).not.toMatch(/a\nb|u:p/)
    expect(asked).toEqual([])
  })

  test('a refusal in other words than ours is one too', async () => {
    vi.stubGlobal('fetch', async () => new Response('<h1>401</h1>', { status: 401 }))
    const { connection } = await stage({ key: 'good' })
    expect(connection.state).toBe('refused')
  })

  test('an address of a WebSocket will do too', async () => {
    const asked = answer(200, { token: 't' })
    const { sockets } = await stage({ url: 'wss://gateway', key: 'good' })
    await vi.advanceTimersByTimeAsync(0)
    expect(asked[0]!.url).toBe('https://gateway/v1/tokens')
    expect(sockets[0]!.url).toBe('wss://gateway/v1/realtime?token=t')
  })

  test('a gateway that is down does not', async () => {
    vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('fetch failed')))
    const { connection } = await stage({ key: 'good' })
    expect(connection.state).toBe('waiting')
  })
})

test('a token that could not be had is told, and asked for again', async () => {
  let asked = 0
  const { heard } = await stage({
    token: () => {
      asked++
      throw new Error('ours')
    },
  })
  await vi.advanceTimersByTimeAsync(250)
  expect(asked).toBe(2)
  expect(heard.slice(0, 4)).toEqual(['connecting', 'waiting', 'problem no_token', 'connecting'])
})

test.for([
  ['bad_message', 'no json'],
  ['unknown_topic', { type: 'error', code: 'unknown_topic', message: 'm' }],
] as const)('%s is told and changes nothing', async ([code, message]) => {
  const { connection, sockets, heard } = await stage()
  sockets[0]!.emit('open')
  sockets[0]!.say(message)
  expect(heard.at(-1)).toBe(`problem ${code}`)
  expect(connection.state).toBe('open')
})
