/** The fakes keep the contracts of what they stand for, and the clock its own. */
import { describe, expect, test } from 'vitest'
import type { ProbeOrder, ProvisionOrder } from '@health/core'
import { FakeHost } from '../src/fake-host.ts'
import { FakeProber } from '../src/fake-prober.ts'
import { hostContract } from '../src/host-contract.ts'
import { ManualClock } from '../src/manual-clock.ts'
import { proberContract } from '../src/prober-contract.ts'

const order = (runner: string): ProvisionOrder => ({
  runner,
  incarnation: 1,
  app: 'demo/echo',
  devices: [],
  url: null,
  launch: null,
  env: {},
})

hostContract('FakeHost', () => {
  const clock = new ManualClock()
  const host = new FakeHost(clock).script('bad/app', {
    refuse: { why: 'bad_config', detail: 'Command not found: x' },
  })
  return {
    host,
    good: order,
    bad: (runner) => ({ ...order(runner), app: 'bad/app' }),
    turn: () => clock.pass(10),
  }
})

proberContract('FakeProber', () => {
  const clock = new ManualClock()
  const prober = new FakeProber(clock)
    .answer('ill', '*', { result: 'failed' })
    .answer('mute', '*', 'silent')
  const at = (runner: string) => ({ runner, url: 'http://127.0.0.1:1' })
  return Promise.resolve({
    prober,
    well: at('well'),
    ill: at('ill'),
    mute: at('mute'),
    turn: () => clock.pass(10),
  })
})

describe('ManualClock', () => {
  test('callbacks run at their due time, in order of due time, then of asking', () => {
    const clock = new ManualClock()
    const ran: string[] = []
    const note = (name: string) => () => void ran.push(`${name}@${clock.now()}`)
    clock.after(20, note('b'))
    clock.after(10, () => {
      note('a')()
      clock.after(5, note('a2'))
    })
    clock.after(20, note('c'))
    clock.after(15, note('cancelled'))()
    clock.after(31, note('later'))
    expect(clock.advance(30)).toBe(4)
    expect(ran).toEqual(['a@10', 'a2@15', 'b@20', 'c@20'])
    expect([clock.now(), clock.nextDue, clock.waiting]).toEqual([30, 31, 1])
  })

  test('a callback that is due at once waits for the next advance', () => {
    const clock = new ManualClock()
    let ran = false
    clock.after(0, () => (ran = true))
    expect(ran).toBe(false)
    clock.advance(0)
    expect(ran).toBe(true)
  })

  test('a standstill moves the wall alone', () => {
    const clock = new ManualClock(1_000)
    clock.after(10, () => expect.unreachable())
    clock.jump(60_000)
    expect([clock.now(), clock.wall(), clock.wall(5)]).toEqual([0, 61_000, 61_005])
  })
})

describe('FakeHost', () => {
  test('lives by its script', () => {
    const clock = new ManualClock()
    const host = new FakeHost(clock, { startAfterMs: 100 })
    const told: string[] = []
    host.listen((fact) => void told.push(`${clock.now()} ${fact.type} ${fact.runner}`))
    host.script('deaf', { stopAfterMs: null }).script('brief', { crashAfterMs: 50 })
    for (const runner of ['usual', 'deaf', 'brief']) host.provision(order(runner))
    clock.advance(1_000)
    expect(host.live).toEqual(['usual', 'deaf'])
    host.stop('deaf', 1)
    clock.advance(1_000)
    host.kill('deaf', 1)
    clock.advance(0)
    host.crash('usual')
    expect(told).toEqual([
      '0 process.started deaf',
      '0 process.started brief',
      '50 process.exited brief',
      '100 process.started usual',
      '2000 process.exited deaf',
      '2000 process.exited usual',
    ])
  })
})

test('FakeProber gives one answer per probe, the last one from then on', () => {
  const clock = new ManualClock()
  const prober = new FakeProber(clock).answer(
    'a',
    'regular',
    { result: 'failed' },
    {},
    { result: 'errored' },
  )
  const told: string[] = []
  for (let probe = 1; probe <= 4; probe++) {
    const asked: ProbeOrder = {
      runner: 'a',
      incarnation: 1,
      probe,
      kind: 'regular',
      url: 'http://x',
      method: 'GET',
      path: '/',
      timeoutMs: 9,
    }
    prober.probe(asked, ({ result }) => void told.push(result))
    clock.advance(1)
  }
  expect(told).toEqual(['failed', 'passed', 'errored', 'errored'])
})
