/** Nodes inside a fleet: who gets which device, who is blamed for an error, what people are told when an order makes no sense. */
import { describe, expect, test } from 'vitest'
import {
  createFleet,
  explain,
  nextDue,
  openOrders,
  restore,
  snapshot,
  step,
  view,
  whatIf,
  type Command,
  type Fleet,
  type HealthEvent,
  type StepResult,
} from '../src/index.ts'

/** A fleet, its time, and what it was told. */
class Stage {
  fleet: Fleet = createFleet({}, { seed: 7 })
  at = 0
  readonly events: HealthEvent[] = []
  readonly decisions: StepResult['decisions'][number][] = []
  readonly commands: Command[] = []

  tell(fact: object): StepResult {
    const event = { ...fact, at: this.at } as HealthEvent
    const result = step(this.fleet, event)
    if (result.seq > 0) this.events.push({ ...event, seq: result.seq })
    this.decisions.push(...result.decisions)
    this.commands.push(...result.commands)
    return result
  }

  node(more: object = {}): StepResult {
    return this.tell({
      type: 'node.configured',
      node: 'local',
      devices: [],
      canReset: true,
      canReboot: true,
      canValidate: false,
      boot: 'b1',
      ...more,
    })
  }

  sample(...temperatures: number[]): StepResult {
    const devices = temperatures.map((temperatureC, index) => ({
      uuid: `GPU-${index}`,
      index,
      temperatureC,
    }))
    return this.tell({ type: 'gpu.sampled', node: 'local', devices })
  }

  app(concurrency: number, more: object = {}): StepResult {
    return this.tell({
      type: 'app.configured',
      app: 'a/b',
      options: { devices: 1, minConcurrency: concurrency, maxConcurrency: 4, ...more },
      policy: {},
      revision: '1',
    })
  }

  /** Starts every runner that was ordered and has not been started. */
  start(): string[] {
    const begun: string[] = []
    for (const order of this.commands.splice(0)) {
      if (order.type !== 'provision') continue
      const life = { runner: order.runner, incarnation: order.incarnation }
      this.tell({
        type: 'process.started',
        ...life,
        pid: 1000 + begun.length,
        url: 'http://127.0.0.1:1',
      })
      this.tell({ type: 'port.opened', ...life, latencyMs: 1 })
      begun.push(order.runner)
    }
    return begun
  }

  devices(): (string | null)[] {
    return this.fleet.nodes.view('local')!.devices.map(({ runner }) => runner)
  }

  xid(xid: number, sequence: number, device = 'GPU-0'): StepResult {
    return this.tell({
      type: 'gpu.xid',
      node: 'local',
      device,
      xid,
      text: '',
      boot: 'b1',
      sequence,
    })
  }

  exit(runner: string): StepResult {
    return this.tell({ type: 'process.exited', runner, incarnation: 1, code: 0, signal: null })
  }
}

const reasonOf = (stage: Stage, runner: string): string | null =>
  view(stage.fleet, runner)?.reason ?? null

describe('devices', () => {
  test('a start waits until a device is known, and gets it with the first sample', () => {
    const stage = new Stage()
    stage.node()
    stage.app(1)
    expect(stage.start()).toEqual([])
    stage.at = 500
    stage.sample(40)
    const [runner] = stage.start()
    expect(stage.devices()).toEqual([runner])
  })

  test.for([
    ['no_capacity', { at: 20_000, type: 'time.passed' }],
    ['bad_config', { at: 5_000, type: 'order.start', app: 'a/b', by: 'me' }],
  ] as const)(
    'a start that the host refused (%s) gives its device back, and gets one again',
    ([why, { at, ...again }]) => {
      const stage = new Stage()
      stage.node()
      stage.sample(40)
      stage.app(1)
      const refused = stage.commands.find(({ type }) => type === 'provision')!
      if (refused.type !== 'provision') throw new Error('nothing was started')
      stage.commands.length = 0
      const life = { runner: refused.runner, incarnation: 1 }
      stage.tell({ type: 'provision.refused', ...life, why, detail: 'not now' })
      expect(stage.devices()).toEqual([null])
      stage.at = at
      stage.tell(again)
      const [runner] = stage.start()
      expect([runner, stage.devices()]).toEqual([refused.runner, [refused.runner]])
      // Nothing of it ever ran before: an error of that moment is nobody's.
      expect(stage.fleet.nodes.errorsOf(refused.runner)).toEqual([])
    },
  )

  test('one device is one runner; the next start gets it the moment that it is free', () => {
    const stage = new Stage()
    stage.node()
    stage.sample(40)
    stage.app(2)
    const [first, ...others] = stage.start()
    expect(others).toEqual([])
    stage.at = 1000
    stage.tell({ type: 'order.kill', runner: first, by: 'me', inFlight: 0 })
    stage.exit(first!)
    const [second] = stage.start()
    expect(second).not.toBe(first)
    expect(stage.devices()).toEqual([second])
  })
})

describe('an error is its runner’s', () => {
  function two(): { stage: Stage; first: string; second: string } {
    const stage = new Stage()
    stage.node()
    stage.sample(40)
    stage.app(1)
    const [first] = stage.start()
    stage.at = 20_000
    stage.tell({
      type: 'attempt.ended',
      app: 'a/b',
      request: 'r1',
      runner: first,
      incarnation: 1,
      mode: 'run',
      attempt: 1,
      outcome: 'server_error',
      status: 503,
      inFlight: 0,
    })
    stage.exit(first!)
    const [second] = stage.start()
    return { stage, first: first!, second: second! }
  }

  test('an application error that is told right after the runner had left does not end its successor', () => {
    const { stage, first, second } = two()
    stage.at += 500
    stage.xid(31, 1)
    expect(reasonOf(stage, second)).toBeNull()
    expect(stage.fleet.nodes.errorsOf(first)).toMatchObject([{ xid: 31, device: 'GPU-0' }])
    expect(stage.fleet.nodes.errorsOf(second)).toEqual([])
  })

  test('one that comes later is the successor’s, and the device’s: two runners, one error', () => {
    const { stage, second } = two()
    stage.at += 500
    stage.xid(31, 1)
    stage.at += 2_001
    stage.xid(31, 2)
    expect(reasonOf(stage, second)).toBe('device_fault')
    expect(stage.fleet.nodes.view('local')?.state).not.toBe('healthy')
  })

  test('the explanation of the 503 shows the Xid of the same moment', () => {
    const { stage, first } = two()
    stage.at += 500
    stage.xid(31, 1)
    const seqs = stage.fleet.nodes.errorsOf(first).map(({ seq }) => seq)
    const beside = stage.events.filter(({ seq }) => seqs.includes(seq!))
    const subject = { kind: 'runner', id: first } as const
    const found = explain({ events: stage.events, decisions: stage.decisions, beside }, subject)
    expect(found?.decision.rule).toBe('outcome.server_error')
    expect(found?.chain.map(({ type }) => type)).toContain('gpu.xid')
    const late = beside.map((event) => ({ ...event, at: event.at + 30_001 }))
    expect(
      explain(
        { events: stage.events, decisions: stage.decisions, beside: late },
        subject,
      )?.chain.map(({ type }) => type),
    ).not.toContain('gpu.xid')
  })
})

describe('a node is drained', () => {
  test('its runners serve until their successors do, elsewhere', () => {
    const stage = new Stage()
    stage.node()
    stage.sample(40)
    stage.node({ node: 'other', devices: ['GPU-9'] })
    stage.tell({ type: 'gpu.sampled', node: 'other', devices: [{ uuid: 'GPU-9', index: 0 }] })
    stage.app(1)
    const [first] = stage.start()
    const { node } = view(stage.fleet, first!)!
    stage.tell({ type: 'order.drain-node', node, by: 'me' })
    const { commands } = stage.tell({ type: 'time.passed' })
    expect([view(stage.fleet, first!)!.substate, commands]).toEqual(['idle', []])
    const [second] = stage.start()
    expect(view(stage.fleet, second!)).toMatchObject({ substate: 'idle', replaces: first })
    expect(view(stage.fleet, first!)!.accepting).toBe(false)
  })

  test.for([
    { given: 'nobody says anything else', order: null },
    { given: 'somebody orders a drain with a successor', order: { replace: true } },
  ])(
    'its runners end within drainTimeoutSeconds, whether or not a successor came: $given',
    ({ order }) => {
      const stage = new Stage()
      stage.node()
      stage.sample(40)
      stage.app(1)
      const [runner] = stage.start()
      stage.at = 1000
      stage.tell({
        type: 'traffic.counted',
        app: 'a/b',
        runners: [runner],
        started: [1],
        ended: [0],
        served: [0],
        inFlight: [1],
        waiting: 0,
        queued: 0,
      })
      stage.xid(79, 1)
      expect(stage.fleet.nodes.view('local')!.state).toBe('draining')
      if (order !== null)
        stage.tell({ type: 'order.drain', runner, by: 'me', inFlight: 1, ...order })
      const ended: string[] = []
      while (stage.at < 400_000) {
        stage.at = Math.max(stage.at, nextDue(stage.fleet))
        const { decisions } = stage.tell({ type: 'time.passed' })
        for (const { subject, to } of decisions)
          if (subject.id === runner) ended.push(`${stage.at / 1000} s ${to}`)
        if (nextDue(stage.fleet) === Number.POSITIVE_INFINITY) break
      }
      expect(ended.slice(0, 2)).toEqual(['301 s stopping', '306 s killing'])
      expect(reasonOf(stage, runner!)).toBe('node_drained')
      // The same option is the node's deadline: no shadow of a runner can tell.
      stage.sample(40)
      const recording = { start: null, policy: {}, seed: 7, events: stage.events }
      expect(() => whatIf(recording, { drainTimeoutSeconds: 10 })).toThrow(
        expect.objectContaining({ code: 'HEALTH_REPLAY_REFUSED', path: 'drainTimeoutSeconds' }),
      )
    },
  )
})

describe('what nodes are judged by', () => {
  test('is what the configuration told last, over a restart too; people’s orders go before it', () => {
    const stage = new Stage()
    expect(stage.fleet.nodePolicy.tempHighC).toBe(85)
    stage.node({ policy: { tempHighC: 70, xid: { 31: 'record' } } })
    expect(stage.fleet.nodePolicy).toMatchObject({ tempHighC: 70, xid: { 31: 'record' } })
    const again = restore(JSON.parse(JSON.stringify(snapshot(stage.fleet))))
    expect(again.nodePolicy).toEqual(stage.fleet.nodePolicy)
    stage.tell({ type: 'policy.changed', app: null, change: { tempHighC: 60 }, by: 'me' })
    expect(stage.fleet.nodePolicy.tempHighC).toBe(60)
    stage.tell({ type: 'policy.changed', app: null, change: { tempHighC: null }, by: 'me' })
    expect(stage.fleet.nodePolicy.tempHighC).toBe(70)
    stage.node({ policy: {} })
    expect(stage.fleet.nodePolicy).toMatchObject({ tempHighC: 85, xid: {} })
  })

  test('a value out of range is refused before anything moves', () => {
    const stage = new Stage()
    stage.at = 5
    expect(() => stage.node({ policy: { tempHighC: 1000 } })).toThrow(/policy.tempHighC is 1000/)
    expect(() =>
      stage.tell({
        type: 'policy.changed',
        app: null,
        change: { xid: { 79: 'restart' } },
        by: 'me',
      }),
    ).toThrow(/gpu.xid.79 is "restart"/)
    expect(stage.fleet.now).toBe(0)
  })
})

describe('orders', () => {
  test.for([
    [{ type: 'order.uncordon', node: 'local', by: 'me' }, 'node local is in service'],
    [{ type: 'order.cordon', node: 'x', by: 'me' }, 'there is no node x'],
    [{ type: 'order.close-breaker', by: 'me' }, 'the breaker is closed'],
  ] as const)('%j is dismissed with a sentence', ([fact, sentence]) => {
    const stage = new Stage()
    stage.tell({ type: 'clock.resumed', gapMs: 1, wall: 1 })
    const { seq } = stage.fleet
    expect(stage.tell(fact)).toEqual({ seq: 0, commands: [], decisions: [], dismissed: sentence })
    expect(stage.fleet.seq).toBe(seq)
  })

  test('a remedy that waits for an answer is an open order after a restart, with the same id', () => {
    const stage = new Stage()
    stage.node()
    stage.sample(40)
    const { commands } = stage.tell({ type: 'order.reset', node: 'local', by: 'me' })
    const reset = commands.find(({ type }) => type === 'reset')!
    const again = restore(JSON.parse(JSON.stringify(snapshot(stage.fleet))))
    expect(openOrders(again)).toEqual([reset])
    stage.tell({
      type: 'node.reset.ended',
      node: 'local',
      device: 'GPU-0',
      passed: true,
      detail: '',
      answers: reset.id,
    })
    // The check is for the device that was reset, whatever runs on the others.
    expect(openOrders(stage.fleet)).toMatchObject([{ type: 'validate', device: 'GPU-0' }])
  })
})
