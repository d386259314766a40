/**
 * Prints what a runner wrote, from the data directory: the rotated part first, then the current one, and with `follow` what comes. A file
 * that is cut while it is read is read from its beginning again.
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
  if (await exists(`${file}.1`)) await copy(terminal, `${file}.1`, 0)
  let offset = await copy(terminal, file, 0)
  while (options.follow && !terminal.ended.aborted) {
    await sleep(FOLLOW_MS, undefined, { signal: terminal.ended }).catch(() => undefined)
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    )
    if (size !== offset) offset = await copy(terminal, file, size < offset ? 0 : offset)
  }
  return exits.ok
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
