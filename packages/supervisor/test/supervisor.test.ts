import { unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { views, type Clock, type Command } from '@health/core'
import { ManualClock } from '@health/testkit'
import { expect, test } from 'vitest'
import type { Alert, Untimed } from '../src/index.ts'
import type { Gap, ObservedClock } from '../src/system-clock.ts'
import { folder, journalOf, live, serve, stage, until } from './stage.ts'

const typesOf = (dataDir: string): unknown[] => journalOf(dataDir).map(({ type }) => type)
const states = (at: Awaited<ReturnType<typeof stage>>): string[] =>
  [...views(at.supervisor.fleet)].map(({ substate }) => substate)

test('an app is started, becomes ready, and its life is in the journal before anybody acts on it', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  await serve(at)
  expect(states(at)).toEqual(['idle', 'idle'])
  expect(typesOf(dataDir).slice(0, 6)).toEqual([
    'core.started',
    'app.configured',
    'process.started',
    'process.started',
    'port.opened',
    'port.opened',
  ])
  expect(journalOf(dataDir).find(({ type }) => type === 'process.started')).toMatchObject({
    answers: 'provision:echo-1-1.1',
    pid: 1001,
    startTime: '1',
  })
  expect(journalOf(dataDir, 'decisions-').map(({ rule }) => rule)).toContain('start.ready')
})

test('tell answers with what the fact led to, and a fact out of shape changes nothing', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  const [runner] = await serve(at)
  const { supervisor } = at
  const before = supervisor.fleet.seq
  const change = { capPercent: 200 }
  expect(() => supervisor.tell({ type: 'policy.changed', app: null, change, by: 'me' })).toThrow(
    expect.objectContaining({ code: 'HEALTH_POLICY_INVALID' }),
  )
  expect(supervisor.fleet.seq).toBe(before)
  const result = supervisor.tell({
    type: 'attempt.ended',
    app: 'demo/echo',
    runner: runner!,
    incarnation: 1,
    request: 'q1',
    attempt: 1,
    mode: 'run',
    outcome: 'server_error',
    status: 503,
    inFlight: 0,
  })
  expect(result.seq).toBe(before + 1)
  expect(result.commands.map(({ type }) => type)).toContain('stop')
  // The fact is in the kernel's hands when tell returns, without a turn of the loop.
  expect(journalOf(dataDir).at(-1)).toMatchObject({ seq: before + 1, type: 'attempt.ended' })
  await until(() => at.host.orders.some(({ type }) => type === 'stop'), 'the stop')
})

test('a fact told from inside a listener is judged at once, and everybody hears both in order', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  const { supervisor } = at
  const heard: unknown[] = []
  let inner = 0
  supervisor.observe(({ event }) => {
    if (event.type === 'app.configured' && event.app === 'a') {
      inner = supervisor.tell(app('b')).seq
    }
  })
  supervisor.observe(({ event }) => {
    if (event.type === 'app.configured') heard.push([event.app, event.seq])
  })
  const outer = supervisor.tell(app('a')).seq
  expect(heard).toEqual([
    ['a', outer],
    ['b', inner],
  ])
  expect(inner).toBe(outer + 1)
})

test('a listener that throws is logged and harms nobody', async () => {
  const at = await stage(folder())
  at.supervisor.observe(() => {
    throw new Error('mine')
  })
  await serve(at)
  expect(states(at)).toEqual(['idle', 'idle'])
  expect(at.lines).toContainEqual({ level: 'error', event: 'listener.failed', text: 'mine' })
})

test('a host that throws is a refused start, tried again; an app without a command is a configuration error', async () => {
  const dataDir = folder()
  const at = await stage(dataDir, {
    launchOf: (name) => (name === 'b' ? null : { command: ['x'], cwd: '/', env: {} }),
  })
  const provision = at.host.provision.bind(at.host)
  let throws = 1
  at.host.provision = (order) => {
    if (throws-- > 0) throw new Error('fork failed')
    provision(order)
  }
  at.supervisor.tell(app('a', 1))
  at.supervisor.tell(app('b', 1))
  await until(
    () => typesOf(dataDir).filter((type) => type === 'provision.refused').length === 2,
    'refusals',
  )
  expect(journalOf(dataDir).filter(({ type }) => type === 'provision.refused')).toMatchObject([
    {
      runner: 'a-1-1',
      why: 'no_capacity',
      detail: 'The host failed: fork failed',
      answers: 'provision:a-1-1.1',
    },
    { why: 'bad_config', detail: 'The app b has no command.' },
  ])
  await live(at, 25_000)
  await until(() => at.host.orders.length > 0, 'the second try')
  await live(at, 1_000)
  expect(at.host.live).toHaveLength(1)
})

test('a prober that throws is an errored probe, which accuses nobody', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  await serve(at)
  at.prober.probe = () => {
    throw new Error('no socket')
  }
  await live(at, 60_000)
  expect(states(at)).toEqual(['idle', 'idle'])
  expect(journalOf(dataDir).filter(({ type }) => type === 'probe.errored').length).toBeGreaterThan(
    3,
  )
  expect(typesOf(dataDir)).not.toContain('probe.failed')
})

test('an order about a request is for the one who told the fact; one about a node is for its adapter, whoever told', async () => {
  const at = await stage(folder())
  const [runner] = await serve(at, 1)
  const cancelled = at.supervisor.tell({
    type: 'request.cancelled',
    app: 'demo/echo',
    request: 'q1',
    runner: runner!,
    attempt: 1,
    cause: 'caller',
  })
  expect(cancelled.commands.map(({ type }) => type)).toEqual(['cancel'])
  at.supervisor.tell({
    type: 'node.configured',
    node: 'local',
    devices: ['GPU-1'],
    canReset: true,
    canReboot: false,
    canValidate: false,
  })
  const cordoned = at.supervisor.tell({ type: 'order.cordon', node: 'local', by: 'me' })
  const orders: Command[] = []
  at.supervisor.onOrder((order) => orders.push(order))
  expect(orders).toEqual(cordoned.commands.filter(({ type }) => type === 'cordon'))
  expect(orders).toHaveLength(1)
})

test('the control probe is asked on observed time, and one that never answers did not pass', async () => {
  const dataDir = folder()
  let answers = true
  let asked = 0
  const at = await stage(dataDir, {
    control: () => ({
      check: () => {
        asked++
        return answers ? Promise.resolve({ passed: true, latencyMs: 1 }) : new Promise(() => {})
      },
      close: () => Promise.resolve(),
    }),
  })
  await live(at, 16_000)
  expect(asked).toBe(3)
  answers = false
  await live(at, 12_000)
  at.supervisor.tell(app('flush'))
  const ended = journalOf(dataDir).filter(({ type }) => type === 'control.ended')
  expect(ended.map(({ passed }) => passed)).toEqual([true, true, true, false])
})

test('standing still: the gap is told first, probes in flight are void, nobody is accused', async () => {
  const dataDir = folder()
  const manual = new ManualClock()
  const gaps: ((gap: Gap) => void)[] = []
  let gap: Gap | null = null
  const settle = (): void => {
    const found = gap
    gap = null
    if (found !== null) for (const listener of gaps) listener(found)
  }
  const clock: ObservedClock = Object.assign(Object.create(manual) as Clock, {
    now: () => manual.now(),
    wall: (at?: number) => manual.wall(at),
    after: manual.after.bind(manual),
    onGap: (listener: (gap: Gap) => void) => {
      gaps.push(listener)
      return () => {}
    },
    settle,
    pausedMs: 60_000,
    delayMs: 0,
    close: () => {},
  })
  const at = { ...(await stage(dataDir, { clock })), clock: manual }
  await serve(at)
  at.prober.answer('*', 'regular', 'silent')
  while (at.prober.flying === 0) await live(at, 250)
  manual.jump(60_000)
  gap = { gapMs: 60_000, wall: manual.wall() }
  at.supervisor.tell(app('flush'))
  expect(at.prober.flying).toBe(0)
  const after = journalOf(dataDir).slice(-3)
  expect(after.map(({ type }) => type)).toEqual([
    'clock.resumed',
    'probe.errored',
    'app.configured',
  ])
  expect(states(at)).toEqual(['idle', 'idle'])
  expect(at.supervisor.stats.pausedMs).toBe(60_000)
  // A check that a person asked for is asked again, once, and not taken for answered.
  const [runner] = at.host.live
  at.prober.answer('*', 'manual', 'silent')
  at.supervisor.tell({ type: 'order.check', runner: runner!, by: 'me', manual: true })
  const asked = (): number => at.prober.asked.filter(({ kind }) => kind === 'manual').length
  expect(asked()).toBe(1)
  manual.jump(60_000)
  gap = { gapMs: 60_000, wall: manual.wall() }
  at.supervisor.tell(app('again'))
  expect(asked()).toBe(2)
  expect(at.prober.flying).toBe(1)
  expect(at.prober.asked.some(({ kind }) => kind === 'tcp')).toBe(false)
})

test('a number that slipped in with a fact is not obeyed', async () => {
  const at = await stage(folder())
  const seq = at.supervisor.fleet.seq
  expect(at.supervisor.tell(Object.assign(app('a'), { seq: 900 })).seq).toBe(seq + 1)
})

test('stop ends the runners, then everything else; twice is once, and later facts change nothing', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  await serve(at)
  const one = at.supervisor.stop({ keepRunners: false, graceMs: 5_000 })
  const two = at.supervisor.stop({ keepRunners: true, graceMs: 0 })
  expect(two).toBe(one)
  let ended = false
  void one.then(() => (ended = true))
  while (!ended) await live(at, 100)
  expect(at.host.live).toEqual([])
  expect([...views(at.supervisor.fleet)].map(({ reason }) => reason)).toEqual([
    'shutdown',
    'shutdown',
  ])
  expect(at.supervisor.tell(app('late'))).toEqual({ seq: 0, commands: [], decisions: [] })
})

test('runners that do not end within the grace are killed', async () => {
  const dataDir = folder()
  const at = await stage(dataDir, { life: { stopAfterMs: null } })
  await serve(at)
  let ended = false
  void at.supervisor.stop({ keepRunners: false, graceMs: 1_000 }).then(() => (ended = true))
  while (!ended) await live(at, 100)
  expect(at.host.orders.filter(({ type }) => type === 'kill')).toHaveLength(2)
  expect(typesOf(dataDir).filter((type) => type === 'process.exited')).toHaveLength(2)
})

test('a second supervisor on the same folder is refused by name', async () => {
  const dataDir = folder()
  await stage(dataDir)
  await expect(stage(dataDir)).rejects.toMatchObject({
    code: 'HEALTH_DATA_LOCKED',
    path: 'dataDir',
  })
})

test('a folder that cannot be had is refused by name', async () => {
  const dataDir = folder()
  writeFileSync(join(dataDir, 'file'), '')
  await expect(stage(join(dataDir, 'file', 'data'))).rejects.toMatchObject({
    code: 'HEALTH_DATA_DENIED',
  })
})

test('an adapter that cannot be opened leaves nothing locked', async () => {
  const dataDir = folder()
  const host = (): never => {
    throw new Error('no /proc')
  }
  await expect(stage(dataDir, { host })).rejects.toThrow('no /proc')
  await stage(dataDir)
})

test('a journal that cannot be written is an alert, and healing goes on', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  const alerts: Alert[] = []
  at.supervisor.onAlert((alert) => alerts.push(alert))
  await serve(at)
  unlinkSync(join(dataDir, 'journal', '00000001.jsonl'))
  await live(at, 1_500)
  expect(alerts.map(({ name }) => name)).toEqual(['journal.failing'])
  expect(at.supervisor.stats.journalFailing).toBe(true)
  await until(() => {
    at.clock.advance(1_000)
    return !at.supervisor.stats.journalFailing
  }, 'a snapshot in place of what is gone')
  expect(typesOf(dataDir)[0]).toBe('journal.gap')
  at.host.crash(at.host.live[0]!)
  await until(() => at.host.orders.length > 2, 'a successor')
})

const app = (name: string, minConcurrency = 0): Untimed => ({
  type: 'app.configured',
  app: name,
  options: { minConcurrency, maxConcurrency: 1 },
  policy: {},
  revision: '1',
})
