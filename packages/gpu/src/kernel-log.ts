/**
 * The kernel's log as a source of Xids: `/dev/kmsg`, read without ever blocking, or a file that grows. It has no samples. Lines
 * from before it began are old stories, unless a cursor says from where to go on.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs'
import type { Cancel } from '@health/core'
import { LineReader } from './line-reader.ts'
import { lineageOf, seesHostProcesses } from './process-lineage.ts'
import { brief, type Source, type SourceOptions, type Tell } from './source.ts'
import { XidReader, type KernelSighting } from './xid-line.ts'

const POLL_MS = 500
const CHUNK = 8192
/** Records read in one turn: a flood of other lines must not hold up the process. */
const RECORDS_PER_TURN = 2_000

/**
 * `path`: default `/dev/kmsg`. `boot`: default the kernel's boot id. `after`: go on behind this sequence of this boot (of
 * `/dev/kmsg`; a file has sequences of its own and is read from its end).
 */
export interface KernelLogOptions extends SourceOptions {
  readonly path?: string
  readonly boot?: string
  readonly after?: number | null
  /** The kernel's table of processes; default `/proc`. */
  readonly processes?: string
}

/** The kernel's boot id; a name of our own where there is none. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return 'no-boot-id'
  }
}

/** The log as a {@link Source}. */
export class KernelLog implements Source {
  readonly name = 'kernel-log'
  readonly #options: KernelLogOptions
  readonly #boot: string
  readonly #reader = new XidReader()
  readonly #buffer = Buffer.alloc(CHUNK)
  readonly #lines: LineReader
  #tell: Tell = () => {}
  #fd: number | null = null
  #device = false
  #inode = 0
  #opened = 0
  #offset = 0
  /** Where the next line of a file begins: its sequence. */
  #lineAt = 0
  #failing = false
  #timer: Cancel = () => {}
  #closed = false
  readonly #namesOurs: boolean
  /** True until everything that was there at the beginning has been read. */
  #old = true

  constructor(options: KernelLogOptions) {
    this.#options = options
    this.#boot = options.boot ?? bootId()
    this.#namesOurs = seesHostProcesses(options.processes)
    this.#lines = new LineReader(
      (line) => this.#fileLine(line),
      () => this.#tell({ type: 'problem', text: 'a line of the kernel log does not end' }),
    )
  }

  /** May the log be read here? Null: yes; else why not. */
  static unreadable(path = '/dev/kmsg'): string | null {
    try {
      closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
      return null
    } catch (error) {
      return `${path}: ${(error as NodeJS.ErrnoException).code ?? 'not readable'}`
    }
  }

  start(tell: Tell): void {
    this.#tell = tell
    this.#poll()
  }

  suspend(): Promise<void> {
    // It holds no device: a reset is when its lines matter most.
    return Promise.resolve()
  }

  resume(): void {}

  close(): Promise<void> {
    this.#closed = true
    this.#timer()
    this.#tell = () => {}
    this.#shut()
    return Promise.resolve()
  }

  #poll(): void {
    if (this.#closed) return
    try {
      if (this.#fd === null) this.#open()
      if (this.#device) this.#readRecords()
      else this.#readFile()
      if (this.#failing) this.#tell({ type: 'recovered', detail: 'the log can be read again' })
      this.#failing = false
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (!this.#failing)
        this.#tell({
          type: 'failed',
          why: 'exited',
          detail: brief(`${this.#path}: ${code ?? message}`),
        })
      this.#failing = true
      this.#shut()
    }
    const again = this.#failing ? 10_000 : POLL_MS
    this.#timer = this.#options.clock.after(again, () => this.#next())
  }

  #next(): void {
    if (!this.#device && this.#fd !== null) this.#followRotation()
    this.#poll()
  }

  get #fileBoot(): string {
    return `${this.#boot}/${this.#inode}.${this.#opened}`
  }

  get #path(): string {
    return this.#options.path ?? '/dev/kmsg'
  }

  #open(): void {
    this.#fd = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK)
    const { size, ino } = fstatSync(this.#fd)
    this.#device = fstatSync(this.#fd).isCharacterDevice()
    this.#inode = ino
    // A file that appears later is new from its first line on; its lines are counted anew, so it is another log.
    this.#offset = this.#old && !this.#device ? size : 0
    this.#lineAt = this.#offset
    this.#opened++
    if (!this.#device) this.#old = false
  }

  #shut(): void {
    if (this.#fd !== null) closeSync(this.#fd)
    this.#fd = null
  }

  /** One record a read; EAGAIN: nothing more; EPIPE: some were overwritten, go on. */
  #readRecords(): void {
    for (let count = 0; count < RECORDS_PER_TURN; count++) {
      try {
        const length = readSync(this.#fd!, this.#buffer, 0, CHUNK, null)
        if (length === 0) break
        this.#record(this.#buffer.toString('utf8', 0, length))
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EPIPE') {
          this.#tell({
            type: 'problem',
            text: 'records of the kernel log were overwritten before they were read',
          })
          continue
        }
        if (code !== 'EAGAIN') throw error
        this.#old = false
        return
      }
    }
  }

  /** `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT`, continuation lines behind it. */
  #record(record: string): void {
    const match = /^\d+,(\d+),\d+,[^;]*;([^\n]*)/.exec(record)
    if (match === null) return
    const sequence = Number(match[1])
    const seen = this.#reader.read(match[2]!)
    const { after } = this.#options
    if (seen === null || (this.#old && (after == null || sequence <= after))) return
    this.#report(seen, sequence)
  }

  #readFile(): void {
    for (let count = 0; count < RECORDS_PER_TURN; count++) {
      const length = readSync(this.#fd!, this.#buffer, 0, CHUNK, this.#offset)
      if (length === 0) return
      this.#offset += length
      this.#lines.push(this.#buffer.toString('latin1', 0, length))
    }
  }

  #fileLine(line: string): void {
    const sequence = this.#lineAt
    this.#lineAt += line.length + 1
    const seen = this.#reader.read(line)
    if (seen !== null) this.#report(seen, sequence)
  }

  /** A file that was replaced or cut begins again. */
  #followRotation(): void {
    const found = statSync(this.#path, { throwIfNoEntry: false })
    if (found === undefined) return
    if (found.ino === this.#inode && found.size >= this.#offset) return
    this.#shut()
  }

  #report(seen: KernelSighting, sequence: number): void {
    if (seen.type === 'lost') {
      this.#tell({ type: 'lost', device: seen.device, detail: seen.text })
      return
    }
    const { pid } = seen
    // Of old lines the process is gone, and its number may be another's.
    const known = pid !== undefined && this.#namesOurs && !this.#old
    const lineage = known ? lineageOf(pid, this.#options.processes) : null
    const boot = this.#device ? this.#boot : this.#fileBoot
    this.#tell({ ...seen, ...(lineage !== null && { lineage }), boot, sequence })
  }
}
