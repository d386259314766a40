/**
 * One message on its way out, as the bytes of each transport: encoded once, whoever gets it. Server frames of WebSocket carry no
 * mask, so that one buffer serves every subscriber.
 */

/** How a subscriber is connected. */
export type Transport = 'websocket' | 'stream'

/** A message, ready to be written. */
export class Frame {
  /** Number of the event or snapshot; null for what has none (errors, pongs). */
  readonly seq: number | null
  /** Header and payload of one WebSocket text frame. */
  readonly #bytes: Buffer
  readonly #head: number
  #stream: Buffer | null = null

  constructor(text: string, seq: number | null) {
    this.seq = seq
    const length = Buffer.byteLength(text)
    this.#head = length < 126 ? 2 : length < 65_536 ? 4 : 10
    const bytes = Buffer.allocUnsafe(this.#head + length)
    bytes[0] = 0x81
    if (this.#head === 2) bytes[1] = length
    else if (this.#head === 4) {
      bytes[1] = 126
      bytes.writeUInt16BE(length, 2)
    } else {
      bytes[1] = 127
      bytes.writeUInt32BE(Math.floor(length / 2 ** 32), 2)
      bytes.writeUInt32BE(length >>> 0, 6)
    }
    bytes.write(text, this.#head)
    this.#bytes = bytes
  }

  /** Bytes of the WebSocket frame; with subscribers of both transports it holds twice as many. */
  get size(): number {
    return this.#bytes.length
  }

  /** What is written to a subscriber. */
  on(transport: Transport): Buffer {
    if (transport === 'websocket') return this.#bytes
    this.#stream ??= Buffer.concat([
      Buffer.from(this.seq === null ? 'data: ' : `id: ${this.seq}\ndata: `),
      this.#bytes.subarray(this.#head),
      Buffer.from('\n\n'),
    ])
    return this.#stream
  }
}
