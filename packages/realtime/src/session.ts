/**
 * One client's conversation, apart from any socket: what a frame of the client leads to, and which events it gets. It never writes
 * and has no clock; the subscriber around it does the writing.
 */
import type { Book } from './book.ts'
import { Filter } from './filter.ts'
import { Frame } from './frame.ts'
import { complain, type Complaint, type Message, readMessage } from './message.ts'
import type { Kept } from './ring.ts'
import type { Shelf } from './shelf.ts'
import { type Topic, topics } from './topic.ts'

/** Why there is a snapshot where events were expected: they are no longer kept, or the client read too slowly for them. */
export type Because = 'expired' | 'behind'

/** The text of a snapshot's one topic: a JSON list. `apps` null: all. */
export type ReadTopic = (topic: Topic, apps: ReadonlySet<string> | null) => string

/** The answer to a ping. */
export const PONG: Frame = new Frame('{"type":"pong"}', null)

/** See the head of this file. */
export class Session {
  readonly filter = new Filter()
  readonly #book: Book
  readonly #read: ReadTopic
  readonly #shelf: Shelf

  constructor(book: Book, read: ReadTopic, shelf: Shelf) {
    this.#book = book
    this.#read = read
    this.#shelf = shelf
  }

  /** What a frame of the client is answered with, in order; null stands for a binary frame. */
  receive(text: string | null): readonly Frame[] {
    const message = readMessage(text)
    switch (message.type) {
      case 'error':
        return [complaintFrame(message)]
      case 'ping':
        return [PONG]
      case 'subscribe':
        return this.subscribe(message)
      case 'unsubscribe':
        return this.#unsubscribe(message)
      default:
        return message satisfies never
    }
  }

  /** What was missed since the number given, or a snapshot of the topics asked for. */
  subscribe(message: Extract<Message, { type: 'subscribe' }>): readonly Frame[] {
    const { topics: numbers, apps, since } = message
    for (const topic of numbers) if (!this.filter.has(topic)) this.#book.hold(topic)
    this.filter.add(numbers, apps)
    if (since === null) return this.#present(numbers, null)
    return this.#missed(since, numbers) ?? this.#present(numbers, 'expired')
  }

  /** One snapshot of everything subscribed, in place of the events that a slow reader missed. */
  refresh(): readonly Frame[] {
    const numbers = this.filter.topics
    return numbers.length === 0 ? [] : this.#present(numbers, 'behind')
  }

  takes(kept: Kept): boolean {
    return this.filter.takes(kept.topic, kept.app)
  }

  /** The client is gone. */
  close(): void {
    this.#drop(() => this.filter.remove(this.filter.topics, null))
  }

  #unsubscribe(message: Extract<Message, { type: 'unsubscribe' }>): readonly Frame[] {
    let done = true
    this.#drop(() => {
      done = this.filter.remove(message.topics, message.apps)
    })
    if (done) return []
    return [
      complaintFrame(
        complain('bad_frame', 'A topic that is subscribed for all apps cannot lose some of them.'),
      ),
    ]
  }

  /** Lets the book know which topics a change of the filter has let go. */
  #drop(change: () => void): void {
    const before = this.filter.topics
    change()
    for (const topic of before) if (!this.filter.has(topic)) this.#book.release(topic)
  }

  /** Events of these topics since a number; null when they are not kept that far back. Topics it had before have had theirs. */
  #missed(since: number, numbers: readonly number[]): readonly Frame[] | null {
    const kept = this.#book.after(since, numbers)
    return (
      kept
        ?.filter((each) => numbers.includes(each.topic) && this.takes(each))
        .map(({ frame }) => frame) ?? null
    )
  }

  /** All there is of these topics: a snapshot, or one of the last moment and what happened since. */
  #present(wanted: readonly number[], because: Because | null): readonly Frame[] {
    const numbers = wanted.toSorted((a, b) => a - b)
    const plain = numbers.every((number) => this.filter.appsOf(number) === null)
    const key = `${numbers.join()} ${because}`
    const known = plain ? this.#shelf.find(key) : null
    const since = known === null ? null : this.#missed(known.seq!, numbers)
    if (known !== null && since !== null) return [known, ...since]
    const frame = this.#snapshot(numbers, because)
    if (plain) this.#shelf.put(key, frame)
    return [frame]
  }

  #snapshot(numbers: readonly number[], because: Because | null): Frame {
    const { seq } = this.#book
    const parts = numbers.map((number) => {
      const topic = topics[number]!
      return `,"${topic}":${this.#read(topic, this.filter.appsOf(number))}`
    })
    const why = because === null ? '' : `,"because":"${because}"`
    return new Frame(`{"type":"snapshot","seq":${seq}${why}${parts.join('')}}`, seq)
  }
}

const complaintFrame = (complaint: Complaint): Frame => new Frame(JSON.stringify(complaint), null)
