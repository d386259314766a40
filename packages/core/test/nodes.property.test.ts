/** What must hold whatever happens: a snapshot changes nothing, the breaker's bound holds, two actions never share a node. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Command } from '../src/command.ts'
import { resolveNodePolicy } from '../src/node-policy.ts'
import type { NodeEvent } from '../src/node-event.ts'
import { Nodes, type NodeEffect, type NodesStep } from '../src/nodes.ts'

const policy = resolveNodePolicy({
  drainTimeoutSeconds: 20,
  healthyDelaySeconds: 10,
  throttleHwWindowSeconds: 30,
  nodeResetTimeoutSeconds: 20,
  nodeRebootTimeoutSeconds: 60,
  nodeValidateTimeoutSeconds: 60,
  remapPendingWaitSeconds: 120,
  throttleHwWaitSeconds: 300,
})
const names = ['a', 'b', 'c', 'd'] as const

/** One move of the world: a fact, time, or runners that come and go. */
type Move =
  | { readonly kind: 'fact'; readonly wait: number; readonly event: Record<string, unknown> }
  | { readonly kind: 'place'; readonly wait: number; readonly devices: number }
  | { readonly kind: 'gone'; readonly wait: number; readonly which: number }

const node = fc.constantFrom(...names)
const wait = fc.constantFrom(0, 1, 500, 5_000, 10_000, 10_000, 10_000, 31_000, 200_000)
const device = fc
  .tuple(node, fc.integer({ min: 0, max: 1 }))
  .map(([name, index]) => `${name}-${index}`)
const reading = fc.record(
  {
    temperatureC: fc.constantFrom(50, 86, 92),
    throttle: fc.constantFrom(0, 0x20, 0x40),
    eccVolatileUncorrected: fc.integer({ min: 0, max: 2 }),
    rowRemapPending: fc.boolean(),
    rowRemapFailed: fc.constant(false),
    recoveryAction: fc.constantFrom('none', 'none', 'reset', 'reboot', 'drain_reset'),
  },
  { requiredKeys: [] },
)
const event = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('gpu.sampled'),
      node,
      readings: fc.tuple(reading, reading),
      count: fc.constantFrom(2, 2, 2, 1),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('gpu.xid'),
      device,
      xid: fc.constantFrom(13, 31, 48, 63, 64, 74, 79, 999),
      text: fc.constantFrom('', 'fatal'),
      boot: fc.constant('b'),
      sequence: fc.integer({ min: 0, max: 50 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('gpu.lost'), device, detail: fc.constant('') }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constantFrom('source.failed', 'source.recovered'),
      node,
      source: fc.constant('s'),
      why: fc.constantFrom('hung', 'unkillable'),
      detail: fc.constant(''),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom('node.reset.ended', 'node.reboot.ended', 'node.validate.ended'),
      node,
      passed: fc.boolean(),
      detail: fc.constant(''),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom(
        'order.cordon',
        'order.uncordon',
        'order.drain-node',
        'order.reset',
        'order.reboot',
        'order.escalate',
        'order.retire',
      ),
      node,
      by: fc.constant('ann'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('order.close-breaker'), by: fc.constant('ann') }),
  },
)
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('fact' as const), wait, event }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('place' as const),
      wait,
      devices: fc.integer({ min: 0, max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('gone' as const), wait, which: fc.nat() }),
  },
)

class Life {
  nodes: Nodes = new Nodes({ seed: 1 })
  at = 0
  seq = 0
  runners: string[] = []
  steps: NodesStep[] = []
  #decided = 0
  readonly env = { policy, nextDecision: () => ++this.#decided }

  constructor() {
    for (const name of names)
      this.step({
        type: 'node.configured',
        node: name,
        devices: [`${name}-0`, `${name}-1`],
        canReset: name !== 'c',
        canReboot: name !== 'd',
        canValidate: name === 'b',
        boot: 'b',
      })
  }

  step(event: Record<string, unknown>): void {
    this.steps.push(
      this.nodes.step({ ...event, at: this.at, seq: ++this.seq } as unknown as NodeEvent, this.env),
    )
  }

  move(move: Move): void {
    this.at += move.wait
    if (move.kind === 'fact') this.step(told(move.event))
    else if (move.kind === 'place') {
      this.steps.push(this.nodes.elapse(this.at, this.env))
      const place = this.nodes.place(move.devices, this.at, policy)
      if (place === null) return
      const runner = `r${++this.seq}`
      this.nodes.occupy(runner, place)
      this.runners.push(runner)
    } else if (this.runners.length > 0) {
      const [runner] = this.runners.splice(move.which % this.runners.length, 1)
      this.steps.push(this.nodes.vacate(runner!, this.at, this.env))
    }
  }
}

function told(event: Record<string, unknown>): Record<string, unknown> {
  const { readings, count, ...rest } = event
  if (rest.type === 'gpu.sampled')
    return {
      ...rest,
      devices: (readings as object[])
        .slice(0, count as number)
        .map((values, i) => ({ uuid: `${String(rest.node)}-${i}`, index: i, ...values })),
    }
  return typeof rest.device === 'string' && rest.node === undefined
    ? { ...rest, node: rest.device[0] }
    : rest
}

test('a snapshot taken anywhere, saved as JSON and restored, changes nothing afterwards', () => {
  fc.assert(
    fc.property(
      fc.array(move, { minLength: 1, maxLength: 60, size: 'max' }),
      fc.nat(),
      (moves, where) => {
        const [lived, restored] = [new Life(), new Life()]
        const both = (next: Move): void => {
          lived.move(next)
          restored.move(next)
          expect(restored.steps.at(-1)).toEqual(lived.steps.at(-1))
        }
        const cut = where % moves.length
        for (const next of moves.slice(0, cut)) both(next)
        const saved = JSON.stringify(restored.nodes.snapshot())
        restored.nodes = Nodes.restore(JSON.parse(saved), { seed: 1 })
        expect(JSON.stringify(restored.nodes.snapshot())).toBe(saved)
        expect(restored.nodes.nextDue()).toBe(lived.nodes.nextDue())
        for (const next of moves.slice(cut)) both(next)
        expect(restored.nodes.snapshot()).toEqual(lived.nodes.snapshot())
        expect(restored.nodes.nextDue()).toBe(lived.nodes.nextDue())
      },
    ),
    { numRuns: 150 },
  )
})

/** Where each state may be entered from. */
const ways: Readonly<Record<string, readonly string[]>> = {
  draining: ['cordoned', 'resetting', 'rebooting', 'validating'],
  resetting: ['draining', 'resetting', 'rebooting', 'validating'],
  rebooting: ['draining', 'resetting', 'rebooting', 'validating'],
  healthy: ['suspect', 'cordoned', 'draining', 'validating', 'healthy'],
}

/** What is wrong with a step; nothing, when all is well. */
function wrongs(life: Life, { decisions, effects }: NodesStep): string[] {
  const illegal = decisions.filter(
    ({ from, to, enforced, because }) =>
      !(ways[to] ?? [from]).includes(from) || enforced !== (because === null),
  )
  const stray = effects.filter(
    (effect: NodeEffect) =>
      effect.type === 'runner.drain' && life.nodes.homeOf(effect.runner) === null,
  )
  return [...illegal, ...stray].map((wrong) => JSON.stringify(wrong))
}

const acts: ReadonlySet<Command['type']> = new Set(['reset', 'reboot', 'validate'])

test('no drain without a cordon, orders are given once, and rules keep to the bound', () => {
  fc.assert(
    fc.property(fc.array(move, { minLength: 1, maxLength: 120, size: 'max' }), (moves) => {
      const life = new Life()
      // Who brings a retired node back brings it back cordoned, and orders are not limited: others may be out by then.
      const wasRetired = new Set<string>()
      for (const next of moves) {
        const before = life.steps.length
        life.move(next)
        for (const step of life.steps.slice(before)) expect(wrongs(life, step)).toEqual([])
        const views = names.map((name) => life.nodes.view(name)!)
        for (const { id, state } of views) {
          if (state === 'retired') wasRetired.add(id)
          else if (state === 'healthy' || state === 'suspect') wasRetired.delete(id)
        }
        const out = views.filter(({ state }) => !['healthy', 'suspect', 'retired'].includes(state))
        const byRule = out.filter(
          ({ id, cordonedBy }) => cordonedBy !== 'ann' && !wasRetired.has(id),
        )
        expect(byRule.length).toBeLessThanOrEqual(1)
        for (const { state, cordonedBy } of views)
          expect(cordonedBy === null).toBe(state === 'healthy' || state === 'suspect')
      }
      const ids = life.steps.flatMap(({ commands }) => commands.map(({ id }) => id))
      expect(new Set(ids).size).toBe(ids.length)
    }),
    { numRuns: 150 },
  )
})

test('an order to act is given only when the one before was answered or given up', () => {
  fc.assert(
    fc.property(fc.array(move, { minLength: 1, maxLength: 120, size: 'max' }), (moves) => {
      const life = new Life()
      const states = new Map<string, string>()
      for (const next of moves) {
        const before = life.steps.length
        life.move(next)
        for (const { commands, decisions } of life.steps.slice(before)) {
          const orders = commands.filter(({ type }) => acts.has(type)).map(({ id }) => id)
          const told = decisions
            .flatMap(({ commands: ids }) => ids)
            .filter((id) => orders.includes(id))
          // Every order to act belongs to a decision that entered the state in which it is carried out.
          expect(told).toEqual(orders)
          for (const { subject, to } of decisions) states.set(subject.id, to)
        }
        for (const [name, state] of states) expect(life.nodes.view(name)?.state).toBe(state)
      }
    }),
    { numRuns: 100 },
  )
})

test('the same facts give the same commands', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60, size: 'max' }), (moves) => {
      const [one, other] = [new Life(), new Life()]
      for (const next of moves) {
        one.move(next)
        other.move(next)
      }
      expect(JSON.stringify(one.steps)).toBe(JSON.stringify(other.steps))
    }),
    { numRuns: 50 },
  )
})

test('silence of telemetry alone never takes a runner or a node', () => {
  const life = new Life()
  life.move({ kind: 'place', wait: 0, devices: 1 })
  life.step({
    type: 'gpu.sampled',
    node: 'a',
    devices: [{ uuid: 'a-0', temperatureC: 90 }, { uuid: 'a-1' }],
  })
  life.at = 1e9
  life.steps.push(life.nodes.elapse(life.at, life.env))
  const effects = life.steps.flatMap((each) => each.effects)
  expect(effects.filter(({ type }) => type !== 'node.grew')).toEqual([])
  expect(life.steps.flatMap(({ decisions }) => decisions)).toEqual([])
})

test('what is not a snapshot is refused by name', () => {
  for (const wrong of [null, {}, { format: 2, nodes: [] }, { format: 1, nodes: [] }])
    expect(() => Nodes.restore(wrong)).toThrow(
      expect.objectContaining({ code: 'HEALTH_SNAPSHOT_FORMAT' }),
    )
  const { nodes, ...rest } = new Nodes().snapshot() as { nodes: object[] }
  expect(() => Nodes.restore({ ...rest, nodes: [{ ...nodes[0], word: 'unheard' }] })).toThrow(
    /unheard/,
  )
})
