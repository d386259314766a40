/**
 * A record on disk is a row of files `PREFIXnnnnnnnn.jsonl`, each with a header line. This file lists and reads them in bounded
 * pieces and says where a line was torn; it never writes, and never judges what a line means.
 */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** First line of a segment; the journal's carries `policy`, `seed` and `at` as well. */
export interface SegmentHeader {
  readonly format: number
  /** Number of the last record before this file. */
  readonly seq: number
  readonly [field: string]: unknown
}

/** One file of a record. */
export interface Segment {
  readonly number: number
  readonly path: string
  bytes: number
  /** Unix ms of the last write. */
  writtenAt: number
  /** null when the first line is torn or no header. */
  readonly header: SegmentHeader | null
}

/** One line; `whole` is false when the file ends before the line does. */
export interface Line {
  readonly text: string
  /** From 1, the header included. */
  readonly number: number
  /** Offset of the first byte after it. */
  readonly end: number
  readonly whole: boolean
}

const CHUNK = 1 << 20
/** No line of ours comes near; a file without line ends must not fill the memory. */
const MAX_LINE = 16 << 20

/** Path of a segment. */
export const segmentPath = (folder: string, prefix: string, number: number): string =>
  join(folder, `${prefix}${String(number).padStart(8, '0')}.jsonl`)

/** The segments of a folder, oldest first. */
export function listSegments(folder: string, prefix: string): Segment[] {
  const segments: Segment[] = []
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix) || !/^\d{8,}\.jsonl$/.test(name.slice(prefix.length))) continue
    const path = join(folder, name)
    const { size, mtimeMs } = statSync(path)
    segments.push({
      number: Number.parseInt(name.slice(prefix.length), 10),
      path,
      bytes: size,
      writtenAt: mtimeMs,
      header: readHeader(path),
    })
  }
  return segments.sort((a, b) => a.number - b.number)
}

/** A path as segments: those of a folder, or one file alone. Throws node's error when there is nothing. */
export function segmentsAt(path: string): Segment[] {
  const found = statSync(path)
  if (found.isDirectory()) return listSegments(path, '')
  return [
    { number: 1, path, bytes: found.size, writtenAt: found.mtimeMs, header: readHeader(path) },
  ]
}

function readHeader(path: string): SegmentHeader | null {
  for (const [line] of readLines(path)) {
    if (!line?.whole) return null
    try {
      const header = JSON.parse(line.text) as Partial<SegmentHeader> | null
      return typeof header?.format === 'number' ? ({ seq: 0, ...header } as SegmentHeader) : null
    } catch {
      return null
    }
  }
  return null
}

/** The lines of a file in pieces of at most 1 MiB, so that the caller can let others run in between. */
export function* readLines(path: string): Generator<readonly Line[], void> {
  const fd = openSync(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(CHUNK)
    let rest = Buffer.alloc(0)
    let number = 0
    let end = 0
    for (;;) {
      const read = readSync(fd, buffer, 0, CHUNK, null)
      const data =
        rest.length === 0
          ? buffer.subarray(0, read)
          : Buffer.concat([rest, buffer.subarray(0, read)])
      const lines: Line[] = []
      let from = 0
      for (;;) {
        const at = data.indexOf(10, from)
        if (at < 0) break
        end += at + 1 - from
        lines.push({ text: data.toString('utf8', from, at), number: ++number, end, whole: true })
        from = at + 1
      }
      rest = Buffer.from(data.subarray(from))
      const over = read === 0 || rest.length > MAX_LINE
      if (over && rest.length > 0) {
        const text = rest.toString('utf8', 0, Math.min(rest.length, 200))
        lines.push({ text, number: ++number, end: end + rest.length, whole: false })
      }
      if (lines.length > 0) yield lines
      if (over) return
    }
  } finally {
    closeSync(fd)
  }
}
