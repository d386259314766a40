/**
 * Undoes the chunked coding, piece by piece as the bytes come: hands on slices of what it gets, copies nothing but trailer lines,
 * and stops at the first byte that is not as the standard writes it.
 */
import { readFields } from './answer-head.ts'
import { HEAD_BYTES } from './route.ts'

/** Hex digits of a chunk's size: 2^48 bytes in one chunk are enough. */
const MAX_DIGITS = 12

const CR = 13
const LF = 10
const SEMICOLON = 59

const hexOf = (code: number): number => {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** Where the reader is: in a size, its extension, at the line's end, in data, at the end of data, in the trailers. */
type Place = 'size' | 'extension' | 'size_end' | 'data' | 'data_cr' | 'data_lf' | 'trailer' | 'over'

/** Reads one chunked body. */
export class ChunkReader {
  #place: Place = 'size'
  #size = 0
  #digits = 0
  /** Bytes of extensions and trailers so far: what a body may cost besides its data. */
  #extra = 0
  #trailer = ''

  /** True when the last chunk and the trailers were read. */
  get over(): boolean {
    return this.#place === 'over'
  }

  /**
   * Reads from `at` on. `data` gets slices of `bytes` and answers false to stop after this one. Answers where it stopped;
   * -1 for a malformed body.
   */
  read(bytes: Uint8Array, at: number, data: (slice: Uint8Array) => boolean): number {
    const end = bytes.length
    let i = at
    while (i < end && this.#place !== 'over') {
      if (this.#place === 'data') {
        const until = Math.min(end, i + this.#size)
        this.#size -= until - i
        const slice = bytes.subarray(i, until)
        i = until
        if (this.#size === 0) this.#place = 'data_cr'
        if (!data(slice)) return i
      } else if (!this.#control(bytes[i++]!)) return -1
    }
    return i
  }

  /** One byte that is no data; false when it may not be here. */
  #control(code: number): boolean {
    switch (this.#place) {
      case 'size': {
        const digit = hexOf(code)
        if (digit >= 0) {
          this.#size = this.#size * 16 + digit
          return ++this.#digits <= MAX_DIGITS
        }
        if (this.#digits === 0) return false
        if (code === CR) this.#place = 'size_end'
        else if (code === SEMICOLON) this.#place = 'extension'
        else return false
        return true
      }
      case 'extension':
        if (code === CR) this.#place = 'size_end'
        else if ((code < 32 && code !== 9) || code === 127) return false
        return ++this.#extra <= HEAD_BYTES
      case 'size_end':
        if (code !== LF) return false
        this.#place = this.#size === 0 ? 'trailer' : 'data'
        this.#digits = 0
        return true
      case 'data_cr':
        this.#place = 'data_lf'
        return code === CR
      case 'data_lf':
        this.#place = 'size'
        return code === LF
      case 'trailer':
        return this.#trail(code)
      default:
        return false
    }
  }

  #trail(code: number): boolean {
    if (++this.#extra > HEAD_BYTES) return false
    this.#trailer += String.fromCharCode(code)
    if (code !== LF) return true
    if (this.#trailer === '\r\n') {
      this.#place = 'over'
      return true
    }
    const fields: string[] = []
    if (readFields(this.#trailer, 0, fields) !== null) return false
    this.#trailer = ''
    // Read, and dropped: a length that comes after the body is an attack or an accident.
    const name = fields[0]!.toLowerCase()
    return name !== 'content-length' && name !== 'transfer-encoding'
  }
}
