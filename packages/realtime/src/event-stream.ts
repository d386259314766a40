/** The same channel over SSE, for those who cannot use WebSocket: one response that never ends by itself. It reads the query and nothing else. */
import type { ServerResponse } from 'node:http'
import { complain, type Complaint, type Message, readSubscription } from './message.ts'
import type { Wire } from './subscriber.ts'
import { topics } from './topic.ts'
import type { Pass } from './websocket.ts'

/** What the query of a stream says; each part as it came, undefined when absent. */
export interface StreamQuery {
  /** Comma-separated. Absent: all topics. */
  readonly topics?: string | undefined
  readonly apps?: string | undefined
  readonly since?: string | undefined
  /** The header `Last-Event-ID`; wins over `since`, which is as old as the page. */
  readonly lastEventId?: string | undefined
}

/** How a stream is answered; it ends when the pass is over. */
export interface StreamTerms extends Pass {
  /** Added to the head. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Reads the query of a stream. */
export function readQuery(query: StreamQuery): Extract<Message, { type: 'subscribe' }> | Complaint {
  const since = query.lastEventId || query.since
  if (since !== undefined && since !== '' && !/^\d{1,16}$/.test(since))
    return complain('bad_since', 'since must be the seq of a snapshot or an event.')
  const list = (text: string | undefined): readonly string[] | undefined =>
    text === undefined || text === '' ? undefined : text.split(',').map((word) => word.trim())
  return readSubscription(
    list(query.topics) ?? topics,
    list(query.apps),
    since === undefined || since === '' ? undefined : Number(since),
  )
}

const BEAT: Buffer = Buffer.from(':\n\n')
/** What a browser waits before it connects again, in ms. */
const HELLO: Buffer = Buffer.from('retry: 1000\n\n')

/** A response as a wire. */
export class StreamWire implements Wire {
  readonly transport = 'stream'
  /** A response that has ended must not be written to; it is asked each time. */
  readonly sink = null
  readonly #response: ServerResponse

  /** Sends the head. `headers` are added to it. */
  constructor(response: ServerResponse, headers: Readonly<Record<string, string>>) {
    this.#response = response
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    response.socket?.setKeepAlive(true, 15_000)
    response.socket?.setNoDelay(true)
    response.write(HELLO)
  }

  get backlog(): number {
    return this.#response.writableLength
  }

  write(bytes: Buffer): void {
    if (!this.#response.writableEnded) this.#response.write(bytes)
  }

  whenDrained(callback: () => void): void {
    if (this.#response.writableNeedDrain) this.#response.once('drain', callback)
    else this.#response.write(BEAT, () => callback())
  }

  beat(): void {
    this.write(BEAT)
  }

  /** A stream has no codes: it ends, and a reader that takes nothing is cut. */
  end(): void {
    const response = this.#response
    if (response.writableEnded) return
    response.end()
    if (response.writableLength > 0) response.destroy()
  }
}
