/**
 * Prints what a runner wrote, from the data directory: the rotated part first, then the current one, and with `follow` what comes. A file
 * that is cut while it is read is read from its beginning again, behind what moved aside meanwhile, also when it has grown past the old
 * length by then.
 */
import { open, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../config.ts'
import { exits, type Terminal } from './command.ts'
import { NotFound } from './gateway-client.ts'

const CHUNK_BYTES = 65_536
const FOLLOW_MS = 250
/** So many bytes before the place are remembered, to know the file again. */
const KNOWN_BYTES = 1024

/** How far a file was printed, and what stood before that. */
interface Place {
  readonly offset: number
  readonly known: Buffer
}
const BEGINNING: Place = { offset: 0, known: Buffer.alloc(0) }

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
  // One for all: a letter may begin before a look, or a rotation, and end after it.
  const decoder = new TextDecoder()
  const print = (bytes: Buffer): void => void terminal.out(decoder.decode(bytes, { stream: true }))
  let moved = await movedAt(file)
  if (moved !== null) await copy(`${file}.1`, BEGINNING, print)
  let place = await copy(file, BEGINNING, print)
  while (options.follow && !terminal.ended.aborted) {
    await sleep(FOLLOW_MS, undefined, { signal: terminal.ended }).catch(() => undefined)
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    )
    if (size === place.offset) continue
    if (!(await isKnown(file, place))) {
      const before = moved
      moved = await movedAt(file)
      const offset = Math.max(0, place.offset - (await dropped(file)))
      if (moved !== before) await copy(`${file}.1`, { ...BEGINNING, offset }, print)
      place = BEGINNING
    }
    place = await copy(file, place, print)
  }
  terminal.out(decoder.decode())
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
  const head = (await read(file, 0, CHUNK_BYTES)).toString('latin1')
  return Number(/^\[health\] (\d+) bytes of output dropped/m.exec(head)?.[1] ?? 0)
}

/** Whether what stood before the place still stands there. */
async function isKnown(file: string, { offset, known }: Place): Promise<boolean> {
  const { length } = known
  return (await read(file, offset - length, length)).equals(known)
}

/** A stretch of a file; as much of it as there is. */
async function read(path: string, offset: number, length: number): Promise<Buffer> {
  const handle = await open(path, 'r').catch(() => null)
  if (handle === null) return Buffer.alloc(0)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

/** Prints a file from a place to its end and answers where that was. */
async function copy(path: string, from: Place, print: (bytes: Buffer) => void): Promise<Place> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch {
    // Deleted between two looks: nothing more will come.
    return from
  }
  try {
    let { offset, known } = from
    for (;;) {
      const { bytesRead, buffer } = await handle.read(
        Buffer.alloc(CHUNK_BYTES),
        0,
        CHUNK_BYTES,
        offset,
      )
      if (bytesRead === 0) return { offset, known }
      const bytes = buffer.subarray(0, bytesRead)
      offset += bytesRead
      known = Buffer.concat([known, bytes.subarray(-KNOWN_BYTES)]).subarray(-KNOWN_BYTES)
      print(bytes)
    }
  } finally {
    await handle.close()
  }
}
