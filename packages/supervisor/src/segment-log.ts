/**
 * Appends lines to a row of bounded files. A write is whole or not there: what a full disk tore is cut off again. It decides
 * when a file is full and which files are too many; what to do when the disk refuses is the caller's.
 */
import {
  close,
  closeSync,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  open,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { createFolder } from './data-directory.ts'
import { listSegments, segmentPath, type Segment, type SegmentHeader } from './segment.ts'

const closed = promisify(close)
const synced = promisify(fdatasync)
const opened = promisify(open)
const folderSynced = promisify(fsync)

/** Writes bytes and answers how many; replaceable so that a full disk can be had without one. */
export type WriteBytes = (fd: number, data: Buffer, from: number, length: number) => number

/** Options of a {@link SegmentLog}. */
export interface SegmentLogOptions {
  readonly folder: string
  readonly prefix: string
  /** A file that has reached this size is followed by the next one. */
  readonly segmentBytes: number
  /** First line of a new file that follows record number `seq`. */
  readonly header: (seq: number) => SegmentHeader
  readonly write?: WriteBytes
  /** A file that was left could not be synced. */
  readonly onError: (error: unknown) => void
}

/** How much of a record is kept. */
export interface Bounds {
  readonly maxBytes: number
  readonly maxAgeMs: number
  /** Files with records above this number are never deleted. */
  readonly keepAfter: number
  /** Unix ms. */
  readonly now: number
}

/** See the head of this file. Nothing is opened before the first write. */
export class SegmentLog {
  readonly #options: SegmentLogOptions
  readonly #write: WriteBytes
  readonly #segments: Segment[]
  readonly #leaving = new Set<Promise<void>>()
  #fd: number | null = null
  /** A failed write could not be cut off yet. */
  #torn = false
  #newFile = false

  constructor(options: SegmentLogOptions) {
    this.#options = options
    this.#write = options.write ?? ((fd, data, from, length) => writeSync(fd, data, from, length))
    this.#segments = listSegments(options.folder, options.prefix)
  }

  /** The files, oldest first; the last one is written to. */
  get segments(): readonly Segment[] {
    return this.#segments
  }

  /** Number of the last record in a file, Infinity for the newest. */
  lastOf(index: number): number {
    return this.#segments[index + 1]?.header?.seq ?? Infinity
  }

  /** Appends whole lines, each with its line end, after record number `seq`. Throws what the disk says, and has then written nothing. */
  append(text: string, seq: number): void {
    const segment = this.#segments.at(-1)
    if (segment === undefined || segment.bytes >= this.#options.segmentBytes) this.rotate(seq)
    else if (this.#fd === null) this.#fd = openSync(segment.path, 'a', 0o600)
    const current = this.#segments.at(-1)!
    this.#put(this.#fd!, Buffer.from(text), current)
    current.writtenAt = Date.now()
  }

  /** Starts the next file; the former one is synced and closed behind our back. */
  rotate(seq: number): void {
    const { folder, prefix, header } = this.#options
    const former = this.#segments.at(-1)
    if (this.#torn && former !== undefined && this.#fd !== null) {
      ftruncateSync(this.#fd, former.bytes)
      this.#torn = false
    }
    const number = (former?.number ?? 0) + 1
    const path = segmentPath(folder, prefix, number)
    const line = header(seq)
    const segment: Segment = { number, path, bytes: 0, writtenAt: Date.now(), header: line }
    const fd = openSync(path, 'ax', 0o600)
    try {
      this.#put(fd, Buffer.from(`${JSON.stringify(line)}\n`), segment)
    } catch (error) {
      closeSync(fd)
      unlinkSync(path)
      this.#torn = false
      throw error
    }
    this.#leave()
    this.#fd = fd
    this.#newFile = true
    this.#segments.push(segment)
  }

  /** Cuts the newest file to a length: what follows was torn by a crash. Only before the first write. */
  cut(length: number): void {
    const segment = this.#segments.at(-1)
    if (segment === undefined || this.#fd !== null) return
    const fd = openSync(segment.path, 'r+')
    try {
      ftruncateSync(fd, length)
    } finally {
      closeSync(fd)
    }
    segment.bytes = length
  }

  /** Deletes the newest file, whose header was torn by a crash. Only before the first write. */
  drop(): void {
    const segment = this.#segments.pop()
    if (segment !== undefined) unlinkSync(segment.path)
  }

  /** Resolves when everything appended before is on disk; rejects with what the disk says. */
  async sync(): Promise<void> {
    const work: Promise<unknown>[] = [...this.#leaving]
    if (this.#fd !== null) work.push(synced(this.#fd))
    if (this.#newFile) {
      this.#newFile = false
      work.push(this.#syncFolder())
    }
    await Promise.all(work)
  }

  /** True when somebody deleted the file we write to: what is written then goes nowhere. */
  gone(): boolean {
    return this.#fd !== null && fstatSync(this.#fd).nlink === 0
  }

  /** Forgets a file that is gone; the next write starts a new one. */
  forget(): void {
    if (this.#fd !== null) closeSync(this.#fd)
    this.#fd = null
    this.#torn = false
    createFolder(this.#options.folder)
    this.#segments.splice(
      0,
      this.#segments.length,
      ...listSegments(this.#options.folder, this.#options.prefix),
    )
  }

  /** Deletes the oldest files beyond the bounds, never the newest one; answers how many. */
  prune(bounds: Bounds): number {
    let total = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
    let deleted = 0
    while (this.#segments.length > 1) {
      const oldest = this.#segments[0]!
      const over = total > bounds.maxBytes || bounds.now - oldest.writtenAt > bounds.maxAgeMs
      if (!over || this.lastOf(0) > bounds.keepAfter) break
      unlinkSync(oldest.path)
      this.#segments.shift()
      total -= oldest.bytes
      deleted++
    }
    return deleted
  }

  async close(): Promise<void> {
    const fd = this.#fd
    this.#fd = null
    if (fd !== null) {
      await synced(fd)
      await closed(fd)
    }
    await Promise.all(this.#leaving)
  }

  #put(fd: number, data: Buffer, segment: Segment): void {
    if (this.#torn) {
      ftruncateSync(fd, segment.bytes)
      this.#torn = false
    }
    try {
      let done = 0
      while (done < data.length) done += this.#write(fd, data, done, data.length - done)
    } catch (error) {
      try {
        ftruncateSync(fd, segment.bytes)
      } catch {
        // The disk takes nothing at all now: cut before the next write.
        this.#torn = true
      }
      throw error
    }
    segment.bytes += data.length
  }

  #leave(): void {
    const fd = this.#fd
    if (fd === null) return
    const left = synced(fd)
      .catch((error: unknown) => this.#options.onError(error))
      .then(() => closed(fd))
      .then(() => void this.#leaving.delete(left))
    this.#leaving.add(left)
  }

  async #syncFolder(): Promise<void> {
    const fd = await opened(this.#options.folder, 'r')
    try {
      await folderSynced(fd)
    } finally {
      await closed(fd)
    }
  }
}
