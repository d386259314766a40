// What the next gateway makes of the runners of one that was killed, or that left them running on purpose.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { APP, freePort, Scene, within, type Seen } from './fault-scene.ts'
import { lives, until } from './gateway-process.ts'

const pool = {
  minConcurrency: 4,
  maxConcurrency: 4,
  keepAliveSeconds: 600,
  healthCheck: { path: '/health', intervalSeconds: 1, timeoutSeconds: 5 },
}
const lifeOf = ({ id, pid, incarnation, since, state }: Seen): object => ({
  id,
  pid,
  incarnation,
  since,
  state,
})
const livesOf = (list: readonly Seen[]): readonly object[] =>
  list.map(lifeOf).toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))

test('after kill -9 the next start has the same four runners, ready all the time, and each open attempt is told to cancel', async () => {
  await using scene = new Scene()
  scene.configure(pool)
  const first = await scene.start()
  const before = livesOf(await first.ready(4))
  const open = await Promise.all([1, 2, 3, 4].map(() => first.submit('/work?ms=60000')))
  await until(
    async () => scene.marks('ran'),
    (ran) => open.every((id) => ran.has(id)),
  )
  await first.killNow()

  const second = await scene.start()
  expect(livesOf(await second.runners())).toEqual(before)
  await until(
    async () => scene.marks('cancelled'),
    (told) => open.every((id) => told.has(id)),
  )
  const decisions = await second.decisions()
  const flips = decisions.filter(
    ({ subject, to }) => subject.kind === 'runner' && !/^(provisioning|setup|idle|busy)$/.test(to),
  )
  expect(flips).toEqual([])
  // They run again, each once more, and end as their caller says.
  await until(
    async () => scene.marks('ran'),
    (ran) => open.every((id) => ran.get(id) === 2),
  )
  for (const id of open)
    await fetch(`${second.url}/queue/${APP}/requests/${id}/cancel`, { method: 'PUT' })
  for (const id of open) {
    const { attempts } = await second.completed(id)
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['gateway_lost', 'healthy'])
  }
  expect(livesOf(await second.runners())).toEqual(before)
  expect(await second.stop()).toBe(0)
  expect(scene.processes()).toEqual([])
})

test('a runner that died while nobody watched is told as gone and replaced; what it left behind is ended', async () => {
  await using scene = new Scene()
  scene.configure({ ...pool, env: { FAULT_CHILD: '1' } })
  const first = await scene.start()
  const before = await first.ready(4)
  await first.killNow()
  const [dead, ...rest] = before
  process.kill(dead!.pid, 'SIGKILL')
  await within(
    5000,
    () => lives(dead!.pid),
    (alive) => !alive,
  )
  // Its child lives on in its group.
  expect(scene.processes().some(({ group }) => group === dead!.pid)).toBe(true)

  const second = await scene.start()
  await within(
    5000,
    () => scene.processes().filter(({ group }) => group === dead!.pid),
    (left) => left.length === 0,
  )
  const now = await second.ready(4)
  expect(livesOf(now)).toEqual(expect.arrayContaining([...livesOf(rest)]))
  expect(now.map(({ id }) => id)).not.toContain(dead!.id)
  const [gone] = (await second.runners('?state=terminated')).filter(({ id }) => id === dead!.id)
  expect(gone).toMatchObject({ substate: 'gone', reason: 'crashed' })
  // Its successor was not taken for something left behind.
  const ended = second.process.lines.filter(({ event }) => event === 'orphan.ended')
  expect(new Set(ended.map((line) => line['runner']))).toEqual(new Set([dead!.id]))
  expect(await second.runners('?state=terminated')).toHaveLength(1)
  expect(await second.stop()).toBe(0)
  expect(scene.processes()).toEqual([])
})

test('runners that no journal knows of are ended before new ones are started', async () => {
  await using scene = new Scene()
  scene.configure({ ...pool, env: { FAULT_CHILD: '1' } })
  const first = await scene.start()
  const before = await first.ready(4)
  await first.killNow()
  for (const folder of ['journal', 'snapshots'])
    rmSync(join(scene.folder, 'data', folder), { recursive: true, force: true })

  const second = await scene.start()
  const groups = new Set(before.map(({ pid }) => pid))
  await within(
    5000,
    () => scene.processes().filter(({ group }) => groups.has(group)),
    (left) => left.length === 0,
  )
  expect(
    new Set(
      second.process.lines
        .filter(({ event }) => event === 'orphan.ended')
        .map((line) => line['runner']),
    ),
  ).toEqual(new Set(before.map(({ id }) => id)))
  await second.ready(4)
  expect(await second.stop()).toBe(0)
})

test('a deploy with --keep-runners: calls flow through the restart behind a client that retries, no runner is restarted', async () => {
  await using scene = new Scene()
  scene.configure({ ...pool, maxMultiplexing: 4 }, { shutdown: { graceSeconds: 10 } })
  const port = ['--port', String(await freePort()), '--keep-runners']
  const first = await scene.start(port)
  const before = livesOf(await first.ready(4))
  const { url } = first
  let flowing = true
  let served = 0
  const failed: string[] = []
  const queued: string[] = []
  const retried = async (path: string, method: string): Promise<Response> => {
    for (;;) {
      const answer = await fetch(`${url}${path}`, { method }).catch(() => null)
      // Nobody listens, or the one who does is leaving: both are a moment.
      if (answer !== null && answer.status !== 503) return answer
      await answer?.body?.cancel()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const direct = Array.from({ length: 4 }, async () => {
    while (flowing) {
      const answer = await retried(`/run/${APP}/work?ms=30`, 'POST')
      if (answer.status === 200) served++
      else failed.push(`${answer.status} ${await answer.text()}`)
      await answer.arrayBuffer().catch(() => undefined)
    }
  })
  const queue = (async () => {
    while (flowing) {
      const answer = await retried(`/queue/${APP}/work?ms=30`, 'POST')
      queued.push(((await answer.json()) as { request_id: string }).request_id)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  await until(
    async () => served,
    (count) => count >= 50,
  )
  expect(await first.stop()).toBe(0)
  const stayed = served
  const second = await scene.start(port)
  expect(livesOf(await second.runners())).toEqual(before)
  await until(
    async () => served,
    (count) => count >= stayed + 50,
  )
  flowing = false
  await Promise.all([...direct, queue])
  expect(failed).toEqual([])
  for (const id of queued) {
    const { attempts, final } = await second.completed(id)
    // Handed back at the end of the first gateway: spends no attempt.
    expect([id, attempts.length, final?.status]).toEqual([id, 1, 200])
  }
  expect(livesOf(await second.runners())).toEqual(before)
  expect(await second.stop()).toBe(0)
  // Left running once more: the scene ends them.
  expect(scene.processes()).toHaveLength(4)
})
