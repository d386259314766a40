/**
 * Which app and which path a call means. Three ways lead to the same routes: a path prefix, a host name of the platform, and
 * the proxy mode of its clients; the last two are rewritten to the first before routing, so that there is one set of routes.
 */
import type { IncomingMessage } from 'node:http'

/** An app and the path below it, query included, as the runner gets it. */
export interface Target {
  readonly app: string
  readonly path: string
}

const namespaces = new Set(['workflows', 'comfy'])

/** Splits `owner/alias/path?query`; null when there is no app in it. Nothing is decoded: the runner gets what was sent. */
export function parseTarget(rest: string): Target | null {
  const query = rest.indexOf('?')
  const end = query === -1 ? rest.length : query
  let slash = rest.indexOf('/')
  if (slash <= 0 || slash >= end) return null
  if (namespaces.has(rest.slice(0, slash))) {
    slash = rest.indexOf('/', slash + 1)
    if (slash === -1 || slash >= end) return null
  }
  let next = rest.indexOf('/', slash + 1)
  if (next === -1 || next > end) next = end
  if (next === slash + 1) return null
  const path = rest.slice(next)
  return { app: rest.slice(0, next), path: path.startsWith('/') ? path : `/${path}` }
}

/** Whether a path below an app, query included, is its stream. */
export function isStream(path: string): boolean {
  const query = path.indexOf('?')
  return path.endsWith('/stream', query === -1 ? path.length : query)
}

/** What a call under `/queue` means. */
export type QueueTarget =
  | { readonly kind: 'submit'; readonly app: string; readonly path: string }
  | {
      readonly kind: 'status' | 'stream' | 'result' | 'cancel'
      readonly app: string
      readonly id: string
    }

/** A map, not an object: `constructor` is the last word of nothing. */
const tails: ReadonlyMap<string, 'status' | 'result'> = new Map([
  ['status', 'status'],
  ['response', 'result'],
])

/** Reads a call under `/queue`; null when it is none. Only a POST submits; a path below the app before `requests` is let pass. */
export function parseQueueTarget(method: string, rest: string): QueueTarget | null {
  const target = parseTarget(rest)
  if (target === null) return null
  if (method === 'POST') return { kind: 'submit', ...target }
  const parts = target.path
    .split('?', 1)[0]!
    .split('/')
    .filter((part) => part !== '')
  const at = parts.lastIndexOf('requests')
  const id = parts[at + 1]
  if (at === -1 || id === undefined) return null
  const tail = parts.slice(at + 2)
  if (method === 'PUT')
    return tail.length === 1 && tail[0] === 'cancel'
      ? { kind: 'cancel', app: target.app, id }
      : null
  if (method !== 'GET' && method !== 'HEAD') return null
  if (tail.length === 0) return { kind: 'result', app: target.app, id }
  if (tail.length === 2 && tail[0] === 'status' && tail[1] === 'stream')
    return { kind: 'stream', app: target.app, id }
  const kind = tail.length === 1 ? tails.get(tail[0]!) : undefined
  return kind === undefined ? null : { kind, app: target.app, id }
}

const services: ReadonlyMap<string, string> = new Map([
  ['fal.run', '/run'],
  ['queue.fal.run', '/queue'],
  ['rest.fal.ai', '/rest'],
  ['rest.alpha.fal.ai', '/rest'],
])

/** Where the queue's own URLs begin for a call that came by another way than the path prefix. */
const bases = new WeakMap<IncomingMessage, string>()

/** The beginning of the queue's URLs as this caller reaches them: `http://host/queue`, `https://queue.fal.run`. */
export function queueBase(request: IncomingMessage, proto: string): string {
  return bases.get(request) ?? `${proto}://${request.headers.host ?? 'localhost'}/queue`
}

const proxyPath = /^\/proxy\/?(?:\?|$)/
const bareHost = (host: string): string => host.split(':', 1)[0]!.toLowerCase()

/** Nearly all callers use one name: the last one is looked up once. */
let lastHost = ''
let lastPrefix: string | undefined

function prefixOf(host: string): string | undefined {
  if (host === lastHost || host.length >= 32) return host === lastHost ? lastPrefix : undefined
  lastHost = host
  return (lastPrefix = services.get(bareHost(host)))
}

/** Rewrites the platform's host names and the clients' proxy mode to the path prefixes. A proxy target that is not allowed stays `/proxy`. */
export function rewrite(request: IncomingMessage): string {
  const url = request.url ?? '/'
  const host = request.headers.host
  if (host !== undefined) {
    const prefix = prefixOf(host)
    if (prefix !== undefined) {
      if (prefix === '/queue') bases.set(request, `http://${host}`)
      return prefix + url
    }
  }
  if (!url.startsWith('/proxy') || !proxyPath.test(url)) return url
  const target = request.headers['x-fal-target-url']
  if (typeof target !== 'string' || !URL.canParse(target)) return '/proxy'
  const { protocol, hostname, origin, pathname, search } = new URL(target)
  const prefix = services.get(hostname)
  if (prefix === undefined || (protocol !== 'https:' && protocol !== 'http:')) return '/proxy'
  if (prefix === '/queue') bases.set(request, origin)
  return prefix + pathname + search
}
