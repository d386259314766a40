/**
 * Submits, leases, requeues and completes without end, and writes to a file what was acknowledged, one line each, only after
 * the queue said so; a dot on standard output for each line. It is meant to be killed.
 */
import { openSync, writeSync } from 'node:fs'
import type { Lease, Queue } from '@health/core'
import { sampleAnswer, sampleLine, sampleRecord, sampleSubmission } from '@health/testkit'
import { createSqliteQueue } from '../../src/index.ts'

const [dir = '', round = '', log = ''] = process.argv.slice(2)
const APP = 'demo/echo'
const UNTIL = 9e15
const acknowledged = openSync(log, 'w')
const say = (line: string): void => {
  writeSync(
    acknowledged,
    `${line}
`,
  )
  process.stdout.write('.')
}

async function submit(queue: Queue, worker: number): Promise<never> {
  for (let n = 0; ; n++) {
    const id = `${round}-${worker}-${n}`
    await queue.submit(sampleSubmission(id))
    say(`submitted ${id}`)
  }
}

async function handle(queue: Queue, { request, fence, attempt }: Lease): Promise<void> {
  if (attempt === 1 && request.id.endsWith('3')) {
    await queue.requeue(request.id, fence, sampleLine(attempt), sampleRecord(attempt), 0, null)
    return say(`requeued ${request.id}`)
  }
  const token = `${round}.${fence}`
  await queue.complete(
    request.id,
    fence,
    sampleLine(attempt),
    sampleAnswer(1, { body: new TextEncoder().encode(token) }),
  )
  say(`completed ${request.id} ${token}`)
}

const queue = await createSqliteQueue({ dir })
// What the process before this one held when it was killed.
for (const { id, fence, attempt, record } of queue.lapsed(UNTIL, 100_000))
  await queue.requeue(id, fence, sampleLine(attempt), record, 0, null)
say('ready')
const work = async (): Promise<never> => {
  for (;;) {
    const leases = await queue.lease(APP, 5, 1, UNTIL)
    await Promise.all(leases.map((lease) => handle(queue, lease)))
    if (leases.length === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}
await Promise.all([...[1, 2, 3, 4].map((worker) => submit(queue, worker)), work(), work()])
