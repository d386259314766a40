/** What a table promises at its door, beyond being equal to xstate; every row holds for both implementations. */
import { assign, createMachine, setup, type AnyStateMachine } from 'xstate'
import { describe, expect, test } from 'vitest'
import { compile } from '../src/compile.ts'
import { interpret } from '../src/interpret.ts'
import type { Performance } from '../src/table.ts'
import { kilnMachine, type KilnContext } from './sample-machine.ts'

const fresh: KilnContext = { limit: 3, heat: 0, loads: [], last: null }

describe.for([
  { by: 'compile', load: compile },
  { by: 'interpret', load: interpret },
])('$by', ({ load }) => {
  const table = load(kilnMachine)
  const find = (word: string) => table.find(word)

  test('configurations are numbered as they are discovered, by words', () => {
    expect(table.configurations.map(({ index }) => index)).toEqual(
      table.configurations.map((_, i) => i),
    )
    const words = table.configurations.map(({ word }) => word)
    expect(words.slice(0, 5)).toEqual(['cold', 'ruined', 'low', 'low+shut', 'high+shut'])
    expect(words).toHaveLength(28)
    expect(load(kilnMachine).configurations).toEqual(table.configurations)
  })

  test('a configuration knows its states, metas, deadline and value', () => {
    expect(find('high+shut+wild+left')).toEqual({
      index: expect.any(Number),
      word: 'high+shut+wild+left',
      value: {
        burning: { door: 'shut', fire: { high: 'wild' }, gauges: { left: 'on', right: 'off' } },
      },
      states: new Set([
        'burning',
        'door',
        'shut',
        'fire',
        'high',
        'wild',
        'gauges',
        'left',
        'on',
        'right',
        'off',
      ]),
      // The deepest colour wins: `high`, over `gauges`, which is written later. `shut` is as deep, but written earlier.
      meta: { word: '+left', colour: 'white' },
      after: 'xstate.after.cooling.kiln.burning.door.shut',
      final: false,
    })
    expect(find('cold')).toMatchObject({
      meta: { word: 'cold', colour: 'grey' },
      after: 'xstate.after.1000.kiln.cold',
    })
    expect(find('high')).toMatchObject({ after: null, final: false })
  })

  test('a context has the keys that the machine gives it, in that order, whatever the inputs before had', () => {
    const open = load(
      createMachine({
        context: ({ input }) => ({ ...(input as object), heat: 0 }),
        initial: 'cold',
        states: { cold: { meta: { word: 'cold' } } },
      }),
    )
    const inputs = [
      { limit: 3 },
      { name: 'a', limit: 4 },
      { limit: 5, name: 'b' },
      {},
      { limit: 6 },
    ]
    const contexts = inputs.map((input) => open.start(input).context)
    expect(contexts.map((context) => JSON.stringify(context))).toEqual(
      inputs.map((input) => JSON.stringify({ ...input, heat: 0 })),
    )
  })

  test('only what ends the machine is final', () => {
    expect(table.configurations.filter(({ final }) => final).map(({ word }) => word)).toEqual([
      'ruined',
    ])
    expect(table.decide(find('ruined'), fresh, { type: 'broken' })).toBeNull()
  })

  test('a word that does not exist is a broken snapshot', () => {
    expect(() => find('lukewarm')).toThrow(
      expect.objectContaining({
        code: 'HEALTH_SNAPSHOT_FORMAT',
        message: expect.stringContaining("'lukewarm'"),
      }),
    )
  })

  test('start performs the entry and arms the first deadline', () => {
    const started = table.start({ limit: 4 })
    expect(started).toEqual({
      configuration: find('cold'),
      context: { limit: 4, heat: 0, loads: [], last: null },
      effects: [],
      delay: 1000,
    })
    expect(table.start({ limit: 4 }).context).not.toBe(started.context)
  })

  test('a plan names the rule, the way and every guard that was asked', () => {
    const plan = table.decide(find('cold'), { ...fresh, heat: 1 }, { type: 'lit' })
    expect(plan).toMatchObject({
      rule: null,
      enforced: true,
      looked: ['never', 'atLeast'],
      assigns: true,
    })
    expect(plan?.next.word).toBe('low+shut')
    expect(table.decide(find('cold'), { ...fresh, heat: 2 }, { type: 'lit' })).toMatchObject({
      next: { word: 'low' },
      rule: 'cold.warm',
      looked: ['never', 'atLeast'],
    })
    expect(table.decide(find('low+shut'), { ...fresh, heat: 3 }, { type: 'pushed' })).toMatchObject(
      {
        next: { word: 'high+shut' },
        rule: 'door.stuck',
        enforced: false,
        looked: ['hot', 'hot'],
      },
    )
  })

  test('a region that stays out is not looked at; refusals within what was taken are', () => {
    // door: heavy holds; fire: never refuses and stays out.
    expect(table.decide(find('low'), fresh, { type: 'loaded', weight: 20 })?.looked).toEqual([
      'heavy',
    ])
    // Both refuse, the state around them takes it.
    expect(
      table.decide(find('low'), { ...fresh, heat: 3 }, { type: 'loaded', weight: 1 })?.looked,
    ).toEqual(['heavy', 'never', 'atLeast'])
    expect(table.decide(find('low'), fresh, { type: 'loaded', weight: 1 })).toBeNull()
  })

  test('of two ways that conflict the first region wins, and only its rule is told', () => {
    const hot = { ...fresh, heat: 3 }
    expect(table.decide(find('high+shut+wild'), hot, { type: 'ended' })).toMatchObject({
      next: { word: 'high+wild' },
      rule: null,
    })
    expect(table.decide(find('high+shut+wild'), fresh, { type: 'ended' })).toMatchObject({
      next: { word: 'spent' },
      rule: 'fire.ended',
    })
  })

  test.for([
    { given: 'an event nobody knows', from: 'high', event: { type: 'heated', by: 1 } },
    { given: 'a guard that refuses', from: 'low', event: { type: 'cooled', by: 1 } },
    { given: 'a transition that does nothing', from: 'cold', event: { type: 'noted' } },
    {
      given: 'a deadline of another state',
      from: 'cold',
      event: { type: 'xstate.after.pause.spent' },
    },
  ] as const)('$given changes nothing', ({ from, event }) => {
    const context = { ...fresh }
    expect(table.decide(find(from), context, event)).toBeNull()
    const step = table.step(find(from), context, event)
    expect(step).toEqual({
      configuration: find(from),
      context,
      effects: [],
      delay: NaN,
      cleared: false,
      plan: null,
    })
    expect(step.context).toBe(context)
  })

  test('a rule alone is a verdict, though nothing moves', () => {
    const context = { ...fresh, heat: 3 }
    const step = table.step(find('cold'), context, { type: 'noted' })
    expect(step.plan).toMatchObject({
      next: find('cold'),
      rule: 'cold.noted',
      enforced: false,
      assigns: false,
      looked: ['hot'],
    })
    expect(step.context).toBe(context)
  })

  test('an expired deadline is an event; the delay is computed from the context on entry', () => {
    const shut = table.step(find('low'), { ...fresh, heat: 2 }, { type: 'pushed' })
    expect(shut).toMatchObject({ configuration: { word: 'low+shut' }, delay: 102, cleared: false })
    const expired = table.step(shut.configuration, shut.context, {
      type: 'xstate.after.cooling.kiln.burning.door.shut',
    })
    expect(expired).toMatchObject({ configuration: { word: 'low' }, delay: NaN, cleared: true })
  })

  test('reentering leaves the deadline and arms it again', () => {
    expect(table.step(find('cold'), fresh, { type: 'relit' })).toMatchObject({
      delay: 1000,
      cleared: true,
    })
  })

  test('step leaves the given context alone, perform writes into it', () => {
    const context = Object.freeze({ ...fresh })
    const surged = { limit: 3, heat: 5, loads: [0], last: null }
    expect(table.step(find('cold'), context, { type: 'lit' }).context).toEqual(surged)
    const own = { ...fresh }
    const on: Performance<KilnContext, Parameters<typeof table.decide>[2]> = {
      context: own,
      event: { type: 'lit' },
      effects: [{ type: 'stale', params: null }],
      delay: 7,
      cleared: false,
    }
    const { effects } = on
    table.perform(table.decide(find('cold'), own, on.event)!, on)
    expect(on).toEqual({
      context: surged,
      event: { type: 'lit' },
      effects: [{ type: 'report', params: { heat: 5 } }],
      delay: 105,
      cleared: true,
    })
    expect([on.context === own, on.effects === effects]).toEqual([true, true])
  })

  test('a plan is carried out as decided, whatever its guards would say by now', () => {
    const plan = table.decide(find('low'), { ...fresh, heat: 3 }, { type: 'pushed' })!
    const on = {
      context: { ...fresh },
      event: { type: 'pushed' } as const,
      effects: [],
      delay: NaN,
      cleared: false,
    }
    table.perform(plan, on)
    expect(plan.next.word).toBe('high+shut')
    expect(on.context).toMatchObject({ heat: 5, loads: [0] })
  })

  test('a machine without input starts every time from its own context', () => {
    const counter = setup({
      types: { context: {} as { n: number }, events: {} as { type: 'more' } },
      actions: { more: assign({ n: ({ context }) => context.n + 1 }) },
    }).createMachine({
      id: 'counter',
      context: { n: 0 },
      initial: 'on',
      states: { on: { meta: { word: 'on' }, on: { more: { actions: 'more' } } } },
    })
    const counting = load(counter)
    const first = counting.start(undefined)
    const on = {
      context: first.context,
      event: { type: 'more' } as const,
      effects: [],
      delay: NaN,
      cleared: false,
    }
    counting.perform(counting.decide(first.configuration, first.context, on.event)!, on)
    expect([first.context.n, counting.start(undefined).context.n]).toEqual([1, 0])
  })
})

/** `a` has two regions; `b`, and with the other region `c`, are where `go` may lead. */
const inRegions = (one: object, other: object, around: object = {}) => ({
  a: {
    type: 'parallel',
    ...around,
    states: {
      one: {
        initial: 'x',
        states: { x: { meta: { word: 'x' }, ...one }, y: { meta: { word: 'y' } } },
      },
      other: { initial: 'x', states: { x: other, y: { meta: { word: '+y' } } } },
    },
  },
})
const go = (transition: unknown) => ({ on: { go: transition } })

test.for([
  {
    given: 'what follows an unguarded transition',
    states: { a: { meta: { word: 'x' }, ...go(['b', 'c']) } },
    expected: ['x', 'b'],
  },
  {
    given: 'what lies around an unguarded transition',
    states: {
      a: {
        ...go('c'),
        initial: 'x',
        states: {
          x: { meta: { word: 'x' }, ...go('y') },
          y: { meta: { word: 'y' }, ...go('#m.b') },
        },
      },
    },
    expected: ['x', 'y', 'b'],
  },
  {
    given: 'what lies around two regions of which one always answers',
    states: inRegions(go('y'), {}, go('c')),
    expected: ['x', 'y', 'c'],
  },
  {
    given: 'what lies around two regions that both always answer',
    states: inRegions(go({ actions: 'beep' }), go({ actions: 'beep' }), go('c')),
    expected: ['x'],
  },
  {
    given: 'what lies two levels around two regions that both always answer',
    states: {
      a: {
        ...go('c'),
        initial: 'p',
        states: { p: inRegions(go({ actions: 'beep' }), go({ actions: 'beep' })).a },
      },
    },
    expected: ['x'],
  },
  {
    given: 'one region moving without the other, which always moves too',
    states: inRegions(go('y'), go('y')),
    expected: ['x', 'y+y'],
  },
  {
    given: 'a guard that holds in one region only',
    states: inRegions(go({ guard: 'maybe', target: 'y' }), go('y')),
    expected: ['x', 'x+y', 'y+y'],
  },
])('$given is found exactly when it can happen', ({ states, expected }) => {
  const rest = { b: { meta: { word: 'b' } }, c: { meta: { word: 'c' } } }
  const machine: AnyStateMachine = createMachine({
    id: 'm',
    initial: 'a',
    states: { ...states, ...rest },
  } as object)
  const given = machine.provide({ actions: { beep: () => {} }, guards: { maybe: () => false } })
  expect(compile(given).configurations.map(({ word }) => word)).toEqual(expected)
})

test('a deadline that is armed and left within one step is not armed', () => {
  const given = setup({ delays: { pause: 10 } }).createMachine({
    id: 'm',
    initial: 'a',
    states: {
      a: { meta: { word: 'a' }, on: { go: 'b' } },
      b: { meta: { word: 'b' }, type: 'final', after: { pause: 'a' } },
    },
  })
  for (const table of [compile(given), interpret(given)]) {
    expect(table.step(table.find('a'), {}, { type: 'go' })).toMatchObject({
      configuration: { final: true },
      delay: NaN,
      cleared: true,
    })
  }
})

test('a table gives events and contexts the types of its machine', () => {
  const table = compile(kilnMachine)
  const { configuration, context } = table.start({ limit: 1 })
  const heat: number = context.heat
  expect(heat).toBe(0)
  // @ts-expect-error the machine has no such event
  expect(table.decide(configuration, context, { type: 'melted' })).toBeNull()
})
