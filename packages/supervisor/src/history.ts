/**
 * What happened, read back: decisions from memory and their small files, events from the journal. Reading goes piece by piece
 * beside the work, in bounded memory; it changes nothing and knows nothing of what an event means.
 */
import type { Decision, HealthEvent, PolicyOptions, Recording } from '@health/core'
import type { DecisionLog, SubjectId } from './decision-log.ts'
import type { FileJournal } from './journal.ts'
import { decodeRecord } from './journal-tail.ts'
import { readLines } from './segment.ts'
import type { SegmentLog } from './segment-log.ts'

/** Events that one answer holds at most, the newest. */
const LIMIT = 10_000

/** The past, as the app's endpoints ask for it. */
export interface History {
  /** Decisions after number `since`, oldest first, at most `limit`. */
  decisions(since: number, limit: number): readonly Decision[]
  /** Every decision about a subject that is still kept, oldest first. */
  decisionsOf(subject: SubjectId): Promise<readonly Decision[]>
  /** The events with these numbers that are still kept, in order. */
  events(seqs: readonly number[]): Promise<readonly HealthEvent[]>
  /** The newest 10 000 events that name a runner, in order. */
  eventsOf(runner: string): Promise<readonly HealthEvent[]>
  /**
   * The journal from its beginning up to event `upTo` and to the observed moment `until`, for a replay: what let a held runner go may
   * have come long after the last event that its end cites. null when its beginning is no longer kept, a gap is in it, or it is longer
   * than 200 000 events.
   */
  recording(upTo: number, until?: number): Promise<Recording | null>
}

/** Events that a recording holds at most. */
const RECORDING = 200_000

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The history of one supervisor. */
export function createHistory(
  decisions: DecisionLog,
  log: SegmentLog,
  journal: Pick<FileJournal, 'flush' | 'waiting'>,
): History {
  const timeOf = (text: string): number => Number.parseFloat(text.slice(text.indexOf('"at":') + 5))
  const numberOf = (text: string): number => Number.parseInt(text.slice(text.indexOf(':') + 1), 10)

  /** Lines of files that can hold what is asked, then those that wait for the disk. */
  async function collect(
    wanted: (from: number, to: number) => boolean,
    holds: (text: string) => boolean,
    limit: number,
    gapless = false,
  ): Promise<readonly HealthEvent[]> {
    journal.flush()
    let found: HealthEvent[] = []
    const keep = (text: string): void => {
      if (!holds(text)) return
      const record = decodeRecord(text)
      if (record.type === 'journal.gap') {
        // What follows a gap cannot be replayed from before it.
        if (gapless) found = []
        return
      }
      found.push(record)
      if (found.length > 2 * limit) found = found.slice(-limit)
    }
    const waiting = [...journal.waiting]
    const files = log.segments.map(({ path, header }, i) => ({
      path,
      from: header?.seq ?? 0,
      to: log.lastOf(i),
    }))
    for (const { path, from, to } of files) {
      if (!wanted(from, to)) continue
      try {
        for (const piece of readLines(path)) {
          for (const { text, number, whole } of piece) if (whole && number > 1) keep(text)
          await turn()
        }
      } catch (error) {
        // Deleted meanwhile because it was too old: then it is not kept.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    for (const line of waiting) keep(line)
    return found.slice(-limit)
  }

  return {
    decisions: (since, limit) => decisions.since(since, limit),
    decisionsOf: (subject) => decisions.of(subject),
    events(seqs) {
      const numbers = new Set(seqs)
      const sorted = [...numbers].sort((a, b) => a - b)
      return collect(
        (from, to) => sorted.some((seq) => seq > from && seq <= to),
        (text) => numbers.has(numberOf(text)),
        numbers.size,
      )
    },
    async recording(upTo, until = Number.NEGATIVE_INFINITY) {
      const header = log.segments[0]?.header
      if (header === undefined || header === null || header.seq !== 0) return null
      let past = false
      const found = await collect(
        () => !past,
        (text) => {
          past ||= numberOf(text) > upTo && timeOf(text) > until
          return !past
        },
        RECORDING + 1,
        true,
      )
      if (found.length > RECORDING || found[0]?.seq !== 1) return null
      return {
        start: null,
        policy: header['policy'] as PolicyOptions,
        seed: header['seed'] as number,
        events: found,
      }
    },
    eventsOf(runner) {
      const word = JSON.stringify(runner)
      return collect(
        () => true,
        (text) => text.includes(word),
        LIMIT,
      )
    },
  }
}
