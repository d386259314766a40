/**
 * Reads the journal back, from any event on. A last line that a crash tore is reported and left out; anything else that cannot
 * be read is refused by file and line. It changes no file and decides nothing.
 */
import { FactReader, HealthError, JOURNAL_FORMAT, type HealthEvent } from '@health/core'
import {
  lineWithoutEnd,
  readLines,
  readPieces,
  segmentsAt,
  type Line,
  type Segment,
  type SegmentHeader,
} from './segment.ts'

/** A line that stands for events which were dropped: the state after `to` is in a snapshot. Not a fact, never given to `step`. */
export interface JournalGap {
  readonly seq: number
  readonly at: number
  readonly type: 'journal.gap'
  readonly from: number
  readonly to: number
}

/** Where a journal ends. */
export interface JournalEnd {
  /** Header of the newest file; null when there is none. */
  readonly header: SegmentHeader | null
  /** Length to which the newest file must be cut before it is written to again; null: it is whole. */
  readonly cut: number | null
  /** The newest file has no whole header and must be deleted before the next write. */
  readonly drop: boolean
  readonly warning: string | null
}

/** One line as data; throws when it is no event. */
export function decodeRecord(text: string): HealthEvent | JournalGap {
  const record = JSON.parse(text) as { seq?: unknown; at?: unknown; type?: unknown } | null
  if (
    !Number.isSafeInteger(record?.seq) ||
    typeof record?.at !== 'number' ||
    typeof record.type !== 'string'
  )
    throw new Error('it is no event')
  return record as HealthEvent | JournalGap
}

const corrupt = (path: string, line: number, why: string): HealthError =>
  new HealthError(
    'HEALTH_JOURNAL_CORRUPT',
    `The journal line ${path}:${line} cannot be read (${why}). Restore the file or move it away.`,
  )

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The first line of a journal, a folder or one file: what it begins with. null when there is no journal, or no header. */
export const journalStart = (path: string): SegmentHeader | null =>
  segmentsAt(path)[0]?.header ?? null

/**
 * Gives every event after number `after`, oldest first, to `take`. `folder`: a journal's, or one file of it. Throws HEALTH_JOURNAL_FORMAT for a file of a newer version,
 * HEALTH_JOURNAL_CORRUPT for a line that cannot be read or taken, for a missing file, and for a gap that no snapshot covers.
 */
export async function readJournal(
  folder: string,
  after: number,
  take: (event: HealthEvent) => void,
): Promise<JournalEnd> {
  const segments = segmentsAt(folder)
  const newest = segments.at(-1)
  if (newest === undefined) return { header: null, cut: null, drop: false, warning: null }
  const drop = newest.header === null && isTornHeader(newest)
  if (drop) segments.pop()
  for (const { header, path } of segments) {
    if (header === null) throw corrupt(path, 1, 'it is no header')
    if (header.format > JOURNAL_FORMAT) {
      throw new HealthError(
        'HEALTH_JOURNAL_FORMAT',
        `The journal ${path} was written by a newer version (format ${header.format}). Start the version that wrote it.`,
      )
    }
  }
  const last = segments.at(-1)
  let cut: number | null = null
  let warning = drop
    ? `The journal file ${newest.path} had no whole first line and was dropped.`
    : null
  for (const segment of needed(segments, after)) {
    const torn = await readSegment(segment, segment === last, after, take)
    if (torn === null) continue
    cut = torn.from
    warning = `The last line of the journal, ${segment.path}:${torn.line}, was torn and is dropped.`
  }
  return { header: last?.header ?? null, cut, drop, warning }
}

/** The files that hold events after `after`; the newest always, to find its end. */
function needed(segments: readonly Segment[], after: number): readonly Segment[] {
  if (segments.length === 0) return segments
  const first = segments.findLastIndex((segment) => segment.header!.seq <= after)
  if (first < 0) {
    const { header, path } = segments[0]!
    throw corrupt(
      path,
      1,
      `the events ${after + 1} to ${header!.seq} are in no file and in no snapshot`,
    )
  }
  const files = segments.slice(first)
  for (const [i, { number, path }] of files.entries()) {
    if (number !== files[0]!.number + i)
      throw corrupt(path, 1, `the file ${number - 1} before it is missing`)
  }
  return files
}

/** A crash can tear a header only when nothing follows it. */
function isTornHeader(segment: Segment): boolean {
  let lines = 0
  for (const piece of readLines(segment.path)) lines += piece.length
  return lines <= 1
}

async function readSegment(
  segment: Segment,
  isLast: boolean,
  after: number,
  take: (event: HealthEvent) => void,
): Promise<{ readonly line: number; readonly from: number } | null> {
  let covered = after
  let previous = segment.header!.seq
  const keep = (record: HealthEvent | JournalGap): void => {
    if (record.seq! < previous) throw new Error(`its seq ${record.seq} follows ${previous}`)
    previous = record.seq!
    if (record.type === 'journal.gap') {
      if (record.to > covered)
        throw new Error(`the events ${record.from} to ${record.to} are in no snapshot`)
    } else if (record.seq! > covered) {
      covered = record.seq!
      take(record)
    }
  }
  const refused = (error: unknown, number: number): unknown =>
    error instanceof HealthError && error.code === 'HEALTH_JOURNAL_CORRUPT'
      ? error
      : corrupt(segment.path, number, (error as Error).message)
  const read = ({ text, number }: Line): void => {
    if (number === 1) return
    try {
      keep(decodeRecord(text))
    } catch (error) {
      throw refused(error, number)
    }
  }
  // The last line of what was read so far, because only the very last may be torn.
  let held: Line | null = null
  let from = 0
  let number = 0
  const reader = new FactReader()
  for (const piece of readPieces(segment.path)) {
    const { bytes, start, whole } = piece
    if (held !== null) read(held)
    const last = whole ? bytes.lastIndexOf(10, -2) + 1 : 0
    reader.open(bytes)
    for (let at = 0; at < last;) {
      number++
      const fact = reader.read(at)
      if (fact === null) {
        const end = bytes.indexOf(10, at)
        read({ text: bytes.toString('utf8', at, end), number, end: start + end + 1, whole })
        at = end + 1
        continue
      }
      at = reader.end
      try {
        keep(fact)
      } catch (error) {
        throw refused(error, number)
      }
    }
    number++
    from = start + last
    held = whole
      ? {
          text: bytes.toString('utf8', last, bytes.length - 1),
          number,
          end: start + bytes.length,
          whole,
        }
      : lineWithoutEnd(piece, number)
    await turn()
  }
  if (held === null) return null
  if (!isLast) {
    if (!held.whole) throw corrupt(segment.path, held.number, 'it has no end')
    read(held)
    return null
  }
  if (held.whole && isRecord(held)) {
    read(held)
    return null
  }
  return { line: held.number, from }
}

function isRecord(line: Line): boolean {
  if (line.number === 1) return true
  try {
    decodeRecord(line.text)
    return true
  } catch {
    return false
  }
}
