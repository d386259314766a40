/** How outcomes that the writer sent reach those who wait: in turns, in order, and even when the writer ends before all were told. */
import { EventEmitter } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { sampleSubmission } from '@health/testkit'
import { expect, test } from 'vitest'
import { Ledger } from '../src/ledger.ts'
import { LedgerQueue } from '../src/ledger-queue.ts'
import { SqliteStore } from '../src/sqlite-store.ts'
import type { FromWriter, ToWriter } from '../src/writer.ts'

/** A writer that answers when the test says so. */
class HeldWriter extends EventEmitter {
  readonly #parcels: Extract<ToWriter, { type: 'parcel' }>['parcel'][] = []

  postMessage(message: ToWriter): void {
    if (message.type === 'parcel') this.#parcels.push(message.parcel)
  }

  /** Everything of the first `count` parcels is safe. */
  commit(count: number): void {
    const receipts = this.#parcels
      .splice(0, count)
      .map((parcel) => ({ parcel, contents: [], refusal: null }))
    this.emit('message', { type: 'receipts', receipts } satisfies FromWriter)
  }

  get waiting(): number {
    return this.#parcels.length
  }
}

const limits = { maxPendingBytes: 1e6, maxKeptBytes: 1e6, maxRecentBytes: 1e6 }
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A queue to which `count` requests were submitted, and what has become of them so far. */
async function submitted(
  count: number,
): Promise<{ readonly writer: HeldWriter; readonly told: string[] }> {
  const writer = new HeldWriter()
  // Nothing but messages and events is used of it.
  const store = new SqliteStore(writer as unknown as Worker, limits)
  const queue = new LedgerQueue(new Ledger(), store, 1, {})
  const told: string[] = []
  for (let n = 0; n < count; n++)
    queue.submit(sampleSubmission(`r${n}`)).then(
      ({ position }) => told.push(`${position}`),
      (error: { readonly code: string }) => told.push(error.code),
    )
  await turn()
  await turn()
  return { writer, told }
}

const positions = (count: number): string[] => Array.from({ length: count }, (_, n) => `${n}`)

test('the outcomes of one commit are told sixteen a turn, in order', async () => {
  const { writer, told } = await submitted(100)
  expect(writer.waiting).toBe(4)
  writer.commit(4)
  const lengths: number[] = []
  while (told.length < 100) {
    await turn()
    lengths.push(told.length)
  }
  // The first sixteen at once.
  expect(lengths).toEqual([32, 48, 64, 80, 96, 100])
  expect(told).toEqual(positions(100))
})

test('what was committed is told as safe when the writer ends before all of it was told, the rest as failed', async () => {
  const { writer, told } = await submitted(100)
  writer.commit(2)
  writer.emit('exit', 1)
  await turn()
  expect(told).toEqual([
    ...positions(64),
    ...Array.from({ length: 36 }, () => 'HEALTH_STORAGE_FAILED'),
  ])
})
