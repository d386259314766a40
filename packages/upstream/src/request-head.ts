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

/** Writes the head; null when the request must not be sent. `host` is used where the request names none. */
export function requestHead(request: Outgoing, host: string): RequestHead | null {
  const { method, path, headers, body } = request
  if (!token.test(method) || method === 'CONNECT' || !target.test(path)) return null
  let announced: number | null = null
  let named = false
  let text = `${method} ${path} HTTP/1.1\r\n`
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const value = headers[i + 1]
    if (value === undefined || !token.test(name) || unsafe.test(value)) return null
    switch (name.length) {
      case 4:
        named ||= name.toLowerCase() === 'host'
        break
      case 14:
        if (name.toLowerCase() === 'content-length') {
          if (announced !== null || !digits.test(value)) return null
          announced = Number(value)
        }
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') return null
        break
      default:
    }
    text += `${name}: ${value}\r\n`
  }
  if (!named) text += `host: ${host}\r\n`
  if (body === null || body instanceof Uint8Array) {
    const length = body === null ? 0 : body.byteLength
    if (announced === null) {
      if (length > 0 || withBody.has(method)) text += `content-length: ${length}\r\n`
    } else if (announced !== length) return null
    return { text: `${text}\r\n`, length }
  }
  if (announced === null) text += 'transfer-encoding: chunked\r\n'
  return { text: `${text}\r\n`, length: announced }
}
