// Orders and reloads while requests flow: nothing is lost, nobody waits for long, and an invalid configuration changes nothing.
import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { APP, Scene, type Actor, type Entry } from './fault-scene.ts'
import { call, lives, until } from './gateway-process.ts'

/** Calls and submits without pause until it is told to end; keeps every answer that is not 200. */
class Load {
  served = 0
  /** By the runner's version. */
  readonly versions = new Map<string, number>()
  readonly refused: string[] = []
  readonly queued: string[] = []
  readonly #gateway: Actor
  #flowing = true
  readonly #work: Promise<unknown>

  constructor(gateway: Actor, callers = 3) {
    this.#gateway = gateway
    this.#work = Promise.all([
      ...Array.from({ length: callers }, () => this.#call()),
      this.#submit(),
    ])
  }

  async #call(): Promise<void> {
    while (this.#flowing) {
      const { status, value } = await call(this.#gateway.url, `/run/${APP}/work?ms=20`, {
        method: 'POST',
      })
      if (status !== 200) this.refused.push(`${status} ${JSON.stringify(value)}`)
      else this.versions.set(value.version, (this.versions.get(value.version) ?? 0) + 1)
      this.served++
    }
  }

  async #submit(): Promise<void> {
    while (this.#flowing) {
      this.queued.push(await this.#gateway.submit('/work?ms=20'))
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  }

  /** Resolves when so many more direct calls were answered. */
  async more(count: number): Promise<void> {
    const from = this.served
    await until(
      async () => this.served,
      (now) => now >= from + count,
    )
  }

  /** Ends it; answers the requests of the queue that did not end well, or needed more attempts than they may. */
  async end(attempts = 1): Promise<readonly Entry[]> {
    this.#flowing = false
    await this.#work
    const entries: Entry[] = []
    for (const id of this.queued) entries.push(await this.#gateway.completed(id))
    return entries.filter(
      ({ final, attempts: all }) => final?.status !== 200 || all.length > attempts,
    )
  }
}

const gone = (gateway: Actor, id: string): Promise<{ reason: string; pid: number }> =>
  until(
    async () => (await call(gateway.url, `/v1/runners/${id}`)).value,
    ({ substate }) => substate === 'gone',
  )

test('stop and drain under load end the runner when it has finished; no call and no queued request is lost', async () => {
  await using scene = new Scene()
  scene.configure({ minConcurrency: 3, maxConcurrency: 3, maxMultiplexing: 2 })
  const gateway = await scene.start()
  await gateway.ready(3)
  const load = new Load(gateway)
  await load.more(20)
  for (const [order, reason] of [
    ['stop', 'stopped'],
    ['drain', 'drained'],
  ]) {
    const [victim] = await gateway.runners('?state=ready')
    const answer = await gateway.post(`/v1/runners/${victim!.id}/${order}`)
    expect(answer.status).toBe(202)
    const end = await gone(gateway, victim!.id)
    expect([end.reason, lives(victim!.pid)]).toEqual([reason, false])
    expect((await gateway.post(`/v1/runners/${victim!.id}/${order}`)).status).toBe(409)
    await gateway.ready(3)
    await load.more(20)
  }
  expect(await load.end()).toEqual([])
  expect(load.refused).toEqual([])
})

test('kill under load costs what ran there its attempt, and no queued request its outcome', async () => {
  await using scene = new Scene()
  scene.configure({ minConcurrency: 3, maxConcurrency: 3, maxMultiplexing: 2 })
  const gateway = await scene.start()
  await gateway.ready(3)
  const load = new Load(gateway)
  await load.more(20)
  const [victim] = await gateway.runners('?state=ready')
  expect((await gateway.post(`/v1/runners/${victim!.id}/kill`)).status).toBe(202)
  expect((await gone(gateway, victim!.id)).reason).toBe('killed')
  await gateway.ready(3)
  await load.more(20)
  expect(await load.end(10)).toEqual([])
  // Direct calls that ran there are told so, at most the runner's slots; never anything else.
  expect(load.refused.length).toBeLessThanOrEqual(2)
  for (const refusal of load.refused)
    expect(refusal).toMatch(/^503 .*runner_(disconnected|connection|incomplete)/)
})

test('the only runner is replaced without a gap: its successor serves before it takes its last call', async () => {
  await using scene = new Scene()
  scene.configure({ minConcurrency: 1, maxConcurrency: 1 })
  const gateway = await scene.start()
  const [old] = await gateway.ready(1)
  const load = new Load(gateway, 2)
  await load.more(20)
  const answer = await gateway.post(`/v1/runners/${old!.id}/stop`, { replace: true })
  expect(answer.status).toBe(202)
  // At every look somebody may serve, until the old one is gone.
  await until(
    async () => {
      const list = await gateway.runners()
      expect(list.filter(({ state }) => state === 'ready').length).toBeGreaterThanOrEqual(1)
      return list.find(({ id }) => id === old!.id)!
    },
    ({ substate }) => substate === 'gone',
  )
  const [now] = await gateway.ready(1)
  expect(now!.replaces).toBe(old!.id)
  expect((await gone(gateway, old!.id)).reason).toBe('replaced')
  const decisions = await gateway.decisions()
  const at = (id: string, to: RegExp): number =>
    decisions.find(({ subject, to: word }) => subject.id === id && to.test(word))!.seq
  expect(at(now!.id, /^(idle|busy)/)).toBeLessThan(at(old!.id, /draining|stopping/))
  await load.more(20)
  expect(await load.end()).toEqual([])
  expect(load.refused).toEqual([])
})

test.for(['SIGHUP', '/v1/reload'])(
  'a changed command rolls through the pool by %s, successor first; an invalid file changes nothing before',
  async (way) => {
    await using scene = new Scene()
    const pool = { minConcurrency: 2, maxConcurrency: 2, maxMultiplexing: 2 }
    scene.configure({ ...pool, env: { FAULT_VERSION: '1' } })
    const gateway = await scene.start()
    const before = await gateway.ready(2)
    const load = new Load(gateway)
    await load.more(20)
    const reload = async (): Promise<number> => {
      if (way !== 'SIGHUP') return (await gateway.post('/v1/reload')).status
      const said = gateway.process.lines.length
      gateway.process.child.kill('SIGHUP')
      const words = ['config.reloaded', 'config.invalid']
      const line = await until(
        async () => gateway.process.lines.slice(said).find(({ event }) => words.includes(event)),
        (found) => found !== undefined,
      )
      return line!.event === 'config.reloaded' ? 202 : 422
    }
    const { value: policy } = await call(gateway.url, `/v1/policy?app=${APP}`)
    writeFileSync(scene.file, JSON.stringify({ apps: { [APP]: { comand: ['x'] } } }))
    expect(await reload()).toBe(422)
    expect((await call(gateway.url, `/v1/policy?app=${APP}`)).value).toEqual(policy)
    expect((await gateway.runners()).map(({ id }) => id).toSorted()).toEqual(
      before.map(({ id }) => id).toSorted(),
    )

    scene.configure({ ...pool, env: { FAULT_VERSION: '2' } })
    await reload()
    await until(
      async () => {
        const list = await gateway.runners()
        expect(list.filter(({ state }) => state === 'ready').length).toBeGreaterThanOrEqual(1)
        return list
      },
      (list) => before.every(({ id }) => list.find((one) => one.id === id)?.substate === 'gone'),
    )
    const now = await gateway.ready(2)
    expect(new Set(now.map(({ replaces }) => replaces))).toEqual(
      new Set(before.map(({ id }) => id)),
    )
    for (const { id } of before) expect((await gone(gateway, id)).reason).toBe('replaced')
    await load.more(20)
    const old = load.versions.get('1')
    await load.more(20)
    expect(load.versions.get('1')).toBe(old)
    expect(await load.end()).toEqual([])
    expect(load.refused).toEqual([])
  },
)

test('an app that left the configuration drains: what runs there ends well, then its runners are gone', async () => {
  await using scene = new Scene()
  const other = scene.app({ minConcurrency: 1 })
  const write = (apps: object): void => writeFileSync(scene.file, JSON.stringify({ apps }))
  write({ [APP]: other, 'fault/other': other })
  const gateway = await scene.start()
  await gateway.ready(2)
  const [victim] = await gateway.runners('?app=fault/other&state=ready')
  const running = call(gateway.url, '/run/fault/other/work?ms=1500', { method: 'POST' })
  await until(
    async () => scene.marks('ran').size,
    (count) => count === 1,
  )
  write({ [APP]: other })
  expect((await gateway.post('/v1/reload')).status).toBeLessThan(300)
  expect((await running).status).toBe(200)
  const last = await until(
    async () => (await gateway.decisions()).filter(({ subject }) => subject.id === victim!.id),
    (all) => all.at(-1)?.to === 'gone',
  )
  expect(last.slice(-3).map(({ to, rule }) => [to, rule])).toEqual([
    [expect.stringMatching(/^(idle|busy)\+draining$/), 'pool.app_removed'],
    ['stopping', 'pool.app_removed'],
    ['gone', 'stop.exited'],
  ])
  expect(lives(victim!.pid)).toBe(false)
  expect((await call(gateway.url, '/run/fault/other/work', { method: 'POST' })).status).toBe(404)
  expect((await call(gateway.url, `/run/${APP}/work`, { method: 'POST' })).status).toBe(200)
})

test('a policy that was set at run time survives a kill -9 and an orderly end', async () => {
  await using scene = new Scene()
  scene.configure({ minConcurrency: 1 })
  const put = (url: string, query: string, set: object): ReturnType<typeof call> =>
    call(url, `/v1/policy${query}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(set),
    })
  let gateway = await scene.start()
  await gateway.ready(1)
  expect((await put(gateway.url, '', { capPercent: 35 })).status).toBe(200)
  expect((await put(gateway.url, `?app=${APP}`, { drainTimeoutSeconds: 7 })).status).toBe(200)
  for (const end of ['kill', 'stop']) {
    if (end === 'kill') await gateway.killNow()
    else await gateway.stop()
    expect(gateway.process.child.exitCode).toBe(end === 'kill' ? null : 0)
    gateway = await scene.start()
    expect((await call(gateway.url, '/v1/policy')).value.capPercent).toBe(35)
    const { value } = await call(gateway.url, `/v1/policy?app=${APP}`)
    expect([value.drainTimeoutSeconds, value.capPercent]).toEqual([7, 35])
  }
})
