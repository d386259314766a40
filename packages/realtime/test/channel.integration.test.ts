// The channel over real sockets: order, resume, refusals, readers that are slow or dead, and what is left when they are gone.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { type Message, masked, rawClient, stage } from './stage.ts'

const watch = { type: 'subscribe', topics: ['runners'] }
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
/** Bytes of buffers that somebody holds. */
function held(): number {
  // What the first one found is counted as gone by the second.
  collect()
  collect()
  return process.memoryUsage().arrayBuffers
}
/** Turns of the event loop, for what nobody announces. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('snapshot, then events', () => {
  test('in order, each once, with what it says', async () => {
    await using here = await stage({ firstSeq: 41, wall: () => 0 })
    here.state['runners'] = [{ id: 'r1' }]
    const client = await here.client().open()
    client.say(watch)
    await client.messages(1)
    for (let i = 0; i < 100; i++) here.channel.publish('runners', 'a/b', { id: 'r1', i })
    const [snapshot, ...events] = await client.messages(101)
    expect(snapshot).toEqual({ type: 'snapshot', seq: 42, runners: [{ id: 'r1' }] })
    expect(events[0]).toEqual({
      type: 'event',
      seq: 43,
      topic: 'runners',
      at: '1970-01-01T00:00:00.000Z',
      data: { id: 'r1', i: 0 },
    })
    expect(events.map(({ data }) => data.i)).toEqual([...Array(100).keys()])
    expect(events.map(({ seq }) => seq)).toEqual([...Array(100).keys()].map((i) => i + 43))
  })

  test('nothing twice and nothing lost where a snapshot falls between events of one turn', async () => {
    await using here = await stage()
    const clients = await Promise.all(Array.from({ length: 20 }, () => here.client().open()))
    let n = 0
    const beat = setInterval(() => {
      for (let i = 0; i < 3; i++) {
        here.state['runners'] = [{ n: ++n }]
        here.channel.publish('runners', null, { n })
      }
    }, 1)
    try {
      for (const client of clients) client.say(watch)
      for (const client of clients) {
        const [snapshot, ...events] = await client.messages(20)
        const first = (snapshot!['runners'] as { n: number }[])[0]?.n ?? 0
        expect(events.map(({ data }) => data.n)).toEqual(events.map((_, i) => first + i + 1))
        expect(events.every(({ seq }, i) => seq === snapshot!['seq'] + i + 1)).toBe(true)
      }
    } finally {
      clearInterval(beat)
    }
  })

  test('each client gets its own choice, from one turn', async () => {
    await using here = await stage()
    const wishes = [
      { topics: ['runners'] },
      { topics: ['runners'], apps: ['a/1'] },
      { topics: ['nodes', 'runners'] },
      { topics: ['gpu'] },
    ]
    const clients = await Promise.all(wishes.map(() => here.client().open()))
    clients.forEach((client, i) => client.say({ type: 'subscribe', ...wishes[i] }))
    await Promise.all(clients.map((client) => client.messages(1)))
    for (let i = 0; i < 70; i++)
      here.channel.publish(i % 2 === 0 ? 'runners' : 'nodes', i % 2 === 0 ? `a/${i % 4}` : null, {
        i,
      })
    here.channel.publish('gpu', null, { last: true })
    const numbers = (messages: readonly Message[]) => messages.slice(1).map(({ data }) => data.i)
    const all = [...Array(70).keys()]
    expect(numbers(await clients[0]!.messages(36))).toEqual(all.filter((i) => i % 2 === 0))
    expect(numbers(await clients[2]!.messages(71))).toEqual(all)
    await clients[3]!.messages(2)
    await clients[1]!.settled()
    expect(clients[1]!.got.length).toBe(1)
    expect(clients[3]!.got.at(-1)).toMatchObject({ topic: 'gpu', data: { last: true } })
  })

  test('a lost connection is resumed without a gap and without a snapshot', async () => {
    await using here = await stage()
    const first = await here.client().open()
    first.say(watch)
    const [{ seq }] = (await first.messages(1)) as [Message]
    first.socket.terminate()
    await until(() => here.channel.size === 0)
    for (let i = 0; i < 3; i++) here.channel.publish('runners', null, { i })
    const second = await here.client().open()
    second.say({ ...watch, since: seq })
    expect((await second.messages(3)).map(({ data }) => data.i)).toEqual([0, 1, 2])
  })
})

describe('nobody subscribed', () => {
  test('nothing is wanted, kept or encoded', async () => {
    await using here = await stage()
    const client = await here.client().open()
    expect(here.channel.wants('runners')).toBe(false)
    const poison = {
      toJSON: () => {
        throw new Error('it was encoded')
      },
    }
    here.channel.publish('runners', null, poison)
    client.say({ type: 'subscribe', topics: ['gpu'] })
    await client.messages(1)
    expect(here.channel.wants('gpu')).toBe(true)
    expect(here.channel.wants('runners')).toBe(false)
    here.channel.publish('runners', null, poison)
    expect(here.channel.kept).toEqual({ events: 0, bytes: 0 })
  })
})

describe('bad clients', () => {
  test('a wrong frame is answered and the connection stays', async () => {
    await using here = await stage()
    const client = await here.client().open()
    client.socket.send('{')
    client.socket.send(Buffer.from([1, 2, 3]))
    client
      .say({ type: 'subscribe', topics: ['cats'] })
      .say({ ...watch, since: 'x' })
      .say({})
    client.say(watch)
    expect((await client.messages(6)).map(({ type, code }) => code ?? type)).toEqual([
      'bad_frame',
      'bad_frame',
      'unknown_topic',
      'bad_since',
      'unknown_type',
      'snapshot',
    ])
  })

  test('64 KB is read, one byte more closes with 1009', async () => {
    await using here = await stage()
    const client = await here.client().open()
    client.socket.send(`"${'x'.repeat(65_534)}"`)
    expect(await client.messages(1)).toMatchObject([{ code: 'bad_frame' }])
    client.socket.send(`"${'x'.repeat(65_535)}"`)
    expect(await client.closed).toMatchObject({ code: 1009 })
    await until(() => here.channel.size === 0)
  })

  test('a hundred frames a second are answered, one more closes with 1008', async () => {
    await using here = await stage()
    const client = await here.client().open()
    for (let i = 0; i < 101; i++) client.say({ type: 'ping' })
    expect(await client.closed).toMatchObject({ code: 1008 })
    expect(client.got).toEqual(Array(100).fill({ type: 'pong' }))
  })

  test('protocol pings count, too', async () => {
    await using here = await stage()
    const client = await here.client().open()
    for (let i = 0; i < 101; i++) client.socket.ping()
    expect(await client.closed).toMatchObject({ code: 1008 })
  })

  test('a text that is not UTF-8 closes with 1007', async () => {
    await using here = await stage()
    const client = await here.client().open()
    client.socket.send(Buffer.from([0xff, 0xfe]), { binary: false })
    expect(await client.closed).toMatchObject({ code: 1007 })
  })

  test('without a key it is let in and closed with 4401, and gets no data meanwhile', async () => {
    await using here = await stage({
      authorize: ({ headers }) =>
        headers.authorization === 'Key good' ? {} : 'a read or admin key is needed',
    })
    for (const headers of [{}, { authorization: 'Key bad' }]) {
      const client = here.client({ headers })
      client.socket.once('open', () => client.say(watch))
      expect(await client.closed).toEqual({ code: 4401, reason: 'a read or admin key is needed' })
      expect(client.got).toEqual([])
    }
    const welcome = await here.client({ headers: { authorization: 'Key good' } }).open()
    expect(await welcome.say(watch).messages(1)).toMatchObject([{ type: 'snapshot' }])
  })

  test('what lets it in for a time closes it with 4401 after that time; who may stay stays', async () => {
    await using here = await stage({
      authorize: ({ url }) => (url === '/?short' ? { forMs: 100 } : {}),
    })
    const long = await here.client().open()
    const short = await here.client({}, '/?short').open()
    expect(await short.say(watch).messages(1)).toMatchObject([{ type: 'snapshot' }])
    expect(await short.closed).toEqual({ code: 4401, reason: 'the token has expired' })
    await until(() => here.channel.size === 1)
    await long.settled()
  })

  test.for([
    ['none', undefined, 'open'],
    ['our own', 'own', 'open'],
    ['another', 'http://evil.example', '403'],
    ['none that is one', 'null', '403'],
  ] as const)('origin: %s', async ([, origin, expected]) => {
    await using here = await stage()
    const own = `http://127.0.0.1:${here.port}`
    const client = here.client(
      origin === undefined ? {} : { origin: origin === 'own' ? own : origin },
    )
    const result = await Promise.race([
      once(client.socket, 'open').then(() => 'open'),
      once(client.socket, 'unexpected-response').then(([, response]) =>
        String((response as IncomingMessage).statusCode),
      ),
    ])
    expect(result).toBe(expected)
  })

  test('past the connections allowed it is closed with 1013; the others stay', async () => {
    await using here = await stage({ maxConnections: 2 })
    const [one] = [await here.client().open(), await here.client().open()]
    expect(await here.client().closed).toMatchObject({ code: 1013 })
    await one!.settled()
  })
})

describe('readers that do not read', () => {
  const bounds = { maxBacklog: 100_000, behindMs: 300 }
  const big = { text: 'x'.repeat(20_000) }

  test('one that stops for a while gets one fresh snapshot, and nobody else notices', async () => {
    await using here = await stage({ ...bounds, behindMs: 60_000 })
    const quick = await here.client().open()
    quick.say(watch)
    const slow = await here.client().open()
    slow.say(watch)
    await Promise.all([quick.messages(1), slow.messages(1)])
    slow.socket.pause()
    let n = 0
    // What the kernels hold is theirs: more than that makes it fall behind.
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 20; i++) here.channel.publish('runners', null, { n: ++n, ...big })
      here.state['runners'] = [{ n }]
      await quick.messages(1 + n)
    }
    slow.socket.resume()
    await until(() => slow.got.some(({ because }) => because === 'behind'))
    here.channel.publish('runners', null, { n: ++n })
    await until(() => slow.got.at(-1)?.['data']?.n === n)
    const snapshots = slow.got.filter(({ type }) => type === 'snapshot')
    expect(snapshots).toEqual([snapshots[0], { ...snapshots[1], runners: [{ n: 1000 }] }])
    expect(slow.got.length).toBeLessThan(1000)
    const seqs = slow.got.map(({ seq }) => seq as number)
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
    expect(quick.got.slice(1).map(({ data }) => data.n)).toEqual(
      [...Array(n).keys()].map((i) => i + 1),
    )
  })

  test('one that never reads again is closed, and holds no more than its bound meanwhile', async () => {
    await using here = await stage(bounds)
    const dead = await rawClient(here.port)
    const ended = once(dead, 'close')
    dead.write(masked(JSON.stringify(watch)))
    await until(() => here.channel.wants('runners'))
    dead.pause()
    const before = held()
    let most = 0
    let beats = 0
    const beat = setInterval(() => {
      for (let i = 0; i < 20; i++) here.channel.publish('runners', null, big)
      if (++beats % 20 === 0) most = Math.max(most, held() - before)
    }, 1)
    try {
      await until(() => here.channel.size === 0)
    } finally {
      clearInterval(beat)
    }
    // What is kept for those who come back is 8 MiB; the rest is this reader's.
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(8 * 2 ** 20 + 2e6)
    dead.resume()
    await ended
  })

  test('a peer that leaves two pings unanswered is dropped; one that answers stays', async () => {
    await using here = await stage({ heartbeatMs: 50 })
    const alive = await here.client().open()
    const dead = await rawClient(here.port)
    expect(here.channel.size).toBe(2)
    let pings = 0
    dead.on('data', (bytes: Buffer) => (pings += bytes.filter((byte) => byte === 0x89).length))
    await once(dead, 'close')
    expect(pings).toBe(2)
    await until(() => here.channel.size < 2)
    await alive.settled()
    expect(here.channel.size).toBe(1)
  })
})

test('a thousand that connect, subscribe and drop leave nothing behind', async () => {
  await using here = await stage()
  for (let round = 0; round < 20; round++) {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => rawClient(here.port)))
    for (const socket of sockets) socket.write(masked(JSON.stringify(watch)))
    await until(() => here.channel.wants('runners'))
    here.channel.publish('runners', null, { round })
    for (const [i, socket] of sockets.entries()) {
      if (i % 2 === 0) socket.resetAndDestroy()
      else socket.destroy()
    }
    await until(() => here.channel.size === 0)
  }
  const open = await new Promise<number>((resolve) =>
    here.server.getConnections((_, count) => resolve(count)),
  )
  expect(open).toBe(0)
  expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length).toBeLessThan(
    5,
  )
})

test('at the end all are told with 1001', async () => {
  await using here = await stage()
  const clients = await Promise.all([1, 2, 3].map(() => here.client().open()))
  await here.channel.close()
  for (const client of clients) expect(await client.closed).toMatchObject({ code: 1001 })
})
