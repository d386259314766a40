/**
 * The way to a runner over undici: what `HEALTH_UPSTREAM=undici` chooses, for the case that our own client has a fault that this
 * one has not. It is loaded only then, and answers in the same words.
 */
import { createRequire } from 'node:module'
import type { Cut, Flight, Receiver, Route } from '@health/upstream'
import { HEAD_BYTES } from '@health/upstream'
import type { Dispatcher } from 'undici'

type Undici = typeof import('undici')
let loaded: Undici | null = null
/** Loading takes a good part of a start, so it waits until somebody wants it. */
const undici = (): Undici => (loaded ??= createRequire(import.meta.url)('undici') as Undici)

/** Longest time an idle connection is kept, and how long before the announced end it is given up, in ms. */
const IDLE_MS = 1000
const IDLE_MARGIN_MS = 500
const CONNECT_MS = 5000

/** Opens the way to a runner at `http://host:port`. Connections are made when needed. */
export function openUndiciRoute(url: string): Route {
  const pool = new (undici().Pool)(url, {
    pipelining: 1,
    maxHeaderSize: HEAD_BYTES,
    // Request timeouts are ours, on the observed clock.
    headersTimeout: 0,
    bodyTimeout: 0,
    // min(1 s, half of what the runner announces): announcements are whole seconds, so half a second less is never too much.
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS,
    keepAliveTimeoutThreshold: IDLE_MARGIN_MS,
    connect: { timeout: CONNECT_MS },
  })
  return {
    send(request, receiver) {
      const flight = new PoolFlight(receiver)
      pool.dispatch(
        {
          method: request.method as Dispatcher.HttpMethod,
          path: request.path,
          headers: request.headers as string[],
          body: request.body,
        },
        flight,
      )
      return flight
    },
    close() {
      // Rejects only what was in flight, which has its own receiver.
      pool.destroy().catch(() => {})
    },
  }
}

/** Translates undici's calls; one object for each request. */
class PoolFlight implements Flight, Dispatcher.DispatchHandler {
  readonly #receiver: Receiver
  #controller: Dispatcher.DispatchController | null = null
  #answered = false
  #over = false

  constructor(receiver: Receiver) {
    this.#receiver = receiver
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Error('taken back'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (this.#over || status < 200) return
    this.#answered = true
    const raw = controller.rawHeaders
    const headers: string[] = []
    if (Array.isArray(raw))
      for (const word of raw)
        headers.push(typeof word === 'string' ? word : Buffer.from(word).toString('latin1'))
    this.#receiver.head(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#over && !this.#receiver.data(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    if (this.#over) return
    this.#over = true
    this.#receiver.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#receiver.lost(cutOf(error, this.#answered))
  }

  resume(): void {
    this.#controller?.resume()
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#controller?.abort(new Error('taken back'))
  }
}

function cutOf(error: Error, answered: boolean): Cut {
  if (answered) return 'incomplete'
  const code = 'code' in error ? String(error.code) : ''
  switch (code) {
    case 'ECONNREFUSED':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENOTFOUND':
      return 'refused'
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return 'connect_timeout'
    case 'UND_ERR_HEADERS_OVERFLOW':
      return 'head_too_large'
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
    case 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH':
      return 'unsendable'
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'EADDRNOTAVAIL':
      return 'no_socket'
    default:
      // Something came that is no HTTP.
      return error.name === 'HTTPParserError' ? 'incomplete' : 'disconnected'
  }
}
