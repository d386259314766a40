import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { kafka } from '../src/check/kafka.ts'
import { mongo } from '../src/check/mongo.ts'
import { nats } from '../src/check/nats.ts'
import { rabbitmq } from '../src/check/rabbitmq.ts'
import { ask, failed, healthy } from './stub/ask.ts'
import { kafkaAdmin, kafkaServer } from './stub/kafka.ts'
import { mongoClient, mongoServer } from './stub/mongo.ts'
import { accepts, closedPort, lacks, launch, listen, type Stub } from './stub/server.ts'

const roomy = { timeoutSeconds: 20 }
const short = { timeoutSeconds: 0.5 }
let hanging: Stub
let closed = 0
beforeAll(async () => {
  hanging = await listen()
  closed = await closedPort()
})
afterAll(() => hanging[Symbol.asyncDispose]())

describe('RabbitMQ', () => {
  beforeEach(async (context) => {
    if (!(await accepts(5672))) lacks(context, 'RabbitMQ at 127.0.0.1:5672')
  })
  const url = 'amqp://guest:guest@127.0.0.1:5672'

  test.for([
    ['up', { url }, healthy],
    [
      'a wrong password',
      { url: 'amqp://guest:wrong@127.0.0.1:5672' },
      failed('authentication_failed'),
    ],
    ['no such virtual host', { url: `${url}/no-such-host` }, failed('database_missing')],
    ['no such queue', { url, queue: 'health-no-such-queue' }, failed('not_found')],
  ] as const)('%s', async ([, options, expected]) => {
    expect(await ask(rabbitmq({ ...options, ...roomy }))).toEqual(expected)
  })

  test('through the service’s own connection, with a queue and its length', async () => {
    const amqp = await import('amqplib')
    const connection = await amqp.connect(url)
    const channel = await connection.createChannel()
    const { queue } = await channel.assertQueue('', { exclusive: true })
    for (const text of ['a', 'b', 'c']) channel.sendToQueue(queue, Buffer.from(text))
    await expect.poll(async () => (await channel.checkQueue(queue)).messageCount).toBe(3)
    expect(await ask(rabbitmq({ connection, queue, ...roomy }))).toEqual(healthy)
    const full = { connection, queue, maxMessages: 2, ...roomy }
    expect(await ask(rabbitmq(full))).toEqual(failed('over_limit'))
    // A queue that is missing closes the check's channel, never the service's connection.
    const gone = rabbitmq({ connection, queue: 'health-no-such-queue', ...roomy })
    expect(await ask(gone)).toEqual(failed('not_found'))
    expect(await ask(rabbitmq({ connection, ...roomy }))).toEqual(healthy)
    await connection.close()
    expect((await ask(rabbitmq({ connection, ...roomy }))).status).toBe('unhealthy')
  })
})

describe('NATS', () => {
  beforeEach(async (context) => {
    if (!(await accepts(4222))) lacks(context, 'NATS at 127.0.0.1:4222')
  })

  test('up, over a connection of its own and through the service’s', async () => {
    expect(await ask(nats({ url: 'nats://127.0.0.1:4222', ...roomy }))).toEqual(healthy)
    const { connect } = await import('nats')
    const connection = await connect({ servers: 'nats://127.0.0.1:4222' })
    expect(await ask(nats({ connection, ...roomy }))).toEqual(healthy)
    await connection.close()
    expect(await ask(nats({ connection, ...roomy }))).toEqual(failed('connection_closed'))
  })

  test('a server with a password: right, none, wrong, and stopped', async (context) => {
    const words = '-a 127.0.0.1 --user app --pass right -p'.split(' ')
    const server = await launch('nats-server', (port) => [...words, `${port}`])
    if (server === null) return lacks(context, 'the program nats-server')
    const url = `nats://127.0.0.1:${server.port}`
    const refused = failed('authentication_failed')
    expect(await ask(nats({ url, user: 'app', pass: 'right', ...roomy }))).toEqual(healthy)
    expect(await ask(nats({ url, ...roomy }))).toEqual(refused)
    expect(await ask(nats({ url, user: 'app', pass: 'wrong', ...roomy }))).toEqual(refused)
    await server[Symbol.asyncDispose]()
    expect(await ask(nats({ url, ...roomy }))).toEqual(failed('connection_refused'))
  })
})

describe('stopped and hanging', () => {
  const checks = {
    rabbitmq: (port: number, more: object) =>
      rabbitmq({ url: `amqp://a:b@127.0.0.1:${port}`, ...more }),
    nats: (port: number, more: object) => nats({ url: `nats://127.0.0.1:${port}`, ...more }),
  }
  test.for(Object.entries(checks))('%s', async ([, make]) => {
    expect(await ask(make(closed, roomy))).toEqual(failed('connection_refused'))
    expect(await ask(make(hanging.port, short))).toEqual(failed('timeout'))
    await hanging.idle()
  })
})

// No MongoDB and no Kafka can be had here. These stubs speak as much of the real protocols as the checks cause to be spoken.
describe('MongoDB, against a stub of its wire protocol', () => {
  test.for([
    ['up', { ok: 1 }, healthy],
    ['not ok', { ok: 0 }, failed('unexpected_answer')],
  ] as const)('%s', async ([, answer, expected]) => {
    const server = await mongoServer(answer)
    const client = mongoClient(server.port)
    expect(await ask(mongo({ client, ...roomy }))).toEqual(expected)
    await server[Symbol.asyncDispose]()
  })

  test('stopped, hanging, wrong password', async () => {
    const gone = mongo({ client: mongoClient(closed), ...roomy })
    expect(await ask(gone)).toEqual(failed('connection_refused'))
    const mute = mongoClient(hanging.port)
    expect(await ask(mongo({ client: mute, ...short }))).toEqual(failed('timeout'))
    mute.close()
    const refused = Object.assign(new Error('Authentication failed.'), {
      name: 'MongoServerError',
      code: 18,
    })
    const client = { db: () => ({ command: () => Promise.reject(refused) }) }
    expect(await ask(mongo({ client, ...roomy }))).toEqual(failed('authentication_failed'))
  })
})

describe('Kafka, against a stub of its wire protocol', () => {
  test.for([
    ['up', {}, healthy],
    ['enough brokers', { minBrokers: 2 }, healthy],
    ['too few brokers', { minBrokers: 3 }, failed('too_small')],
    ['a topic that exists', { topics: ['orders'] }, healthy],
    ['a topic that does not', { topics: ['orders', 'refunds'] }, failed('not_found')],
  ] as const)('%s', async ([, options, expected]) => {
    const server = await kafkaServer({ brokers: 2, topics: ['orders', 'bills'] })
    const admin = kafkaAdmin(server.port)
    expect(await ask(kafka({ admin, ...options, ...roomy }))).toEqual(expected)
    await server[Symbol.asyncDispose]()
  })

  test('stopped and hanging', async () => {
    expect(await ask(kafka({ admin: kafkaAdmin(closed), ...roomy }))).toEqual(
      failed('connection_refused'),
    )
    const admin = kafkaAdmin(hanging.port)
    expect(await ask(kafka({ admin, ...short }))).toEqual(failed('timeout'))
    admin.close()
  })
})
