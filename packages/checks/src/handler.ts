/**
 * Hands requests of `node:http`, of anything shaped like it (Express, Connect) and of fetch-style frameworks (Hono) to the
 * endpoints, and serves them on a port of their own. It adds nothing to the answers.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Endpoints, HealthResponse } from './endpoint.ts'

// Not imported: an import reads every name of `node:http`, and one of them loads a WebSocket client, 13 MB.
const { createServer } = process.getBuiltinModule('node:http')

/** Answers health requests. Others go to `next` if there is one. Returns true when the request was ours. */
export type NodeHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: () => void,
) => boolean

/**
 * For `node:http`, Express and Connect:
 * `createServer((req, res) => { if (!handle(req, res)) app(req, res) })`, `express().use(handle)`.
 */
export function nodeHandler(endpoints: Endpoints<IncomingMessage>): NodeHandler {
  return (request, response, next) => {
    const { method, url = '/' } = request
    const at = url.indexOf('?')
    const path = at === -1 ? url : url.slice(0, at)
    const query = at === -1 ? '' : url.slice(at + 1)
    const { accept } = request.headers
    const reads = method === 'GET' || method === 'HEAD'
    const reply = reads ? endpoints.answer({ path, query, accept, request }) : null
    if (reply === null) {
      next?.()
      return false
    }
    if (reply instanceof Promise) void reply.then((answer) => write(response, answer, method))
    else write(response, reply, method)
    return true
  }
}

function write(response: ServerResponse, answer: HealthResponse, method: string | undefined): void {
  if (response.destroyed) return
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
  })
  response.end(method === 'HEAD' ? undefined : answer.body)
}

/** For Hono and other fetch-style frameworks. Null when the request is not ours. */
export function fetchHandler(
  endpoints: Endpoints<Request>,
): (request: Request) => Promise<Response | null> {
  return async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return null
    const { pathname, search } = new URL(request.url)
    const accept = request.headers.get('accept') ?? undefined
    const asked = { path: pathname, query: search.slice(1), accept, request }
    const answer = await endpoints.answer(asked)
    if (answer === null) return null
    const headers = { 'content-type': answer.type, 'cache-control': 'no-store' }
    const body = request.method === 'HEAD' ? null : answer.body
    return new Response(body, { status: answer.status, headers })
  }
}

/** Where a separate health port listens. */
export interface ListenOptions {
  readonly port: number
  /** Default 127.0.0.1. In a container the probes come from outside: `0.0.0.0`. */
  readonly host?: string
}

export interface HealthServer {
  readonly server: Server
  readonly port: number
  close(): Promise<void>
}

const mostConnections = 256

/** Serves the endpoints, and nothing else, on a port of their own. Rejects when the port cannot be had. */
export async function serveHealth(
  endpoints: Endpoints<IncomingMessage>,
  listen: ListenOptions,
): Promise<HealthServer> {
  const handle = nodeHandler(endpoints)
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, (req, res) => {
    if (!handle(req, res)) res.writeHead(404, { 'cache-control': 'no-store' }).end()
  })
  server.maxConnections = mostConnections
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(listen.port, listen.host ?? '127.0.0.1', resolve)
  await promise
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      server.closeAllConnections()
      await closed.promise
    },
  }
}
