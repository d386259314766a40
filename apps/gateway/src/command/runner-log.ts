/**
 * Prints what a runner wrote, from the data directory: the rotated part first, then the current one, and with `follow` what comes. A file
 * that is cut while it is read is read from its beginning again, behind what moved aside meanwhile.
 */
import { open, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../config.ts'
import { exits, type Terminal } from './command.ts'
import { NotFound } from './gateway-client.ts'

const CHUNK_BYTES = 65_536
const FOLLOW_MS = 250

/** Prints the output of a runner. Throws NotFound when there is none here. */
export async function printLog(
  terminal: Terminal,
  id: string,
  options: {
    readonly follow: boolean
    readonly config: string | undefined
    readonly dataDir: string | undefined
  },
): Promise<number> {
  const { dataDir } = await loadConfig(
    { config: options.config, dataDir: options.dataDir },
    terminal,
  )
  // An id with a slash would leave the folder.
  const file =
    /^[A-Za-z0-9_.-]{1,200}$/.test(id) && !id.startsWith('.')
      ? join(dataDir, 'logs', `${id}.log`)
      : null
  if (file === null || !(await exists(file))) {
    throw new NotFound(
      `No output of a runner "${id}" is in ${join(dataDir, 'logs')}. Output stays on the gateway's machine; --data-dir names its folder.`,
    )
  }
  let moved = await movedAt(file)
  if (moved !== null) await copy(terminal, `${file}.1`, 0)
  let offset = await copy(terminal, file, 0)
  while (options.follow && !terminal.ended.aborted) {
    await sleep(FOLLOW_MS, undefined, { signal: terminal.ended }).catch(() => undefined)
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    )
    if (size < offset) {
      const before = moved
      moved = await movedAt(file)
      if (moved !== before)
        await copy(terminal, `${file}.1`, Math.max(0, offset - (await dropped(file))))
      offset = 0
    }
    if (size !== offset) offset = await copy(terminal, file, offset)
  }
  return exits.ok
}

/** When output moved aside last; null: never. */
const movedAt = async (file: string): Promise<number | null> =>
  stat(`${file}.1`).then(
    (found) => found.mtimeMs,
    () => null,
  )

/** How much went before the part that moved aside last: the host notes it in the file that begins anew. */
async function dropped(file: string): Promise<number> {
  const handle = await open(file, 'r').catch(() => null)
  if (handle === null) return 0
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, 0)
    const head = buffer.toString('latin1', 0, bytesRead)
    return Number(/^\[health\] (\d+) bytes of output dropped/m.exec(head)?.[1] ?? 0)
  } finally {
    await handle.close()
  }
}

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

/** Prints a file from an offset to its end and answers where that was. */
async function copy(terminal: Terminal, path: string, from: number): Promise<number> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch {
    // Deleted between two looks: nothing more will come.
    return from
  }
  const decoder = new TextDecoder()
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES)
    for (let at = from; ;) {
      const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, at)
      if (bytesRead === 0) return at
      at += bytesRead
      terminal.out(decoder.decode(buffer.subarray(0, bytesRead), { stream: true }))
    }
  } finally {
    await handle.close()
  }
}
