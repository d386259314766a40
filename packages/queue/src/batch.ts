/**
 * What the queue's thread hands to the writer's thread: a table of numbers, one row per change, and one stretch of bytes that
 * the rows point into. Both travel without being copied and come back to be used again.
 */

/** What a row asks for. */
export const INSERT = 1
export const LEASE = 2
export const RENEW = 3
export const SETTLE = 4
export const REMOVE = 5
/** Reads the answer. */
export const READ = 6
/** Settles, and leaves what was submitted beside the answer. */
export const KEEP = 7
/** Makes a kept request another one: `DUE` is its new number, `HEAD` its tail. */
export const REVIVE = 8

/** Columns of a row. `HEAD` and `CONTENT` are followed by where they end; empty = leave as it is. */
export const KIND = 0
export const SEQ = 1
export const STANDING = 2
export const FENCE = 3
export const ATTEMPTS = 4
export const DUE = 5
/** 1: answer with the content. */
export const WANTED = 6
export const HEAD = 7
export const CONTENT = 9
export const COLUMNS = 11

/** What travels. */
export interface Parcel {
  readonly rows: Float64Array<ArrayBuffer>
  readonly count: number
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Of those bytes. */
  readonly used: number
  /** There is a new request among the rows. */
  readonly adds: boolean
}

/** Why a group of changes was not made. `full` and `failed` may pass; `damaged` does not. */
export interface Refusal {
  readonly kind: 'full' | 'failed' | 'damaged'
  readonly message: string
}

/** The writer's answer to one parcel; `contents` in the order of the rows that wanted one. */
export interface Receipt {
  readonly parcel: Parcel
  readonly contents: readonly (Uint8Array<ArrayBuffer> | null)[]
  readonly refusal: Refusal | null
}

const FIRST_ROWS = 64
const FIRST_BYTES = 64 * 1024
/** Buffers above these sizes are not kept for another batch. */
const KEPT_BYTES = 1024 * 1024
const KEPT_ROWS = 4096

/** Changes being gathered, each with what the sender remembers of it. */
export class Batch<T> {
  readonly #memos: T[] = []
  #rows: Float64Array<ArrayBuffer>
  #bytes: Buffer<ArrayBuffer>
  #used = 0
  #adds = false

  /** Takes over the buffers of a parcel that came back. */
  constructor(used?: Parcel) {
    const again =
      used !== undefined &&
      used.bytes.byteLength <= KEPT_BYTES &&
      used.rows.length <= KEPT_ROWS * COLUMNS
    this.#rows = again ? used.rows : new Float64Array(FIRST_ROWS * COLUMNS)
    this.#bytes = again ? Buffer.from(used.bytes.buffer) : Buffer.from(new ArrayBuffer(FIRST_BYTES))
  }

  get count(): number {
    return this.#memos.length
  }

  get bytes(): number {
    return this.#used
  }

  get memos(): readonly T[] {
    return this.#memos
  }

  get parcel(): Parcel {
    return {
      rows: this.#rows,
      count: this.count,
      bytes: this.#bytes,
      used: this.#used,
      adds: this.#adds,
    }
  }

  /** Begins a row; `head` and `content` are added to the last one begun. */
  row(
    memo: T,
    kind: number,
    seq: number,
    standing = 0,
    fence = 0,
    attempts = 0,
    due = 0,
    wanted = 0,
  ): void {
    const at = this.#memos.length * COLUMNS
    if (at + COLUMNS > this.#rows.length) {
      const rows = new Float64Array(this.#rows.length * 2)
      rows.set(this.#rows)
      this.#rows = rows
    }
    const rows = this.#rows
    rows[at + KIND] = kind
    rows[at + SEQ] = seq
    rows[at + STANDING] = standing
    rows[at + FENCE] = fence
    rows[at + ATTEMPTS] = attempts
    rows[at + DUE] = due
    rows[at + WANTED] = wanted
    rows.fill(this.#used, at + HEAD, at + COLUMNS)
    this.#adds ||= kind === INSERT
    this.#memos.push(memo)
  }

  /** The text of the last row: what a request is, or what became of it. */
  head(text: string): void {
    const at = (this.#memos.length - 1) * COLUMNS
    this.#rows[at + HEAD] = this.#used
    this.#room(text.length * 3)
    this.#used += this.#bytes.write(text, this.#used)
    this.#rows[at + HEAD + 1] = this.#used
  }

  /** The content of the last row: some facts as JSON, then bytes as they came. */
  content(facts: string, body: Uint8Array): void {
    const at = (this.#memos.length - 1) * COLUMNS
    const from = this.#used
    this.#room(4 + facts.length * 3 + body.byteLength)
    const length = this.#bytes.write(facts, from + 4)
    this.#bytes.writeUInt32LE(length, from)
    this.#bytes.set(body, from + 4 + length)
    this.#used = from + 4 + length + body.byteLength
    this.#rows[at + CONTENT] = from
    this.#rows[at + CONTENT + 1] = this.#used
  }

  /** Adds a row of a parcel that came back. */
  again(memo: T, parcel: Parcel, index: number): void {
    const from = parcel.rows.subarray(index * COLUMNS, (index + 1) * COLUMNS)
    this.row(
      memo,
      cell(from, KIND),
      cell(from, SEQ),
      cell(from, STANDING),
      cell(from, FENCE),
      cell(from, ATTEMPTS),
      cell(from, DUE),
      cell(from, WANTED),
    )
    const at = (this.#memos.length - 1) * COLUMNS
    for (const column of [HEAD, CONTENT]) {
      const part = parcel.bytes.subarray(cell(from, column), cell(from, column + 1))
      this.#room(part.byteLength)
      this.#bytes.set(part, this.#used)
      this.#rows[at + column] = this.#used
      this.#used += part.byteLength
      this.#rows[at + column + 1] = this.#used
    }
  }

  #room(more: number): void {
    if (this.#used + more <= this.#bytes.byteLength) return
    let size = this.#bytes.byteLength * 2
    while (size < this.#used + more) size *= 2
    const bytes = Buffer.from(new ArrayBuffer(size))
    bytes.set(this.#bytes.subarray(0, this.#used))
    this.#bytes = bytes
  }
}

function cell(row: Float64Array, column: number): number {
  return row[column] as number
}
