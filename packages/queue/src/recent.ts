/**
 * Requests that were submitted a moment ago, so that leasing them needs no reading. Bounded in bytes; past the bound the
 * oldest go, and are read from the disk when they are leased.
 */
import type { Submission } from '@health/core'

/** What a request costs beside its body, roughly. */
const OVERHEAD = 1_024
/** Larger ones are not kept: they would push out many small ones. */
const LARGEST = 64 * 1024

export class Recent {
  readonly #requests = new Map<number, Submission>()
  readonly #limit: number
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  keep(seq: number, request: Submission): void {
    // A view of a larger buffer would keep all of it alive.
    if (request.body.buffer.byteLength > LARGEST) return
    this.#requests.set(seq, request)
    this.#bytes += OVERHEAD + request.body.buffer.byteLength
    for (const [oldest, given] of this.#requests) {
      if (this.#bytes <= this.#limit) break
      this.#drop(oldest, given)
    }
  }

  /** The request, which is then kept no more: a second attempt is rare. */
  take(seq: number): Submission | undefined {
    const request = this.#requests.get(seq)
    if (request !== undefined) this.#drop(seq, request)
    return request
  }

  #drop(seq: number, request: Submission): void {
    this.#requests.delete(seq)
    this.#bytes -= OVERHEAD + request.body.buffer.byteLength
  }
}
