/** How the part of a request that never changes is written to its row, and read back when the queue opens. */
import { Entry, type Head, headTerms, type Standing } from './entry.ts'

type Written = [
  id: string,
  app: string,
  owner: string,
  path: string,
  low: 0 | 1,
  submittedAt: number,
  startBefore: number | null,
  terms?: Head['terms'],
]

/** One request as a stretch holds it. */
type Row = [
  seq: number,
  standing: Standing,
  fence: number,
  attempts: number,
  due: number,
  head: Written,
  tail: string | null,
]

export function writeHead(entry: Entry): string {
  const { id, app, owner, path, submittedAt, startBefore, terms } = entry
  const head: Written = [id, app, owner, path, entry.low ? 1 : 0, submittedAt, startBefore]
  if (terms.noRetry || terms.retryConfig !== null) head.push(terms)
  return JSON.stringify(head)
}

/** Reads rows; equal names share one string, since a million requests have few of them. */
export class HeadReader {
  #app = ''
  #owner = ''
  #path = ''

  read(rows: string): Entry[] {
    return (JSON.parse(rows) as Row[]).map(([seq, standing, fence, attempts, due, head, tail]) => {
      const [id, app, owner, path, low, submittedAt, startBefore, terms] = head
      if (app !== this.#app) this.#app = app
      if (owner !== this.#owner) this.#owner = owner
      if (path !== this.#path) this.#path = path
      const entry = new Entry(seq, {
        id,
        app: this.#app,
        owner: this.#owner,
        path: this.#path,
        low: low === 1,
        submittedAt,
        startBefore,
        terms: headTerms(terms),
      })
      entry.standing = standing
      entry.fence = fence
      entry.attempts = attempts
      entry.due = due
      entry.tail = tail
      return entry
    })
  }
}
