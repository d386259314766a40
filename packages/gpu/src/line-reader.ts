/** Chunks → lines, with a bound: a line that does not end is cut and reported, never kept. It knows nothing of what lines mean. */

/** Longest line that is passed on; a sample of 64 devices as JSON stays far below. */
export const MAX_LINE = 256 * 1024

/** Collects chunks of text and passes on whole lines. */
export class LineReader {
  #rest = ''
  #skipping = false
  readonly #line: (line: string) => void
  readonly #tooLong: () => void

  constructor(line: (line: string) => void, tooLong: () => void) {
    this.#line = line
    this.#tooLong = tooLong
  }

  push(chunk: string): void {
    const parts = (this.#rest + chunk).split('\n')
    this.#rest = parts.pop()!
    for (const part of parts) {
      if (this.#skipping) this.#skipping = false
      else this.#line(part.endsWith('\r') ? part.slice(0, -1) : part)
    }
    if (this.#rest.length > MAX_LINE) {
      if (!this.#skipping) this.#tooLong()
      this.#skipping = true
      this.#rest = ''
    }
  }

  /** What is left without a line end: a process ended in the middle of a line. */
  get rest(): string {
    return this.#rest
  }
}
