/**
 * The words between a gateway and its way to one server: what is sent, what is heard, and in which ways a connection can fail.
 * It names them; how they are kept is in the other files.
 */
import type { Readable } from 'node:stream'

/** A request as it goes out. Headers are a flat list (name, value, …) without hop-by-hop ones. */
export interface Outgoing {
  readonly method: string
  readonly path: string
  readonly headers: readonly string[]
  /** A stream is read to its end, or until the answer is complete; it is never destroyed. */
  readonly body: Readable | Uint8Array | null
}

/**
 * How a connection failed. `head_too_large` is an answer of over 16 KB of headers; `unsendable` a request that cannot be
 * written, `no_socket` a lack of our own: these two say nothing about the server.
 */
export type Cut =
  | 'refused'
  | 'connect_timeout'
  | 'disconnected'
  | 'incomplete'
  | 'head_too_large'
  | 'unsendable'
  | 'no_socket'

/** Receives one answer: `head`, any `data` (or one `whole`), then `end`; or `lost` at any point instead. Nothing comes after `end`, `lost` or `abort`. */
export interface Receiver {
  /** Headers are a flat list, names as they came. */
  head(status: number, headers: readonly string[]): void
  /** The chunk is the receiver's to keep. False: stop until `resume`. */
  data(chunk: Uint8Array): boolean
  /**
   * A short body that came in one piece with its head, byte by character (latin1), instead of `data`: what is text already is
   * written on without being copied. A receiver without it gets `data`.
   */
  whole?(text: string): void
  /**
   * A larger piece, instead of `data`: the chunk is the receiver's until it calls `giveBack`, and its memory is used again then.
   * One that is never given back is collected like any other.
   */
  lent?(chunk: Uint8Array, giveBack: () => void): boolean
  end(): void
  lost(how: Cut): void
}

/** A request on its way. */
export interface Flight {
  /** Goes on after `data` answered false. */
  resume(): void
  /** Cuts the connection. The receiver hears nothing more. */
  abort(): void
}

/** A server's address with its connections. */
export interface Route {
  /** Never throws; `lost` may come before it returns. What has no stream for a body goes out at the end of this turn of the event loop. */
  send(request: Outgoing, receiver: Receiver): Flight
  /** Cuts all connections; what is in flight is lost, and so is whatever is sent afterwards. */
  close(): void
}

/** Largest head of an answer, in bytes; its trailers have the same limit. */
export const HEAD_BYTES = 16_384
