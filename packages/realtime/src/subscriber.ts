/**
 * One reader and its bounds: what is written while it keeps up, one fresh state in place of what it missed when it did not, the
 * end when it never catches up. A slow reader costs its own buffer and nobody else anything.
 */
import type { Writable } from 'node:stream'
import type { Frame, Transport } from './frame.ts'

/** A connection as it is written to. */
export interface Wire {
  readonly transport: Transport
  /** Where bytes may be written without asking, until the subscriber is told of the end; null: by `write` only. */
  readonly sink: Writable | null
  /** Bytes written that the kernel has not taken. */
  readonly backlog: number
  write(bytes: Buffer): void
  /** Calls back once, when nothing waits any more. */
  whenDrained(callback: () => void): void
  /** Ends it with a code of WebSocket; a stream just ends. Calling it again does nothing. */
  end(code: number, reason: string): void
}

/** Bounds of one reader. */
export interface ReaderBounds {
  /** Bytes that may wait for one reader beyond a snapshot that is on its way. */
  readonly maxBacklog: number
  /** Ms for which a reader may stay behind. */
  readonly behindMs: number
}

/** See the head of this file. */
export abstract class Subscriber {
  readonly wire: Wire
  readonly #bounds: ReaderBounds
  #allowance: number
  #limit: NodeJS.Timeout | null = null
  #over = false

  constructor(wire: Wire, bounds: ReaderBounds) {
    this.wire = wire
    this.#bounds = bounds
    this.#allowance = bounds.maxBacklog
  }

  /** True while events are left out for it. */
  get behind(): boolean {
    return this.#limit !== null
  }

  /** Writes bytes of whole frames, or marks it as behind. */
  deliver(bytes: Buffer): void {
    if (this.#limit !== null || this.#over) return
    const { wire } = this
    if (wire.backlog > this.#allowance) return this.#fallBehind()
    wire.write(bytes)
  }

  /** Writes what it asked for: a state may be larger than the bound, and what follows it may wait behind it. */
  answer(frames: readonly Frame[]): void {
    if (frames.length === 0 || this.#limit !== null || this.#over) return
    const { wire } = this
    // A state is on its way already: asking again and again must not pile them up.
    if (wire.backlog > this.#bounds.maxBacklog) return this.#fallBehind()
    if (frames.length === 1) wire.write(frames[0]!.on(wire.transport))
    else wire.write(Buffer.concat(frames.map((frame) => frame.on(wire.transport))))
    const { backlog } = wire
    if (backlog <= this.#bounds.maxBacklog) return
    this.#allowance = backlog + this.#bounds.maxBacklog
    wire.whenDrained(() => {
      this.#allowance = this.#bounds.maxBacklog
    })
  }

  /** The fresh state: all that it is subscribed to. */
  protected abstract refresh(): readonly Frame[]

  /** It fell behind, or caught up. */
  protected turned(): void {}

  /** It is gone. */
  close(): void {
    this.#over = true
    if (this.#limit !== null) clearTimeout(this.#limit)
    this.#limit = null
  }

  #fallBehind(): void {
    const limit = setTimeout(() => {
      this.#limit = null
      this.#over = true
      this.wire.end(1013, 'read too slowly')
    }, this.#bounds.behindMs)
    limit.unref()
    this.#limit = limit
    this.turned()
    this.wire.whenDrained(() => {
      if (this.#limit === null) return
      clearTimeout(this.#limit)
      this.#limit = null
      this.turned()
      this.#allowance = this.#bounds.maxBacklog
      this.answer(this.refresh())
    })
  }
}
