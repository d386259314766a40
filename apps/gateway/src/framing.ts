/**
 * What node's parser lets pass though a server must refuse it (RFC 9112, 3.2 and 6.1): whoever stands before or behind us might see
 * another host, another end of the body, or take the bytes of a coding for the body itself.
 */
import type { IncomingMessage } from 'node:http'
import { toOriginForm } from './absolute-form.ts'
import type { Refusal } from './error-answer.ts'

/** Where a request ends is no longer known for sure, so nothing more is read from its connection. */
const refusal = (status: number, detail: string): Refusal => ({
  status,
  errorType: 'bad_request',
  detail,
  headers: { connection: 'close' },
})

const versionUnknown = refusal(505, 'This is HTTP/1.1 and HTTP/1.0 only.')
const targetUnknown = refusal(
  400,
  'The target of a request must be a path, or an http URL without a user.',
)
const hostMissing = refusal(400, 'A request must have a Host header.')
const hostTwice = refusal(400, 'A request must have one Host header only.')
const codingTooNew = refusal(400, 'HTTP/1.0 has no Transfer-Encoding.')
const codingUnknown = refusal(501, 'Transfer-Encoding may be chunked and nothing else.')

/** Why a request cannot be understood in one way only; null when it can, and its target is a path then. */
export function whyAmbiguous(request: IncomingMessage): Refusal | null {
  const { headers, httpVersionMajor, httpVersionMinor } = request
  if (httpVersionMajor !== 1) return versionUnknown
  // HTTP/1.0 need not name one.
  if (headers.host === undefined) {
    if (httpVersionMinor > 0) return hostMissing
  } else if (namesSeveralHosts(request.rawHeaders)) return hostTwice
  const coding = headers['transfer-encoding']
  if (coding !== undefined && httpVersionMinor === 0) return codingTooNew
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') return codingUnknown
  return toOriginForm(request) ? null : targetUnknown
}

/** Whether there is more than one; node keeps the first and says nothing. */
function namesSeveralHosts(raw: readonly string[]): boolean {
  let found = false
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue
    if (found) return true
    found = true
  }
  return false
}
