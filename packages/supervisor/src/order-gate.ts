/**
 * Orders that cannot be repeated wait until the facts they rest on are on disk; the others never wait. A disk that refuses or
 * hangs delays healing by at most `MAX_WAIT_MS`, and never stops it.
 */
import type { Command, CommandType, Journal } from '@health/core'
import { textOf, type Log } from './line.ts'

/**
 * What a crash must not make us do twice or forget: a process begun, a process ended, a machine touched. The others are either
 * repeated harmlessly (probes, counts) or belong to the queue, which is durable by itself.
 */
const guarded: ReadonlySet<CommandType> = new Set<CommandType>([
  'provision',
  'stop',
  'kill',
  'reset',
  'reboot',
  'retire',
])

/** Longest wait for the disk, real ms: no verdict hangs on it, and a disk knows no observed time. */
const MAX_WAIT_MS = 1_000

/** Options of {@link OrderGate}. */
export interface OrderGateOptions {
  readonly journal: Pick<Journal, 'sync' | 'failing'>
  readonly perform: (command: Command) => void
  readonly log: Log
}

/** Lets orders through in the order they were given, those that wait among themselves. */
export class OrderGate {
  readonly #options: OrderGateOptions
  /** Waiting for the sync that has not begun yet. */
  #next: Command[] = []
  #syncing = false
  #held = false
  #closed = false

  constructor(options: OrderGateOptions) {
    this.#options = options
  }

  /** Orders that wait. */
  get waiting(): number {
    return this.#next.length
  }

  /** Performs an order now, or as soon as the disk has its facts. */
  pass(command: Command): void {
    if (!guarded.has(command.type)) {
      this.#options.perform(command)
      return
    }
    this.#next.push(command)
    if (!this.#syncing && !this.#held) void this.#turn()
  }

  /** Keeps the orders that would wait for the disk until `release`. */
  hold(): void {
    this.#held = true
  }

  /** Ends `hold`. */
  release(): void {
    this.#held = false
    if (!this.#syncing) void this.#turn()
  }

  /** Nothing is performed afterwards. */
  close(): void {
    this.#closed = true
    this.#next = []
  }

  async #turn(): Promise<void> {
    this.#syncing = true
    while (this.#next.length > 0 && !this.#closed && !this.#held) {
      // What comes in while the disk works shares the next sync.
      const batch = this.#next
      this.#next = []
      await this.#synced()
      for (const command of batch) if (!this.#closed) this.#options.perform(command)
    }
    this.#syncing = false
  }

  async #synced(): Promise<void> {
    const { journal, log } = this.#options
    if (journal.failing) return
    let late: NodeJS.Timeout | undefined
    const waited = new Promise<'late'>((resolve) => {
      late = setTimeout(() => resolve('late'), MAX_WAIT_MS)
    })
    try {
      const outcome = await Promise.race([journal.sync(), waited])
      if (outcome === 'late')
        log({
          level: 'warn',
          event: 'journal.slow',
          text: `The disk took longer than ${MAX_WAIT_MS} ms; orders go on without it.`,
        })
    } catch (error) {
      log({ level: 'warn', event: 'journal.unsynced', text: textOf(error) })
    } finally {
      clearTimeout(late)
    }
  }
}
