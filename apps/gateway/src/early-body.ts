/**
 * A request whose body came with its head: such a body is handed over as bytes, and no stream is set going for it, which is a third
 * of what a short call costs. It never waits: a body that is not here as a whole is a stream, as of any other request.
 */
import type { IncomingMessage } from 'node:http'

// Not imported: see `server.ts`.
const http = process.getBuiltinModule('node:http')

/** Longest body that is taken, in bytes: as much as comes in one or two reads. */
export const SHORT_BYTES = 65_536

/** Receives a body; null: it is not here yet, and the request is to be read as a stream. */
export type TakeBody = (body: Buffer | null) => void

/** What node's server makes for each request. Every other use of it is that of an `IncomingMessage`. */
export class Incoming extends http.IncomingMessage {
  #take: TakeBody | null = null
  #missing = 0
  #body: Buffer | null = null
  #taken = false

  /**
   * Calls back once: with the body when all of it comes with the head, with null at the end of this turn otherwise, and never when
   * the caller has left by then. To be called where the request is heard of, before anything reads from it, for an announced `length` above 0.
   */
  takeBody(length: number, take: TakeBody): void {
    this.#take = take
    this.#missing = length
    process.nextTick(giveUp, this)
  }

  /** What the parser found. */
  override push(piece: Buffer | null): boolean {
    const take = this.#take
    if (take === null) return super.push(piece)
    if (piece !== null) {
      this.#body = this.#body === null ? piece : Buffer.concat([this.#body, piece])
      this.#missing -= piece.length
      return true
    }
    this.#take = null
    this.#taken = true
    const body = this.#body
    this.#body = null
    take(body)
    return true
  }

  /** There is nothing to set going once the body was taken. */
  override resume(): this {
    return this.#taken ? this : super.resume()
  }

  static wasTaken(this: void, one: Incoming): boolean {
    return #taken in one && one.#taken
  }

  /** Makes a stream of what came so far. A body that is whole is followed by its end before anything else is read. */
  static giveUp(this: void, one: Incoming): void {
    const take = one.#take
    if (take === null || one.#missing === 0) return
    one.#take = null
    const body = one.#body
    one.#body = null
    if (body !== null) one.push(body)
    if (!one.destroyed) take(null)
  }
}

const { giveUp, wasTaken } = Incoming

// A body that was taken has been read: node asks before it forgets the request. Types call it a property, node has a getter.
Object.defineProperty(Incoming.prototype, 'readableEnded', {
  configurable: true,
  get(this: Incoming): boolean {
    return wasTaken(this) || Reflect.get(http.IncomingMessage.prototype, 'readableEnded', this)
  },
})

/** Reads a short body at once where it can be had, and answers null where there is a stream to be read, if anything. */
export function takeShort(request: IncomingMessage, take: TakeBody): void {
  const { 'content-length': announced, expect } = request.headers
  const length = Number(announced ?? 0)
  if (request instanceof Incoming && length > 0 && length <= SHORT_BYTES && expect === undefined)
    request.takeBody(length, take)
  else take(null)
}
