/**
 * Reads just enough of an HTTP/1.1 response to judge a probe: the status, and where the body ends. It is strict, since a runner
 * that does not speak HTTP is not well, and bounded, since a sick one may send anything for ever; it keeps no header and no body.
 */

/** Head (status line and headers) at most; what is longer is invalid. */
const HEAD_BYTES = 16_384
/** Body read at most; what is longer was alive long enough. */
const BODY_BYTES = 65_536
/** `100 Continue`, `103 Early Hints` and the like, at most. */
const INFORMATIONAL = 8
/** Size line or trailer of a chunked body at most. */
const LINE_BYTES = 1_024

/** The status line of a head without its empty line. */
const STATUS = /^HTTP\/1\.[01] ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?(?=\r\n|$)/
/**
 * That line and headers alone. Neither run of characters may hold what ends it, so a hostile head costs no more than its length.
 */
const HEADERS = /^[^\r\n]*(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/
/** The headers that say where the body ends. */
const FRAMING = /\r\n(content-length|transfer-encoding):([^\r]*)/gi

const CR = 13
const LF = 10

/** What became of a response so far: nothing yet, its status once it is complete, or why it is none. */
export type Reading =
  | null
  | { readonly status: number; readonly invalid?: never }
  | { readonly invalid: string }

const bad = (why: string): Reading => ({ invalid: why })

/**
 * One response, fed in pieces of any size. A status other than 2xx is told with the head, since its body changes nothing; a 2xx
 * when its body is complete or longer than 64 KiB.
 */
export class ResponseReader {
  #head = ''
  #informational = 0
  #status = 0
  #body = 0
  /** Bytes of the body, or of the chunk, still to come; Infinity: until the end of the connection. */
  #left = 0
  #phase: 'head' | 'body' | 'size' | 'data' | 'data-end' | 'trailer' = 'head'
  #line = ''

  /** Whether any byte came: a connection that ends before is reset, one that ends later is broken. */
  get begun(): boolean {
    return this.#phase !== 'head' || this.#head !== '' || this.#informational > 0
  }

  /** Takes the next piece; the bytes are not kept. */
  push(bytes: Buffer): Reading {
    let at = 0
    while (this.#phase === 'head') {
      const text = this.#head + bytes.toString('latin1', at)
      const end = text.indexOf('\r\n\r\n', Math.max(0, this.#head.length - 3))
      if (end < 0) {
        if (text.length > HEAD_BYTES) return bad(`the head is longer than ${HEAD_BYTES} bytes`)
        if (!couldBeHead(text)) return bad('the answer is not HTTP/1.1')
        this.#head = text
        return null
      }
      if (end > HEAD_BYTES) return bad(`the head is longer than ${HEAD_BYTES} bytes`)
      at += end + 4 - this.#head.length
      this.#head = ''
      const told = this.#readHead(text.slice(0, end))
      if (told) return told
    }
    return this.#phase === 'body' ? this.#pass(bytes.length - at) : this.#readChunks(bytes, at)
  }

  /** The connection ended: the answer of a body without a length, else a broken one. */
  end(): Reading {
    if (this.#phase === 'body' && this.#left === Infinity) return { status: this.#status }
    return bad('the connection ended in the middle of the answer')
  }

  #readHead(head: string): Reading {
    const status = STATUS.exec(head)
    if (!status) return bad('the answer is not HTTP/1.1')
    if (!HEADERS.test(head)) return bad('a header is malformed')
    this.#status = Number(status[1])
    let length: string | null = null
    let chunked = false
    for (const [, name = '', padded = ''] of head.matchAll(FRAMING)) {
      const value = padded.trim()
      if (name.toLowerCase() === 'content-length') {
        if (!/^\d{1,15}$/.test(value) || (length !== null && length !== value))
          return bad('content-length is malformed')
        length = value
      } else {
        if (chunked || value.toLowerCase() !== 'chunked')
          return bad('transfer-encoding is not chunked')
        chunked = true
      }
    }
    if (chunked && length !== null)
      return bad('content-length and transfer-encoding exclude each other')
    return this.#begin(chunked, length)
  }

  #begin(chunked: boolean, length: string | null): Reading {
    const status = this.#status
    if (status === 101) return bad('the protocol was switched without being asked')
    if (status < 200)
      return ++this.#informational > INFORMATIONAL ? bad('too many informational answers') : null
    this.#phase = chunked ? 'size' : 'body'
    this.#left = length === null ? Infinity : Number(length)
    if (status > 299 || status === 204 || status === 205) return { status }
    return null
  }

  #pass(count: number): Reading {
    this.#body += count
    this.#left -= count
    return this.#left <= 0 || this.#body >= BODY_BYTES ? { status: this.#status } : null
  }

  #readChunks(bytes: Buffer, from: number): Reading {
    let at = from
    while (at < bytes.length) {
      if (this.#phase === 'data') {
        const count = Math.min(this.#left, bytes.length - at)
        at += count
        this.#left -= count
        this.#body += count
        if (this.#body >= BODY_BYTES) return { status: this.#status }
        if (this.#left === 0) this.#phase = 'data-end'
        continue
      }
      const byte = bytes[at++]
      if (byte !== LF) {
        this.#line += String.fromCharCode(byte ?? 0)
        if (this.#line.length > LINE_BYTES) return bad('a chunk is malformed')
        continue
      }
      if (this.#line.charCodeAt(this.#line.length - 1) !== CR) return bad('a chunk is malformed')
      const line = this.#line.slice(0, -1)
      this.#line = ''
      const told = this.#readLine(line)
      if (told) return told
    }
    return null
  }

  #readLine(line: string): Reading {
    // Extensions and trailers count as body, so that they cannot go on for ever.
    this.#body += line.length + 2
    if (this.#body >= BODY_BYTES) return { status: this.#status }
    switch (this.#phase) {
      case 'size': {
        const size = /^([0-9A-Fa-f]{1,8})[\t ]*(?:;.*)?$/.exec(line)
        if (!size) return bad('a chunk is malformed')
        this.#left = Number.parseInt(size[1] ?? '0', 16)
        this.#phase = this.#left === 0 ? 'trailer' : 'data'
        return null
      }
      case 'data-end':
        this.#phase = 'size'
        return line === '' ? null : bad('a chunk is malformed')
      default:
        return line === '' ? { status: this.#status } : null
    }
  }
}

/** Whether the beginning of an answer can still become one: garbage is told at once, not after the timeout. */
function couldBeHead(text: string): boolean {
  const known = 'HTTP/1.'
  return text.length < known.length ? known.startsWith(text) : text.startsWith(known)
}
