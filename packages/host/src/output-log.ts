/**
 * A runner's output file, kept within bounds while the runner itself writes to it: there is no pipe, so the supervisor can
 * only look, copy and truncate. It looks more often the faster the file grows, and never delays or ends the runner.
 */
import { constants, closeSync, openSync, statSync } from 'node:fs'
import { appendFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cancel, Clock } from '@health/core'

/** How often a quiet file is looked at. A flood that begins right after a look has this long at the disk's full speed. */
const QUIET_MS = 250
/** How often at most; a file under flood is looked at this often. */
const FLOOD_MS = 25
/** The rotated copy is not written more often than this: under a flood the middle is dropped and counted instead. */
const COPY_EVERY_MS = 1_000
const CHUNK = 256 * 1024

/** Where the output of a runner goes: `logDir/ID.log`, and the part before it in `ID.log.1`. Ids cannot leave the folder. */
export function logPath(logDir: string, runner: string): string {
  return join(logDir, `${fileName(runner)}.log`)
}

/** A name that is one harmless path segment; other characters are written `%XX`, so two ids never share a file. */
function fileName(runner: string): string {
  const escape = (text: string): string =>
    text.replaceAll(/[^A-Za-z0-9._-]/gu, (c) =>
      [...Buffer.from(c)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
    )
  return escape(runner).replace(/^\./, '%2e')
}

/** Opens the file for a child to inherit: append mode, so that truncating it is safe; never through a symbolic link. */
export function openLog(path: string): number {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
}

/**
 * Keeps `path` and `path.1` together within `maxBytes`, measured at each look. Between two looks a file may grow by what the
 * runner can write in {@link QUIET_MS} (from rest) or {@link FLOOD_MS} (in a flood). Returns how to end: the last look is taken then.
 */
export function boundLog(
  path: string,
  maxBytes: number,
  clock: Clock,
  warn: (text: string) => void,
): () => Promise<void> {
  const limit = Math.max(1, Math.floor(maxBytes / 2))
  let lastSize = 0
  let lastLook = clock.now()
  let lastCopy = -Infinity
  let ended = false
  let cancel: Cancel = () => undefined
  let looking = Promise.resolve()
  let trouble: string | null = null

  const complain = (error: unknown): void => {
    const { message } = error as Error
    // The same at every look would fill the supervisor's own log instead.
    if (message !== trouble) warn(`${path}: ${message}`)
    trouble = message
  }
  const look = (): Promise<void> =>
    measure().catch((error: unknown) => {
      complain(error)
      plan(QUIET_MS)
    })
  const measure = async (): Promise<void> => {
    const now = clock.now()
    let bytes = size(path)
    if (bytes > limit) {
      const keep = now - lastCopy >= COPY_EVERY_MS || ended
      if (keep) lastCopy = now
      await rotate(path, limit, keep).then(() => void (trouble = null), complain)
      bytes = size(path)
      plan(FLOOD_MS)
    } else {
      const grown = (bytes - lastSize) / (now - lastLook)
      plan(
        grown > 0 ? Math.min(QUIET_MS, Math.max(FLOOD_MS, (limit - bytes) / grown / 2)) : QUIET_MS,
      )
    }
    lastSize = bytes
    lastLook = now
  }
  const plan = (ms: number): void => {
    if (!ended) cancel = clock.after(ms, () => void (looking = look()))
  }
  plan(FLOOD_MS)
  return async () => {
    if (ended) return
    ended = true
    cancel()
    await looking
    await look()
  }
}

/** Moves the last `limit` bytes to `path.1` (when `keep`), then empties the file. What could not be kept is counted in the file. */
async function rotate(path: string, limit: number, keep: boolean): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
  try {
    const end = (await file.stat()).size
    let kept = 0
    try {
      if (keep) kept = await copyTail(file, end, limit, `${path}.1`)
    } finally {
      // Also when the copy failed: a full disk is the last place to leave a growing file alone.
      await file.truncate(0)
    }
    if (kept < end)
      await appendFile(
        path,
        `[health] ${end - kept} bytes of output dropped: more than the log may hold\n`,
      )
  } finally {
    await file.close()
  }
}

type File = Awaited<ReturnType<typeof open>>

async function copyTail(file: File, end: number, limit: number, to: string): Promise<number> {
  const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants
  const copy = await open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
  try {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, limit))
    let at = Math.max(0, end - limit)
    let copied = 0
    while (copied < limit) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, limit - copied), at)
      if (bytesRead === 0) break
      await copy.write(chunk, 0, bytesRead)
      at += bytesRead
      copied += bytesRead
    }
    return copied
  } finally {
    await copy.close()
  }
}

/** Bytes in the file; 0 when it is not there. Throws when it cannot be looked at. */
function size(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Closes a descriptor that the child has inherited. */
export const closeLog: (fd: number) => void = closeSync
