// The gateway stands still while its runners go on, and the other way round: only the second is a fault of a runner.
import { expect, test } from 'vitest'
import { Scene, type Seen } from './fault-scene.ts'
import { call, lives, until } from './gateway-process.ts'

const strict = {
  path: '/health',
  startPeriodSeconds: 0,
  intervalSeconds: 0.5,
  timeoutSeconds: 0.3,
  failureThreshold: 3,
}
const PAUSE_MS = 6000

/** Stops a process for a while, in real time: that is what is tested. */
async function pause(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  process.kill(pid, 'SIGCONT')
}

test('a gateway that stood still for 6 s accuses nobody, though four rows of three checks were due', async () => {
  await using scene = new Scene()
  // The start period is at least the time for a start: it must not be what protects them here.
  scene.configure({
    minConcurrency: 4,
    maxConcurrency: 4,
    startupTimeoutSeconds: 3,
    healthCheck: strict,
  })
  const gateway = await scene.start()
  const before = await gateway.ready(4)
  // Old enough for a failure to count; a request runs through the pause.
  await until(
    () => gateway.runners('?state=ready'),
    (list) => list.every(({ since }) => Date.now() - Date.parse(since) > 4000),
  )
  const [{ seq } = { seq: 0 }] = (await gateway.decisions()).toReversed()
  const slow = await gateway.submit('/work?ms=4000')
  await until(
    async () => scene.marks('ran'),
    (ran) => ran.has(slow),
  )
  await pause(gateway.pid)
  const resumed = await gateway.process.line(({ event }) => event === 'clock.resumed')
  expect(Number(resumed['gapMs'])).toBeGreaterThan(PAUSE_MS - 2000)
  const { final, attempts } = await gateway.completed(slow)
  expect([final?.status, attempts.length]).toEqual([200, 1])
  // Each was asked again, and passed: the checks go on.
  const from = Date.now()
  const probed = async (): Promise<readonly number[]> =>
    Promise.all(
      before.map(async ({ id }) => {
        const { value } = await call(gateway.url, `/v1/runners/${id}`)
        return value.lastProbe.ok === true ? Date.parse(value.lastProbe.at) : 0
      }),
    )
  await until(probed, (times) => times.every((at) => at > from))
  // On a busy machine a single check may be late on its own account; that is doubt, and no verdict.
  const verdicts = (await gateway.decisions(seq)).filter(
    ({ to }) => !['failing', 'idle', 'busy'].includes(to),
  )
  expect(verdicts).toEqual([])
  const idsOf = (list: readonly Seen[]): readonly string[] =>
    list.map(({ id, pid }) => `${id} ${pid}`).toSorted()
  expect(idsOf(await gateway.runners())).toEqual(idsOf(before))
})

test('a runner that stands still is ended by its threshold, its successor serves, and nobody else is touched', async () => {
  await using scene = new Scene()
  scene.configure({
    minConcurrency: 4,
    maxConcurrency: 4,
    startupTimeoutSeconds: 3,
    healthCheck: { ...strict, timeoutSeconds: 1 },
  })
  const gateway = await scene.start()
  const before = await gateway.ready(4)
  const [stuck, ...others] = before
  process.kill(stuck!.pid, 'SIGSTOP')
  const gone = await until(
    async () => (await call(gateway.url, `/v1/runners/${stuck!.id}`)).value,
    ({ substate }) => substate === 'gone',
  )
  expect(gone.reason).toBe('health_check_failed')
  expect(lives(stuck!.pid)).toBe(false)
  const now = await gateway.ready(4)
  expect(now.map(({ id }) => id)).toEqual(expect.arrayContaining(others.map(({ id }) => id)))
  const verdicts = (await gateway.decisions()).filter(({ rule }) => rule === 'health.threshold')
  expect(verdicts.map(({ subject }) => subject.id)).toEqual([stuck!.id])
  for (let n = 0; n < 8; n++)
    expect((await gateway.completed(await gateway.submit('/work'))).final?.status).toBe(200)
})
