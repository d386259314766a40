/**
 * The durable queue in one file of this machine: opens the file in a thread of its own, reads the index from it and connects
 * both. Exactly one process may have it open.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { HealthError, type Queue } from '@health/core'
import { HeadReader } from './head.ts'
import { Ledger } from './ledger.ts'
import { LedgerQueue } from './ledger-queue.ts'
import type { QueueLimits } from './limit.ts'
import { type Opened, ReopeningQueue } from './reopening-queue.ts'
import { SqliteStore, type StoreLimits } from './sqlite-store.ts'
import type { FromWriter, ToWriter, WriterData } from './writer.ts'

/** Where the queue is, and its bounds. */
export interface SqliteQueueOptions extends QueueLimits, Partial<StoreLimits> {
  /** Folder of the file `queue.db`; made when missing. */
  readonly dir: string
  /**
   * A file that is not there yet is made with the first request, not before, and its thread (12 MB) starts then; what is wrong
   * with the folder is told by the requests. For who holds the folder by a lock of their own. Default false.
   */
  readonly whenUsed?: boolean
}

const MIB = 1024 * 1024

/**
 * Opens the queue of a folder, or makes it. Rejects with `HEALTH_DATA_LOCKED` when another process has it open,
 * `HEALTH_QUEUE_FORMAT` when the file is no queue, damaged or of a newer version, `HEALTH_DATA_DENIED` when it cannot be
 * written, `HEALTH_STORAGE_FULL` when there is no room for it. Should its writer end by itself, the file is opened again.
 */
export async function createSqliteQueue(options: SqliteQueueOptions): Promise<Queue> {
  const file = join(options.dir, 'queue.db')
  const open = (): Promise<Opened> => openQueue(file, options)
  const unused = options.whenUsed === true && !existsSync(file)
  const first = unused
    ? connect(new Ledger(), 0, () => startWriter({ file, empty: true }), options)
    : await open()
  return new ReopeningQueue(first, open)
}

async function openQueue(file: string, options: SqliteQueueOptions): Promise<Opened> {
  const worker = startWriter({ file, empty: false })
  try {
    const { ledger, last } = await load(worker, file)
    return connect(ledger, last, worker, options)
  } catch (error) {
    await worker.terminate()
    throw error
  }
}

function connect(
  ledger: Ledger,
  last: number,
  writer: Worker | (() => Worker),
  options: SqliteQueueOptions,
): Opened {
  const store = new SqliteStore(writer, {
    maxPendingBytes: options.maxPendingBytes ?? 256 * MIB,
    maxKeptBytes: options.maxKeptBytes ?? 64 * MIB,
    maxRecentBytes: options.maxRecentBytes ?? 16 * MIB,
  })
  return { queue: new LedgerQueue(ledger, store, last + 1, options), ended: store.ended }
}

function startWriter(workerData: WriterData): Worker {
  const script = import.meta.url.endsWith('.ts') ? './writer.ts' : './writer.js'
  return new Worker(new URL(script, import.meta.url), {
    workerData,
    env: compiled(),
    execArgv: ['--disable-warning=ExperimentalWarning'],
    name: 'queue-writer',
  })
}

/** Nothing of ours but where compiled code is kept: without it the thread would compile its sources anew, for 17 MB more. */
function compiled(): Record<string, string> {
  const { NODE_COMPILE_CACHE } = process.env
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }
}

/** Reads every request into an index; the next stretch is asked for before the last one is taken in. */
function load(
  worker: Worker,
  file: string,
): Promise<{ readonly ledger: Ledger; readonly last: number }> {
  const ledger = new Ledger()
  const reader = new HeadReader()
  let last = 0
  return new Promise((resolve, reject) => {
    const ask = (after: number): void =>
      worker.postMessage({ type: 'load', after } satisfies ToWriter)
    const end = (act: () => void): void => {
      worker.off('message', heard).off('error', failed).off('exit', gone)
      act()
    }
    const failed = (error: Error): void =>
      end(() =>
        reject(
          new HealthError(
            'HEALTH_QUEUE_FORMAT',
            `${file} cannot be read (${error.message}). Restore it, or move it away.`,
          ),
        ),
      )
    const gone = (): void =>
      end(() =>
        reject(
          new HealthError(
            'HEALTH_STORAGE_FAILED',
            "The queue's writer ended while it opened the file.",
          ),
        ),
      )
    const heard = (message: FromWriter): void => {
      if (message.type === 'opened') return ask(0)
      if (message.type === 'refused')
        return end(() => reject(new HealthError(message.code, message.message)))
      if (message.type !== 'stretch') return
      const { rows, next } = message.stretch
      if (next === null) return end(() => resolve({ ledger, last }))
      ask(next)
      last = next
      try {
        for (const entry of reader.read(rows)) ledger.admit(entry)
      } catch (error) {
        failed(error as Error)
      }
    }
    worker.on('message', heard).on('error', failed).on('exit', gone)
  })
}
