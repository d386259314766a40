/** What the queue makes of a store that refuses: nothing that was refused is shown, and nothing is stuck. */
import { type FinalAnswer, HealthError, type Submission } from '@health/core'
import { sampleAnswer, sampleLine, sampleSubmission } from '@health/testkit'
import { expect, test } from 'vitest'
import { Ledger } from '../src/ledger.ts'
import { LedgerQueue } from '../src/ledger-queue.ts'
import type { Store } from '../src/store.ts'

const APP = 'demo/echo'
const FULL = new HealthError('HEALTH_STORAGE_FULL')

/** A store that answers when the test says so, with or without room. */
class HeldStore implements Store {
  readonly #requests = new Map<number, Submission>()
  #held: ((failure: HealthError | null) => void)[] = []

  insert: Store['insert'] = (entry, request, settled) => {
    this.#requests.set(entry.seq, request)
    this.#held.push(settled)
  }
  lease: Store['lease'] = (entry, _change, settled) => {
    this.#held.push((failure) =>
      settled(failure, failure === null ? (this.#requests.get(entry.seq) ?? null) : null),
    )
  }
  renew: Store['renew'] = (_entry, _until, settled) => void this.#held.push(settled)
  settle: Store['settle'] = (_entry, _change, _final, _keep, settled) =>
    void this.#held.push(settled)
  remove: Store['remove'] = (_entry, settled) => void this.#held.push(settled)
  revive: Store['revive'] = (_kept, _next, settled) => void this.#held.push(settled)
  barrier: Store['barrier'] = (settled) => void this.#held.push(() => settled())

  get failure(): null {
    return null
  }

  async answer(): Promise<FinalAnswer | null> {
    return null
  }

  async close(): Promise<void> {
    this.answerAll()
  }

  /** Answers what was given, each change by whether the disk took it; true for those not named. */
  answerAll(...taken: readonly boolean[]): void {
    for (const [at, settle] of this.#held.splice(0).entries())
      settle((taken[at] ?? true) ? null : FULL)
  }
}

function start(): { queue: LedgerQueue; store: HeldStore } {
  const store = new HeldStore()
  return { store, queue: new LedgerQueue(new Ledger(), store, 1, {}) }
}

/** A queue with the request `a`, leased when asked for. */
async function withRequest(leased: boolean): Promise<ReturnType<typeof start>> {
  const { queue, store } = start()
  const submitted = queue.submit(sampleSubmission('a'))
  store.answerAll()
  await submitted
  if (!leased) return { queue, store }
  const leases = queue.lease(APP, 1, 1, 100)
  store.answerAll()
  expect(await leases).toMatchObject([{ fence: 1 }])
  return { queue, store }
}

test('nothing is shown before it is safe', async () => {
  const { queue, store } = start()
  const submitted = queue.submit(sampleSubmission('a'))
  const leases = queue.lease(APP, 1, 1, 100)
  expect([queue.entry('a'), queue.size(APP, 1).all, queue.apps(), queue.nextDue()]).toEqual([
    null,
    0,
    [],
    Infinity,
  ])
  store.answerAll()
  expect([await submitted, (await leases).length, queue.entry('a')?.status]).toEqual([
    { position: 0 },
    1,
    'IN_PROGRESS',
  ])
})

test('a submit that was refused is gone, also for who leased it on its way', async () => {
  const { queue, store } = start()
  const submitted = Promise.allSettled([
    queue.submit(sampleSubmission('a')),
    queue.submit(sampleSubmission('b')),
  ])
  const leases = queue.lease(APP, 2, 1, 100)
  // The second request is taken, the first is not; to lease a row that is not there changes nothing.
  store.answerAll(false, true, true, true)
  expect(await submitted).toMatchObject([{ reason: FULL }, { value: { position: 0 } }])
  expect((await leases).map((lease) => lease.request.id)).toEqual(['b'])
  expect([queue.entry('a'), queue.size(APP, 1).all]).toEqual([null, 0])
  const again = queue.submit(sampleSubmission('a'))
  store.answerAll()
  expect(await again).toEqual({ position: 0 })
})

test('a lease that was refused leaves the request to the next', async () => {
  const { queue, store } = await withRequest(false)
  const refused = queue.lease(APP, 1, 1, 100)
  expect(queue.entry('a')).toMatchObject({ status: 'IN_QUEUE', position: 0 })
  store.answerAll(false)
  await expect(refused).rejects.toBe(FULL)
  const leases = queue.lease(APP, 1, 1, 100)
  store.answerAll()
  expect(await leases).toMatchObject([{ fence: 1, attempt: 1 }])
})

test('of leases that were refused in part the others are handed out', async () => {
  const { queue, store } = await withRequest(false)
  void queue.submit(sampleSubmission('b'))
  store.answerAll()
  const leases = queue.lease(APP, 2, 1, 100)
  store.answerAll(true, false)
  expect((await leases).map((lease) => lease.request.id)).toEqual(['a'])
  expect(queue.entry('b')?.status).toBe('IN_QUEUE')
})

test('a renewal that was refused still holds: a full disk takes no work from who does it', async () => {
  const { queue, store } = await withRequest(true)
  const renewed = queue.renew([{ id: 'a', fence: 1 }], 500)
  store.answerAll(false)
  expect(await renewed).toEqual([])
  expect([queue.lapsed(499, 9), queue.nextDue()]).toEqual([[], 500])
})

test('an end of a lease that was refused leaves it with its holder', async () => {
  const { queue, store } = await withRequest(true)
  for (const attempt of [
    () => queue.complete('a', 1, sampleLine(1), sampleAnswer(5)),
    () => queue.release('a', 1),
  ]) {
    const ended = attempt()
    expect(queue.lapsed(100, 9)).toEqual([])
    store.answerAll(false)
    await expect(ended).rejects.toBe(FULL)
    expect([
      queue.entry('a')?.status,
      queue.entry('a')?.attempts,
      queue.lapsed(100, 9).length,
    ]).toEqual(['IN_PROGRESS', [], 1])
  }
  const ended = queue.complete('a', 1, sampleLine(1), sampleAnswer(5))
  store.answerAll()
  expect(await ended).toBe('done')
})

test('an end and a sweep that were refused change nothing', async () => {
  const { queue, store } = await withRequest(false)
  const ended = queue.end('a', sampleAnswer(5))
  expect(queue.size(APP, 1)).toMatchObject({ ready: 0, all: 1 })
  store.answerAll(false)
  await expect(ended).rejects.toBe(FULL)
  expect(queue.size(APP, 1)).toMatchObject({ ready: 1, all: 1 })
  const again = queue.end('a', sampleAnswer(5))
  store.answerAll()
  expect(await again).toBe('ended')
  const swept = queue.sweep(6)
  store.answerAll(false)
  await expect(swept).rejects.toBe(FULL)
  expect(queue.entry('a')?.status).toBe('COMPLETED')
})

test('a revival that was refused leaves the request in quarantine', async () => {
  const { queue, store } = await withRequest(true)
  const poison = sampleAnswer(5, { errorType: 'poison_request', cause: 'retry.poison' })
  const ended = queue.complete('a', 1, sampleLine(1), poison)
  store.answerAll()
  await ended
  const refused = queue.revive('a')
  expect([queue.entry('a')?.status, queue.size(APP, 1).all]).toEqual(['COMPLETED', 0])
  store.answerAll(false)
  await expect(refused).rejects.toBe(FULL)
  expect(queue.size(APP, 1)).toEqual({ ready: 0, all: 0, oldest: null })
  const [first, second] = [queue.revive('a'), queue.revive('a')]
  store.answerAll()
  expect(await first).toBe('queued')
  store.answerAll()
  expect([await second, queue.entry('a')?.position]).toEqual(['refused', 0])
})

test.for([
  { what: 'a lease until no time', act: (queue: LedgerQueue) => queue.lease(APP, 1, 1, NaN) },
  {
    what: 'a renewal until no time',
    act: (queue: LedgerQueue) => queue.renew([{ id: 'a', fence: 1 }], NaN),
  },
])('$what is refused before anything happens', async ({ act }) => {
  const { queue, store } = await withRequest(true)
  await expect(act(queue)).rejects.toThrow('must be a number')
  const ended = queue.complete('a', 1, sampleLine(1), sampleAnswer(5))
  store.answerAll()
  expect(await ended).toBe('done')
})
