// kill -9 of the gateway in the middle of load, twenty times in a row: what was acknowledged ends exactly once, and its runners
// neither restart nor stay behind.
import { expect, test } from 'vitest'
import { APP, each, Scene, within, type Actor, type Seen } from './fault-scene.ts'
import { call } from './gateway-process.ts'

const ROUNDS = 20
const STOCK = 1000
const MORE = 60
const PATH = '/work?ms=40'

/** Submits `count` requests, ten at a time; what was not acknowledged is nobody's. */
async function submit(
  { url }: Actor,
  count: number,
  acknowledged: (id: string) => void,
): Promise<void> {
  await each(
    Array.from({ length: count }),
    async () => {
      const answer = await call(url, `/queue/${APP}${PATH}`, { method: 'POST' }).catch(() => null)
      if (answer === null) return
      expect(answer.status).toBe(200)
      acknowledged(String(answer.value.request_id))
    },
    10,
  )
}

test(`${STOCK} queued requests on 4 runners survive ${ROUNDS} kills: each ends once, no runner flips, no process is orphaned`, async () => {
  await using scene = new Scene()
  scene.configure(
    {
      minConcurrency: 4,
      maxConcurrency: 4,
      maxMultiplexing: 2,
      keepAliveSeconds: 600,
      env: { FAULT_CHILD: '1' },
      healthCheck: {
        path: '/health',
        intervalSeconds: 1,
        timeoutSeconds: 5,
        startPeriodSeconds: 0,
      },
    },
    { shutdown: { graceSeconds: 5 } },
  )
  const accepted: string[] = []
  const note = (id: string): void => void accepted.push(id)
  /** Runners that were seen ready. */
  const known = new Map<string, Seen>()
  /** Final answers that were seen. */
  const finals = new Map<string, string>()

  const lookAtRunners = async (gateway: Actor): Promise<void> => {
    const now = new Map((await gateway.runners()).map((runner) => [runner.id, runner]))
    for (const before of known.values()) {
      const { id, pid, incarnation, since } = before
      expect(now.get(id)).toMatchObject({ pid, incarnation, since, state: 'ready' })
    }
    for (const runner of now.values()) if (runner.state === 'ready') known.set(runner.id, runner)
  }

  let gateway = await scene.start()
  for (let round = 0; round < ROUNDS; round++) {
    let heard = 0
    const target = round === 0 ? STOCK : 1 + ((round * 37) % MORE)
    const reached = Promise.withResolvers<void>()
    const load = submit(gateway, round === 0 ? STOCK + MORE : MORE, (id) => {
      note(id)
      if (++heard === target) reached.resolve()
    })
    await reached.promise
    if (round > 0) {
      // Those that were accepted first are done or running.
      const known = accepted.slice(finals.size, finals.size + 20)
      await each(known, async (id) => {
        const { final } = await gateway.request(id)
        if (final !== null) finals.set(id, JSON.stringify(final))
      })
    }
    await gateway.killNow()
    await load
    if (round % 5 === 2) {
      // One more kill while it is still coming up: it holds the runners and does not listen yet.
      const unborn = scene.begin()
      await unborn.line(({ event }) => event === 'supervisor.started')
      unborn.child.kill('SIGKILL')
      await unborn.ended
    }
    gateway = await scene.start()
    await lookAtRunners(gateway)
  }

  await gateway.ready(4)
  let lost = 0
  await each(accepted, async (id) => {
    const { attempts, final } = await gateway.completed(id)
    if (final === null) throw new Error(`${id} is completed without an outcome`)
    finals.set(id, finals.get(id) ?? JSON.stringify(final))
    expect(JSON.stringify(final)).toBe(finals.get(id))
    expect(final.status).toBe(200)
    expect(attempts.length).toBeLessThanOrEqual(10)
    expect(attempts.map(({ n }) => n)).toEqual(attempts.map((_, index) => index + 1))
    const own = attempts.filter(({ outcome }) => outcome !== 'gateway_lost')
    expect(own).toHaveLength(1)
    lost += attempts.length - own.length
    const result = await gateway.result(id)
    expect([result.status, result.value.id]).toEqual([200, id])
  })
  expect(accepted.length).toBeGreaterThanOrEqual(STOCK)
  // The kills hit work in progress: most of them all slots, each at least some.
  expect(lost).toBeGreaterThanOrEqual(ROUNDS)
  // What the runners saw: nobody was sent a request more often than its log says.
  const ran = scene.marks('ran')
  await each(accepted, async (id) => {
    const { attempts } = await gateway.request(id)
    expect(ran.get(id) ?? 0).toBeGreaterThanOrEqual(1)
    expect(ran.get(id)).toBeLessThanOrEqual(attempts.length)
  })
  const { value } = await call(gateway.url, `/v1/queues/${APP}`)
  expect(value.size).toBe(0)

  await lookAtRunners(gateway)
  const words = new Set((await gateway.decisions()).map(({ to }) => to.split('+')[0]))
  for (const word of ['verifying', 'failing', 'held', 'stopping', 'killing', 'gone'])
    expect(words).not.toContain(word)
  // Every process of a runner belongs to one that is on the books, and there are no more than four.
  const groups = new Set((await gateway.runners('?state=ready')).map(({ pid }) => pid))
  await within(
    5000,
    () => scene.processes().filter(({ group }) => !groups.has(group)),
    (rest) => rest.length === 0,
  )
  expect(groups.size).toBe(4)
  expect(await gateway.stop()).toBe(0)
  await within(
    5000,
    () => scene.processes(),
    (rest) => rest.length === 0,
  )
}, 400_000)
