/**
 * SQLite: reads the schema of a database, through the service's own connection or a read-only one of its own, which must exist.
 * The query runs on this thread, so keep it small.
 */
import { complete, split } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

/** A `DatabaseSync` of `node:sqlite`, a `better-sqlite3` database, or the like. */
export interface SqliteDatabase {
  prepare(sql: string): { get(): unknown }
}

export interface SqliteOptions {
  readonly database?: SqliteDatabase
  /** Used when there is no database. A file that does not exist is a failure, never created. */
  readonly path?: string
  /** Default: counts the tables. */
  readonly query?: string
}

const known = { database: true, path: true, query: true } as const satisfies Record<
  keyof SqliteOptions,
  true
>

/** A check of an SQLite database. */
export function sqlite(options: SqliteOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<SqliteOptions>('sqlite', options, known)
  const { database, path, query = 'select count(*) from sqlite_schema' } = own
  if (database !== undefined) return complete(settings, () => void database.prepare(query).get())
  if (path === undefined) throw invalid('sqlite', 'needs `database` or `path`')
  return complete(settings, async () => {
    const { DatabaseSync } = await import('node:sqlite')
    const { access } = await import('node:fs/promises')
    await access(path)
    const opened = new DatabaseSync(path, { readOnly: true })
    try {
      opened.prepare(query).get()
    } finally {
      opened.close()
    }
  })
}
