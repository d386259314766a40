/**
 * What room the disk has for the queue's file. A log that cannot be moved into the file takes nothing any more, not even what would
 * free room: so a part of the disk is held for that move, and a request is taken only when the move after it can be made as well.
 */
import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

const MIB = 1024 * 1024
/** What the log holds before it moves to the file: what a restart reads at most, and a move of some ms. */
const LARGEST_LOG = 8 * MIB
const SMALLEST_LOG = MIB / 4
/** On a small disk the log has this part of it, and the reserve as much. */
const LOG_PART = 16
/** How long a look at the disk holds, in ms. */
const LOOK_MS = 50
/** Pause between two tries to fill the reserve, in ms. */
const FILL_MS = 1_000
const BLOCK = 256 * 1024

/** What a transaction would leave behind. */
export interface Demand {
  /** How long the file will be when the log has been moved. */
  readonly fileBytes: number
  /** What the transaction writes, roughly. */
  readonly bytes: number
  /** It brings requests, which nobody has been promised yet to keep. */
  readonly adds: boolean
}

export class Room {
  /** How long the log gets between two moves, in bytes; the reserve is as large. */
  readonly logBytes: number
  readonly #file: string
  readonly #held: string
  #reserve = 0
  #free = 0
  #fileBytes = 0
  #lookedAt = -Infinity
  #filledAt = -Infinity

  /** The folder of the file is there. */
  constructor(file: string) {
    this.#file = file
    this.#held = `${file}-reserve`
    const { blocks, bsize } = statfsSync(dirname(file))
    // Some file systems do not say.
    const part = blocks === 0 ? LARGEST_LOG : (blocks * bsize) / LOG_PART
    this.logBytes = Math.max(SMALLEST_LOG, Math.min(LARGEST_LOG, part))
    this.#reserve = sizeOf(this.#held)
  }

  /**
   * Whether a transaction may be committed. New requests must leave the whole reserve, in whatever form: held, free, or unused in the
   * file (`unused`, asked only when it matters). What belongs to accepted ones may use it.
   */
  admits(demand: Demand, unused: () => number): boolean {
    if (performance.now() - this.#lookedAt < LOOK_MS && this.#fits(demand, 0)) return true
    this.#look()
    return this.#fits(demand, demand.adds ? unused() : 0)
  }

  /** Gives the reserve to whoever writes next, that is, to the move. Answers whether there was any. */
  spend(): boolean {
    if (this.#reserve === 0) return false
    rmSync(this.#held, { force: true })
    this.#reserve = 0
    this.#lookedAt = -Infinity
    return true
  }

  /** Holds what is missing of the reserve, as far as there is room; once a second at most, unless it was just spent. */
  fill(now = false): void {
    if (this.#reserve >= this.logBytes) return
    const at = performance.now()
    if (!now && at - this.#filledAt < FILL_MS) return
    this.#filledAt = at
    // Not zeros: a disk that compresses would hold nothing.
    const block = randomFillSync(Buffer.allocUnsafe(BLOCK))
    let handle: number | undefined
    try {
      handle = openSync(this.#held, 'a', 0o600)
      while (this.#reserve < this.logBytes) this.#reserve += writeSync(handle, block)
    } catch {
      // Whatever the reason: without the reserve new requests are refused earlier, and it is tried again.
    } finally {
      if (handle !== undefined) closeSync(handle)
    }
    this.#reserve = sizeOf(this.#held)
    this.#lookedAt = -Infinity
  }

  #fits({ fileBytes, bytes, adds }: Demand, unused: number): boolean {
    const growth = Math.max(0, fileBytes - this.#fileBytes)
    const left = this.#reserve + this.#free - growth
    return adds ? left + unused >= this.logBytes + bytes : growth === 0 || left >= bytes
  }

  #look(): void {
    const { blocks, bavail, bsize } = statfsSync(dirname(this.#file))
    this.#free = blocks === 0 ? Infinity : bavail * bsize
    this.#fileBytes = sizeOf(this.#file)
    this.#lookedAt = performance.now()
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
