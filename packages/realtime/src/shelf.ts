/**
 * Snapshots of the last moment, so that many who come at once, after a restart say, are not each given one of their own: they get one that
 * is a moment old and the events since. Bounded by number and time.
 */
import type { Frame } from './frame.ts'

/** Snapshots kept; there are few choices of topics in one fleet. */
const MOST = 8

/** A shelf. `keepMs`: how old a snapshot may be that is given again. */
export class Shelf {
  readonly #frames = new Map<string, Frame>()
  readonly #keepMs: number

  constructor(keepMs: number) {
    this.#keepMs = keepMs
  }

  find(key: string): Frame | null {
    return this.#frames.get(key) ?? null
  }

  put(key: string, frame: Frame): void {
    this.#frames.delete(key)
    const [oldest] = this.#frames.keys()
    if (this.#frames.size === MOST) this.#frames.delete(oldest!)
    this.#frames.set(key, frame)
    setTimeout(() => {
      if (this.#frames.get(key) === frame) this.#frames.delete(key)
    }, this.#keepMs).unref()
  }
}
