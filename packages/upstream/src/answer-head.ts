/**
 * Reads the head of an answer: status, headers, and how its body ends. Anything that two readers could understand differently is
 * an error, never repaired: the next answer on the connection would be somebody else's.
 */

/** How a body ends: after so many bytes, with a last chunk, or with the connection. */
export type Framing = number | 'chunked' | 'close'

/** A head that was understood. */
export interface AnswerHead {
  readonly status: number
  /** Name, value, …; names as they came. */
  readonly headers: readonly string[]
  readonly framing: Framing
  /** How long the server keeps the connection when idle, in ms; 0: it closes it, Infinity: it did not say. */
  readonly keepMs: number
}

/** Most header lines of an answer. */
const MAX_HEADERS = 256
/** Digits of a length: below 2^53, however large. */
const MAX_DIGITS = 15

const TOKEN = 1
const VALUE = 2
/** What each byte may be part of. */
const kinds = new Uint8Array(256)
for (let code = 0x20; code < 256; code++) if (code !== 0x7f) kinds[code] = VALUE
kinds[9] = VALUE
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  kinds[char.charCodeAt(0)] = TOKEN | VALUE

/** Why a head is refused. */
export type HeadFault = 'malformed' | 'too_many'

const SPACE = 32
const TAB = 9
const CR = 13
const COLON = 58

/**
 * Reads header lines, each ended by CRLF, from `at` to `end` into `out`; null when they are well-formed. Folded lines, blanks
 * before the colon, empty names and bare line ends are not.
 */
export function readFields(
  text: string,
  at: number,
  out: string[],
  end = text.length,
): HeadFault | null {
  let i = at
  while (i < end) {
    if (out.length >= MAX_HEADERS * 2) return 'too_many'
    const nameAt = i
    while (i < end && (kinds[text.charCodeAt(i)]! & TOKEN) !== 0) i++
    if (i === nameAt || i === end || text.charCodeAt(i) !== COLON) return 'malformed'
    const name = text.slice(nameAt, i++)
    while (i < end && isBlank(text.charCodeAt(i))) i++
    const valueAt = i
    while (i < end && (kinds[text.charCodeAt(i)]! & VALUE) !== 0) i++
    if (i + 1 >= end || text.charCodeAt(i) !== CR || text.charCodeAt(i + 1) !== 10)
      return 'malformed'
    let valueEnd = i
    while (valueEnd > valueAt && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--
    out.push(name, text.slice(valueAt, valueEnd))
    i += 2
  }
  return null
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB
const isDigit = (code: number): boolean => code >= 48 && code <= 57

/** Reads a head that ends before `end`, without its empty line; each line ends with CRLF. `bodiless`: the request was a HEAD. */
export function readHead(
  text: string,
  bodiless: boolean,
  end = text.length,
): AnswerHead | HeadFault {
  // HTTP/1.x SP 3DIGIT [SP reason] CRLF
  const minor = text.charCodeAt(7) - 48
  if (!text.startsWith('HTTP/1.') || (minor !== 0 && minor !== 1)) return 'malformed'
  if (text.charCodeAt(8) !== SPACE) return 'malformed'
  let status = 0
  for (let i = 9; i < 12; i++) {
    if (!isDigit(text.charCodeAt(i))) return 'malformed'
    status = status * 10 + text.charCodeAt(i) - 48
  }
  if (status < 100) return 'malformed'
  let i = 12
  if (text.charCodeAt(i) === SPACE) while ((kinds[text.charCodeAt(i)]! & VALUE) !== 0) i++
  if (text.charCodeAt(i) !== CR || text.charCodeAt(i + 1) !== 10) return 'malformed'
  const headers: string[] = []
  const fault = readFields(text, i + 2, headers, end)
  if (fault !== null) return fault
  return frame(status, headers, minor === 0, bodiless)
}

function frame(
  status: number,
  headers: readonly string[],
  old: boolean,
  bodiless: boolean,
): AnswerHead | HeadFault {
  let length: number | null = null
  let chunked = false
  let keepMs = old ? 0 : Number.POSITIVE_INFINITY
  let closes = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    switch (name.length) {
      case 10: {
        const lower = name.toLowerCase()
        if (lower === 'connection') {
          const words = headers[i + 1]!.toLowerCase()
          if (hasWord(words, 'close')) closes = true
          else if (old && hasWord(words, 'keep-alive')) keepMs = Number.POSITIVE_INFINITY
        } else if (lower === 'keep-alive') {
          const said = /(?:^|[,;\s])timeout=(\d{1,6})(?:[,;\s]|$)/i.exec(headers[i + 1]!)
          if (said !== null) keepMs = Math.min(keepMs, Number(said[1]) * 1000)
        }
        break
      }
      case 14:
        if (name.toLowerCase() === 'content-length') {
          if (length !== null) return 'malformed'
          length = lengthOf(headers[i + 1]!)
          if (length === -1) return 'malformed'
        }
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          // HTTP/1.0 knows none, and one that is not ours to undo would hide where the body ends.
          if (chunked || old || headers[i + 1]!.toLowerCase() !== 'chunked') return 'malformed'
          chunked = true
        }
        break
      default:
    }
  }
  if (chunked && length !== null) return 'malformed'
  if (closes) keepMs = 0
  if (bodiless || status === 204 || status === 304 || status < 200)
    return { status, headers, framing: 0, keepMs }
  const framing = chunked ? 'chunked' : (length ?? 'close')
  return { status, headers, framing, keepMs: framing === 'close' ? 0 : keepMs }
}

function lengthOf(value: string): number {
  if (value.length === 0 || value.length > MAX_DIGITS) return -1
  for (let i = 0; i < value.length; i++) if (!isDigit(value.charCodeAt(i))) return -1
  return Number(value)
}

const hasWord = (list: string, word: string): boolean =>
  list === word || list.split(',').some((one) => one.trim() === word)
