/** The part of the contract of `Queue` about the end of a request: answers, cancelling, deadlines, flushing, retention, closing, opening again. */
import { expect, test } from 'vitest'
import { sampleAnswer, sampleLine, sampleRecord, sampleSubmission } from './queue-sample.ts'
import { APP, NOW, UNTIL, fill, leaseOne, readable, type StartQueue } from './queue-stage.ts'

/** Declares the tests for every backend. */
export function describeEnds(start: StartQueue): void {
  test('completing keeps the answer and the log; the fence lets only the holder do it, once', async () => {
    const queue = await start()
    await fill(queue, 'a')
    const { fence } = await leaseOne(queue)
    const line = sampleLine(1, {
      outcome: 'healthy',
      status: 200,
      rule: 'outcome.healthy',
      condition: null,
    })
    const answer = sampleAnswer(NOW)
    expect(await queue.complete('a', fence + 1, line, answer)).toBe('lost')
    expect(await queue.complete('b', fence, line, answer)).toBe('lost')
    expect(await queue.result('a')).toBeNull()
    expect(
      await Promise.all([
        queue.complete('a', fence, line, answer),
        queue.complete('a', fence, line, answer),
      ]),
    ).toEqual(['done', 'lost'])
    expect(await queue.complete('a', fence, line, answer)).toBe('lost')
    expect(queue.entry('a')).toMatchObject({
      status: 'COMPLETED',
      position: null,
      attempts: [line],
      final: { status: 200, errorType: null, at: NOW, cause: null },
    })
    expect(readable(await queue.result('a'))).toEqual(readable(answer))
    expect(queue.size(APP, NOW)).toEqual({ ready: 0, all: 0, oldest: null })
  })

  test('what is open is told, what runs first, no more than asked for and never what has ended', async (context) => {
    const queue = await start()
    if (queue.open === undefined) return context.skip()
    await fill(queue, 'a', 'b')
    await queue.submit(sampleSubmission('low', { priority: 'low' }))
    await queue.submit(sampleSubmission('c'))
    await queue.submit(sampleSubmission('elsewhere', { app: 'demo/other' }))
    const done = await leaseOne(queue)
    await queue.complete('a', done.fence, sampleLine(1), sampleAnswer(NOW))
    expect(await leaseOne(queue)).toMatchObject({ request: { id: 'b' } })
    const told = (most: number, app?: string): unknown =>
      queue.open?.(most, app).map(({ id, status, position }) => [id, status, position])
    const open = [
      ['b', 'IN_PROGRESS', null],
      ['c', 'IN_QUEUE', 0],
      ['low', 'IN_QUEUE', 1],
    ]
    expect(told(10, APP)).toEqual(open)
    expect(told(2, APP)).toEqual(open.slice(0, 2))
    expect(told(1, APP)).toEqual(open.slice(0, 1))
    expect(told(0, APP)).toEqual([])
    expect(told(10)).toEqual([...open, ['elsewhere', 'IN_QUEUE', 0]])
  })

  test('a start deadline passes only for a request that waits', async () => {
    const queue = await start()
    await queue.submit(sampleSubmission('a', { startBefore: 20_000 }))
    await queue.submit(sampleSubmission('b', { startBefore: 30_000 }))
    expect(queue.nextDue()).toBe(20_000)
    expect(queue.overdue(19_999, 10)).toEqual([])
    expect(queue.overdue(30_000, 10)).toHaveLength(2)
    expect(queue.overdue(30_000, 1)).toHaveLength(1)
    const { fence } = await leaseOne(queue)
    expect(queue.overdue(30_000, 10)).toEqual([{ id: 'b', app: APP }])
    await queue.requeue('a', fence, sampleLine(1), sampleRecord(1), 0, null)
    expect(queue.overdue(20_000, 10)).toEqual([{ id: 'a', app: APP }])
    const answer = sampleAnswer(20_000, {
      status: 504,
      errorType: 'request_timeout',
      cause: 'start_deadline',
    })
    expect(await queue.end('a', answer)).toBe('ended')
    expect(queue.overdue(20_000, 10)).toEqual([])
  })

  test.for([
    { standing: 'waits', expected: 'ended' },
    { standing: 'is delayed', expected: 'ended' },
    { standing: 'runs', expected: 'running' },
    { standing: 'is done', expected: 'completed' },
    { standing: 'does not exist', expected: 'unknown' },
  ] as const)(
    'ending a request that $standing answers $expected',
    async ({ standing, expected }) => {
      const queue = await start()
      if (standing !== 'does not exist') await fill(queue, 'a')
      await fill(queue, 'b')
      if (standing !== 'waits' && standing !== 'does not exist') {
        const { fence } = await leaseOne(queue)
        if (standing === 'is delayed')
          await queue.requeue('a', fence, sampleLine(1), sampleRecord(1), NOW + 1, null)
        if (standing === 'is done')
          await queue.complete('a', fence, sampleLine(1), sampleAnswer(NOW))
      }
      const before = queue.entry('a')
      const answer = sampleAnswer(NOW + 5, {
        status: 499,
        errorType: 'client_cancelled',
        cause: 'caller',
      })
      const ended = {
        ...before,
        status: 'COMPLETED',
        position: null,
        final: { status: 499, errorType: 'client_cancelled', at: NOW + 5, cause: 'caller' },
      }
      const given = await queue.result('a')
      expect(await queue.end('a', answer)).toBe(expected)
      expect(queue.entry('a')).toEqual(expected === 'ended' ? ended : before)
      expect(readable(await queue.result('a'))).toEqual(
        readable(expected === 'ended' ? answer : given),
      )
      expect(queue.entry('b')?.position).toBe(0)
      expect(queue.nextDue()).toBe(standing === 'runs' ? NOW + 30_000 : Infinity)
    },
  )

  test('an end and a lease that cross give the request one fate', async () => {
    const queue = await start()
    await fill(queue, 'a')
    const [leases, ended] = await Promise.all([
      queue.lease(APP, 1, NOW, UNTIL),
      queue.end('a', sampleAnswer(NOW, { status: 499 })),
    ])
    expect([leases.length, ended]).toEqual([1, 'running'])
    await queue.release('a', 1)
    const crossed = await Promise.all([
      queue.end('a', sampleAnswer(NOW, { status: 499 })),
      queue.lease(APP, 1, NOW, UNTIL),
      queue.end('a', sampleAnswer(NOW)),
    ])
    expect(crossed).toEqual(['ended', [], 'completed'])
    expect(queue.entry('a')?.final?.status).toBe(499)
  })

  test('flush ends what waits in one app and leaves what runs', async () => {
    const queue = await start()
    await fill(queue, ...Array.from({ length: 1_203 }, (_, n) => `r${n}`))
    await queue.submit(sampleSubmission('other', { app: 'demo/other', submittedAt: 7 }))
    const tried = await leaseOne(queue)
    await queue.requeue('r0', tried.fence, sampleLine(1), sampleRecord(1), 0, null)
    const { fence } = await leaseOne(queue)
    expect(await queue.flush(APP, sampleAnswer(NOW, { status: 499, cause: 'flushed' }))).toBe(1_202)
    expect(queue.size(APP, NOW)).toEqual({ ready: 0, all: 0, oldest: null })
    expect(queue.size('demo/other', NOW)).toEqual({ ready: 1, all: 1, oldest: 7 })
    expect([...queue.apps()].sort()).toEqual([APP, 'demo/other'])
    expect(queue.entry('r1202')).toMatchObject({
      status: 'COMPLETED',
      final: { cause: 'flushed' },
    })
    expect(await queue.complete('r0', fence, sampleLine(1), sampleAnswer(NOW))).toBe('done')
    expect(queue.apps()).toEqual(['demo/other'])
    expect(await queue.flush(APP, sampleAnswer(NOW))).toBe(0)
  })

  test('results are kept until they are swept, or until there are too many', async () => {
    const queue = await start({ maxResults: 3 })
    for (const at of [1, 2, 3]) {
      await fill(queue, `r${at}`)
      await queue.complete(`r${at}`, (await leaseOne(queue)).fence, sampleLine(1), sampleAnswer(at))
    }
    expect(await queue.sweep(1)).toBe(0)
    expect(await queue.sweep(2)).toBe(1)
    expect([queue.entry('r1'), await queue.result('r1'), queue.entry('r2')?.status]).toEqual([
      null,
      null,
      'COMPLETED',
    ])
    await fill(queue, 'r4', 'r5', 'wait')
    await queue.end('r4', sampleAnswer(4))
    await queue.end('r5', sampleAnswer(5))
    // What is done leaves in its own time; the end of another request shows that it has.
    await queue.submit(sampleSubmission('r1'))
    expect(queue.entry('r2')).toBeNull()
    expect(['r3', 'r4', 'r5'].map((id) => queue.entry(id)?.status)).toEqual([
      'COMPLETED',
      'COMPLETED',
      'COMPLETED',
    ])
  })

  test('a closed queue refuses, and closing again does nothing', async () => {
    const queue = await start()
    await fill(queue, 'a')
    const last = queue.submit(sampleSubmission('b'))
    await queue.close()
    expect(await last).toEqual({ position: 1 })
    await queue.close()
    await expect(queue.submit(sampleSubmission('c'))).rejects.toMatchObject({
      code: 'HEALTH_QUEUE_CLOSED',
    })
  })
}

/** Declares the test for backends that keep what they had. */
export function describeReopening(start: StartQueue): void {
  test('a queue opened again is what it was', async () => {
    const place = 'again'
    const first = await start({ place })
    for (const id of ['done', 'tried', 'leased', 'plain'])
      await first.submit(
        sampleSubmission(id, {
          owner: 'k',
          startBefore: id === 'plain' ? 77_000 : null,
          retryConfig: id === 'leased' ? { timeout: 1 } : null,
        }),
      )
    await first.submit(
      sampleSubmission('low', { priority: 'low', body: new Uint8Array(300_000).fill(7) }),
    )
    const leases = await first.lease(APP, 3, NOW, UNTIL)
    await first.complete(
      'done',
      1,
      sampleLine(1),
      sampleAnswer(NOW, { headers: { 'x-name': 'Zoë' } }),
    )
    await first.requeue('tried', 1, sampleLine(1), sampleRecord(1), NOW + 9, 'r-1')
    const names = ['done', 'tried', 'leased', 'plain', 'low']
    const before = names.map((id) => first.entry(id))
    await first.close()

    const queue = await start({ place })
    expect(names.map((id) => queue.entry(id))).toEqual(before)
    expect(readable(await queue.result('done'))).toEqual(
      readable(sampleAnswer(NOW, { headers: { 'x-name': 'Zoë' } })),
    )
    expect(queue.nextDue()).toBe(NOW + 9)
    expect(queue.overdue(77_000, 9)).toEqual([{ id: 'plain', app: APP }])
    expect(queue.lapsed(UNTIL, 9)).toEqual([
      { id: 'leased', app: APP, fence: 1, attempt: 1, record: leases[2]!.record },
    ])
    const [plainLease, low] = await queue.lease(APP, 5, NOW, UNTIL)
    expect([plainLease!.request.id, low!.request.body.length, low!.request.body[299_999]]).toEqual([
      'plain',
      300_000,
      7,
    ])
    expect(await queue.lease(APP, 1, NOW + 9, UNTIL)).toMatchObject([
      { fence: 2, attempt: 2, record: sampleRecord(1), avoid: 'r-1', request: { id: 'tried' } },
    ])
    expect(await queue.renew([{ id: 'leased', fence: 1 }], UNTIL)).toEqual([])
    expect(await queue.submit(sampleSubmission('after'))).toEqual({ position: 0 })
  })
}
