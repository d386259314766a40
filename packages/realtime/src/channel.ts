/**
 * The channel: who is subscribed, and the way of an event to all of them. An event is encoded once; the events of one turn are one
 * write per subscriber. What runners and nodes are it does not know: it is given objects and asked for snapshots.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Book } from './book.ts'
import { Bundle, BUNDLE_EVENTS } from './bundle.ts'
import { readQuery, type StreamQuery, type StreamTerms, StreamWire } from './event-stream.ts'
import type { Frame } from './frame.ts'
import type { Complaint } from './message.ts'
import type { Kept } from './ring.ts'
import { Rooms, type Seat } from './room.ts'
import { type ReadTopic, Session } from './session.ts'
import { Shelf } from './shelf.ts'
import { type ReaderBounds, Subscriber, type Wire } from './subscriber.ts'
import { type Topic, topicNumber } from './topic.ts'
import { type DoorOptions, type Guest, openDoor, type Pass } from './websocket.ts'

/** Options of {@link createChannel}. */
export interface ChannelOptions extends DoorOptions {
  /** The objects of a topic as they are now; `apps` null: of all apps. Called when somebody subscribes. */
  readonly snapshot: (topic: Topic, apps: ReadonlySet<string> | null) => readonly unknown[]
  /**
   * Where `seq` begins. Default: Unix ms × 1000, which is above every number of an earlier process as long as the clock is not set back
   * and fewer than 1000 events came per ms; a number of the future is answered like one that has expired.
   */
  readonly firstSeq?: number
  /** Events kept for `since`. Default 10 000. */
  readonly maxEvents?: number
  /** Bytes of them. Default 8 MiB. */
  readonly maxEventBytes?: number
  /** Ms for which events are kept after the last subscriber of a topic left. Default 60 000. */
  readonly lingerMs?: number
  /** Bytes that may wait for one reader. Default 1 MiB. */
  readonly maxBacklog?: number
  /** Ms for which a reader may stay behind before it is closed with 1013. Default 10 000. */
  readonly behindMs?: number
  /** Unix ms, for `at`. */
  readonly wall?: () => number
}

/** A channel. */
export interface Channel {
  /** Whether an event of this topic would go anywhere. Ask before an object is made. */
  wants(topic: Topic): boolean
  /** Tells every subscriber that takes it. `app` null: it belongs to none. `at`: Unix ms; default now. */
  publish(topic: Topic, app: string | null, data: object, at?: number): void
  /** Takes a WebSocket upgrade, whatever its path. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Serves a stream; answers what is wrong with the query, and has written nothing then. Who may read is decided before. */
  stream(response: ServerResponse, query: StreamQuery, terms?: StreamTerms): Complaint | null
  /** Connections now. */
  readonly size: number
  /** Events and bytes kept. */
  readonly kept: { readonly events: number; readonly bytes: number }
  /** Closes with 4401, or ends, whatever is let in no more: for when keys were changed. */
  review(): void
  /** Closes every connection with 1001. */
  close(): Promise<void>
}

/** A snapshot that is this old may be given to the next one who comes, with the events since. */
const SHELF_MS = 250
const STREAM_BEAT_MS = 15_000
const MAX_STREAMS = 10_000

/** Creates a channel. Nothing runs until somebody connects. */
export function createChannel(options: ChannelOptions): Channel {
  const wall = options.wall ?? Date.now
  const book = new Book({
    firstSeq: options.firstSeq ?? wall() * 1000,
    maxEvents: options.maxEvents ?? 10_000,
    maxBytes: options.maxEventBytes ?? 8 * 2 ** 20,
    lingerMs: options.lingerMs ?? 60_000,
    now: () => performance.now(),
  })
  const bounds = {
    maxBacklog: options.maxBacklog ?? 2 ** 20,
    behindMs: options.behindMs ?? 10_000,
  }
  const rooms = new Rooms(bounds.maxBacklog)
  const streams = new Map<StreamWire, Pass['revoked']>()
  let beating: NodeJS.Timeout | null = null
  let closing = false

  const read: ReadTopic = (topic, apps) => JSON.stringify(options.snapshot(topic, apps))
  const shelf = new Shelf(SHELF_MS)

  let pending: Kept[] = []
  const flush = (): void => {
    if (pending.length === 0) return
    const batch = pending
    pending = []
    rooms.deliver(new Bundle(batch))
  }

  const join = (wire: Wire): Reader =>
    new Reader(new Session(book, read, shelf), flush, wire, bounds, rooms)

  const door = openDoor(options, join)

  return {
    wants: (topic) => book.wanted(topicNumber(topic)),
    publish(topic, app, data, at) {
      const number = topicNumber(topic)
      if (!book.wanted(number)) return
      const kept = book.record(number, app, new Date(at ?? wall()).toISOString(), data)
      if (!book.followed(number)) return
      pending.push(kept)
      if (pending.length === 1) queueMicrotask(flush)
      else if (pending.length === BUNDLE_EVENTS) flush()
    },
    upgrade: (request, socket, head) => door.upgrade(request, socket, head),
    stream(response, query, { headers = {}, forMs = null, revoked } = {}) {
      const message = readQuery(query)
      if (message.type === 'error') return message
      if (closing || streams.size >= (options.maxConnections ?? MAX_STREAMS)) {
        response.writeHead(503, { ...headers, 'retry-after': '1' }).end()
        return null
      }
      const wire = new StreamWire(response, headers)
      // Asked by HEAD: a stream without a body would neither begin nor end.
      if (response.req.method === 'HEAD') {
        response.end()
        return null
      }
      const reader = join(wire)
      streams.set(wire, revoked)
      beating ??= setInterval(() => {
        for (const stream of streams.keys()) stream.beat()
      }, options.heartbeatMs ?? STREAM_BEAT_MS)
      const leave = forMs === null ? null : setTimeout(() => wire.end(), forMs).unref()
      response.once('close', () => {
        if (leave !== null) clearTimeout(leave)
        streams.delete(wire)
        reader.close()
        if (streams.size > 0 || beating === null) return
        clearInterval(beating)
        beating = null
      })
      reader.reply(() => reader.session.subscribe(message))
      return null
    },
    get size() {
      return door.size + streams.size
    },
    get kept() {
      return book.kept
    },
    review() {
      door.review()
      for (const [stream, revoked] of streams) if ((revoked?.() ?? null) !== null) stream.end()
    },
    async close() {
      closing = true
      flush()
      for (const stream of streams.keys()) stream.end()
      await door.close()
    },
  }
}

/** Somebody who is connected: what is said with them, and what is written to them. */
class Reader extends Subscriber implements Guest {
  readonly session: Session
  seat: Seat | null = null
  readonly #flush: () => void
  readonly #rooms: Rooms

  constructor(session: Session, flush: () => void, wire: Wire, bounds: ReaderBounds, rooms: Rooms) {
    super(wire, bounds)
    this.session = session
    this.#flush = flush
    this.#rooms = rooms
  }

  receive(text: string | null): void {
    this.reply(() => this.session.receive(text))
  }

  /** What was published before goes out before the answer. */
  reply(frames: () => readonly Frame[]): void {
    this.#flush()
    const answer = frames()
    this.#rooms.seat(this, this.session.filter)
    this.answer(answer)
  }

  protected override refresh(): readonly Frame[] {
    this.#flush()
    return this.session.refresh()
  }

  protected override turned(): void {
    this.#rooms.turned(this)
  }

  override close(): void {
    this.#rooms.leave(this)
    this.session.close()
    super.close()
  }
}
