/**
 * The record of facts on disk. A line is in the kernel's hands when `flush` returns, on disk when `sync` resolves; what the disk
 * refuses waits in bounded memory, and past the bound a snapshot takes the place of what was dropped. It never stops the healing.
 */
import { encodeLine, type Cancel, type Clock, type HealthEvent, type Journal } from '@health/core'
import type { SegmentLog } from './segment-log.ts'

/** A snapshot on its way: the state after event `seq`. */
export interface Replacement {
  readonly seq: number
  readonly at: number
  /** Resolves when it is on disk. */
  readonly done: Promise<void>
}

/** Options of {@link FileJournal}. */
export interface FileJournalOptions {
  readonly log: SegmentLog
  readonly clock: Clock
  /** Number of the last event that is in the files already. */
  readonly from: number
  /** Takes a snapshot now, in place of lines that were dropped; null when one is being written: asked again later. */
  readonly replace: () => Replacement | null
  /** The disk began or ceased to refuse. */
  readonly onFailing: (failing: boolean, text: string) => void
  /** What may wait for the disk; default 16 MiB. */
  readonly memoryBytes?: number
}

/** How long a refusing disk is left alone between two tries. */
const RETRY_MS = 1_000
/** What one turn writes at most of a backlog. */
const SLICE_LINES = 4_096

/** See the head of this file. */
export class FileJournal implements Journal {
  readonly #options: FileJournalOptions
  readonly #memoryBytes: number
  #lines: string[] = []
  #bytes = 0
  #first = 0
  #last: number
  /** Number of the last event in a file, and of the last of each waiting line. */
  #written: number
  #numbers: number[] = []
  #turn: NodeJS.Immediate | undefined
  #retry: Cancel | null = null
  #failing = false
  /** Numbers of the events that were dropped. */
  #lost: { readonly from: number; to: number } | null = null
  #replacing = false
  #closed = false

  constructor(options: FileJournalOptions) {
    this.#options = options
    this.#memoryBytes = options.memoryBytes ?? 16 << 20
    this.#last = this.#written = options.from
  }

  get pending(): number {
    return this.#lines.length
  }

  get failing(): boolean {
    return this.#failing
  }

  /** Numbers of events that are in no file; null when there are none. */
  get lost(): { readonly from: number; readonly to: number } | null {
    return this.#lost
  }

  /** Lines that wait for the disk, oldest first. */
  get waiting(): readonly string[] {
    return this.#lines
  }

  /** Keeps an event; it is written within the turn. The event carries its `seq`. */
  append(event: HealthEvent): void {
    const seq = event.seq ?? 0
    this.#last = seq
    if (this.#lost !== null && !this.#replacing) {
      this.#lost.to = seq
      return
    }
    const line = encodeLine(event, seq)
    if (this.#lines.length === 0) this.#first = seq
    this.#lines.push(line)
    this.#numbers.push(seq)
    this.#bytes += line.length
    if (this.#bytes > this.#memoryBytes) this.#lose()
    else if (!this.#failing && this.#turn === undefined)
      this.#turn = setImmediate(() => this.flush())
  }

  /** Hands the waiting lines to the kernel now, unless the disk is known to refuse. */
  flush(): void {
    if (this.#turn !== undefined) clearImmediate(this.#turn)
    this.#turn = undefined
    while (this.#lines.length > 0 && !this.#failing && !this.#closed) this.#write()
  }

  /** Resolves when everything appended before is on disk; rejects while the disk refuses. */
  async sync(): Promise<void> {
    this.flush()
    if (this.#failing) throw new Error('The disk does not take the journal.')
    try {
      await this.#options.log.sync()
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  /** Looks whether our file is still there; called from time to time. */
  check(): void {
    if (this.#failing || this.#closed || !this.#options.log.gone()) return
    // Everything in the deleted file is lost: a snapshot covers it.
    const from = (this.#options.log.segments.at(-1)?.header?.seq ?? 0) + 1
    this.#lost = { from, to: this.#last }
    this.#clear()
    try {
      this.#options.log.forget()
      this.#fail(new Error('the file was deleted'))
    } catch (error) {
      this.#fail(error)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    while (this.#lines.length > 0 && !this.#replacing) if (!this.#write()) break
    this.#closed = true
    this.#retry?.()
    await this.#options.log.close()
  }

  /** False when the disk refused. */
  #write(): boolean {
    if (this.#lines.length === 0) return true
    const count = Math.min(this.#lines.length, SLICE_LINES)
    const text = (count === this.#lines.length ? this.#lines : this.#lines.slice(0, count)).join('')
    try {
      this.#options.log.append(text, this.#written)
    } catch (error) {
      this.#fail(error)
      return false
    }
    this.#written = this.#numbers[count - 1]!
    if (count === this.#lines.length) {
      this.#clear()
      return true
    }
    this.#lines = this.#lines.slice(count)
    this.#numbers = this.#numbers.slice(count)
    this.#first = this.#numbers[0]!
    this.#bytes -= text.length
    this.#turn ??= setImmediate(() => this.flush())
    return true
  }

  #clear(): void {
    this.#lines = []
    this.#numbers = []
    this.#bytes = 0
  }

  #lose(): void {
    this.#lost = { from: this.#lost?.from ?? this.#first, to: this.#last }
    this.#clear()
  }

  #fail(error: unknown): void {
    const first = !this.#failing
    this.#failing = true
    this.#retry?.()
    this.#retry = this.#options.clock.after(RETRY_MS, () => this.#again())
    if (first) {
      const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      this.#options.onFailing(
        true,
        `The disk does not take the journal (${code}). Healing goes on; up to ${this.#memoryBytes >> 20} MiB wait in memory. Free space.`,
      )
    }
  }

  #again(): void {
    this.#retry = null
    if (this.#closed || this.#replacing) return
    if (this.#lost !== null) {
      this.#replaceLost()
      return
    }
    if (this.#write()) this.#recovered('The disk takes the journal again; nothing was lost.')
  }

  #replaceLost(): void {
    const replacement = this.#options.replace()
    if (replacement === null) {
      this.#retry = this.#options.clock.after(RETRY_MS, () => this.#again())
      return
    }
    this.#replacing = true
    replacement.done.then(
      () => {
        this.#replacing = false
        const { from, to } = this.#lost!
        const gap = { seq: to, at: replacement.at, type: 'journal.gap', from, to }
        try {
          this.#options.log.rotate(this.#written)
          this.#options.log.append(`${JSON.stringify(gap)}\n`, this.#written)
          this.#written = to
        } catch (error) {
          this.#lose()
          this.#fail(error)
          return
        }
        this.#lost = null
        if (this.#write())
          this.#recovered(
            `The disk takes the journal again; a snapshot replaces the events ${from} to ${to}.`,
          )
      },
      (error: unknown) => {
        this.#replacing = false
        this.#lose()
        this.#fail(error)
      },
    )
  }

  #recovered(text: string): void {
    this.#failing = false
    this.#options.onFailing(false, text)
  }
}
