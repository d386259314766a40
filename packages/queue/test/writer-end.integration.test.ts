/** What the queue does when the thread that writes its file ends by itself: it refuses, keeps what was safe, and opens the file again. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import type { Queue } from '@health/core'
import { sampleAnswer, sampleLine, sampleRecord, sampleSubmission } from '@health/testkit'
import { afterAll, afterEach, expect, test } from 'vitest'
import { createSqliteQueue } from '../src/index.ts'

const APP = 'demo/echo'
const root = mkdtempSync(join(tmpdir(), 'health-queue-'))
afterAll(() => rmSync(root, { recursive: true }))
const open = new Set<Queue>()
afterEach(async () => {
  for (const queue of open) await queue.close()
  open.clear()
})

/** The next thread that this process starts. */
const nextWriter = (): Promise<Worker> =>
  new Promise((resolve) => process.once('worker', (worker) => resolve(worker)))

/** A queue, and what ends its writer and resolves when the queue has noticed. */
async function start(
  dir = mkdtempSync(join(root, 'q-')),
): Promise<{ queue: Queue; end: () => Promise<unknown> }> {
  const writer = nextWriter()
  const queue = await createSqliteQueue({ dir })
  open.add(queue)
  const worker = await writer
  const exited = once(worker, 'exit')
  return {
    queue,
    end: async () => {
      await worker.terminate()
      await exited
    },
  }
}

/** Resolves when the queue takes changes again. */
async function reopened(queue: Queue): Promise<void> {
  while (queue.failure !== null) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('changes are refused by name while it is down, what is in memory is read, and then all goes on', async () => {
  const { queue, end } = await start()
  for (const id of ['done', 'runs', 'waits']) await queue.submit(sampleSubmission(id))
  const [done, runs] = await queue.lease(APP, 2, 1, 100)
  await queue.complete('done', done!.fence, sampleLine(1), sampleAnswer(5))
  const heard: string[] = []
  queue.listen((app) => heard.push(app))
  expect(queue.failure).toBeNull()
  const writer = nextWriter()
  await end()
  expect(queue.failure).toMatchObject({ code: 'HEALTH_STORAGE_FAILED' })
  // All in the turn in which it was noticed, before there can be another writer.
  const refused = Promise.allSettled([
    queue.submit(sampleSubmission('late')),
    queue.lease(APP, 1, 1, 100),
    queue.result('done'),
    queue.sweep(9),
  ])
  expect(['done', 'runs', 'waits', 'late'].map((id) => queue.entry(id)?.status)).toEqual([
    'COMPLETED',
    'IN_PROGRESS',
    'IN_QUEUE',
    undefined,
  ])
  // The end of a lease waits for the file.
  const completed = queue.complete('runs', runs!.fence, sampleLine(1), sampleAnswer(6))
  for (const outcome of await refused)
    expect(outcome).toMatchObject({ reason: { code: 'HEALTH_STORAGE_FAILED' } })
  await writer
  await reopened(queue)
  expect(await completed).toBe('done')
  expect(heard).toContain(APP)
  expect(queue.entry('runs')).toMatchObject({ status: 'COMPLETED', attempts: [sampleLine(1)] })
  expect((await queue.result('done'))?.at).toBe(5)
  await queue.submit(sampleSubmission('late'))
  const leases = await queue.lease(APP, 5, 1, 100)
  expect(leases.map(({ request }) => request.id)).toEqual(['waits', 'late'])
})

test('what is on its way when it ends is refused, and stands afterwards as the file has it', async () => {
  const { queue, end } = await start()
  await queue.submit(sampleSubmission('a'))
  const [lease] = await queue.lease(APP, 1, 1, 100)
  const ending = end()
  const submits = await Promise.allSettled(
    Array.from({ length: 50 }, (_, n) => queue.submit(sampleSubmission(`s${n}`))),
  )
  const back = queue.requeue('a', lease!.fence, sampleLine(1), sampleRecord(1), 0, null)
  await ending
  await reopened(queue)
  expect(await back).toBe('done')
  const accepted = submits.flatMap(({ status }, n) => (status === 'fulfilled' ? [`s${n}`] : []))
  expect(accepted.filter((id) => queue.entry(id)?.status !== 'IN_QUEUE')).toEqual([])
  const leases = await queue.lease(APP, 100, 1, 100)
  expect(leases[0]).toMatchObject({ request: { id: 'a' }, fence: 2, attempt: 2 })
})

test('a queue that is closed while it is down ends at once, and keeps what was safe', async () => {
  const dir = mkdtempSync(join(root, 'q-'))
  const { queue, end } = await start(dir)
  await queue.submit(sampleSubmission('a'))
  const [lease] = await queue.lease(APP, 1, 1, 100)
  await end()
  const completed = Promise.allSettled([
    queue.complete('a', lease!.fence, sampleLine(1), sampleAnswer(6)),
  ])
  await queue.close()
  expect(await completed).toMatchObject([{ reason: { code: 'HEALTH_QUEUE_CLOSED' } }])
  const again = await start(dir)
  expect(again.queue.lapsed(100, 9)).toMatchObject([{ id: 'a', fence: 1 }])
})
