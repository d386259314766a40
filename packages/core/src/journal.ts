/** The journal's lines, pure: one event a line, a header first. Reading and writing files is an adapter's. */
import { HealthError } from './error.ts'
import type { HealthEvent } from './event.ts'
import type { PolicyOptions } from './tunable.ts'

/** Format of journals that this version writes and reads. */
export const JOURNAL_FORMAT = 1

/** First line of every file. */
export interface JournalHeader {
  readonly format: number
  /** Global policy at the time, and the seed of all chance. */
  readonly policy: PolicyOptions
  readonly seed: number
}

/** The header line, with its line end. */
export const encodeHeader = (policy: PolicyOptions, seed: number): string =>
  `${JSON.stringify({ format: JOURNAL_FORMAT, policy, seed })}\n`

/** Reads a header. Throws HEALTH_JOURNAL_FORMAT for a newer one. */
export function decodeHeader(line: string): JournalHeader {
  const header = parse(line) as JournalHeader
  if (header.format !== JOURNAL_FORMAT)
    throw new HealthError(
      'HEALTH_JOURNAL_FORMAT',
      `The journal has format ${String(header.format)}; this version reads ${JOURNAL_FORMAT}.`,
    )
  return header
}

/** One event as a line, seq and time first, with its line end. */
export function encodeLine(event: HealthEvent, seq: number): string {
  const { at, type, seq: _, ...rest } = event
  return `${JSON.stringify({ seq, at, type, ...rest })}\n`
}

/** Reads one event. Throws HEALTH_JOURNAL_CORRUPT. */
export function decodeLine(line: string): HealthEvent {
  const event = parse(line) as HealthEvent
  if (
    typeof event.at !== 'number' ||
    typeof event.type !== 'string' ||
    typeof event.seq !== 'number'
  )
    throw new HealthError('HEALTH_JOURNAL_CORRUPT', 'A journal line has no seq, at or type.')
  return event
}

function parse(line: string): object {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Said below, once for both.
  }
  throw new HealthError('HEALTH_JOURNAL_CORRUPT', 'A journal line is not a JSON object.')
}
