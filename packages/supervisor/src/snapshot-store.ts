/**
 * Snapshots on disk, `snapshots/nnnnnnnn.json`: written in pieces beside the work, complete or not there, the newest two kept.
 * It knows the envelope (format, number, wall times), never what the fleet in it means.
 */
import { open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { HealthError } from '@health/core'
import type { WallSegment } from './wall-history.ts'

const FORMAT = 1
const KEEP = 2
/** Text gathered before it is written. */
const CHUNK = 256 << 10

/** What a snapshot file holds. */
export interface StoredSnapshot {
  /** Number of the last event in it. */
  readonly seq: number
  /** Observed ms. */
  readonly at: number
  readonly wall: readonly WallSegment[]
  readonly fleet: unknown
}

/** Gives the fleet as JSON text, piece by piece; null when all was given. */
export interface PieceWriter {
  piece(rows: number): string | null
}

/** Options of {@link SnapshotStore}. */
export interface SnapshotStoreOptions {
  readonly folder: string
  readonly warn: (text: string) => void
  /** Runners per turn; default 500: about a millisecond of work. */
  readonly rows?: number
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** See the head of this file. One write at a time. */
export class SnapshotStore {
  readonly #options: SnapshotStoreOptions
  #next = 1
  #newest = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(options: SnapshotStoreOptions) {
    this.#options = options
  }

  /** Number of the last event in the newest snapshot on disk; 0 when there is none. */
  get newest(): number {
    return this.#newest
  }

  /**
   * The newest snapshot that can be read, newest first, as long as `take` accepts it. A broken file is passed over with a
   * warning; one of a newer format is refused with HEALTH_SNAPSHOT_FORMAT.
   */
  async load<T>(take: (stored: StoredSnapshot) => T): Promise<T | null> {
    const files = await this.#list()
    this.#next = (files.at(-1)?.number ?? 0) + 1
    for (const { path } of files.reverse()) {
      let stored: StoredSnapshot & { readonly format?: unknown }
      try {
        stored = JSON.parse(await readFile(path, 'utf8')) as typeof stored
        if (
          typeof stored.format !== 'number' ||
          typeof stored.seq !== 'number' ||
          typeof stored.at !== 'number'
        )
          throw new Error('it is no snapshot')
      } catch (error) {
        this.#options.warn(
          `The snapshot ${path} cannot be read (${(error as Error).message}); an older one is used.`,
        )
        continue
      }
      if (stored.format > FORMAT) {
        throw new HealthError(
          'HEALTH_SNAPSHOT_FORMAT',
          `The snapshot ${path} was written by a newer version (format ${stored.format}). Start the version that wrote it.`,
        )
      }
      let taken: T
      try {
        taken = take({ ...stored, wall: Array.isArray(stored.wall) ? stored.wall : [] })
      } catch (error) {
        if (error instanceof HealthError) throw error
        this.#options.warn(
          `The snapshot ${path} is damaged (${(error as Error).message}); an older one is used.`,
        )
        continue
      }
      this.#newest = stored.seq
      return taken
    }
    return null
  }

  /** Writes a snapshot; resolves when it is on disk under its name, rejects with what the disk says and leaves nothing. */
  write(meta: Omit<StoredSnapshot, 'fleet'>, fleet: PieceWriter): Promise<void> {
    const written = this.#writing.then(() => this.#write(meta, fleet))
    this.#writing = written.catch(() => {})
    return written
  }

  async #write(meta: Omit<StoredSnapshot, 'fleet'>, fleet: PieceWriter): Promise<void> {
    const rows = this.#options.rows ?? 500
    const path = join(this.#options.folder, `${String(this.#next++).padStart(8, '0')}.json`)
    const half = `${path}.tmp`
    try {
      const file = await open(half, 'w', 0o600)
      try {
        let text = `${JSON.stringify({ format: FORMAT, ...meta }).slice(0, -1)},"fleet":`
        for (let piece = fleet.piece(rows); piece !== null; piece = fleet.piece(rows)) {
          text += piece
          if (text.length < CHUNK) await turn()
          else {
            await file.appendFile(text)
            text = ''
          }
        }
        await file.appendFile(`${text}}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(half, path)
      await this.#syncFolder()
    } catch (error) {
      await unlink(half).catch(() => {})
      throw error
    }
    this.#newest = meta.seq
    await this.#prune()
  }

  async #prune(): Promise<void> {
    const files = await this.#list()
    for (const { path } of files.slice(0, -KEEP)) {
      await unlink(path).catch((error: Error) =>
        this.#options.warn(`An old snapshot stays: ${error.message}`),
      )
    }
  }

  async #syncFolder(): Promise<void> {
    const folder = await open(this.#options.folder, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  async #list(): Promise<{ readonly number: number; readonly path: string }[]> {
    const names = (await readdir(this.#options.folder)).filter((name) =>
      /^\d{8,}\.json$/.test(name),
    )
    return names
      .map((name) => ({
        number: Number.parseInt(name, 10),
        path: join(this.#options.folder, name),
      }))
      .sort((a, b) => a.number - b.number)
  }
}
