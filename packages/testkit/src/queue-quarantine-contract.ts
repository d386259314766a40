/** The part of the contract of `Queue` about quarantine: who goes there, how long it is kept, and how it comes back. */
import { expect, test } from 'vitest'
import type { FinalAnswer, Queue } from '@health/core'
import { sampleAnswer, sampleLine, sampleRecord, sampleSubmission } from './queue-sample.ts'
import { APP, NOW, UNTIL, fill, leaseOne, readable, type StartQueue } from './queue-stage.ts'

const poison = (at: number): FinalAnswer =>
  sampleAnswer(at, { status: 503, errorType: 'poison_request', cause: 'retry.poison' })

/** Leases the first request and lets it end in quarantine. */
async function quarantine(queue: Queue, at = NOW): Promise<void> {
  const { request, fence, attempt } = await leaseOne(queue)
  expect(await queue.complete(request.id, fence, sampleLine(attempt), poison(at))).toBe('done')
}

/** Declares the tests for every backend. */
export function describeQuarantine(start: StartQueue, durable: boolean): void {
  test('a request in quarantine is done like any other, and is not swept by age', async () => {
    const queue = await start()
    await fill(queue, 'a', 'b')
    await quarantine(queue)
    expect(queue.entry('a')).toMatchObject({
      status: 'COMPLETED',
      position: null,
      attempts: [sampleLine(1)],
      final: { status: 503, errorType: 'poison_request', at: NOW, cause: 'retry.poison' },
    })
    expect(readable(await queue.result('a'))).toEqual(readable(poison(NOW)))
    expect([await queue.end('a', sampleAnswer(NOW)), queue.size(APP, NOW).all]).toEqual([
      'completed',
      1,
    ])
    await queue.end('b', sampleAnswer(NOW))
    expect(await queue.sweep(Infinity)).toBe(1)
    expect(queue.entry('a')?.status).toBe('COMPLETED')
    expect(queue.nextDue()).toBe(Infinity)
  })

  for (const reopens of durable ? [false, true] : [false])
    test(`what comes back is what was submitted, behind what waits, its log kept and its record new${reopens ? ', also after a restart' : ''}`, async () => {
      let queue = await start({ place: `back-${reopens}` })
      const again = async (): Promise<void> => {
        if (!reopens) return
        await queue.close()
        queue = await start({ place: `back-${reopens}` })
      }
      const given = sampleSubmission('a', {
        startBefore: NOW + 5,
        retryConfig: { timeout: 2 },
        hint: 'h',
        headers: { 'x-name': 'Zoë' },
        body: new Uint8Array(70_000).fill(3),
      })
      await queue.submit(given)
      const first = await leaseOne(queue)
      await queue.requeue('a', first.fence, sampleLine(1), sampleRecord(1), 0, 'r-1')
      const second = await leaseOne(queue)
      await fill(queue, 'waits')
      await queue.complete('a', second.fence, sampleLine(2), poison(NOW))
      await again()
      expect(await queue.revive('a')).toBe('queued')
      expect(await queue.revive('a')).toBe('refused')
      await fill(queue, 'late')
      await again()
      expect(queue.entry('a')).toMatchObject({
        status: 'IN_QUEUE',
        position: 1,
        submittedAt: given.submittedAt,
        attempts: [sampleLine(1), sampleLine(2)],
        final: null,
      })
      expect(await queue.result('a')).toBeNull()
      expect(queue.overdue(NOW + 5, 9)).toEqual([])
      const leases = await queue.lease(APP, 3, NOW, UNTIL)
      expect(leases.map(({ request }) => request.id)).toEqual(['waits', 'a', 'late'])
      const lease = leases[1]!
      expect({ ...lease.request, body: [...lease.request.body] }).toEqual({
        ...given,
        startBefore: null,
        body: [...given.body],
      })
      expect(lease).toMatchObject({
        fence: second.fence + 1,
        attempt: 3,
        avoid: null,
        record: { attempts: 0, spent: {}, ended: [], retryConfig: { timeout: 2 } },
      })
      expect(await queue.complete('a', second.fence, sampleLine(3), sampleAnswer(NOW))).toBe('lost')
      expect(await queue.complete('a', lease.fence, sampleLine(3), sampleAnswer(NOW))).toBe('done')
      expect(readable(await queue.result('a'))).toEqual(readable(sampleAnswer(NOW)))
      expect(await queue.revive('a')).toBe('refused')
    })

  test.for([
    { standing: 'waits', expected: 'refused' },
    { standing: 'runs', expected: 'refused' },
    { standing: 'is done', expected: 'refused' },
    { standing: 'does not exist', expected: 'unknown' },
  ] as const)('a request that $standing does not come back: $expected', async (row) => {
    const queue = await start()
    if (row.standing !== 'does not exist') await fill(queue, 'a')
    const lease = row.standing === 'waits' ? [] : await queue.lease(APP, 1, NOW, UNTIL)
    // A runner may say so of itself; that is no quarantine.
    const answer = sampleAnswer(NOW, { status: 503, errorType: 'poison_request' })
    if (row.standing === 'is done')
      await queue.complete('a', lease[0]!.fence, sampleLine(1), answer)
    const before = queue.entry('a')
    expect(await queue.revive('a')).toBe(row.expected)
    expect(queue.entry('a')).toEqual(before)
  })

  test('of two that want it back one gets it', async () => {
    const queue = await start()
    await fill(queue, 'a')
    await quarantine(queue)
    const words = await Promise.all([queue.revive('a'), queue.revive('a')])
    expect(words).toEqual(['queued', 'refused'])
    expect(queue.size(APP, NOW).all).toBe(1)
  })

  test('what comes back needs room, and wakes who leases', async () => {
    const queue = await start({ maxLength: 1 })
    await fill(queue, 'a')
    await quarantine(queue)
    await fill(queue, 'b')
    await expect(queue.revive('a')).rejects.toMatchObject({ code: 'HEALTH_QUEUE_FULL' })
    expect(queue.entry('a')?.status).toBe('COMPLETED')
    await queue.end('b', sampleAnswer(NOW))
    const heard = new Promise((resolve) => queue.listen(resolve))
    expect([await queue.revive('a'), await heard]).toEqual(['queued', APP])
    await expect(queue.submit(sampleSubmission('c'))).rejects.toMatchObject({
      code: 'HEALTH_QUEUE_FULL',
    })
  })

  test('past its bound the oldest of the quarantine is forgotten', async () => {
    const queue = await start({ maxQuarantined: 2 })
    for (const id of ['a', 'b', 'c']) {
      await fill(queue, id)
      await quarantine(queue, NOW + id.charCodeAt(0))
    }
    // What is forgotten leaves in its own time; the end of a later change shows that it has.
    await fill(queue, 'd')
    expect(['a', 'b', 'c'].map((id) => queue.entry(id)?.status)).toEqual([
      undefined,
      'COMPLETED',
      'COMPLETED',
    ])
    expect(await queue.revive('a')).toBe('unknown')
  })
}
