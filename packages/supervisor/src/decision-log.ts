/**
 * Why orders were given, for people: the newest decisions in memory, all of them in small files beside the journal. Derived from
 * it: what the disk refuses here is not kept for later, and a replay brings it back.
 */
import type { Decision } from '@health/core'
import { readLines, type Segment } from './segment.ts'
import { SegmentLog, type WriteBytes } from './segment-log.ts'

/** Decisions kept in memory. */
const MEMORY = 10_000
/** Small, so that a page of old decisions is read at once. */
const SEGMENT_BYTES = 1 << 20

/** Options of {@link DecisionLog}. */
export interface DecisionLogOptions {
  readonly folder: string
  readonly onError: (error: unknown) => void
  readonly write?: WriteBytes
}

/** Who decisions are about, whatever the life. */
export interface SubjectId {
  readonly kind: Decision['subject']['kind']
  readonly id: string
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** See the head of this file. */
export class DecisionLog {
  readonly #log: SegmentLog
  readonly #options: DecisionLogOptions
  /** Ascending by `seq`; at most twice {@link MEMORY}, then cut to it. */
  #recent: Decision[] = []
  #unwritten: Decision[] = []
  #onDisk = 0
  #turn: NodeJS.Immediate | undefined
  #failed = false

  constructor(options: DecisionLogOptions) {
    this.#options = options
    this.#log = new SegmentLog({
      folder: options.folder,
      prefix: 'decisions-',
      segmentBytes: SEGMENT_BYTES,
      header: (seq) => ({ format: 1, seq }),
      onError: options.onError,
      ...(options.write !== undefined && { write: options.write }),
    })
    this.#open()
  }

  /** Number of the last decision in a file: a replay adds only later ones. */
  get onDisk(): number {
    return this.#onDisk
  }

  /** Keeps a decision; one that is already in a file is only remembered. */
  append(decision: Decision): void {
    if (decision.seq <= (this.#recent.at(-1)?.seq ?? 0)) return
    this.#recent.push(decision)
    if (this.#recent.length > 2 * MEMORY) this.#recent = this.#recent.slice(-MEMORY)
    if (decision.seq <= this.#onDisk) return
    this.#unwritten.push(decision)
    this.#turn ??= setImmediate(() => this.flush())
  }

  /** Writes what waits. On a disk that refuses it is dropped from the files, not from memory. */
  flush(): void {
    if (this.#turn !== undefined) clearImmediate(this.#turn)
    this.#turn = undefined
    const waiting = this.#unwritten
    if (waiting.length === 0) return
    this.#unwritten = []
    try {
      const text = waiting.map((decision) => `${JSON.stringify(decision)}\n`).join('')
      this.#log.append(text, this.#onDisk)
      this.#failed = false
    } catch (error) {
      if (!this.#failed) this.#options.onError(error)
      this.#failed = true
    }
    this.#onDisk = waiting.at(-1)!.seq
  }

  /** Decisions after number `since`, oldest first, at most `limit`; from memory, or from at most a few small files. */
  since(since: number, limit: number): readonly Decision[] {
    const first = this.#recent[0]?.seq ?? Infinity
    const found: Decision[] = []
    if (first > since + 1) {
      const { segments } = this.#log
      const from = Math.max(
        0,
        segments.findLastIndex((segment) => (segment.header?.seq ?? 0) <= since),
      )
      for (const segment of segments.slice(from)) {
        if (found.length >= limit || (segment.header?.seq ?? 0) >= first) break
        for (const decision of decisionsIn(segment, '')) {
          if (decision.seq > since && decision.seq < first && found.length < limit)
            found.push(decision)
        }
      }
    }
    const room = limit - found.length
    if (room <= 0) return found
    let low = 0
    let high = this.#recent.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#recent[middle]!.seq <= since) low = middle + 1
      else high = middle
    }
    return found.concat(this.#recent.slice(low, low + room))
  }

  /** Every decision about a subject that is still kept, oldest first, the newest `limit` of them. */
  async of(subject: SubjectId, limit = 10_000): Promise<readonly Decision[]> {
    const first = this.#recent[0]?.seq ?? Infinity
    const found: Decision[] = []
    const about = (decision: Decision): boolean =>
      decision.subject.id === subject.id && decision.subject.kind === subject.kind
    for (const segment of this.#log.segments.slice()) {
      if ((segment.header?.seq ?? 0) >= first - 1) break
      for (const decision of decisionsIn(segment, JSON.stringify(subject.id)))
        if (decision.seq < first && about(decision)) found.push(decision)
      await turn()
    }
    return found
      .concat(this.#recent.filter((each) => each.seq >= first && about(each)))
      .slice(-limit)
  }

  /** Deletes the oldest files beyond the bounds. */
  prune(bounds: {
    readonly maxBytes: number
    readonly maxAgeMs: number
    readonly now: number
  }): void {
    this.#log.prune({ ...bounds, keepAfter: Infinity })
  }

  async close(): Promise<void> {
    this.flush()
    await this.#log.close().catch((error: unknown) => this.#options.onError(error))
  }

  /** Finds where the files end, and remembers the newest file's decisions. */
  #open(): void {
    const newest = this.#log.segments.at(-1)
    if (newest === undefined) return
    if (newest.header === null) {
      this.#log.drop()
      this.#open()
      return
    }
    this.#onDisk = newest.header.seq
    let whole = 0
    for (const piece of readLines(newest.path)) {
      for (const line of piece) {
        const decision = line.number === 1 ? null : parse(line.text)
        if (!line.whole || (line.number > 1 && decision === null)) {
          this.#log.cut(whole)
          return
        }
        whole = line.end
        if (decision === null) continue
        this.#recent.push(decision)
        this.#onDisk = decision.seq
      }
    }
  }
}

function parse(text: string): Decision | null {
  try {
    const decision = JSON.parse(text) as Decision | null
    return typeof decision?.seq === 'number' ? decision : null
  } catch {
    return null
  }
}

/** Decisions of a file whose text contains `word`. A file that was deleted meanwhile has none. */
function* decisionsIn(segment: Segment, word: string): Generator<Decision> {
  try {
    for (const piece of readLines(segment.path)) {
      for (const line of piece) {
        if (line.number === 1 || !line.whole || !line.text.includes(word)) continue
        const decision = parse(line.text)
        if (decision !== null) yield decision
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
