/**
 * Sends the body of a request from a stream, no faster than the server takes it. It never destroys the stream, which may be a
 * caller's connection; when it stops early the rest is read and dropped.
 */
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'

/** Up to this many bytes go out as text, in one write with what comes before them. */
export const TEXT_BYTES = 8192

/** Why a body was not sent: its stream failed, or its length is not the announced one. */
export type BodyFault = 'source' | 'length'

/** Reads what is left of a body and drops it, so that whoever sends it is not kept waiting. */
export function drain(body: Readable): void {
  body.on('error', ignore)
  if (!body.destroyed) body.resume()
}
const ignore = (): void => {}

/** A body on its way. */
export class BodySender {
  complete = false
  readonly #socket: Socket
  readonly #body: Readable
  readonly #length: number | null
  readonly #failed: (fault: BodyFault) => void
  #head: string | null
  #sent = 0
  #over = false

  /** `head` is written with the first piece, or at the end of this turn. */
  constructor(
    socket: Socket,
    head: string,
    body: Readable,
    length: number | null,
    failed: (fault: BodyFault) => void,
  ) {
    this.#socket = socket
    this.#head = head
    this.#body = body
    this.#length = length
    this.#failed = failed
  }

  /** Begins. The body flows from now on. */
  start(): void {
    const body = this.#body
    if (body.destroyed && !body.readableEnded) {
      process.nextTick(this.#onClose)
      return
    }
    body.on('data', this.#onData)
    body.on('end', this.#onEnd)
    body.on('error', this.#onClose)
    body.on('close', this.#onClose)
    process.nextTick(this.#flush)
  }

  /** The socket takes more. */
  onDrain(): void {
    if (!this.#over && this.#body.isPaused()) this.#body.resume()
  }

  /** Lets go of the body; the rest of it is dropped. */
  stop(): void {
    if (this.#over) return
    this.#over = true
    this.#head = null
    this.#body.off('data', this.#onData)
    this.#body.off('end', this.#onEnd)
    this.#body.off('error', this.#onClose)
    this.#body.off('close', this.#onClose)
    drain(this.#body)
  }

  readonly #flush = (): void => {
    if (this.#head === null) return
    const head = this.#head
    this.#head = null
    this.#socket.write(head, 'latin1')
  }

  readonly #onData = (piece: Buffer | string): void => {
    const chunk = typeof piece === 'string' ? Buffer.from(piece) : piece
    if (chunk.length === 0) return
    this.#sent += chunk.length
    if (this.#length !== null && this.#sent > this.#length) return this.#fail('length')
    if (!this.#write(chunk)) this.#body.pause()
  }

  #write(chunk: Buffer): boolean {
    const chunked = this.#length === null
    const before = (this.#head ?? '') + (chunked ? `${chunk.length.toString(16)}\r\n` : '')
    this.#head = null
    const socket = this.#socket
    if (chunk.length <= TEXT_BYTES && before !== '')
      return socket.write(before + chunk.toString('latin1') + (chunked ? '\r\n' : ''), 'latin1')
    if (before === '') return socket.write(chunk)
    socket.cork()
    socket.write(before, 'latin1')
    let more = socket.write(chunk)
    if (chunked) more = socket.write('\r\n', 'latin1')
    socket.uncork()
    return more
  }

  readonly #onEnd = (): void => {
    if (this.#over) return
    if (this.#length !== null && this.#sent < this.#length) return this.#fail('length')
    if (this.#length === null) {
      this.#socket.write(`${this.#head ?? ''}0\r\n\r\n`, 'latin1')
      this.#head = null
    } else this.#flush()
    this.complete = true
    this.#over = true
  }

  readonly #onClose = (): void => {
    if (!this.#over) this.#fail('source')
  }

  #fail(fault: BodyFault): void {
    this.stop()
    this.#failed(fault)
  }
}
