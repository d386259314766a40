import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mysql } from '../src/check/mysql.ts'
import { postgres } from '../src/check/postgres.ts'
import { redis } from '../src/check/redis.ts'
import { ask, failed, healthy } from './stub/ask.ts'
import { accepts, closedPort, lacks, launch, listen, type Stub } from './stub/server.ts'

// The machine's own servers are only asked. What is stopped, hangs or refuses is a server of the test's own.
const roomy = { timeoutSeconds: 20 }
const short = { timeoutSeconds: 0.5 }
let hanging: Stub
let closed = 0
beforeAll(async () => {
  hanging = await listen()
  closed = await closedPort()
})
afterAll(() => hanging[Symbol.asyncDispose]())

describe('PostgreSQL', () => {
  beforeEach(async (context) => {
    if (!(await accepts(5432))) lacks(context, 'PostgreSQL at 127.0.0.1:5432')
  })
  const url = 'postgres://postgres@127.0.0.1:5432/test'

  test.for([
    ['up', { url }, healthy],
    [
      'no such role',
      { url: 'postgres://nobody_of_that_name@127.0.0.1:5432/test' },
      failed('authentication_failed'),
    ],
    [
      'no such database',
      { url: 'postgres://postgres@127.0.0.1:5432/no_such_db' },
      failed('database_missing'),
    ],
    ['a query that fails', { url, query: 'select * from no_such_table' }, failed('failed')],
    [
      'a query in a read-only session',
      { url, query: 'set transaction read only; create table health_no (a int)' },
      failed('read_only'),
    ],
  ] as const)('%s', async ([, options, expected]) => {
    expect(await ask(postgres({ ...options, ...roomy }))).toEqual(expected)
  })

  test('through the service’s own pool, also when no connection is free', async () => {
    const { default: pg } = await import('pg')
    const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 60_000 })
    expect(await ask(postgres({ client: pool, ...roomy }))).toEqual(healthy)
    const taken = await pool.connect()
    expect(await ask(postgres({ client: pool, ...short }))).toEqual(failed('timeout'))
    taken.release()
    await pool.end()
    expect(await ask(postgres({ client: pool, ...roomy }))).toEqual(failed('failed'))
  })

  test('a slow query is cut, and its connection with it', async () => {
    const name = `health-${process.pid}`
    const slow = postgres({
      url: `${url}?application_name=${name}`,
      query: 'select pg_sleep(5)',
      timeoutSeconds: 1,
    })
    expect(await ask(slow)).toEqual(failed('timeout'))
  })
})

test('a wrong PostgreSQL password, as that server says it', async () => {
  const fields = ['SFATAL', 'C28P01', 'Mpassword authentication failed for user "app"', '']
  const text = Buffer.from(`${fields.join('\0')}\0`)
  const server = await listen((socket) => {
    socket.once('data', () => {
      const head = Buffer.alloc(5)
      head.write('E')
      head.writeInt32BE(text.length + 4, 1)
      socket.end(Buffer.concat([head, text]))
    })
  })
  const url = `postgres://app:wrong@127.0.0.1:${server.port}/app`
  expect(await ask(postgres({ url, ...roomy }))).toEqual(failed('authentication_failed'))
  await server[Symbol.asyncDispose]()
})

describe('MySQL and MariaDB', () => {
  beforeEach(async (context) => {
    if (!(await accepts(3306))) lacks(context, 'MariaDB at 127.0.0.1:3306')
  })
  const url = 'mysql://root@127.0.0.1:3306/'

  test.for([
    ['up', { url }, healthy],
    [
      'a wrong password',
      { url: 'mysql://root:wrong@127.0.0.1:3306/' },
      failed('authentication_failed'),
    ],
    [
      'no such database',
      { url: 'mysql://root@127.0.0.1:3306/no_such_db' },
      failed('database_missing'),
    ],
    ['a query that fails', { url, query: 'selekt' }, failed('failed')],
    ['a query that hangs', { url, query: 'select sleep(5)', ...short }, failed('timeout')],
  ] as const)('%s', async ([, options, expected]) => {
    expect(await ask(mysql({ ...roomy, ...options }))).toEqual(expected)
  })

  test('through the service’s own pool', async () => {
    const { createPool } = await import('mysql2/promise')
    const pool = createPool(url)
    expect(await ask(mysql({ client: pool, ...roomy }))).toEqual(healthy)
    await pool.end()
  })
})

describe('Redis', () => {
  beforeEach(async (context) => {
    if (!(await accepts(6379))) lacks(context, 'Redis at 127.0.0.1:6379')
  })

  test('up, over a connection of its own and through a client', async () => {
    expect(await ask(redis({ url: 'redis://127.0.0.1:6379', ...roomy }))).toEqual(healthy)
    const { Redis } = await import('ioredis')
    const client = new Redis('redis://127.0.0.1:6379')
    expect(await ask(redis({ client, ...roomy }))).toEqual(healthy)
    client.disconnect()
    await once(client, 'end')
    expect(await ask(redis({ client, ...roomy }))).toEqual(failed('connection_closed'))
  })

  test('a server with a password: right, none, wrong, and stopped while it is watched', async (context) => {
    const words = '--bind 127.0.0.1 --appendonly no --requirepass right --save'.split(' ')
    const server = await launch('redis-server', (port) => ['--port', `${port}`, ...words, ''])
    if (server === null) return lacks(context, 'the program redis-server')
    const at = `127.0.0.1:${server.port}`
    expect(await ask(redis({ url: `redis://:right@${at}`, ...roomy }))).toEqual(healthy)
    const refused = failed('authentication_failed')
    expect(await ask(redis({ url: `redis://${at}`, ...roomy }))).toEqual(refused)
    expect(await ask(redis({ url: `redis://:wrong@${at}`, ...roomy }))).toEqual(refused)
    await server[Symbol.asyncDispose]()
    const stopped = await ask(redis({ url: `redis://:right@${at}`, ...roomy }))
    expect(stopped).toEqual(failed('connection_refused'))
  })
})

describe('stopped, hanging, and not what it should be', () => {
  const checks = {
    postgres: (port: number, more: object) =>
      postgres({ url: `postgres://a:b@127.0.0.1:${port}/c`, ...more }),
    mysql: (port: number, more: object) =>
      mysql({ url: `mysql://a:b@127.0.0.1:${port}/c`, ...more }),
    redis: (port: number, more: object) =>
      redis({ url: `redis://a:b@127.0.0.1:${port}/0`, ...more }),
  }
  test.for(Object.entries(checks))('%s', async ([, make]) => {
    expect(await ask(make(closed, roomy))).toEqual(failed('connection_refused'))
    expect(await ask(make(hanging.port, short))).toEqual(failed('timeout'))
    // Nothing may be left open behind a check that was given up.
    await hanging.idle()
    const rude = await listen((socket) => void socket.destroy())
    const { status } = await ask(make(rude.port, roomy))
    expect(status).toBe('unhealthy')
    await rude[Symbol.asyncDispose]()
  })

  test.for([
    [() => postgres({}), 'postgres'],
    [() => mysql({}), 'mysql'],
    [() => redis({}), 'redis'],
  ] as const)('without a way to ask it is refused', ([make, text]) => {
    expect(make).toThrow(text)
  })
})
