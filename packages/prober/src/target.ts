/**
 * Where a probe goes and what it says there, from the order's address and path. What cannot be asked is our own mistake and is
 * named here, before a socket is opened.
 */
import type { ProbeOrder } from '@health/core'

/** Tells a runner who asks; carries the version of this package. */
export const USER_AGENT = 'health-prober/0.1.0'

/** A place to connect to, and the request for it. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** The whole request; empty for `port` and `tcp`, which only connect. */
  readonly request: string
}

/** The target of an order, or what is wrong with it. */
export function targetOf(order: ProbeOrder): Target | string {
  const url = URL.parse(order.url)
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '')
    return 'the address is not http://host:port'
  const tls = url.protocol === 'https:'
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port)
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  if (order.kind === 'port' || order.kind === 'tcp') return { host, port, tls: false, request: '' }
  if (!/^\/[\x21-\x7e]{0,8191}$/.test(order.path)) return 'the path is not a path'
  return { host, port, tls, request: requestOf(order, url.host) }
}

function requestOf({ method, path, kind }: ProbeOrder, host: string): string {
  const asked = kind === 'manual' || kind === 'exclusive'
  return (
    `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${USER_AGENT}\r\nAccept: */*\r\nConnection: close\r\n` +
    (method === 'POST' ? 'Content-Length: 0\r\n' : '') +
    (asked ? 'x-fal-runner-health-check: true\r\n\r\n' : '\r\n')
  )
}
