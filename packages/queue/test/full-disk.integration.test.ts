/** What happens on a disk without room: new requests are refused, nothing accepted is lost, and the queue goes on when there is room. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HealthError, type Lease, type Queue } from '@health/core'
import { sampleAnswer, sampleLine, sampleSubmission } from '@health/testkit'
import { expect, test } from 'vitest'
import { createSqliteQueue } from '../src/index.ts'

const APP = 'demo/echo'
const KIB = 1024

/** Works on a disk in memory, where this user may mount one. */
async function withSmallDisk(
  work: (disk: string) => Promise<void>,
  mib = 48,
): Promise<'done' | 'cannot mount'> {
  const disk = mkdtempSync(join(tmpdir(), 'health-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', disk], {
      stdio: 'ignore',
    })
  } catch {
    rmSync(disk, { recursive: true })
    return 'cannot mount'
  }
  try {
    await work(disk)
  } finally {
    execFileSync('umount', ['--lazy', disk])
    rmSync(disk, { recursive: true })
  }
  return 'done'
}

/** Takes the room that is left; the file to remove for room. */
function fillUp(disk: string): string {
  const filler = join(disk, 'filler')
  const handle = openSync(filler, 'w')
  const block = new Uint8Array(4 * KIB)
  try {
    while (writeSync(handle, block) === block.length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(handle)
  }
  return filler
}

const submitBig = (queue: Queue, n: number): Promise<unknown> =>
  queue.submit(
    sampleSubmission(`big${n}`, { app: 'demo/big', body: new Uint8Array(256 * KIB).fill(n) }),
  )

/** Submits large requests until one is refused for want of room; the ids that were accepted. */
async function submitUntilFull(queue: Queue, from = 0): Promise<string[]> {
  const accepted = Array.from({ length: from }, (_, n) => `big${n}`)
  for (let n = from; n < 500; n++) {
    try {
      await submitBig(queue, n)
    } catch (error) {
      if (error instanceof HealthError && error.code === 'HEALTH_STORAGE_FULL') return accepted
      throw error
    }
    accepted.push(`big${n}`)
  }
  throw new Error('the disk was never full')
}

async function leaseTen(queue: Queue): Promise<readonly Lease[]> {
  for (let n = 0; n < 10; n++) await queue.submit(sampleSubmission(`r${n}`))
  return queue.lease(APP, 10, 1_000, 60_000)
}

/** What a promise has come to by now. */
function stateOf(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([
    promise.catch((error: unknown) => (error as { readonly code?: string }).code),
    new Promise((resolve) => setImmediate(resolve, 'pending')),
  ])
}

/** Ten of them are more than the queue holds of the disk for what was accepted. */
const answer = (lease: Lease) =>
  sampleAnswer(2_000, { body: new Uint8Array(600 * KIB).fill(lease.request.id.charCodeAt(1)) })

test('a full disk refuses submits, keeps answers until there is room, and loses nothing', async ({
  skip,
}) => {
  const ran = await withSmallDisk(async (disk) => {
    const queue = await createSqliteQueue({ dir: join(disk, 'data') })
    const leases = await leaseTen(queue)
    await submitBig(queue, 0)
    const filler = fillUp(disk)
    const accepted = await submitUntilFull(queue, 1)
    expect(queue.entry(`big${accepted.length}`)).toBeNull()

    const completions = leases.map((lease) =>
      queue.complete(lease.request.id, lease.fence, sampleLine(1), answer(lease)),
    )
    // Refused again behind the answers: they have been tried.
    await expect(
      queue.submit(sampleSubmission('late', { body: new Uint8Array(256 * KIB) })),
    ).rejects.toMatchObject({ code: 'HEALTH_STORAGE_FULL' })
    const states = await Promise.all(completions.map(stateOf))
    expect(new Set(states)).toContain('pending')
    for (const [at, lease] of leases.entries()) {
      expect(queue.entry(lease.request.id)?.status).toBe(
        states[at] === 'pending' ? 'IN_PROGRESS' : 'COMPLETED',
      )
      expect(
        await queue.complete(lease.request.id, lease.fence, sampleLine(1), answer(lease)),
      ).toBe('lost')
    }

    rmSync(filler)
    expect(await Promise.all(completions)).toEqual(leases.map(() => 'done'))
    expect(await queue.submit(sampleSubmission('after'))).toEqual({ position: 0 })
    await queue.close()

    const again = await createSqliteQueue({ dir: join(disk, 'data') })
    expect(again.size('demo/big', 0).all).toBe(accepted.length)
    for (const lease of leases)
      expect((await again.result(lease.request.id))?.body).toEqual(answer(lease).body)
    expect(again.size(APP, 0).all).toBe(1)
    const [big] = await again.lease('demo/big', 1, 1_000, 60_000)
    expect([big?.request.id, big?.request.body.length]).toEqual(['big0', 256 * KIB])
    await again.close()
  })
  skip(ran === 'cannot mount', 'needs the right to mount a tmpfs')
  expect(ran).toBe('done')
})

test('past the bound an answer is refused too, and its lease stays with the holder', async ({
  skip,
}) => {
  const ran = await withSmallDisk(async (disk) => {
    const queue = await createSqliteQueue({ dir: join(disk, 'data'), maxKeptBytes: 300 * KIB })
    const leases = await leaseTen(queue)
    const filler = fillUp(disk)
    await submitUntilFull(queue)

    const completions = leases.map((lease) =>
      queue.complete(lease.request.id, lease.fence, sampleLine(1), answer(lease)),
    )
    for (const completion of completions) completion.catch(() => {})
    await expect(
      queue.submit(sampleSubmission('late', { body: new Uint8Array(256 * KIB) })),
    ).rejects.toMatchObject({ code: 'HEALTH_STORAGE_FULL' })
    const states = await Promise.all(completions.map(stateOf))
    expect(new Set(states)).toContain('HEALTH_STORAGE_FULL')

    rmSync(filler)
    const refused = leases.filter((_, at) => states[at] === 'HEALTH_STORAGE_FULL')
    const held = queue.lapsed(60_000, 100).map(({ id }) => id)
    expect(held).toEqual(expect.arrayContaining(refused.map((lease) => lease.request.id)))
    const second = refused.map((lease) =>
      queue.complete(lease.request.id, lease.fence, sampleLine(1), answer(lease)),
    )
    expect(await Promise.all(second)).toEqual(refused.map(() => 'done'))
    expect(
      await Promise.all(completions.filter((_, at) => states[at] !== 'HEALTH_STORAGE_FULL')),
    ).toEqual(Array.from({ length: 10 - refused.length }, () => 'done'))
    await queue.close()
  })
  skip(ran === 'cannot mount', 'needs the right to mount a tmpfs')
  expect(ran).toBe('done')
})

test('a queue that is closed while the disk is full says what it could not keep', async ({
  skip,
}) => {
  const ran = await withSmallDisk(async (disk) => {
    const dir = join(disk, 'data')
    const queue = await createSqliteQueue({ dir })
    const leases = await leaseTen(queue)
    const filler = fillUp(disk)
    await submitUntilFull(queue)
    const completions = leases.map((lease) =>
      queue.complete(lease.request.id, lease.fence, sampleLine(1), answer(lease)),
    )
    const outcomes = Promise.allSettled(completions)
    await queue.close()
    const kept = (await outcomes).map((outcome) => outcome.status === 'fulfilled')
    expect(kept).toContain(false)
    rmSync(filler)
    const again = await createSqliteQueue({ dir })
    expect(leases.map((lease) => again.entry(lease.request.id)?.status)).toEqual(
      kept.map((done) => (done ? 'COMPLETED' : 'IN_PROGRESS')),
    )
    await again.close()
  })
  skip(ran === 'cannot mount', 'needs the right to mount a tmpfs')
  expect(ran).toBe('done')
})

test('a disk that the queue has filled alone takes requests again as soon as results have gone', async ({
  skip,
}) => {
  const ran = await withSmallDisk(async (disk) => {
    const dir = join(disk, 'data')
    let queue = await createSqliteQueue({ dir })
    const accepted: string[] = []
    const submit = async (): Promise<void> => {
      const id = `s${accepted.length}`
      await queue.submit(sampleSubmission(id, { body: new Uint8Array(4 * KIB).fill(7) }))
      accepted.push(id)
    }
    const fill = async (): Promise<void> => {
      for (;;) {
        try {
          await submit()
        } catch (error) {
          if ((error as HealthError).code === 'HEALTH_STORAGE_FULL') return
          throw error
        }
      }
    }
    await fill()
    const first = accepted.length
    expect(first).toBeGreaterThan(1_000)

    // Full or not, what was accepted is done: leased, answered, forgotten.
    const done = new Set<string>()
    for (let now = 1_000; done.size < first / 2; now += 10) {
      const leases = await queue.lease(APP, 50, now, now + 60_000)
      for (const { request } of leases) done.add(request.id)
      const ends = leases.map(({ request, fence }) =>
        queue.complete(request.id, fence, sampleLine(1), sampleAnswer(now)),
      )
      expect(await Promise.all(ends)).toEqual(leases.map(() => 'done'))
      expect(await queue.sweep(now + 1)).toBe(leases.length)
    }
    await fill()
    expect(accepted.length).toBeGreaterThan(first + done.size / 2)

    await queue.close()
    queue = await createSqliteQueue({ dir })
    const left = accepted.filter((id) => !done.has(id))
    expect(accepted.filter((id) => queue.entry(id) !== null)).toEqual(left)
    const [next] = await queue.lease(APP, 1, 90_000, 99_000)
    expect([next?.request.id, next?.request.body.length]).toEqual([left[0], 4 * KIB])
    await queue.close()
  }, 16)
  skip(ran === 'cannot mount', 'needs the right to mount a tmpfs')
  expect(ran).toBe('done')
})

test('a disk that others filled while the log was full of requests takes all changes of accepted ones, and new ones when there is room', async ({
  skip,
}) => {
  const ran = await withSmallDisk(async (disk) => {
    const dir = join(disk, 'data')
    let queue = await createSqliteQueue({ dir })
    const submit = (id: string): Promise<unknown> =>
      queue.submit(sampleSubmission(id, { body: new Uint8Array(4 * KIB) }))
    // Of the last of these nothing is in the file yet, and the file has no room for it.
    for (let n = 0; n < 700; n++) await submit(`s${n}`)
    const filler = fillUp(disk)
    await expect
      .poll(() => submit(`more${performance.now()}`).then(String, (error) => error.code))
      .toBe('HEALTH_STORAGE_FULL')
    const leases = await queue.lease(APP, 700, 1_000, 60_000)
    expect(leases.length).toBe(700)
    const ends = leases.map(({ request, fence }) =>
      queue.complete(request.id, fence, sampleLine(1), sampleAnswer(2_000)),
    )
    expect(new Set(await Promise.all(ends))).toEqual(new Set(['done']))
    expect(await queue.sweep(3_000)).toBe(700)

    // A start finds the disk as full as it was.
    await queue.close()
    queue = await createSqliteQueue({ dir })
    rmSync(filler)
    await expect
      .poll(() => submit('late').then(String, (error) => error.code))
      .not.toMatch(/^HEALTH/)
    expect(queue.entry('late')?.status).toBe('IN_QUEUE')
    await queue.close()
  }, 16)
  skip(ran === 'cannot mount', 'needs the right to mount a tmpfs')
  expect(ran).toBe('done')
})
