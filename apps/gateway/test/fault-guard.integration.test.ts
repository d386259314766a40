// The fleet is not harmed by its own doctor: many runners that fail at once, runners that all fail, and checks that fail for want
// of something of our own.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { APP, Scene, within, type Actor, type Decided } from './fault-scene.ts'
import { call, fromSource, GatewayProcess, until } from './gateway-process.ts'

const check = {
  path: '/health',
  startPeriodSeconds: 0,
  intervalSeconds: 0.5,
  timeoutSeconds: 5,
  failureThreshold: 2,
}
const policy = { panicCooldownSeconds: 1, doubtPerSecond: 10, doubtBurst: 10 }

/** What happened to the pool, in order: a runner that may serve came (`+`), or one was ended (`-`). */
function comings(decisions: readonly Decided[], before: ReadonlySet<string>): string {
  const served = new Set<string>()
  const ended = new Set<string>()
  let order = ''
  for (const { subject, to } of decisions) {
    if (subject.kind !== 'runner') continue
    const word = to.split('+')[0]!
    // Back from doubt is no coming.
    if (!before.has(subject.id) && (word === 'idle' || word === 'busy')) served.add(subject.id)
    if (['stopping', 'killing', 'gone'].includes(word)) ended.add(subject.id)
    order += '+'.repeat(served.size - (order.split('+').length - 1))
    order += '-'.repeat(ended.size - (order.split('-').length - 1))
  }
  return order
}

/** The most places that were out at once. */
function mostOut(order: string): number {
  let out = 0
  return Math.max(...order.split('').map((step) => (out += step === '-' ? 1 : -1)))
}

/** Old enough for failures to count: the start period is never shorter than the time for a start. */
const mature = (gateway: Actor, count: number): Promise<unknown> =>
  until(
    () => gateway.runners('?state=ready'),
    (list) =>
      list.length === count && list.every(({ since }) => Date.now() - Date.parse(since) > 10_500),
  )

/** Facts of a type in the journal. */
function journaled({ folder }: Scene, type: string): number {
  const journal = join(folder, 'data', 'journal')
  const texts = readdirSync(journal).map((name) => readFileSync(join(journal, name), 'utf8'))
  return texts.join('').split(`"type":"${type}"`).length - 1
}

test('ten runners that turn bad at once: never more than the cap is out, and all heal one after the other', async () => {
  await using scene = new Scene()
  scene.configure(
    {
      minConcurrency: 10,
      maxConcurrency: 10,
      startupTimeoutSeconds: 10,
      keepAliveSeconds: 600,
      healthCheck: check,
    },
    { policy },
  )
  const gateway = await scene.start()
  await mature(gateway, 10)
  const before = await gateway.runners('?state=ready')
  const [{ seq } = { seq: 0 }] = (await gateway.decisions()).toReversed()
  // A file that all ten read; the runners that come after them are well.
  scene.tell('sick', before.map(({ id }) => id).join('\n'))
  const refused: number[] = []
  let watching = true
  const canary = (async () => {
    while (watching) {
      const { status } = await call(gateway.url, `/run/${APP}/work`, { method: 'POST' })
      if (status !== 200) refused.push(status)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })()
  const names = new Set(before.map(({ id }) => id))
  await until(
    async () => {
      const list = await gateway.runners()
      // What may serve, whoever is in doubt: at least what the cap leaves.
      const serving = list.filter(({ state }) => state === 'ready' || state === 'suspect')
      expect(serving.length).toBeGreaterThanOrEqual(8)
      return list.filter(({ state }) => state === 'ready')
    },
    (ready) => ready.length === 10 && ready.every(({ id }) => !names.has(id)),
  )
  watching = false
  await canary
  expect(refused).toEqual([])
  const decisions = await gateway.decisions(seq)
  const order = comings(decisions, names)
  expect([order.split('+').length - 1, order.split('-').length - 1]).toEqual([10, 10])
  expect(mostOut(order)).toBeLessThanOrEqual(2)
  expect(decisions.some(({ because }) => because === 'guard.panic')).toBe(true)
  const alert = gateway.process.lines.find(({ event }) => event === 'alert')
  expect(alert?.['name']).toBe('guard.panic')
}, 180_000)

test('three sick of three heal, one at a time: the next is ended only when the one before has its successor', async () => {
  await using scene = new Scene()
  scene.configure(
    {
      minConcurrency: 3,
      maxConcurrency: 3,
      startupTimeoutSeconds: 10,
      keepAliveSeconds: 600,
      healthCheck: check,
    },
    { policy },
  )
  const gateway = await scene.start()
  await mature(gateway, 3)
  const before = await gateway.runners('?state=ready')
  const [{ seq } = { seq: 0 }] = (await gateway.decisions()).toReversed()
  scene.tell('sick', before.map(({ id }) => id).join('\n'))
  const names = new Set(before.map(({ id }) => id))
  await until(
    () => gateway.runners('?state=ready'),
    (ready) => ready.length === 3 && ready.every(({ id }) => !names.has(id)),
  )
  // Whether the successor comes before the end depends on whether all three were in doubt by then.
  expect(comings(await gateway.decisions(seq), names)).toMatch(/^(\+-|-\+){3}$/)
}, 180_000)

/** Three runners past their start period behind a gateway that may have so many descriptors. */
async function starved(scene: Scene, descriptors: number): Promise<GatewayProcess> {
  scene.configure({
    minConcurrency: 3,
    maxConcurrency: 3,
    startupTimeoutSeconds: 3,
    keepAliveSeconds: 600,
    healthCheck: { ...check, timeoutSeconds: 1 },
  })
  const args = [...fromSource, 'start', '--port', '0', '--config', scene.file]
  const limited = [
    '-c',
    `ulimit -n ${descriptors}; exec "$0" "$@"`,
    process.execPath,
    ...args,
    '--data-dir',
    `${scene.folder}/data`,
  ]
  return new GatewayProcess('/bin/sh', limited, { folder: scene.folder })
}

const readyOnes = async (url: string): Promise<readonly string[]> =>
  (await call(url, '/v1/runners?state=ready', soon())).value.runners.map(
    ({ id }: { id: string }) => id,
  )
/** Nothing here is slow. */
const soon = (): RequestInit => ({ signal: AbortSignal.timeout(10_000) })

/** All ready, for so long that failures would count. */
async function settled(url: string): Promise<readonly string[]> {
  const list = await within(
    30_000,
    () => readyOnes(url),
    ({ length }) => length === 3,
  )
  await new Promise((resolve) => setTimeout(resolve, 4000))
  return list
}

test('checks that fail because we have no sockets left accuse nobody; calls are answered again when there are some', async () => {
  await using scene = new Scene()
  await using gateway = await starved(scene, 150)
  const url = await gateway.url()
  const before = await settled(url)
  expect(journaled(scene, 'probe.errored')).toBe(0)
  // Fewer than it has open already: it gets none while this lasts.
  allow(gateway, 10)
  // Twice as many as would end all three.
  await within(
    30_000,
    () => journaled(scene, 'probe.errored'),
    (count) => count >= 12,
  )
  allow(gateway, 150)
  const now = await within(
    20_000,
    () => readyOnes(url),
    ({ length }) => length === 3,
  )
  expect(now.toSorted()).toEqual(before.toSorted())
  const doubts = gateway.lines.filter(
    ({ event, to }) => event === 'decision' && /suspect|failing|held|stopping/.test(String(to)),
  )
  expect(doubts).toEqual([])
  expect(journaled(scene, 'probe.failed')).toBe(0)
  expect((await call(url, `/run/${APP}/work`, { method: 'POST', ...soon() })).status).toBe(200)
}, 120_000)

test('callers who open more connections than we have sockets take none that checks and calls need', async () => {
  await using scene = new Scene()
  await using gateway = await starved(scene, 150)
  const url = await gateway.url()
  const warned = gateway.lines.find(({ text }) => String(text).startsWith('limits.connections'))
  expect(warned).toMatchObject({ event: 'config.warning', text: expect.stringContaining(': 100.') })
  const before = await settled(url)
  const idle: Socket[] = []
  for (let n = 0; n < 400; n++) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
    idle.push(socket)
    await once(socket, 'connect')
  }
  // Longer than it takes to end all three.
  const until = Date.now() + 3000
  while (Date.now() < until) {
    const { status } = await call(url, `/run/${APP}/work`, { method: 'POST', ...soon() })
    expect(status).toBe(200)
  }
  expect(await readyOnes(url)).toEqual(before)
  expect(['probe.errored', 'probe.failed'].map((type) => journaled(scene, type))).toEqual([0, 0])
  expect(idle.filter(({ destroyed }) => !destroyed).length).toBeLessThanOrEqual(100)
  for (const socket of idle) socket.destroy()
}, 120_000)

/** Sets how many descriptors a running gateway may have. */
function allow({ child }: GatewayProcess, descriptors: number): void {
  execFileSync('prlimit', ['--pid', String(child.pid), `--nofile=${descriptors}:150`])
}
