/**
 * The head of a request as text, and how its body is framed. It refuses whatever could be read as something else by the server:
 * a control character, a second length, a transfer coding of somebody else's making.
 */
import type { Outgoing } from './route.ts'

/** A head ready to be written, and what must follow it. */
export interface RequestHead {
  readonly text: string
  /** Bytes that follow; null: chunked. */
  readonly length: number | null
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** What no value may contain: control characters, and what latin1 cannot say. */
// eslint-disable-next-line no-control-regex
const unsafe = /[^\t\x20-\x7e\x80-\xff]/
const target = /^[/*][\x21-\x7e\x80-\xff]*$/
const digits = /^\d{1,15}$/

/** Methods whose requests say that they have no body. */
const withBody = new Set(['POST', 'PUT', 'PATCH'])

/** What a header's name means for the framing, and how its line begins. */
interface Name {
  readonly line: string
  readonly means: 'host' | 'length' | 'coding' | null
}

const meanings: ReadonlyMap<string, Name['means']> = new Map([
  ['host', 'host'],
  ['content-length', 'length'],
  ['transfer-encoding', 'coding'],
])

/** Few names are ever sent: each is looked at once, up to this many of at most so many characters. */
const KNOWN_NAMES = 1024
const KNOWN_LENGTH = 64
const names = new Map<string, Name>()

/** Null for a name that is none. */
function nameOf(text: string): Name | null {
  const known = names.get(text)
  if (known !== undefined) return known
  if (!token.test(text)) return null
  const name = { line: `\r\n${text}: `, means: meanings.get(text.toLowerCase()) ?? null }
  if (names.size < KNOWN_NAMES && text.length <= KNOWN_LENGTH)
    names.set(Buffer.from(text, 'latin1').toString('latin1'), name)
  return name
}

/** Writes the head; null when the request must not be sent. `host` is used where the request names none. */
export function requestHead(request: Outgoing, host: string): RequestHead | null {
  const { method, path, headers, body } = request
  if (!token.test(method) || method === 'CONNECT' || !target.test(path)) return null
  let announced: number | null = null
  let named = false
  let text = `${method} ${path} HTTP/1.1`
  for (let i = 0; i < headers.length; i += 2) {
    const name = nameOf(headers[i]!)
    const value = headers[i + 1]
    if (name === null || value === undefined || unsafe.test(value)) return null
    switch (name.means) {
      case null:
        break
      case 'host':
        named = true
        break
      case 'length':
        if (announced !== null || !digits.test(value)) return null
        announced = Number(value)
        break
      case 'coding':
        return null
      default:
        name.means satisfies never
    }
    text += name.line + value
  }
  if (!named) text += `\r\nhost: ${host}`
  if (body === null || body instanceof Uint8Array) {
    const length = body === null ? 0 : body.byteLength
    if (announced === null) {
      if (length > 0 || withBody.has(method)) text += `\r\ncontent-length: ${length}`
    } else if (announced !== length) return null
    return { text: `${text}\r\n\r\n`, length }
  }
  if (announced === null) text += '\r\ntransfer-encoding: chunked'
  return { text: `${text}\r\n\r\n`, length: announced }
}
