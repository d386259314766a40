/**
 * A recording as a source: facts of telemetry as JSON lines, at any speed. A journal is such a recording; lines of other facts
 * are passed over. It reads as it goes, and holds one line at a time.
 */
import { constants, createReadStream, openSync, statSync } from 'node:fs'
import { Socket } from 'node:net'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Cancel, Clock } from '@health/core'
import { brief, type Sighting, type Source, type Tell } from './source.ts'

/** Kinds of facts that a recording may hold; others are passed over. */
const kinds: ReadonlySet<string> = new Set([
  'gpu.sampled',
  'gpu.xid',
  'gpu.lost',
  'source.failed',
  'source.recovered',
])

/** `speed`: 1 as it was, 10 ten times faster, Infinity at once; `repeat`: from the beginning again at the end. */
export interface ReplayOptions {
  readonly clock: Clock
  readonly file: string
  readonly speed?: number
  readonly repeat?: boolean
}

/** A recording as a {@link Source}. */
export class Replay implements Source {
  readonly name = 'replay'
  readonly #options: ReplayOptions
  #tell: Tell = () => {}
  #closed = false
  #stream: Readable | null = null
  #lines: Interface | null = null
  #wake: () => void = () => {}
  #timer: Cancel = () => {}
  #done: Promise<void> = Promise.resolve()
  /** A recording that is played again must not look like Xids that were told before. */
  readonly #began: number
  #round = 0

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#began = options.clock.wall()
  }

  start(tell: Tell): void {
    this.#tell = tell
    this.#done = this.#play()
  }

  /** Resolves when the recording has ended. */
  get done(): Promise<void> {
    return this.#done
  }

  suspend(): Promise<void> {
    return Promise.resolve()
  }

  resume(): void {}

  async close(): Promise<void> {
    this.#closed = true
    this.#tell = () => {}
    this.#timer()
    this.#wake()
    // Closing the lines ends their loop; destroying the file alone would leave it waiting.
    this.#lines?.close()
    this.#stream?.destroy()
    await this.#done
  }

  async #play(): Promise<void> {
    const { repeat = false } = this.#options
    do {
      const told = await this.#playOnce().catch((error: NodeJS.ErrnoException) => {
        if (!this.#closed)
          this.#tell({
            type: 'failed',
            why: 'exited',
            detail: brief(`${this.#options.file}: ${error.code ?? error.message}`),
          })
        return 0
      })
      this.#round++
      // An empty recording would be repeated without end and without rest.
      if (told === 0) return
    } while (repeat && !this.#closed)
  }

  async #playOnce(): Promise<number> {
    const { file, clock, speed = 1 } = this.#options
    this.#stream = open(file)
    const lines = createInterface({ input: this.#stream, crlfDelay: Infinity })
    this.#lines = lines
    const begun = clock.now()
    let first: number | null = null
    let told = 0
    let number = 0
    for await (const line of lines) {
      number++
      if (this.#closed) break
      const fact = this.#read(line, number)
      if (fact === null) continue
      first ??= fact.at
      const due = begun + (fact.at - first) / speed
      if (due > clock.now()) await this.#until(due)
      if (this.#closed) break
      this.#tell(fact.sighting)
      told++
    }
    lines.close()
    this.#stream.destroy()
    return told
  }

  #until(due: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      this.#timer = this.#options.clock.after(due - this.#options.clock.now(), resolve)
    })
  }

  #read(line: string, number: number): { at: number; sighting: Sighting } | null {
    if (line.trim() === '') return null
    let fact: Record<string, unknown>
    try {
      fact = JSON.parse(line) as Record<string, unknown>
    } catch {
      this.#tell({ type: 'problem', text: `line ${number} of the recording is not JSON` })
      return null
    }
    if (typeof fact.type !== 'string' || !kinds.has(fact.type) || typeof fact.at !== 'number')
      return null
    const { type, at, node: _node, seq: _seq, source: _source, ...rest } = fact
    if (type === 'gpu.xid') rest.boot = `${String(rest.boot)}/replay.${this.#began}.${this.#round}`
    const name = type.slice(type.indexOf('.') + 1)
    return { at, sighting: { ...rest, type: name } as unknown as Sighting }
  }
}

/** A pipe is read without a thread that waits for its next byte: nothing but that byte would end it, and the process waits for its threads. */
function open(file: string): Readable {
  if (!statSync(file).isFIFO()) return createReadStream(file, { encoding: 'utf8' })
  // Open for writing as well, or the end of a pipe that nobody writes to yet would be told at once.
  const fd = openSync(file, constants.O_RDWR | constants.O_NONBLOCK)
  return new Socket({ fd, readable: true, writable: false }).setEncoding('utf8')
}
