/**
 * MongoDB: sends the command `ping` through the service's own client. There is no connection of its own here, so no driver is
 * needed; the client's server selection timeout should be below the check's timeout.
 */
import { CheckFailure } from '../failure.ts'
import { complete, split } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

/** A `MongoClient` of `mongodb`, or anything else with `db().command()`. */
export interface MongoClient {
  db(name?: string): { command(command: { ping: 1 }): Promise<unknown> }
}

export interface MongoOptions {
  readonly client: MongoClient
  /** Default: the client's own. */
  readonly database?: string
}

const known = { client: true, database: true } as const satisfies Record<keyof MongoOptions, true>

/** A check of a MongoDB server. */
export function mongo(options: MongoOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<MongoOptions>('mongo', options, known)
  const { client, database } = own
  return complete(settings, async () => {
    const answer = await client.db(database).command({ ping: 1 })
    if ((answer as { ok?: unknown } | null)?.ok !== 1) throw new CheckFailure('unexpected_answer')
  })
}
