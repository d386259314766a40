/**
 * Hands values to listeners in order. What comes before the first listener waits for it, in bounded memory: past the bound the
 * oldest is dropped and counted. A listener that throws is reported and loses nothing for the others.
 */
import type { Cancel } from '@health/core'

/** Values kept for the first listener. */
const LIMIT = 10_000

/** See the head of this file. */
export class Outlet<T> {
  readonly #listeners = new Set<(value: T) => void>()
  readonly #onError: (error: unknown) => void
  #waiting: T[] | null = []
  #dropped = 0

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** Values dropped because nobody listened. */
  get dropped(): number {
    return this.#dropped
  }

  push(value: T): void {
    if (this.#waiting !== null) {
      this.#waiting.push(value)
      if (this.#waiting.length <= LIMIT) return
      this.#waiting.shift()
      this.#dropped++
      return
    }
    for (const listener of this.#listeners) this.#hand(listener, value)
  }

  listen(listener: (value: T) => void): Cancel {
    this.#listeners.add(listener)
    const waiting = this.#waiting
    this.#waiting = null
    for (const value of waiting ?? []) this.#hand(listener, value)
    return () => void this.#listeners.delete(listener)
  }

  #hand(listener: (value: T) => void, value: T): void {
    try {
      listener(value)
    } catch (error) {
      this.#onError(error)
    }
  }
}
