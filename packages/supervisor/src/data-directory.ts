/**
 * Takes the data directory for one process: creates it, proves that it can be written, and holds a lock that the kernel drops
 * when the process dies, so that no stale lock is ever left. It never touches what others keep in the directory.
 */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { HealthError } from '@health/core'

/** Folders of a supervisor's data directory, and the lock on it. */
export interface DataDirectory {
  readonly journal: string
  readonly snapshots: string
  /** Gives the directory to the next process. Calling it twice does nothing. */
  release(): void
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown'

/**
 * Opens `path`, creating it with its folders. Throws HEALTH_DATA_DENIED when it cannot be written, HEALTH_DATA_LOCKED when
 * another process has it.
 */
export function openDataDirectory(path: string): DataDirectory {
  const journal = join(path, 'journal')
  const snapshots = join(path, 'snapshots')
  try {
    for (const folder of [journal, snapshots]) {
      // Journals tell which requests ran where: not for other users of the machine.
      createFolder(folder)
      accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
    }
  } catch (error) {
    throw denied(path, error)
  }
  const lock = takeLock(path)
  let held = true
  return {
    journal,
    snapshots,
    release() {
      if (held) lock.close()
      held = false
    },
  }
}

/** Makes the data directory, for us alone, before anybody puts something into it. Throws HEALTH_DATA_DENIED when it cannot be. */
export function ensureDataDirectory(path: string): void {
  try {
    createFolder(path)
  } catch (error) {
    throw denied(path, error)
  }
}

const denied = (path: string, error: unknown): HealthError =>
  new HealthError(
    'HEALTH_DATA_DENIED',
    `The data directory ${path} cannot be written (${codeOf(error)}). Check dataDir and its owner.`,
    'dataDir',
  )

/** Makes a folder with its parents. Unlike `recursive: true`, which loops for ever below a file system that answers ENOENT to every mkdir, it ends. */
export function createFolder(path: string): void {
  if (existsSync(path)) return
  const parent = dirname(path)
  if (parent !== path) createFolder(parent)
  mkdirSync(path, { mode: 0o700 })
}

/** An exclusive transaction on an empty database: the kernel's file lock without a native module. */
function takeLock(path: string): DatabaseSync {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(join(path, 'supervisor.lock'), { timeout: 0 })
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock?.close()
    const busy = (error as { errcode?: number }).errcode === 5
    if (busy) {
      throw new HealthError(
        'HEALTH_DATA_LOCKED',
        `Another process has the data directory ${path} open. Stop it, or choose another dataDir.`,
        'dataDir',
      )
    }
    throw new HealthError(
      'HEALTH_DATA_DENIED',
      `The data directory ${path} cannot be locked: ${(error as Error).message}. Check dataDir, its owner and its file system.`,
      'dataDir',
    )
  }
}
