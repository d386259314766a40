/**
 * Redis and Valkey: sends PING through the service's own client, or over a connection of its own that is gone afterwards.
 */
import { CheckFailure } from '../failure.ts'
import { complete, split } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

/** A client of `ioredis` or `redis`, or anything else with `ping()`. */
export interface RedisClient {
  ping(): Promise<unknown>
}

export interface RedisOptions {
  readonly client?: RedisClient
  /** Used when there is no client: `redis://user:password@host:6379/0`. Needs the package `ioredis`. */
  readonly url?: string
}

const known = { client: true, url: true } as const satisfies Record<keyof RedisOptions, true>

/** A check of a Redis server. */
export function redis(options: RedisOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<RedisOptions>('redis', options, known)
  const { client, url } = own
  if (client !== undefined) return complete(settings, async () => pong(await client.ping()))
  if (url === undefined) throw invalid('redis', 'needs `client` or `url`')
  return complete(settings, ({ signal }) => askOnce(url, signal))
}

async function askOnce(url: string, signal: AbortSignal): Promise<void> {
  const { Redis } = await import('ioredis')
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => undefined)
  const client = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
  })
  // The reason comes as an event; the promise of `connect` says only that it is closed.
  client.on('error', failed.reject)
  const cut = () => {
    failed.reject(signal.reason as Error)
    client.disconnect()
  }
  signal.addEventListener('abort', cut, { once: true })
  const asked = client.connect().then(() => client.ping())
  asked.catch(() => undefined)
  try {
    signal.throwIfAborted()
    pong(await Promise.race([failed.promise, settled(asked)]))
  } finally {
    signal.removeEventListener('abort', cut)
    client.disconnect()
  }
}

/** Lets the error event, which comes in the same moment, be the first to say why. */
function settled<T>(asked: Promise<T>): Promise<T> {
  return asked.catch(async (error: unknown) => {
    await new Promise((resolve) => setImmediate(resolve))
    throw error
  })
}

function pong(answer: unknown): void {
  if (answer !== 'PONG') throw new CheckFailure('unexpected_answer')
}
