/**
 * Gathers the body of an answer up to a bound, and gives the memory of its pieces back as soon as they are not needed: the collector
 * would come for them when as much again is in use, and answers may have 64 MB. It decides nothing about the answer.
 */

/** Pieces from this size on are given back one by one; smaller ones may lie in a buffer with others. */
const OWN_BYTES = 16_384

/** A body that is still coming. */
export class AnswerBody {
  readonly #most: number
  #pieces: Uint8Array[] = []
  #bytes = 0

  /** Keeps at most `most` bytes; of a longer body nothing is kept. */
  constructor(most: number) {
    this.#most = most
  }

  /** More came than is kept. */
  get tooLarge(): boolean {
    return this.#bytes > this.#most
  }

  /** Takes a piece over: whoever brought it reads it no more once it brings the next one, or the end. */
  add(piece: Uint8Array): void {
    this.#bytes += piece.byteLength
    if (this.tooLarge) this.#giveBack()
    else this.#pieces.push(piece)
  }

  /** The whole body; can be asked for once. */
  take(): Uint8Array {
    const [only] = this.#pieces
    if (this.#pieces.length === 1 && only !== undefined) return only
    // Filled to its last byte: what is kept is as long as was counted, and nothing is kept of what is too large.
    const whole = Buffer.allocUnsafeSlow(this.tooLarge ? 0 : this.#bytes)
    let at = 0
    this.#giveBack((piece) => {
      whole.set(piece, at)
      at += piece.byteLength
    })
    return whole
  }

  /** One after the other, so that a large body is there twice for no longer than it must. */
  #giveBack(read: (piece: Uint8Array) => void = () => {}): void {
    const pieces = this.#pieces
    this.#pieces = []
    const newest = pieces.at(-1)
    for (const piece of pieces) {
      read(piece)
      const { buffer, byteLength } = piece
      // A client's parser may be just in the newest one.
      if (piece !== newest && byteLength >= OWN_BYTES && buffer.byteLength === byteLength)
        if (isOwned(buffer)) buffer.transfer(0)
    }
  }
}

/** Not shared with another thread. */
function isOwned(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return buffer instanceof ArrayBuffer
}
