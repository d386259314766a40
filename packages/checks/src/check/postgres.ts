/**
 * PostgreSQL: asks `select 1` through the service's own pool, or over a connection of its own that is gone afterwards. Through
 * the pool it also sees that no connection is free; alone it sees only the server.
 */
import { complete, split } from '../measure.ts'
import { invalid, type CheckContext, type CheckOptions, type CheckSettings } from '../option.ts'

/** A pool or client of `pg`, or anything else with `query(text)`. */
export interface PostgresClient {
  query(text: string): Promise<unknown>
}

export interface PostgresOptions {
  readonly client?: PostgresClient
  /** Used when there is no client: `postgres://user:password@host/database`. Needs the package `pg`. */
  readonly url?: string
  /** Default `select 1`. */
  readonly query?: string
}

const known = { client: true, url: true, query: true } as const satisfies Record<
  keyof PostgresOptions,
  true
>

/** A check of a PostgreSQL server. */
export function postgres(options: PostgresOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<PostgresOptions>('postgres', options, known)
  const { client, url, query = 'select 1' } = own
  if (client !== undefined) return complete(settings, () => client.query(query))
  if (url === undefined) throw invalid('postgres', 'needs `client` or `url`')
  return complete(settings, ({ signal }) => askOnce(url, query, signal))
}

async function askOnce(url: string, query: string, signal: CheckContext['signal']): Promise<void> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  // Without a listener an error after the answer would end the process.
  client.on('error', () => undefined)
  const cut = () => cutOff(client)
  signal.addEventListener('abort', cut, { once: true })
  try {
    signal.throwIfAborted()
    await client.connect()
    await client.query(query)
  } finally {
    signal.removeEventListener('abort', cut)
    if (!signal.aborted) void client.end().catch(() => undefined)
  }
}

/** `end` waits for the server, which may be the one that hangs. */
function cutOff(client: object): void {
  const { connection } = client as { connection?: { stream?: { destroy(): void } } }
  connection?.stream?.destroy()
}
