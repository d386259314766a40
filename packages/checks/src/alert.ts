/**
 * Tells a webhook when the service changes status, without flooding it: at most one message per span, and at the end of the
 * span one more only if the status then differs from the last one told. It never says where it posts to, not even when that fails.
 */
import { isoTime, type Status } from '@health/core/report'
import { invalid, readCount, readSeconds, refuseUnknown } from './option.ts'

export interface AlertOptions {
  /** Where to POST, http or https. Redirects are not followed. */
  readonly url: string
  /** Extra headers, an `authorization` for example. Never logged. */
  readonly headers?: Readonly<Record<string, string>>
  /** Shortest time between two messages. Default 600. */
  readonly spanSeconds?: number
  /** Longest one POST may take. Default 5. */
  readonly timeoutSeconds?: number
  /** Tries per message, the first included, 1 s apart, doubling. Default 3. */
  readonly tries?: number
}

/** The body of a message. */
export interface AlertMessage {
  readonly status: Status
  readonly previous: Status
  /** Names of the checks that are not healthy, with their codes. */
  readonly checks: readonly {
    readonly name: string
    readonly status: Status
    readonly error: string | null
  }[]
  readonly version: string | null
  readonly timestamp: string
}

/** What the alert needs to know at the moment of sending. */
export type Describe = () => Pick<AlertMessage, 'status' | 'checks' | 'version'>

const known = {
  url: true,
  headers: true,
  spanSeconds: true,
  timeoutSeconds: true,
  tries: true,
} as const satisfies Record<keyof AlertOptions, true>

export class Alert {
  readonly #url: URL
  readonly #headers: Readonly<Record<string, string>>
  readonly #span: number
  readonly #timeout: number
  readonly #tries: number
  readonly #describe: Describe
  readonly #failed: () => void
  readonly #closing = new AbortController()
  #told: Status
  #quiet: NodeJS.Timeout | null = null
  #sending = false

  /** `told` = the status that needs no message; `failed` is called when a message could not be delivered. */
  constructor(options: AlertOptions, told: Status, describe: Describe, failed: () => void) {
    refuseUnknown(options, known, 'alert')
    this.#url = readUrl(options.url)
    this.#headers = options.headers ?? {}
    this.#span = readSeconds(options.spanSeconds, 600, 0.001, 'alert.spanSeconds')
    this.#timeout = readSeconds(options.timeoutSeconds, 5, 0.001, 'alert.timeoutSeconds')
    this.#tries = readCount(options.tries, 3, 'alert.tries')
    this.#told = told
    this.#describe = describe
    this.#failed = failed
  }

  /** The service changed status, perhaps not for the first time in this span. */
  changed(): void {
    if (this.#quiet === null && !this.#sending) void this.#tell()
  }

  /** Ends what is under way; nothing is sent after. */
  close(): void {
    this.#closing.abort()
    if (this.#quiet !== null) clearTimeout(this.#quiet)
  }

  async #tell(): Promise<void> {
    const now = this.#describe()
    if (now.status === this.#told || this.#closing.signal.aborted) return
    const message: AlertMessage = {
      ...now,
      previous: this.#told,
      timestamp: isoTime(Date.now()),
    }
    this.#told = now.status
    this.#sending = true
    this.#quiet = setTimeout(() => {
      this.#quiet = null
      this.changed()
    }, this.#span)
    this.#quiet.unref()
    const delivered = await this.#deliver(JSON.stringify(message))
    this.#sending = false
    if (!delivered) {
      // Nobody was told: at the end of the span it is tried again.
      this.#told = message.previous
      if (!this.#closing.signal.aborted) this.#failed()
    }
    if (this.#quiet === null) this.changed()
  }

  async #deliver(body: string): Promise<boolean> {
    for (let attempt = 0; attempt < this.#tries; attempt++) {
      if (attempt > 0) await this.#pause(1000 * 2 ** Math.min(attempt - 1, 5))
      if (this.#closing.signal.aborted) return false
      try {
        const answer = await fetch(this.#url, {
          method: 'POST',
          headers: { ...this.#headers, 'content-type': 'application/json' },
          body,
          redirect: 'manual',
          signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#timeout)]),
        })
        await answer.body?.cancel()
        if (answer.ok) return true
      } catch {
        // The reason would name the address, which may hold a token. That it failed is reported after the last try.
      }
    }
    return false
  }

  #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    timer.unref()
    this.#closing.signal.addEventListener('abort', () => resolve(), { once: true })
    return promise.then(() => clearTimeout(timer))
  }
}

function readUrl(given: string): URL {
  const url = URL.parse(given)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw invalid('alert.url', 'must be an http or https address')
  return url
}
