/**
 * A queue as simple as possible, and random operations that compare a real one with it. Everything is a list that is searched
 * from the front; nothing is fast and nothing is kept twice.
 */
import type { AttemptLine, FinalAnswer, Queue, QueueEntry, RequestRecord } from '@health/core'
import { expect } from 'vitest'
import { sampleAnswer, sampleLine, sampleRecord, sampleSubmission } from './queue-sample.ts'

interface Row {
  readonly id: string
  readonly app: string
  readonly low: boolean
  n: number
  readonly submittedAt: number
  startBefore: number | null
  status: QueueEntry['status']
  fence: number
  until: number
  notBefore: number
  /** Its delay has been noticed by a lease: it is not due any more. */
  noticed: boolean
  lines: AttemptLine[]
  record: RequestRecord
  avoid: string | null
  final: FinalAnswer | null
}

/** How a run goes. */
export interface ModelRun {
  readonly seed: number
  readonly operations: number
  /** Opens the queue; called again after a close. Its `maxLength` must be 150. */
  open(): Promise<Queue>
  /** Operations between two closings; Infinity for a queue that forgets. */
  readonly reopenEvery: number
}

const APPS = ['demo/echo', 'demo/other', 'demo/third'] as const
const MAX_LENGTH = 150
/** The cause of an answer that puts its request into quarantine. */
const QUARANTINE = 'retry.poison'
const isKept = (row: Row): boolean => row.final?.cause === QUARANTINE
const FRESH: RequestRecord = {
  attempts: 0,
  spent: {},
  noRetry: false,
  retryConfig: null,
  ended: [],
  cancelled: false,
  expired: false,
}

/** Runs the operations and compares after each; answers how often each kind was met. Throws at the first difference. */
export async function queueModelRun(run: ModelRun): Promise<Record<string, number>> {
  let state = run.seed >>> 0
  const draw = (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
  const pick = <T>(list: readonly T[]): T | undefined => list[draw(Math.max(1, list.length))]

  const rows = new Map<string, Row>()
  const seen: Record<string, number> = {
    submitted: 0,
    refused: 0,
    leased: 0,
    renewed: 0,
    completed: 0,
    requeued: 0,
    released: 0,
    lost: 0,
    ended: 0,
    running: 0,
    unknown: 0,
    flushed: 0,
    quarantined: 0,
    revived: 0,
    refusedRevival: 0,
    swept: 0,
  }
  const count = (what: string, by = 1): void => void (seen[what] = (seen[what] ?? 0) + by)
  const all = (status: Row['status'], app?: string): Row[] =>
    [...rows.values()].filter(
      (row) => row.status === status && (app === undefined || row.app === app),
    )
  const inOrder = (app: string): Row[] =>
    all('IN_QUEUE', app).sort((a, b) => Number(a.low) - Number(b.low) || a.n - b.n)
  const finish = (row: Row, final: FinalAnswer): void =>
    void Object.assign(row, { status: 'COMPLETED', final, avoid: null })
  const body = (): Uint8Array => Uint8Array.from({ length: draw(60) }, () => draw(256))

  let queue = await run.open()
  let now = 1_000
  let n = 0

  const operations: Record<string, (count: number) => Promise<unknown>> = {
    async submit(burst) {
      const given = Array.from({ length: burst }, () => {
        const startBefore = draw(4) === 0 ? now + draw(5_000) : null
        return sampleSubmission(`q${++n}`, {
          app: pick(APPS) ?? APPS[0],
          priority: draw(3) === 0 ? 'low' : 'normal',
          submittedAt: now,
          startBefore,
          body: body(),
        })
      })
      const results = await Promise.allSettled(given.map((request) => queue.submit(request)))
      for (const [at, request] of given.entries()) {
        if (rows.size - all('COMPLETED').length >= MAX_LENGTH) {
          expect(results[at]).toMatchObject({
            status: 'rejected',
            reason: { code: 'HEALTH_QUEUE_FULL' },
          })
          count('refused')
          continue
        }
        const { id, app, submittedAt, startBefore } = request
        rows.set(id, {
          id,
          app,
          low: request.priority === 'low',
          n: Number(id.slice(1)),
          submittedAt,
          startBefore,
          status: 'IN_QUEUE',
          fence: 0,
          until: 0,
          notBefore: 0,
          noticed: true,
          lines: [],
          record: FRESH,
          avoid: null,
          final: null,
        })
        const row = rows.get(id) as Row
        expect(results[at]).toEqual({
          status: 'fulfilled',
          value: { position: inOrder(app).indexOf(row) },
        })
        count('submitted')
      }
    },
    async lease(max) {
      const app = pick(APPS) ?? APPS[0]
      for (const row of all('IN_QUEUE', app)) if (row.notBefore <= now) row.noticed = true
      const expected = inOrder(app)
        .filter((row) => row.notBefore <= now)
        .slice(0, max)
      const until = now + 1 + draw(3_000)
      const leases = await queue.lease(app, max, now, until)
      expect(
        leases.map((lease) => [lease.request.id, lease.attempt, lease.record, lease.avoid]),
      ).toEqual(expected.map((row) => [row.id, row.lines.length + 1, row.record, row.avoid]))
      for (const [at, row] of expected.entries()) {
        const fence = leases[at]?.fence ?? 0
        expect(fence).toBeGreaterThan(row.fence)
        Object.assign(row, { status: 'IN_PROGRESS', fence, until })
        count('leased')
      }
    },
    async renew(burst) {
      const chosen = all('IN_PROGRESS').slice(0, burst)
      const until = now + draw(3_000)
      const stale = chosen.filter(() => draw(4) === 0)
      const lost = await queue.renew(
        chosen.map((row) => ({
          id: row.id,
          fence: stale.includes(row) ? row.fence - 1 : row.fence,
        })),
        until,
      )
      expect(lost).toEqual(stale.map((row) => row.id))
      for (const row of chosen) if (!stale.includes(row)) row.until = until
      count('renewed', chosen.length - stale.length)
    },
    complete: (burst) =>
      Promise.all(
        all('IN_PROGRESS')
          .slice(0, burst)
          .map(async (row) => {
            const line = sampleLine(row.lines.length + 1)
            const final = sampleAnswer(now, { body: body(), status: 200 + draw(3) })
            if (draw(5) === 0) {
              count('lost')
              return expect(await queue.complete(row.id, row.fence - 1, line, final)).toBe('lost')
            }
            const poison = draw(6) === 0
            const given = poison ? { ...final, cause: QUARANTINE } : final
            finish(row, given)
            row.lines.push(line)
            count(poison ? 'quarantined' : 'completed')
            expect(await queue.complete(row.id, row.fence, line, given)).toBe('done')
          }),
      ),
    requeue: (burst) =>
      Promise.all(
        all('IN_PROGRESS')
          .slice(-burst)
          .map(async (row) => {
            const line = sampleLine(row.lines.length + 1)
            const notBefore = draw(2) === 0 ? 0 : now + draw(400)
            row.lines.push(line)
            Object.assign(row, {
              status: 'IN_QUEUE',
              notBefore,
              noticed: notBefore === 0,
              record: sampleRecord(row.lines.length),
              avoid: draw(2) === 0 ? null : 'r-9',
            })
            count('requeued')
            expect(
              await queue.requeue(row.id, row.fence, line, row.record, notBefore, row.avoid),
            ).toBe('done')
          }),
      ),
    async release() {
      const row = pick(all('IN_PROGRESS'))
      if (row === undefined) return
      Object.assign(row, { status: 'IN_QUEUE', notBefore: 0, noticed: true })
      count('released')
      expect(await queue.release(row.id, row.fence)).toBe('done')
    },
    async end() {
      const row = pick([...rows.values()])
      const final = sampleAnswer(now, { status: 499, cause: 'caller', body: body() })
      if (row === undefined || draw(10) === 0) {
        count('unknown')
        return expect(await queue.end('nobody', final)).toBe('unknown')
      }
      const expected = (
        { IN_QUEUE: 'ended', IN_PROGRESS: 'running', COMPLETED: 'completed' } as const
      )[row.status]
      if (expected === 'ended') finish(row, final)
      count(expected === 'running' ? 'running' : 'ended')
      expect(await queue.end(row.id, final)).toBe(expected)
    },
    async revive() {
      const done = all('COMPLETED')
      const row = pick(draw(2) === 0 ? done.filter(isKept) : done)
      if (row === undefined) return
      if (!isKept(row)) {
        count('refusedRevival')
        return expect(await queue.revive(row.id)).toBe('refused')
      }
      if (rows.size - done.length >= MAX_LENGTH) {
        count('refused')
        return expect(queue.revive(row.id)).rejects.toMatchObject({ code: 'HEALTH_QUEUE_FULL' })
      }
      Object.assign(row, { status: 'IN_QUEUE', notBefore: 0, noticed: true, record: FRESH })
      Object.assign(row, { final: null, startBefore: null, n: ++n })
      count('revived')
      expect(await queue.revive(row.id)).toBe('queued')
    },
    async flush() {
      if (draw(8) !== 0) return
      const app = pick(APPS) ?? APPS[0]
      const waiting = all('IN_QUEUE', app)
      const final = sampleAnswer(now, { status: 499, cause: 'flushed' })
      const told: string[] = []
      expect(await queue.flush(app, final, ({ id }) => told.push(id))).toBe(waiting.length)
      expect(told.sort()).toEqual(waiting.map(({ id }) => id).sort())
      for (const row of waiting) finish(row, final)
      count('flushed', waiting.length)
    },
    async sweep() {
      const before = now - draw(6_000)
      // One app keeps its results longer than the others.
      const time = (app: string): number => (app === APPS[0] ? before - 1_000 : before)
      const old = all('COMPLETED').filter(
        (row) => !isKept(row) && (row.final?.at ?? 0) < time(row.app),
      )
      expect(await queue.sweep(time)).toBe(old.length)
      for (const row of old) rows.delete(row.id)
      count('swept', old.length)
    },
    async tick(by) {
      now += by * 60
    },
  }
  const weighted = [
    'submit',
    'submit',
    'submit',
    'submit',
    'lease',
    'lease',
    'lease',
    'renew',
    'complete',
    'requeue',
    'release',
    'end',
    'revive',
    'flush',
    'sweep',
    'tick',
  ] as const

  /** Compares what can be asked at any time; `deep` compares every request and its answer. */
  const compare = async (deep: boolean): Promise<void> => {
    for (const app of APPS) {
      const waiting = inOrder(app)
      const first = [waiting.find((row) => row.low), waiting.find((row) => !row.low)]
      const oldest =
        waiting.length === 0 ? null : Math.min(...first.map((row) => row?.submittedAt ?? Infinity))
      expect(queue.size(app, now)).toEqual({
        ready: waiting.filter((row) => row.notBefore <= now).length,
        all: waiting.length,
        oldest,
      })
    }
    const dues = [...rows.values()].flatMap((row) => {
      if (row.status === 'IN_PROGRESS') return [row.until]
      return row.status === 'IN_QUEUE'
        ? [row.startBefore ?? Infinity, row.noticed ? Infinity : row.notBefore]
        : []
    })
    expect(queue.nextDue()).toBe(Math.min(Infinity, ...dues))
    expect(
      queue
        .overdue(now, 1_000)
        .map((entry) => entry.id)
        .sort(),
    ).toEqual(
      all('IN_QUEUE')
        .filter((row) => (row.startBefore ?? Infinity) <= now)
        .map((row) => row.id)
        .sort(),
    )
    expect(
      queue
        .lapsed(now, 1_000)
        .map((entry) => `${entry.id} ${entry.fence}`)
        .sort(),
    ).toEqual(
      all('IN_PROGRESS')
        .filter((row) => row.until <= now)
        .map((row) => `${row.id} ${row.fence}`)
        .sort(),
    )
    expect([...queue.apps()].sort()).toEqual(
      APPS.filter((app) => all('IN_QUEUE', app).length + all('IN_PROGRESS', app).length > 0),
    )
    const asked = deep
      ? [...rows.values()]
      : [pick([...rows.values()])].filter((row) => row !== undefined)
    const places = new Map(
      APPS.flatMap((app) => inOrder(app).map((row, at) => [row.id, at] as const)),
    )
    for (const row of asked) {
      const { final } = row
      expect(queue.entry(row.id)).toEqual({
        id: row.id,
        app: row.app,
        owner: '',
        path: '/',
        priority: row.low ? 'low' : 'normal',
        status: row.status,
        position: places.get(row.id) ?? null,
        submittedAt: row.submittedAt,
        attempts: row.lines,
        final:
          final === null
            ? null
            : {
                status: final.status,
                errorType: final.errorType,
                at: final.at,
                cause: final.cause,
              },
      })
      const answer = await queue.result(row.id)
      expect(answer === null ? null : { ...answer, body: [...answer.body] }).toEqual(
        final === null ? null : { ...final, body: [...final.body] },
      )
    }
  }

  for (let done = 1; done <= run.operations; done++) {
    await operations[pick(weighted) ?? 'tick']?.(1 + draw(6))
    if (done % 3 === 0) await compare(done % 1_200 === 0)
    if (done % run.reopenEvery !== 0) continue
    await queue.close()
    queue = await run.open()
    for (const row of all('IN_QUEUE')) if (row.notBefore > 0) row.noticed = false
    await compare(true)
  }
  return seen
}
