/** The queues that the benchmark compares, each behind the same few words. None does more than its own library asks for. */
import { spawn } from 'node:child_process'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { AttemptLine, FinalAnswer, Queue, Submission } from '@health/core'
import { Queue as BullQueue, Worker as BullWorker } from 'bullmq'
import { Redis } from 'ioredis'

/** `add` resolves when the job is as safe as the queue makes it; `work` starts handling, `concurrency` at a time; `rest` stops it. */
export interface Subject {
  add(id: string): Promise<unknown>
  work(concurrency: number, handle: (id: string) => void): void
  rest(): Promise<void>
  close(): Promise<void>
}

const APP = 'bench/app'
const BODY = new Uint8Array(1_024).fill(97)
const LINE: AttemptLine = {
  n: 1,
  runner: 'r-1',
  startedAt: 1,
  endedAt: 2,
  outcome: 'healthy',
  status: 200,
  rule: 'outcome.healthy',
  condition: null,
}
const ANSWER: FinalAnswer = {
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: new TextEncoder().encode('{"ok":true}'),
  errorType: null,
  at: 3,
  cause: null,
}

/** A request of 1 KB. */
export function submission(id: string): Submission {
  return {
    id,
    app: APP,
    priority: 'normal',
    owner: '',
    method: 'POST',
    path: '/',
    headers: { 'content-type': 'application/json', accept: '*/*' },
    body: BODY,
    submittedAt: Date.now(),
    startBefore: null,
    hint: null,
    noRetry: false,
    retryConfig: null,
    webhook: null,
  }
}

/** The port itself. */
export function ofPort(queue: Queue): Subject {
  let free = 0
  let busy = 0
  let handle: (id: string) => void = () => {}
  let rested: (() => void) | null = null
  const settle = (): void => {
    if (busy === 0) rested?.()
  }
  const pump = async (): Promise<void> => {
    if (free === 0 || rested !== null) return
    const asked = free
    free = 0
    busy += asked
    const now = Date.now()
    const leases = await queue.lease(APP, asked, now, now + 30_000)
    for (const lease of leases) {
      handle(lease.request.id)
      void queue.complete(lease.request.id, lease.fence, LINE, ANSWER).then(() => {
        free++
        busy--
        if (rested !== null) settle()
        else if (free === 1) queueMicrotask(() => void pump())
      })
    }
    free += asked - leases.length
    busy -= asked - leases.length
    if (rested !== null) settle()
    else if (leases.length > 0) void pump()
  }
  queue.listen(() => void pump())
  return {
    add: (id) => queue.submit(submission(id)),
    work(concurrency, handler) {
      handle = handler
      free = concurrency
      void pump()
    },
    async rest() {
      if (busy > 0) await new Promise<void>((resolve) => (rested = resolve))
      rested = null
      free = 0
    },
    close: () => queue.close(),
  }
}

/** SQLite with the same settings and one transaction for each operation, in the thread that asks. */
export function bareSqlite(dir: string): Subject {
  const db = new DatabaseSync(join(dir, 'bare.db'))
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE;
    CREATE TABLE job(seq INTEGER PRIMARY KEY, id TEXT, standing INTEGER NOT NULL DEFAULT 0, body BLOB) STRICT;
    CREATE INDEX ready ON job(seq) WHERE standing = 0;`)
  const add = db.prepare('INSERT INTO job(id, body) VALUES(?, ?)')
  const claim = db.prepare(
    'UPDATE job SET standing = 1 WHERE seq = (SELECT seq FROM job WHERE standing = 0 ORDER BY seq LIMIT 1) RETURNING seq, id, body',
  )
  const done = db.prepare('UPDATE job SET standing = 2, body = NULL WHERE seq = ?')
  let handle: ((id: string) => void) | null = null
  let pumping = false
  const wake = (): void => {
    if (pumping || handle === null) return
    pumping = true
    setImmediate(pump)
  }
  const pump = (): void => {
    pumping = false
    const job =
      handle === null
        ? undefined
        : (claim.get() as { readonly seq: number; readonly id: string } | undefined)
    if (job === undefined) return
    handle?.(job.id)
    done.run(job.seq)
    wake()
  }
  return {
    async add(id) {
      add.run(id, BODY)
      wake()
    },
    work(_concurrency, handler) {
      handle = handler
      wake()
    },
    async rest() {
      handle = null
    },
    async close() {
      db.close()
    },
  }
}

/** BullMQ alone, on a Redis of its own that syncs every write. */
export async function bareBullmq(dir: string): Promise<Subject> {
  const port = await freePort()
  const server = spawn(
    'redis-server',
    [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
      '--save',
      '',
      '--dir',
      dir,
    ],
    { stdio: 'ignore' },
  )
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  const probe = new Redis({ ...connection, retryStrategy: () => 50 })
  probe.on('error', () => {})
  await probe.ping()
  probe.disconnect()
  const queue = new BullQueue('bench', { connection })
  await queue.waitUntilReady()
  const body = new TextDecoder().decode(BODY)
  let worker: BullWorker | null = null
  return {
    add: (id) => queue.add('job', { id, body }, { removeOnComplete: true }),
    work(concurrency, handle) {
      worker = new BullWorker(
        'bench',
        async (job) => handle((job.data as { readonly id: string }).id),
        { connection, concurrency },
      )
    },
    async rest() {
      await worker?.close()
    },
    async close() {
      await queue.close()
      const ended = new Promise((resolve) => server.once('exit', resolve))
      server.kill('SIGTERM')
      await ended
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
