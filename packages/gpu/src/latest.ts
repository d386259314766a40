/**
 * Passes on the newest of several values that came together. A process that stood still finds minutes of samples in the pipe: all but the
 * last are about a time that did not exist for it.
 */
export class Latest<T> {
  #value: T | undefined
  readonly #tell: (value: T) => void

  constructor(tell: (value: T) => void) {
    this.#tell = tell
  }

  /** Takes a value; it is told in the next turn of the loop unless another one comes before. */
  put(value: T): void {
    const waiting = this.#value !== undefined
    this.#value = value
    if (!waiting) setImmediate(() => this.flush())
  }

  /** Tells now what waits. */
  flush(): void {
    const value = this.#value
    this.#value = undefined
    if (value !== undefined) this.#tell(value)
  }
}
