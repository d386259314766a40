/** A book with a clock of its own, and sessions on it, without a socket. */
import { Book } from '../src/book.ts'
import type { Frame } from '../src/frame.ts'
import { Session } from '../src/session.ts'
import { Shelf } from '../src/shelf.ts'
import { topicNumber, type Topic } from '../src/topic.ts'

export const FIRST = 1000

/** Begins at {@link FIRST}. */
export function stage(bounds: { maxEvents?: number; maxBytes?: number } = {}) {
  const time = { now: 0 }
  const book = new Book({
    firstSeq: FIRST,
    maxEvents: bounds.maxEvents ?? 100,
    maxBytes: bounds.maxBytes ?? 1e6,
    lingerMs: 60_000,
    now: () => time.now,
  })
  const asked: Topic[] = []
  const shelf = new Shelf(1000)
  const join = () =>
    new Session(
      book,
      (topic, apps) => {
        asked.push(topic)
        return JSON.stringify([{ of: topic, apps: apps === null ? 'all' : [...apps] }])
      },
      shelf,
    )
  const happen = (topic: Topic, app: string | null = null, data: object = {}): number =>
    book.record(topicNumber(topic), app, '2026-01-01T00:00:00.000Z', data).seq
  return { time, book, join, happen, asked }
}

/** What is in a frame, read back from its bytes as a stream. */
export const read = (frame: Frame): Record<string, unknown> =>
  JSON.parse(/^data: (.*)$/m.exec(frame.on('stream').toString())![1]!) as Record<string, unknown>
export const say = (session: Session, message: unknown): Record<string, unknown>[] =>
  session.receive(typeof message === 'string' ? message : JSON.stringify(message)).map(read)
