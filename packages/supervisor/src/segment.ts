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

/** Lines of a file as bytes. */
export interface Piece {
  /** To be read before the next piece is asked for, which may lie in the same memory. */
  readonly bytes: Buffer
  /** Offset of its first byte. */
  readonly start: number
  /** True: whole lines, each with its end. False: what follows the last of them. */
  readonly whole: boolean
}

/** A file in pieces of about 1 MiB, so that the caller can let others run in between. */
export function* readPieces(path: string): Generator<Piece, void> {
  const fd = openSync(path, 'r')
  try {
    let buffer = Buffer.allocUnsafe(CHUNK)
    let filled = 0
    let start = 0
    for (;;) {
      if (filled === buffer.length) buffer = Buffer.concat([buffer], 2 * buffer.length)
      const read = readSync(fd, buffer, filled, buffer.length - filled, null)
      filled += read
      const whole = buffer.subarray(0, filled).lastIndexOf(10) + 1
      if (whole > 0) yield { bytes: buffer.subarray(0, whole), start, whole: true }
      buffer.copyWithin(0, whole, filled)
      filled -= whole
      start += whole
      if (read > 0 && filled <= MAX_LINE) continue
      if (filled > 0) yield { bytes: buffer.subarray(0, filled), start, whole: false }
      return
    }
  } finally {
    closeSync(fd)
  }
}

/** The line that has no end; its beginning is enough to name it. */
export const lineWithoutEnd = ({ bytes, start }: Piece, number: number): Line => {
  const text = bytes.toString('utf8', 0, Math.min(bytes.length, 200))
  return { text, number, end: start + bytes.length, whole: false }
}

/** The lines of a file, piece by piece. */
export function* readLines(path: string): Generator<readonly Line[], void> {
  let number = 0
  for (const piece of readPieces(path)) {
    const { bytes, start, whole } = piece
    const lines = whole ? split(bytes, number, start) : [lineWithoutEnd(piece, number + 1)]
    number += lines.length
    yield lines
  }
}

/** Whole lines, the first of them number `before` + 1 and `start` bytes into the file. */
function split(data: Buffer, before: number, start: number): Line[] {
  const all = data.toString('utf8')
  const lines: Line[] = []
  let number = before
  let from = 0
  const add = (text: string, at: number): void => {
    lines.push({ text, number: ++number, end: start + at + 1, whole: true })
    from = at + 1
  }
  // Where each byte is one character, as nearly always, one text is cut up; else the bytes are, so that places in the file are exact.
  if (all.length === data.length)
    for (let at = all.indexOf('\n'); at >= 0; at = all.indexOf('\n', from))
      add(all.slice(from, at), at)
  else
    for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, from))
      add(data.toString('utf8', from, at), at)
  return lines
}
