/**
 * Where a probe goes and what it says there, from the order's address and path. What cannot be asked is our own mistake and is
 * named here, before a socket is opened.
 */
import { isIPv4 } from 'node:net'
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

/** An address as hosts give it. With three digits or more the port is no default, so the text is what `URL` would make of it. */
const NUMERIC = /^http:\/\/(\d+\.\d+\.\d+\.\d+):([1-9]\d{2,4})$/

/** The target of an order, or what is wrong with it. */
export function targetOf(order: ProbeOrder): Target | string {
  const place = numericPlace(order.url) ?? placeOf(order.url)
  if (place === null) return 'the address is not http://host:port'
  const { host, port, tls, header } = place
  if (order.kind === 'port' || order.kind === 'tcp') return { host, port, tls: false, request: '' }
  if (!/^\/[\x21-\x7e]{0,8191}$/.test(order.path)) return 'the path is not a path'
  return { host, port, tls, request: requestOf(order, header) }
}

interface Place {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** For `Host`. */
  readonly header: string
}

/** The same as {@link placeOf} at a tenth of the cost, for nearly all addresses; null for the others. */
function numericPlace(url: string): Place | null {
  const [, host = '', digits = ''] = NUMERIC.exec(url) ?? []
  const port = Number(digits)
  if (!isIPv4(host) || port > 65_535) return null
  return { host, port, tls: false, header: `${host}:${digits}` }
}

function placeOf(text: string): Place | null {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '') return null
  const tls = url.protocol === 'https:'
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port)
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return { host, port, tls, header: url.host }
}

function requestOf({ method, path, kind }: ProbeOrder, host: string): string {
  const asked = kind === 'manual' || kind === 'exclusive'
  return (
    `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${USER_AGENT}\r\nAccept: */*\r\nConnection: close\r\n` +
    (method === 'POST' ? 'Content-Length: 0\r\n' : '') +
    (asked ? 'x-fal-runner-health-check: true\r\n\r\n' : '\r\n')
  )
}
