/**
 * Knows where a service is between its start and its end: what still holds readiness back, and what must finish before the
 * process may go. It flips readiness first and closes nothing itself.
 */
import type { Phase } from '@health/core/report'

/** Gives back what `block` or `beacon` took. Calling it again does nothing. */
export type Release = () => void

/** How a shutdown went. */
export interface Shutdown {
  /** True when the deadline came before every beacon was released. */
  readonly forced: boolean
  /** Names of the beacons that were still held then. */
  readonly held: readonly string[]
}

export interface ShutdownOptions {
  /** Time between the moment readiness flips and the moment work may be refused: load balancers need to notice. Default 0. */
  readonly delaySeconds?: number
  /** Longest the whole shutdown may take, delay included. Default 30. */
  readonly forceSeconds?: number
}

const most = 1000

export class Lifecycle implements Phase {
  started = false
  stopping = false
  #blocks = new Map<symbol, string>()
  #beacons = new Map<symbol, string>()
  #released: (() => void) | null = null
  #shutdown: Promise<Shutdown> | null = null

  get blocked(): readonly string[] {
    return [...this.#blocks.values()]
  }

  get beacons(): readonly string[] {
    return [...this.#beacons.values()]
  }

  /** Holds readiness back until released: a cache that warms, a migration that runs. */
  block(name: string): Release {
    return take(this.#blocks, name, () => undefined)
  }

  /** Lets shutdown wait until released: a job that should end, a stream that should be finished. */
  beacon(name: string): Release {
    return take(this.#beacons, name, () => {
      if (this.#beacons.size === 0) this.#released?.()
    })
  }

  /** Flips readiness, waits the delay, then for the beacons, at most until the deadline (ms). One shutdown per life. */
  shutdown(delay: number, force: number): Promise<Shutdown> {
    this.stopping = true
    this.#shutdown ??= this.#wait(delay, force)
    return this.#shutdown
  }

  async #wait(delay: number, force: number): Promise<Shutdown> {
    const begun = performance.now()
    if (delay > 0) await pause(Math.min(delay, force))
    const left = force - (performance.now() - begun)
    if (this.#beacons.size > 0 && left > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#released = resolve
      const timer = setTimeout(resolve, left)
      await promise
      clearTimeout(timer)
    }
    const held = this.beacons
    return { forced: held.length > 0, held }
  }
}

function take(held: Map<symbol, string>, name: string, after: () => void): Release {
  // More than this is a leak; the newest is then not held, so that memory stays bounded.
  if (held.size >= most) return () => undefined
  const key = Symbol(name)
  held.set(key, name)
  return () => {
    if (held.delete(key)) after()
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
