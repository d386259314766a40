/**
 * The queue's file: one row per request that never grows with its body, and beside it what was submitted and the answer. What was
 * submitted goes when there is an answer; only where taking it out would write as much as it holds it stays until both go. Runs in the
 * writer's thread; it applies what it is told in one transaction and decides nothing.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  ATTEMPTS,
  COLUMNS,
  CONTENT,
  DUE,
  FENCE,
  HEAD,
  INSERT,
  KEEP,
  KIND,
  LEASE,
  type Parcel,
  READ,
  type Refusal,
  REMOVE,
  RENEW,
  REVIVE,
  SEQ,
  SETTLE,
  STANDING,
  WANTED,
} from './batch.ts'
import { BUSY, FULL, IOERR, moveLog, openFile, resultCode } from './database-file.ts'
import type { Room } from './room.ts'

/** A stretch of requests as one JSON text, and where the next one begins; null at the end. */
export interface Stretch {
  readonly rows: string
  readonly next: number | null
}

/** What the writer asked for, by parcels. */
type Contents = (Uint8Array<ArrayBuffer> | null)[][]

/** There is not room enough to take new requests. */
class NoRoom extends Error {}

/** The open file. */
export class Database {
  readonly #db: DatabaseSync
  readonly #room: Room
  readonly #pageBytes: number
  readonly #pages: () => number
  readonly #unused: () => number
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #insert: StatementSync
  readonly #addContent: StatementSync
  readonly #move: StatementSync
  readonly #renew: StatementSync
  readonly #settle: StatementSync
  readonly #addAnswer: StatementSync
  readonly #removeLarge: StatementSync
  readonly #content: StatementSync
  readonly #answer: StatementSync
  readonly #remove: StatementSync
  readonly #removeContent: StatementSync
  readonly #removeAnswer: StatementSync
  readonly #revive: StatementSync
  readonly #moveContent: StatementSync
  readonly #stretch: StatementSync

  /** Opens or creates; throws an `OpenRefusal`. */
  constructor(file: string) {
    const { db, room, pageBytes } = openFile(file)
    this.#db = db
    this.#room = room
    this.#pageBytes = pageBytes
    this.#pages = counter(db, 'page_count')
    this.#unused = counter(db, 'freelist_count')
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#commit = db.prepare('COMMIT')
    this.#insert = db.prepare(
      'INSERT INTO request(seq, standing, fence, attempts, due, head) VALUES(?, ?, ?, ?, ?, CAST(? AS TEXT))',
    )
    this.#addContent = db.prepare('INSERT INTO content(seq, bytes) VALUES(?, ?)')
    this.#move = db.prepare(
      'UPDATE request SET standing = ?, fence = ?, attempts = ?, due = ? WHERE seq = ?',
    )
    this.#renew = db.prepare('UPDATE request SET due = ? WHERE seq = ?')
    this.#settle = db.prepare(
      'UPDATE request SET standing = ?, fence = ?, attempts = ?, due = ?, tail = CAST(? AS TEXT) WHERE seq = ?',
    )
    this.#addAnswer = db.prepare(
      "INSERT INTO answer(seq, tail, bytes) VALUES(?, nullif(CAST(? AS TEXT), ''), ?)",
    )
    // What is smaller lies in a page with others: to take it out would write that page for nothing.
    this.#removeLarge = db.prepare('DELETE FROM content WHERE seq = ? AND length(bytes) > ?')
    this.#content = db.prepare('SELECT bytes FROM content WHERE seq = ?')
    this.#content.setReturnArrays(true)
    this.#answer = db.prepare('SELECT bytes FROM answer WHERE seq = ?')
    this.#answer.setReturnArrays(true)
    this.#remove = db.prepare('DELETE FROM request WHERE seq = ?')
    this.#removeContent = db.prepare('DELETE FROM content WHERE seq = ?')
    this.#removeAnswer = db.prepare('DELETE FROM answer WHERE seq = ?')
    // The seventh part of a head is the limit on its start.
    this.#revive = db.prepare(
      `UPDATE request SET seq = ?, standing = ?, fence = ?, attempts = ?, due = 0, head = json_set(head, '$[6]', NULL), tail = CAST(? AS TEXT) WHERE seq = ?`,
    )
    this.#moveContent = db.prepare('UPDATE content SET seq = ? WHERE seq = ?')
    this.#stretch =
      db.prepare(`SELECT group_concat('[' || seq || ',' || standing || ',' || fence || ',' || attempts || ',' || due || ',' || head || ',' || coalesce(json_quote(tail), 'null') || ']') AS rows, max(seq) AS next
      FROM (SELECT seq, standing, fence, attempts, due, head, CASE WHEN standing < 2 THEN tail
        ELSE coalesce((SELECT answer.tail FROM answer WHERE answer.seq = request.seq), tail) END AS tail
        FROM request WHERE seq > ? ORDER BY seq LIMIT ?)`)
  }

  /**
   * Applies parcels as one transaction and syncs it; the contents that rows wanted, parcel by parcel, or why nothing was done. Where
   * the log is at its end and the disk is full, the log is moved and it is tried again, at last with the reserve.
   */
  apply(parcels: readonly Parcel[]): { readonly contents: Contents } | Refusal {
    try {
      return { contents: this.#withRoom(() => this.#transact(parcels)) }
    } catch (error) {
      const code = resultCode(error)
      const message = error instanceof Error ? error.message : String(error)
      const full = error instanceof NoRoom || code === FULL
      return {
        kind: full ? 'full' : code === IOERR || code === BUSY ? 'failed' : 'damaged',
        message,
      }
    }
  }

  stretch(after: number, limit: number): Stretch {
    const found = this.#stretch.get(after, limit) as {
      readonly rows: string | null
      readonly next: number | null
    }
    return { rows: `[${found.rows ?? ''}]`, next: found.next }
  }

  close(): void {
    this.#db.close()
  }

  #withRoom<T>(act: () => T): T {
    const remedies = [() => moveLog(this.#db), () => this.#room.spend() && moveLog(this.#db)]
    for (;;) {
      try {
        return act()
      } catch (error) {
        const remedy = resultCode(error) === FULL ? remedies.shift() : undefined
        if (remedy === undefined) throw error
        remedy()
      }
    }
  }

  #transact(parcels: readonly Parcel[]): Contents {
    try {
      this.#begin.run()
      const contents = parcels.map((parcel) => this.#applyOne(parcel))
      const demand = {
        fileBytes: this.#pages() * this.#pageBytes,
        bytes: parcels.reduce((sum, { used }) => sum + used, 0),
        adds: parcels.some(({ adds }) => adds),
      }
      if (!this.#room.admits(demand, () => this.#unused() * this.#pageBytes))
        throw new NoRoom('no room is left for new requests')
      this.#commit.run()
      this.#room.fill()
      return contents
    } catch (error) {
      // A transaction that failed for want of space may already be undone.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  #applyOne(parcel: Parcel): (Uint8Array<ArrayBuffer> | null)[] {
    const contents: (Uint8Array<ArrayBuffer> | null)[] = []
    const { rows, bytes, count } = parcel
    for (let at = 0, end = count * COLUMNS; at < end; at += COLUMNS) {
      const cell = (column: number): number => rows[at + column] as number
      const part = (column: number): Uint8Array<ArrayBuffer> =>
        bytes.subarray(cell(column), cell(column + 1))
      const seq = cell(SEQ)
      switch (cell(KIND)) {
        case INSERT:
          this.#insert.run(seq, cell(STANDING), cell(FENCE), cell(ATTEMPTS), cell(DUE), part(HEAD))
          this.#addContent.run(seq, part(CONTENT))
          break
        case LEASE:
          this.#move.run(cell(STANDING), cell(FENCE), cell(ATTEMPTS), cell(DUE), seq)
          break
        case RENEW:
          this.#renew.run(cell(DUE), seq)
          break
        case SETTLE:
        case KEEP:
          if (cell(CONTENT + 1) > cell(CONTENT)) {
            this.#move.run(cell(STANDING), cell(FENCE), cell(ATTEMPTS), cell(DUE), seq)
            // Beside the answer: a row that grows would move others out of its page.
            this.#addAnswer.run(seq, part(HEAD), part(CONTENT))
            if (cell(KIND) === SETTLE) this.#removeLarge.run(seq, this.#pageBytes / 2)
          } else if (cell(HEAD + 1) > cell(HEAD))
            this.#settle.run(
              cell(STANDING),
              cell(FENCE),
              cell(ATTEMPTS),
              cell(DUE),
              part(HEAD),
              seq,
            )
          else this.#move.run(cell(STANDING), cell(FENCE), cell(ATTEMPTS), cell(DUE), seq)
          break
        case REMOVE:
          this.#remove.run(seq)
          this.#removeContent.run(seq)
          this.#removeAnswer.run(seq)
          break
        case REVIVE:
          this.#revive.run(cell(DUE), cell(STANDING), cell(FENCE), cell(ATTEMPTS), part(HEAD), seq)
          this.#moveContent.run(cell(DUE), seq)
          this.#removeAnswer.run(seq)
          break
        case READ:
          break
        default:
          throw new Error(`a row asks for ${cell(KIND)}`)
      }
      if (cell(WANTED) !== 0) {
        const statement = cell(KIND) === READ ? this.#answer : this.#content
        const found = statement.get(seq) as unknown as [Uint8Array<ArrayBuffer>] | undefined
        contents.push(found?.[0] ?? null)
      }
    }
    return contents
  }
}

/** Reads a number of pages, again and again. */
function counter(db: DatabaseSync, pragma: string): () => number {
  const statement = db.prepare(`PRAGMA ${pragma}`)
  statement.setReturnArrays(true)
  return () => (statement.get() as unknown as readonly [number])[0]
}
