/**
 * Servers that already run, known by URL: they count as started at once and as ended when told to. Nothing is ever signalled;
 * whether such a server answers is the prober's question.
 */
import type { Host, HostFact, ProcessRecord, ProvisionOrder } from '@health/core'

/** A {@link Host} for `urls` apps. */
export function createUrlHost(): Host {
  return new UrlHost()
}

class UrlHost implements Host {
  readonly #live = new Map<string, number>()
  readonly #early: HostFact[] = []
  #report: ((fact: HostFact) => void) | null = null
  #closed = false

  listen(report: (fact: HostFact) => void): void {
    this.#report = report
    for (const fact of this.#early.splice(0)) report(fact)
  }

  provision({ runner, incarnation, url }: ProvisionOrder): void {
    if (this.#closed || this.#live.get(runner) === incarnation) return
    if (url === null || !isBase(url)) {
      const detail =
        'The address of a server must be http://host:port or https://host:port, nothing behind it.'
      this.#later({ type: 'provision.refused', runner, incarnation, why: 'bad_config', detail })
      return
    }
    this.#live.set(runner, incarnation)
    this.#later({ type: 'process.started', runner, incarnation, pid: null, url, startTime: null })
  }

  stop(runner: string, incarnation: number): void {
    if (this.#live.get(runner) !== incarnation) return
    this.#live.delete(runner)
    this.#later({ type: 'process.exited', runner, incarnation, code: null, signal: null })
  }

  kill(runner: string, incarnation: number): void {
    this.stop(runner, incarnation)
  }

  adopt({ runner, incarnation, pid }: ProcessRecord): Promise<boolean> {
    if (this.#closed || pid !== null) return Promise.resolve(false)
    this.#live.set(runner, incarnation)
    return Promise.resolve(true)
  }

  close(): Promise<void> {
    this.#closed = true
    this.#live.clear()
    return Promise.resolve()
  }

  /** Facts come after the order has returned, as from a process. */
  #later(fact: HostFact): void {
    queueMicrotask(() => {
      if (this.#closed) return
      if (this.#report) this.#report(fact)
      else this.#early.push(fact)
    })
  }
}

function isBase(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.pathname === '/' &&
    url.search === '' &&
    url.username === ''
  )
}
