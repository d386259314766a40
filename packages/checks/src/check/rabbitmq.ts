/**
 * RabbitMQ: opens and closes a channel on the service's own connection, or makes a connection of its own. A queue can be named:
 * it must exist, and may be held to a length.
 */
import { atMost, complete, split } from '../measure.ts'
import { invalid, type CheckAnswer, type CheckOptions, type CheckSettings } from '../option.ts'

/** A connection of `amqplib`. */
export interface RabbitConnection {
  createChannel(): Promise<RabbitChannel>
}
export interface RabbitChannel {
  checkQueue(queue: string): Promise<{ messageCount: number }>
  close(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
}

export interface RabbitOptions {
  readonly connection?: RabbitConnection
  /** Used when there is no connection: `amqp://user:password@host:5672`. Needs the package `amqplib`. */
  readonly url?: string
  /** A queue that must exist. */
  readonly queue?: string
  /** Messages waiting there above which it is unhealthy. */
  readonly maxMessages?: number
}

const known = {
  connection: true,
  url: true,
  queue: true,
  maxMessages: true,
} as const satisfies Record<keyof RabbitOptions, true>

/** A check of a RabbitMQ broker. */
export function rabbitmq(options: RabbitOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<RabbitOptions>('rabbitmq', options, known)
  const { connection, url } = own
  if (connection !== undefined) return complete(settings, () => look(connection, own))
  if (url === undefined) throw invalid('rabbitmq', 'needs `connection` or `url`')
  const timeout = (settings.timeoutSeconds ?? 5) * 1000
  return complete(settings, ({ signal }) => askOnce(url, own, timeout, signal))
}

async function look(connection: RabbitConnection, own: RabbitOptions): Promise<CheckAnswer> {
  const channel = await connection.createChannel()
  // The broker closes the channel when the queue is missing; the rejection below says so.
  channel.on('error', () => undefined)
  if (own.queue === undefined) {
    await channel.close()
    return { status: 'healthy' }
  }
  let messages: number
  try {
    messages = (await channel.checkQueue(own.queue)).messageCount
  } catch (error) {
    if (/NOT_FOUND|NOT-FOUND/.test(String(error)))
      return { status: 'unhealthy', error: 'not_found' }
    throw error
  }
  await channel.close()
  return atMost(messages, 'count', own.maxMessages === undefined ? {} : { max: own.maxMessages })
}

async function askOnce(
  url: string,
  own: RabbitOptions,
  timeout: number,
  signal: AbortSignal,
): Promise<CheckAnswer> {
  const amqp = await import('amqplib')
  signal.throwIfAborted()
  const { promise: cut, reject } = Promise.withResolvers<never>()
  cut.catch(() => undefined)
  const onAbort = () => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  // It gives up by itself as well, so that an attempt nobody waits for does not go on for ever.
  const connecting = amqp.connect(url, { timeout })
  try {
    const connection = await Promise.race([connecting, cut])
    connection.on('error', () => undefined)
    return await Promise.race([look(connection, own), cut])
  } finally {
    signal.removeEventListener('abort', onAbort)
    void connecting.then((connection) => connection.close()).catch(() => undefined)
  }
}
