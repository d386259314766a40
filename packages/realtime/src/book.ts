/**
 * The channel's numbers and memory: gives every event its seq, keeps the recent ones, and knows which topics anybody wants. A topic
 * that nobody wants is neither encoded nor kept; whoever comes back to it later gets a snapshot.
 */
import { Frame } from './frame.ts'
import { type Kept, Ring, type RingBounds } from './ring.ts'
import { topics } from './topic.ts'

/** Options of {@link Book}. */
export interface BookOptions extends RingBounds {
  readonly firstSeq: number
  /** Ms for which a topic is still kept after its last subscriber left, so that a lost connection can be resumed. */
  readonly lingerMs: number
  /** Any clock that rises, in ms. */
  readonly now: () => number
}

interface Interest {
  subscribers: number
  /** Kept until then, though nobody is subscribed; -1: it is not. */
  until: number
  /** Nothing up to this number was kept for this topic. */
  floor: number
}

/** The book of one channel. */
export class Book {
  /** Number of the last event. */
  seq: number
  readonly #ring: Ring
  readonly #interests: readonly Interest[]
  readonly #lingerMs: number
  readonly #now: () => number

  constructor(options: BookOptions) {
    this.seq = options.firstSeq
    this.#ring = new Ring(options, options.firstSeq)
    this.#interests = topics.map(() => ({
      subscribers: 0,
      until: -1,
      floor: options.firstSeq,
    }))
    this.#lingerMs = options.lingerMs
    this.#now = options.now
  }

  /** Whether events of this topic go anywhere. Cheap: ask it before an object is made. */
  wanted(topic: number): boolean {
    const interest = this.#interests[topic]!
    if (interest.subscribers > 0) return true
    if (interest.until < 0) return false
    if (this.#now() < interest.until) return true
    interest.until = -1
    if (this.#interests.every(({ subscribers, until }) => subscribers === 0 && until < 0))
      this.#ring.clear(this.seq)
    return false
  }

  /** True when somebody is subscribed now. */
  followed(topic: number): boolean {
    return this.#interests[topic]!.subscribers > 0
  }

  /** Somebody subscribes to a topic. */
  hold(topic: number): void {
    const interest = this.#interests[topic]!
    // Nobody wrote it down until now. A number that no event has marks the place, so that nobody resumes across the hole.
    if (!this.wanted(topic)) interest.floor = ++this.seq
    interest.subscribers++
  }

  /** Somebody no longer does. */
  release(topic: number): void {
    const interest = this.#interests[topic]!
    if (--interest.subscribers === 0) interest.until = this.#now() + this.#lingerMs
  }

  /** Numbers an event and keeps it. */
  record(topic: number, app: string | null, at: string, data: unknown): Kept {
    const seq = ++this.seq
    const frame = new Frame(
      `{"type":"event","seq":${seq},"topic":"${topics[topic]}","at":"${at}","data":${JSON.stringify(data)}}`,
      seq,
    )
    const kept = { seq, topic, app, frame }
    this.#ring.add(kept)
    return kept
  }

  /**
   * Every event of any topic after `since`; null when one of these topics is not kept that far back, or the number is not one of
   * ours. Hold the topics first.
   */
  after(since: number, wanted: readonly number[]): readonly Kept[] | null {
    if (since > this.seq || since < this.#ring.floor) return null
    if (wanted.some((topic) => since < this.#interests[topic]!.floor)) return null
    return this.#ring.after(since)
  }

  /** Events and bytes kept. */
  get kept(): { readonly events: number; readonly bytes: number } {
    return { events: this.#ring.length, bytes: this.#ring.bytes }
  }
}
