/** The part of the contract of `Queue` about submitting and leasing: order, positions, fences, delays, who hears of what. */
import { expect, test } from 'vitest'
import { sampleAnswer, sampleLine, sampleRecord, sampleSubmission } from './queue-sample.ts'
import { APP, NOW, UNTIL, fill, idsOf, leaseOne, type StartQueue } from './queue-stage.ts'

/** Declares the tests. */
export function describeLeases(start: StartQueue): void {
  test('a submitted request waits at its position and is leased as it came', async () => {
    const queue = await start()
    const given = sampleSubmission('a', {
      owner: 'k1',
      path: '/x?y=1',
      hint: 'warm',
      noRetry: true,
      retryConfig: { timeout: 2 },
      webhook: 'https://example.test/hook',
      startBefore: 90_000,
    })
    expect(await queue.submit(given)).toEqual({ position: 0 })
    expect(await queue.submit(sampleSubmission('b'))).toEqual({ position: 1 })
    expect(queue.entry('a')).toEqual({
      id: 'a',
      app: APP,
      owner: 'k1',
      path: '/x?y=1',
      priority: 'normal',
      status: 'IN_QUEUE',
      position: 0,
      submittedAt: 1_000,
      attempts: [],
      final: null,
    })
    const lease = await leaseOne(queue)
    expect({ ...lease, request: { ...lease.request, body: [...lease.request.body] } }).toEqual({
      request: { ...given, body: [...given.body] },
      fence: 1,
      attempt: 1,
      record: {
        attempts: 0,
        spent: {},
        noRetry: true,
        retryConfig: { timeout: 2 },
        ended: [],
        cancelled: false,
        expired: false,
      },
      avoid: null,
    })
    expect(queue.entry('a')).toMatchObject({ status: 'IN_PROGRESS', position: null })
    expect(queue.entry('b')).toMatchObject({ status: 'IN_QUEUE', position: 0 })
  })

  test('normal goes before low, else first in, first out, per app', async () => {
    const queue = await start()
    const order = [
      ['l1', 'low'],
      ['n1', 'normal'],
      ['l2', 'low'],
      ['n2', 'normal'],
    ] as const
    for (const [id, priority] of order) await queue.submit(sampleSubmission(id, { priority }))
    await queue.submit(sampleSubmission('o', { app: 'demo/other' }))
    expect(order.map(([id]) => queue.entry(id)?.position)).toEqual([2, 0, 3, 1])
    expect(queue.entry('o')?.position).toBe(0)
    expect(idsOf(await queue.lease(APP, 3, NOW, UNTIL))).toEqual(['n1', 'n2', 'l1'])
    expect(idsOf(await queue.lease('demo/other', 3, NOW, UNTIL))).toEqual(['o'])
    expect(idsOf(await queue.lease('demo/none', 3, NOW, UNTIL))).toEqual([])
  })

  test('an id is taken once, and the length is a bound', async () => {
    const queue = await start({ maxLength: 2 })
    const [first, second] = await Promise.allSettled([
      queue.submit(sampleSubmission('a')),
      queue.submit(sampleSubmission('a')),
    ])
    expect([first.status, second.status]).toEqual(['fulfilled', 'rejected'])
    await expect(queue.submit(sampleSubmission('a'))).rejects.toMatchObject({
      code: 'HEALTH_QUEUE_DUPLICATE',
    })
    await queue.submit(sampleSubmission('b'))
    await expect(queue.submit(sampleSubmission('c'))).rejects.toMatchObject({
      code: 'HEALTH_QUEUE_FULL',
    })
    const lease = await leaseOne(queue)
    await expect(queue.submit(sampleSubmission('c'))).rejects.toMatchObject({
      code: 'HEALTH_QUEUE_FULL',
    })
    await queue.complete('a', lease.fence, sampleLine(1), sampleAnswer(NOW))
    await queue.submit(sampleSubmission('c'))
    expect(queue.entry('c')?.position).toBe(1)
  })

  test('takers at the same time never get the same request', async () => {
    const queue = await start()
    await fill(queue, ...Array.from({ length: 50 }, (_, n) => `r${n}`))
    const taken = await Promise.all(
      Array.from({ length: 20 }, () => queue.lease(APP, 4, NOW, UNTIL)),
    )
    const all = taken.flatMap(idsOf)
    expect(all).toHaveLength(50)
    expect(new Set(all).size).toBe(50)
  })

  test('a requeued request keeps its place, its log and its record, and waits for its time', async () => {
    const queue = await start()
    await fill(queue, 'a', 'b')
    const first = await leaseOne(queue)
    expect(
      await queue.requeue('a', first.fence, sampleLine(1), sampleRecord(1), NOW + 500, 'r-1'),
    ).toBe('done')
    expect(queue.entry('a')).toMatchObject({
      status: 'IN_QUEUE',
      position: 0,
      attempts: [sampleLine(1)],
    })
    expect(queue.entry('b')).toMatchObject({ position: 1 })
    expect(queue.nextDue()).toBe(NOW + 500)
    expect(queue.size(APP, NOW)).toEqual({ ready: 1, all: 2, oldest: 1_000 })
    expect(queue.size(APP, NOW + 500)).toMatchObject({ ready: 2 })
    expect(idsOf(await queue.lease(APP, 2, NOW + 499, UNTIL))).toEqual(['b'])
    const again = await leaseOne(queue, NOW + 500)
    expect(again).toMatchObject({
      attempt: 2,
      record: sampleRecord(1),
      avoid: 'r-1',
      request: { id: 'a' },
    })
    expect(again.fence).toBeGreaterThan(first.fence)
    expect(await queue.complete('a', first.fence, sampleLine(1), sampleAnswer(NOW))).toBe('lost')
    expect(await queue.requeue('a', first.fence, sampleLine(1), sampleRecord(1), 0, null)).toBe(
      'lost',
    )
    expect(await queue.release('a', first.fence)).toBe('lost')
    expect(await queue.complete('a', again.fence, sampleLine(2), sampleAnswer(NOW))).toBe('done')
    expect(queue.entry('a')?.attempts).toEqual([sampleLine(1), sampleLine(2)])
  })

  test('a released request spends no attempt and is leased with a new fence', async () => {
    const queue = await start()
    await fill(queue, 'a')
    const first = await leaseOne(queue)
    expect(await queue.release('a', first.fence)).toBe('done')
    expect(queue.entry('a')).toMatchObject({ status: 'IN_QUEUE', position: 0, attempts: [] })
    const again = await leaseOne(queue)
    expect(again.attempt).toBe(1)
    expect(again.fence).toBeGreaterThan(first.fence)
  })

  test('a lease lapses at its time unless it is renewed', async () => {
    const queue = await start()
    await fill(queue, 'a', 'b')
    const [a, b] = await queue.lease(APP, 2, NOW, UNTIL)
    expect(queue.nextDue()).toBe(UNTIL)
    expect(queue.lapsed(UNTIL - 1, 10)).toEqual([])
    expect(
      await queue.renew(
        [
          { id: 'a', fence: a!.fence },
          { id: 'b', fence: b!.fence + 1 },
          { id: 'c', fence: 1 },
        ],
        UNTIL + 5_000,
      ),
    ).toEqual(['b', 'c'])
    expect(queue.lapsed(UNTIL, 10)).toEqual([
      { id: 'b', app: APP, fence: b!.fence, attempt: 1, record: b!.record },
    ])
    expect(queue.lapsed(UNTIL + 5_000, 10)).toHaveLength(2)
    expect(queue.lapsed(UNTIL + 5_000, 1)).toHaveLength(1)
    expect(await queue.requeue('b', b!.fence, sampleLine(1), sampleRecord(1), 0, null)).toBe('done')
    expect(queue.lapsed(UNTIL, 10)).toEqual([])
    expect(await queue.renew([{ id: 'b', fence: b!.fence }], UNTIL)).toEqual(['b'])
    expect(queue.nextDue()).toBe(UNTIL + 5_000)
  })

  test('a renewal and the end of the lease may cross', async () => {
    const queue = await start()
    await fill(queue, 'a')
    const { fence } = await leaseOne(queue)
    const crossed = await Promise.all([
      queue.renew([{ id: 'a', fence }], UNTIL),
      queue.complete('a', fence, sampleLine(1), sampleAnswer(NOW)),
      queue.renew([{ id: 'a', fence }], UNTIL),
    ])
    expect(crossed).toEqual([[], 'done', ['a']])
    expect(queue.entry('a')?.status).toBe('COMPLETED')
    expect(queue.nextDue()).toBe(Infinity)
  })

  test('the listener hears what became startable', async () => {
    const queue = await start()
    const heard = new Set<string>()
    queue.listen((app) => heard.add(app))
    const steps: readonly (() => Promise<unknown>)[] = [
      () => fill(queue, 'a'),
      async () =>
        queue.requeue('a', (await leaseOne(queue)).fence, sampleLine(1), sampleRecord(1), 0, null),
      async () => queue.release('a', (await leaseOne(queue)).fence),
    ]
    for (const step of steps) {
      heard.clear()
      await step()
      expect([...heard]).toEqual([APP])
    }
    await queue.submit(sampleSubmission('b', { app: 'demo/other' }))
    expect([...heard]).toEqual([APP, 'demo/other'])
  })

  test('a lease asked for while a submit is on its way gets the request or leaves it', async () => {
    const queue = await start()
    const [submitted, leases] = await Promise.all([
      queue.submit(sampleSubmission('a')),
      queue.lease(APP, 1, NOW, UNTIL),
    ])
    expect(submitted).toEqual({ position: 0 })
    expect(queue.entry('a')?.status).toBe(leases.length === 1 ? 'IN_PROGRESS' : 'IN_QUEUE')
    expect(queue.size(APP, NOW).all).toBe(1 - leases.length)
    for (const { fence } of leases)
      expect(await queue.complete('a', fence, sampleLine(1), sampleAnswer(NOW))).toBe('done')
  })

  test('delayed requests of another app stay due until they are asked for', async () => {
    const queue = await start()
    await queue.submit(sampleSubmission('o', { app: 'demo/other' }))
    const [lease] = await queue.lease('demo/other', 1, NOW, UNTIL)
    await queue.requeue('o', lease!.fence, sampleLine(1), sampleRecord(1), NOW + 10, null)
    await fill(queue, 'a')
    await queue.lease(APP, 1, NOW + 20, UNTIL)
    expect(queue.nextDue()).toBe(NOW + 10)
    expect(await queue.lease('demo/other', 0, NOW + 20, UNTIL)).toEqual([])
    expect(queue.nextDue()).toBe(UNTIL)
  })
}
