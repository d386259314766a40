/**
 * One connection to one runner for one question, then closed: a verdict must not depend on a socket that something else used.
 * It says what it saw; whether it took too long, and whose fault that is, is decided by the prober.
 */
import { endingOf, type Ending } from './failure.ts'
import { isItself, type Line, type Lines, type LineUser } from './line.ts'
import { ResponseReader, type Reading } from './response.ts'
import type { Target } from './target.ts'

/** What was seen at the end of an exchange. */
export type Sight =
  | { readonly result: 'passed'; readonly status?: number }
  | (Ending & { readonly status?: number })

/** An exchange under way. `seen` is called at most once, never before the constructor returns. */
export class Exchange implements LineUser {
  readonly #request: string
  readonly #seen: (sight: Sight) => void
  readonly #reader = new ResponseReader()
  readonly #line: Line
  #connected = false
  #over = false

  constructor(target: Target, lines: Lines, seen: (sight: Sight) => void) {
    this.#request = target.request
    this.#seen = seen
    this.#line = lines.open(target, this)
  }

  /** How far it came, for the text of a timeout. */
  get progress(): string {
    if (!this.#connected) return 'no connection'
    return this.#reader.begun ? 'the answer was not complete' : 'no answer'
  }

  /** Closes the connection; nothing is told afterwards. */
  end(): void {
    if (this.#over) return
    this.#over = true
    this.#line.close(false)
  }

  opened({ socket }: Line): void {
    this.#connected = true
    if (this.#request !== '') socket.write(this.#request, 'latin1')
    else if (isItself(socket))
      this.#tell({ result: 'failed', why: 'refused', detail: 'nobody listens' }, false)
    else this.#tell({ result: 'passed' }, true)
  }

  received(bytes: Buffer): void {
    const reading = this.#reader.push(bytes)
    if (reading) this.#tell(judge(reading), true)
  }

  failed(error: Error): void {
    this.#tell(endingOf(error), false)
  }

  ended(): void {
    if (this.#reader.begun) {
      const reading = this.#reader.end()
      if (reading) this.#tell(judge(reading), false)
      return
    }
    const detail = 'the connection was closed without an answer'
    this.#tell({ result: 'failed', why: 'reset', detail }, false)
  }

  #tell(sight: Sight, clean: boolean): void {
    if (this.#over) return
    this.#over = true
    this.#line.close(clean)
    this.#seen(sight)
  }
}

function judge(reading: NonNullable<Reading>): Sight {
  if (reading.invalid !== undefined)
    return { result: 'failed', why: 'invalid', detail: reading.invalid }
  const { status } = reading
  if (status >= 200 && status <= 299) return { result: 'passed', status }
  const redirect = status >= 300 && status <= 399 ? ': redirects are not followed' : ''
  return { result: 'failed', why: 'status', status, detail: `status ${status}${redirect}` }
}
