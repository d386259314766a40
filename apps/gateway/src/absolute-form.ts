/**
 * Requests that name their whole URL, as a client sends them through a forward proxy (RFC 9112, 3.2.2): brought to the form that all
 * others have. The host of that URL is the one that counts. It refuses nothing.
 */
import type { IncomingMessage } from 'node:http'

/** Makes the target of a request a path. What is neither a path nor such a URL stays as it is, and is found nowhere. */
export function toOriginForm(request: IncomingMessage): void {
  const { url = '' } = request
  if (url.startsWith('/')) return
  const [, host, path = ''] = /^https?:\/\/([^/?#@]+)((?:[/?][^#]*)?)$/i.exec(url) ?? []
  if (host === undefined) return
  request.headers.host = host
  request.url = path.startsWith('/') ? path : `/${path}`
}
