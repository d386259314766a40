/**
 * Requests that name their whole URL, as a client sends them through a forward proxy (RFC 9112, 3.2.2): brought to the form that all
 * others have. The host of that URL is the one that counts.
 */
import type { IncomingMessage } from 'node:http'

/** Makes the target of a request a path; false: it is neither one nor such a URL, and nothing was changed. */
export function toOriginForm(request: IncomingMessage): boolean {
  const { url = '' } = request
  if (url.startsWith('/') || url === '*') return true
  const [, host, path = ''] = /^https?:\/\/([^/?#@]+)((?:[/?][^#]*)?)$/i.exec(url) ?? []
  if (host === undefined) return false
  request.headers.host = host
  request.url = path.startsWith('/') ? path : `/${path}`
  return true
}
