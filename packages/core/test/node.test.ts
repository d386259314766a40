/** The node's chart: the same on xstate as in the table, every state is reached, and each has a way out. */
import { describe, expect, test } from 'vitest'
import { compile } from '../src/compile.ts'
import { nodeMachine, nodeStates, type NodeVerdict, type Remedy } from '../src/node.ts'
import { resolveNodePolicy } from '../src/node-policy.ts'
import { equal } from './equality.ts'

const policy = resolveNodePolicy()
const at = 1_000
const remedies: readonly Remedy[] = ['hold', 'keep', 'wait', 'check', 'reset', 'reboot', 'escalate']
const events: readonly NodeVerdict[] = [
  { type: 'doubt.raised', at },
  { type: 'doubt.cleared', at },
  { type: 'cordon.granted', at, by: 'throttle.hw', held: false },
  { type: 'cordon.granted', at, by: 'ann', held: true },
  { type: 'drain.granted', at },
  ...remedies.flatMap((remedy) =>
    [true, false].map((clear): NodeVerdict => ({
      type: 'remedy.chosen',
      remedy,
      clear,
      device: 'GPU-1',
      at,
    })),
  ),
  { type: 'proof.complete', at },
  { type: 'proof.broken', at },
  { type: 'uncordon.ordered', at, sound: true },
  { type: 'uncordon.ordered', at, sound: false },
  { type: 'escalation.ordered', at },
  { type: 'retirement.ordered', at },
]
const table = compile(nodeMachine)

describe('the chart of a node', () => {
  test('is the same on xstate and in the table, on every edge', () => {
    const walk = equal(nodeMachine, [{ policy }], events)
    expect(walk.cut).toBe(false)
    expect(walk.words).toEqual(new Set(table.configurations.map(({ word }) => word)))
    for (const guard of ['occupied', 'remedyIs', 'sound', 'held'])
      expect(walk.looked).toContain(guard)
  })

  test('shows every state of the API, and no other', () => {
    expect(new Set(table.configurations.map(({ meta }) => meta.state))).toEqual(new Set(nodeStates))
  })

  test('every state has a way back to healthy', () => {
    const reaches = (word: string): Set<string> => {
      const seen = new Set([word])
      const queue = [word]
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        const configuration = table.find(next)
        const { context } = table.start({ policy })
        const all =
          configuration.after === null
            ? events
            : [...events, { type: configuration.after as `xstate.after.${string}`, at }]
        for (const event of all)
          for (const held of [true, false]) {
            const to = table.step(configuration, { ...context, held }, event).configuration.word
            if (!seen.has(to)) queue.push(to)
            seen.add(to)
          }
      }
      return seen
    }
    for (const { word } of table.configurations) expect(reaches(word)).toContain('healthy')
  })

  test('a drain never begins without a cordon', () => {
    const { configuration, context } = table.start({ policy })
    for (const event of events) {
      const { word } = table.step(configuration, context, event).configuration
      expect(['draining', 'waiting', 'parked', 'resetting', 'rebooting']).not.toContain(word)
    }
  })

  test.for([
    ['draining', 660_000],
    ['waiting', 86_400_000],
    ['resetting', 150_000],
    ['rebooting', 1_530_000],
    ['validating', 1_830_000],
    ['proving', 60_000],
  ] as const)('%s ends by itself after %i ms', ([word, expected]) => {
    const from: Record<string, readonly NodeVerdict[]> = {
      draining: [],
      waiting: [{ type: 'remedy.chosen', remedy: 'wait', clear: true, device: null, at }],
      resetting: [{ type: 'remedy.chosen', remedy: 'reset', clear: true, device: null, at }],
      rebooting: [{ type: 'remedy.chosen', remedy: 'reboot', clear: true, device: null, at }],
      validating: [{ type: 'remedy.chosen', remedy: 'check', clear: true, device: null, at }],
      proving: [
        { type: 'remedy.chosen', remedy: 'check', clear: true, device: null, at },
        { type: 'proof.complete', at },
      ],
    }
    let step: {
      configuration: ReturnType<typeof table.find>
      context: ReturnType<typeof table.start>['context']
      delay: number
    } = table.start({ policy })
    for (const event of [
      { type: 'cordon.granted', at, by: 'xid', held: false } as const,
      { type: 'drain.granted', at } as const,
      ...from[word]!,
    ])
      step = table.step(step.configuration, step.context, event)
    expect([step.configuration.word, step.delay]).toEqual([word, expected])
  })
})
