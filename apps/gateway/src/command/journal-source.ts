/**
 * A journal on disk as a recording: a data directory, a journal folder or one file. Where the first events are no longer kept, the
 * snapshot beside the journal is the beginning. It reads; it repairs nothing.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  HealthError,
  type HealthEvent,
  JOURNAL_FORMAT,
  type PolicyOptions,
  type Recording,
  type Snapshot,
} from '@health/core'
import { journalStart, readJournal } from '@health/supervisor'
import { NotFound } from './gateway-client.ts'

/** A journal that can be read once, from its beginning. */
export interface JournalSource {
  readonly start: Omit<Recording, 'events'>
  /** Gives every event to `take`, in order; answers a warning about a torn last line, or null. */
  read(take: (event: HealthEvent) => void): Promise<string | null>
}

/** Opens a journal. Throws NotFound when there is none, and the supervisor's errors for one that cannot be read. */
export async function openJournal(path: string): Promise<JournalSource> {
  const folder = existsSync(join(path, 'journal')) ? join(path, 'journal') : path
  if (!existsSync(folder)) throw new NotFound(`There is no journal at ${path}.`)
  const header = journalStart(folder)
  if (header === null)
    throw new NotFound(
      `There is no journal at ${path}: a file begins with a line {"format":${JOURNAL_FORMAT},…}.`,
    )
  if (header.format > JOURNAL_FORMAT)
    throw new HealthError(
      'HEALTH_JOURNAL_FORMAT',
      `The journal ${folder} was written by a newer version (format ${header.format}). Use the version that wrote it.`,
    )
  const policy = (header['policy'] ?? {}) as PolicyOptions
  const seed = typeof header['seed'] === 'number' ? header['seed'] : 1
  const saved = header.seq === 0 ? null : await snapshotBeside(folder, header.seq)
  const after = saved?.seq ?? 0
  return {
    start: { start: saved?.fleet ?? null, policy, seed },
    async read(take) {
      // What the taker refuses is no fault of the journal, and must not be told as one.
      let refused: unknown = null
      try {
        const { warning } = await readJournal(folder, after, (event) => {
          try {
            take(event)
          } catch (error) {
            if (!(error instanceof HealthError) || error.code === 'HEALTH_EVENT_INVALID')
              throw error
            refused = error
            throw error
          }
        })
        return warning
      } catch (error) {
        throw refused ?? error
      }
    },
  }
}

/** The oldest snapshot that the journal still continues. */
async function snapshotBeside(
  folder: string,
  from: number,
): Promise<{ readonly seq: number; readonly fleet: Snapshot }> {
  const beside = join(dirname(folder), 'snapshots')
  if (statSync(folder).isDirectory() && existsSync(beside)) {
    for (const name of readdirSync(beside).toSorted()) {
      if (!/^\d{8,}\.json$/.test(name)) continue
      const saved = await readFile(join(beside, name), 'utf8').then(
        (text) => JSON.parse(text) as { seq?: unknown; fleet?: unknown },
        () => null,
      )
      if (typeof saved?.seq === 'number' && saved.seq >= from)
        return { seq: saved.seq, fleet: saved.fleet as Snapshot }
    }
  }
  throw new HealthError(
    'HEALTH_JOURNAL_CORRUPT',
    `The journal ${folder} begins after event ${from}, and no snapshot that it continues is beside it. Name the whole folder, or the data directory.`,
  )
}
