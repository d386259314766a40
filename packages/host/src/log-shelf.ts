/**
 * The folder of the runners' output: opens a file for each, keeps it within its bound, and clears away the oldest files of runners
 * that ended, so that a crash loop cannot fill the disk file by file. It never touches the files of a runner that lives, nor
 * anything not named `*.log` or `*.log.1`, and a disk that refuses never keeps a runner from starting.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { readdir, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '@health/core'
import { boundLog, logPath, openLog } from './output-log.ts'

/** Options of a {@link LogShelf}; the host's own. */
export interface LogOptions {
  readonly clock: Clock
  /** Folder of the runners' output, `ID.log` each; made when it is not there. */
  readonly logDir: string
  /** Bytes of output kept per runner, rotated part included. Default 10 MiB. */
  readonly runnerLogBytes?: number
  /** Bytes of output kept of all runners that ended, the newest first (and at most 2000 files). Default 1 GiB. */
  readonly endedLogBytes?: number
  /** Told what went wrong beside the runners, one line each (a log that cannot be written). Default: nobody. */
  readonly warn?: (text: string) => void
}

const SHELF_FILES = 2_000

export class LogShelf {
  readonly #options: LogOptions
  /** Ends the bound of each runner that lives. */
  readonly #live = new Map<string, () => Promise<void>>()
  #clearing = false

  constructor(options: LogOptions) {
    this.#options = options
  }

  /** A descriptor for a child to inherit, to be closed by the caller; null when the disk refuses: its output goes nowhere. */
  open(runner: string): number | null {
    try {
      createFolder(this.#options.logDir)
      return openLog(logPath(this.#options.logDir, runner))
    } catch (error) {
      this.#warn(`The output of ${runner} goes nowhere: ${(error as Error).message}`)
      return null
    }
  }

  /** Keeps the runner's file within its bound until {@link put}. */
  bound(runner: string): void {
    const { logDir, runnerLogBytes = 10_485_760, clock } = this.#options
    this.#live.set(runner, boundLog(logPath(logDir, runner), runnerLogBytes, clock, this.#warn))
  }

  /** The runner ended: a last look, then its file is one of those that may be cleared. */
  async put(runner: string): Promise<void> {
    const end = this.#live.get(runner)
    this.#live.delete(runner)
    await end?.()
    await this.#clear()
  }

  /** Ends all bounds; the files stay as they are, for the runners that live on. */
  async close(): Promise<void> {
    const ends = [...this.#live.values()]
    this.#live.clear()
    await Promise.all(ends.map((end) => end()))
  }

  async #clear(): Promise<void> {
    if (this.#clearing) return
    this.#clearing = true
    const { logDir, endedLogBytes = 1_073_741_824 } = this.#options
    const live = new Set([...this.#live.keys()].map((runner) => logPath(logDir, runner)))
    const limits = { maxFiles: SHELF_FILES, maxBytes: endedLogBytes }
    await clearShelf(logDir, live, limits).catch((error: unknown) =>
      this.#warn((error as Error).message),
    )
    this.#clearing = false
  }

  #warn = (text: string): void => this.#options.warn?.(text)
}

/** What may stay of runners that ended. */
export interface ShelfLimits {
  /** Files, rotated ones included. */
  readonly maxFiles: number
  readonly maxBytes: number
}

/** Deletes the oldest files in `logDir` until the rest is within the limits. `live` are paths that stay. Answers how many went. */
export async function clearShelf(
  logDir: string,
  live: ReadonlySet<string>,
  limits: ShelfLimits,
): Promise<number> {
  const inUse = new Set([...live].map((path) => basename(path)))
  const shelf: { path: string; bytes: number; at: number }[] = []
  for (const name of await readdir(logDir)) {
    if (!/\.log(\.1)?$/.test(name) || inUse.has(name.replace(/\.1$/, ''))) continue
    const path = join(logDir, name)
    const file = await stat(path).catch(() => null)
    if (file?.isFile()) shelf.push({ path, bytes: file.size, at: file.mtimeMs })
  }
  shelf.sort((a, b) => b.at - a.at || a.path.localeCompare(b.path))
  let bytes = 0
  let gone = 0
  for (const [index, file] of shelf.entries()) {
    bytes += file.bytes
    if (index < limits.maxFiles && bytes <= limits.maxBytes) continue
    if (
      await unlink(file.path).then(
        () => true,
        () => false,
      )
    )
      gone++
  }
  return gone
}

/** Makes a folder with its parents. Not `recursive: true`: below a file system that answers ENOENT to every mkdir that never ends. */
function createFolder(path: string): void {
  if (existsSync(path)) return
  const parent = dirname(path)
  if (parent !== path) createFolder(parent)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another process may have been quicker.
    if (!existsSync(path)) throw error
  }
}
