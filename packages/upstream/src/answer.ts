/**
 * Turns the bytes of a connection into one answer: interim heads are read and dropped, the final one is told, then its body. It
 * keeps no more than one unfinished head, and says exactly where the answer ended; what follows is nobody's.
 */
import { readHead, type AnswerHead, type HeadFault } from './answer-head.ts'
import { ChunkReader } from './chunk.ts'
import { HEAD_BYTES } from './route.ts'

/** What the reader tells. `onData` and `onWhole` answer false to stop until the rest is fed again. */
export interface AnswerSink {
  onHead(head: AnswerHead): void
  onData(chunk: Uint8Array): boolean
  /** A short body that came in one piece with its head, as latin1, instead of `onData`. */
  onWhole(text: string): boolean
}

/** What a feeding came to: more is needed, it stopped because it was asked to, the answer is whole, or it is none. */
export type Progress = 'more' | 'stopped' | 'whole' | 'malformed' | 'too_large'

/** Interim answers before the final one: a sign of life every second through three hours. More are no answer. */
const MAX_INTERIM = 10_000
/** Up to this many bytes are looked at as text at once. Below HEAD_BYTES: no head in them is too large. */
const TEXT_BYTES = 8192
const HEAD_END = '\r\n\r\n'
const CRLF2 = Buffer.from(HEAD_END)
const CR = 13
const LF = 10

/** Reads the answers of one connection, one at a time; `begin` comes before each. */
export class AnswerReader {
  /** How many of the last fed bytes were read. */
  used = 0
  readonly #sink: AnswerSink
  readonly #onData: (slice: Uint8Array) => boolean
  #bodiless = false
  #partial: Buffer | null = null
  #held = 0
  #interim = 0
  #head: AnswerHead | null = null
  #left = 0
  #chunks: ChunkReader | null = null

  constructor(sink: AnswerSink) {
    this.#sink = sink
    this.#onData = (slice) => sink.onData(slice)
  }

  /** Begins with the next answer. `bodiless`: it is one to a HEAD. */
  begin(bodiless: boolean): void {
    this.used = 0
    this.#bodiless = bodiless
    this.#partial = null
    this.#interim = 0
    this.#head = null
    this.#left = 0
    this.#chunks = null
  }

  /** The final head; null before it came. */
  get head(): AnswerHead | null {
    return this.#head
  }

  /** Reads what came. After `stopped` the unread rest is to be fed again. */
  feed(bytes: Buffer): Progress {
    let at = 0
    this.used = 0
    if (this.#head === null && this.#partial === null && bytes.length <= TEXT_BYTES) {
      const progress = this.#short(bytes)
      if (progress !== null) return progress
      at = this.used
    }
    while (this.#head === null) {
      const text = this.#takeHead(bytes, at)
      if (typeof text !== 'string') return text.progress
      at = this.used
      const refused = this.#take(readHead(text, this.#bodiless))
      if (refused !== null) return refused
    }
    return this.#body(bytes, at)
  }

  /**
   * The usual case, an answer that is here as a whole and short, with one look at its text. null: the head, if there was one,
   * was read, and `used` says how far; the rest is read as any other.
   */
  #short(bytes: Buffer): Progress | null {
    const text = bytes.toString('latin1')
    const end = text.indexOf(HEAD_END)
    if (end === -1) return null
    const at = end + HEAD_END.length
    this.used = at
    const refused = this.#take(readHead(text, this.#bodiless, end + 2))
    if (refused !== null) return refused
    const head = this.#head
    if (head === null || head.framing === 0 || head.framing !== text.length - at) return null
    this.#left = 0
    this.used = text.length
    return this.#sink.onWhole(text.slice(at)) ? 'whole' : 'stopped'
  }

  /** Takes a head that was read: tells the final one, counts interim ones. Not null when it cannot be taken. */
  #take(head: AnswerHead | HeadFault): Progress | null {
    if (head === 'too_many') return 'too_large'
    if (head === 'malformed' || head.status === 101) return 'malformed'
    if (head.status < 200) return ++this.#interim > MAX_INTERIM ? 'malformed' : null
    this.#head = head
    if (head.framing === 'chunked') this.#chunks = new ChunkReader()
    else this.#left = head.framing === 'close' ? Number.POSITIVE_INFINITY : head.framing
    this.#sink.onHead(head)
    return null
  }

  /** True when the end of the connection is the end of the answer. */
  get endsWithConnection(): boolean {
    return this.#head?.framing === 'close'
  }

  #body(bytes: Buffer, at: number): Progress {
    if (this.#chunks !== null) {
      let going = true
      const end = this.#chunks.read(bytes, at, (slice) => (going = this.#onData(slice)))
      if (end === -1) return 'malformed'
      this.used = end
      if (this.#chunks.over) return 'whole'
      return going ? 'more' : 'stopped'
    }
    const take = Math.min(this.#left, bytes.length - at)
    this.used = at + take
    if (take > 0) {
      this.#left -= take
      const going = this.#sink.onData(take === bytes.length ? bytes : bytes.subarray(at, at + take))
      if (!going) return 'stopped'
    }
    return this.#left === 0 ? 'whole' : 'more'
  }

  /** The next head's lines, or why there are none. Sets `used` to where it ended. */
  #takeHead(bytes: Buffer, at: number): string | { readonly progress: Progress } {
    if (this.#partial === null) {
      const end = bytes.indexOf(CRLF2, at)
      if (end !== -1) {
        if (end + 4 - at > HEAD_BYTES) return TOO_LARGE
        this.used = end + 4
        return bytes.toString('latin1', at, end + 2)
      }
      this.#partial = Buffer.allocUnsafe(HEAD_BYTES)
      this.#held = 0
    }
    const partial = this.#partial
    const room = Math.min(bytes.length - at, HEAD_BYTES - this.#held)
    bytes.copy(partial, this.#held, at, at + room)
    const from = Math.max(0, this.#held - 3)
    const known = this.#held
    this.#held += room
    const end = partial.subarray(0, this.#held).indexOf(CRLF2, from)
    if (end !== -1) {
      this.used = at + end + 4 - known
      this.#partial = null
      return partial.toString('latin1', 0, end + 2)
    }
    this.used = at + room
    if (isForeign(partial, this.#held) || hasBareLineEnd(partial, known, this.#held))
      return MALFORMED
    return this.#held === HEAD_BYTES ? TOO_LARGE : MORE
  }
}

const MORE = { progress: 'more' } as const
const TOO_LARGE = { progress: 'too_large' } as const
const MALFORMED = { progress: 'malformed' } as const

const START = 'HTTP/1.'

/** Something that begins otherwise is no HTTP/1: there is no end of a head to wait for. */
const isForeign = (bytes: Buffer, length: number): boolean =>
  bytes.toString('latin1', 0, Math.min(length, START.length)) !== START.slice(0, length)

/** A line end without CR would wait for ever for the end of a head that it thinks has come. */
function hasBareLineEnd(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++)
    if (bytes[i] === LF && (i === 0 || bytes[i - 1] !== CR)) return true
  return false
}
