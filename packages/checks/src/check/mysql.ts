/**
 * MySQL and MariaDB: asks `select 1` through the service's own pool, or over a connection of its own that is gone afterwards.
 */
import { complete, split } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

/** A pool or connection of `mysql2/promise`, or anything else with `query(text)`. */
export interface MysqlClient {
  query(text: string): Promise<unknown>
}

export interface MysqlOptions {
  readonly client?: MysqlClient
  /** Used when there is no client: `mysql://user:password@host/database`. Needs the package `mysql2`. */
  readonly url?: string
  /** Default `select 1`. */
  readonly query?: string
}

const known = { client: true, url: true, query: true } as const satisfies Record<
  keyof MysqlOptions,
  true
>

/** A check of a MySQL or MariaDB server. */
export function mysql(options: MysqlOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<MysqlOptions>('mysql', options, known)
  const { client, url, query = 'select 1' } = own
  if (client !== undefined) return complete(settings, () => client.query(query))
  if (url === undefined) throw invalid('mysql', 'needs `client` or `url`')
  return complete(settings, ({ signal }) => askOnce(url, query, signal))
}

async function askOnce(url: string, query: string, signal: AbortSignal): Promise<void> {
  const { createConnection } = await import('mysql2')
  signal.throwIfAborted()
  const connection = createConnection({ uri: url })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const cut = () => {
    reject(signal.reason as Error)
    connection.destroy()
  }
  signal.addEventListener('abort', cut, { once: true })
  connection.on('error', reject)
  connection.query(query, (error: Error | null) => (error === null ? resolve() : reject(error)))
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', cut)
    connection.destroy()
  }
}
