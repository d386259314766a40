/** Every feature that a table cannot have is refused at load, by name and state, by both implementations. */
import {
  and,
  assign,
  createMachine,
  emit,
  enqueueActions,
  raise,
  sendTo,
  setup,
  stateIn,
  type AnyStateMachine,
} from 'xstate'
import { describe, expect, test } from 'vitest'
import { compile } from '../src/compile.ts'
import { HealthError } from '../src/error.ts'
import { interpret } from '../src/interpret.ts'

const leaf = { meta: { word: 'b' } }

/** A machine `m` with the states `a` (given) and `b`. */
function machine(a: object, implementations: object = {}): AnyStateMachine {
  const config = { id: 'm', initial: 'a', states: { a: { meta: { word: 'a' }, ...a }, b: leaf } }
  return createMachine(config).provide(implementations)
}

/** A machine whose only state has two regions. */
function regions(one: object, other: object): AnyStateMachine {
  const region = (name: string, states: object) => ({
    initial: 'a',
    states: { a: { meta: { word: name } }, ...states },
  })
  const both = {
    type: 'parallel',
    states: { one: region('one', one), other: region('+other', other) },
  }
  return createMachine({
    id: 'm',
    initial: 'both',
    states: { both, out: { meta: { word: 'out' } }, away: { meta: { word: 'away' } } },
  } as object)
}

const go = (transition: unknown) => ({ on: { go: transition } })
const guards = { yes: () => true }

const rows: { feature: string; given: () => AnyStateMachine; says: RegExp }[] = [
  {
    feature: 'invoke',
    given: () => machine({ invoke: { src: 'work' } }),
    says: /^invoke in state 'm\.a'/,
  },
  { feature: 'always', given: () => machine({ always: 'b' }), says: /^always in state 'm\.a'/ },
  {
    feature: 'onDone',
    given: () => machine({ initial: 'x', states: { x: { type: 'final' } }, onDone: 'b' }),
    says: /^onDone in state 'm\.a'/,
  },
  {
    feature: 'history',
    given: () => machine({ initial: 'x', states: { x: {}, h: { type: 'history' } } }),
    says: /^history in state 'm\.a\.h'/,
  },
  {
    feature: 'history by key',
    given: () => machine({ initial: 'x', states: { x: {}, h: { history: 'deep' } } }),
    says: /^history in state 'm\.a\.h'/,
  },
  { feature: 'route', given: () => machine({ id: 'a', route: {} }), says: /^route in state 'a'/ },
  {
    feature: 'output of a state',
    given: () => machine({ initial: 'x', states: { x: { type: 'final', output: 1 } } }),
    says: /^output in state 'm\.a\.x'/,
  },
  {
    feature: 'any event',
    given: () => machine({ on: { '*': 'b' } }),
    says: /^wildcard event '\*' in state 'm\.a'/,
  },
  {
    feature: 'events of a kind',
    given: () => machine({ on: { 'probe.*': 'b' } }),
    says: /^wildcard event 'probe\.\*' in state 'm\.a'/,
  },
  {
    feature: 'an event of xstate',
    given: () => machine({ on: { 'xstate.done.state.m.a': 'b' } }),
    says: /^event 'xstate\.done\.state\.m\.a' in state 'm\.a'/,
  },
  {
    feature: 'inline guard',
    given: () => machine(go({ guard: () => true, target: 'b' })),
    says: /^inline guard in state 'm\.a'/,
  },
  {
    feature: 'inline and',
    given: () => machine(go({ guard: and(['yes']), target: 'b' }), { guards }),
    says: /^combined guard \(and, or, not, stateIn\) in state 'm\.a'/,
  },
  {
    feature: 'named and',
    given: () =>
      machine(go({ guard: 'all', target: 'b' }), { guards: { ...guards, all: and(['yes']) } }),
    says: /^combined guard 'all' .* in state 'm\.a'/,
  },
  {
    feature: 'named stateIn',
    given: () => machine(go({ guard: 'in', target: 'b' }), { guards: { in: stateIn('a') } }),
    says: /^combined guard 'in' .* in state 'm\.a'/,
  },
  {
    feature: 'guard by another name',
    given: () =>
      machine(go({ guard: 'alias', target: 'b' }), { guards: { ...guards, alias: 'yes' } }),
    says: /^combined guard 'alias' .* in state 'm\.a'/,
  },
  {
    feature: 'absent guard',
    given: () => machine(go({ guard: 'maybe', target: 'b' })),
    says: /^guard 'maybe' in state 'm\.a' .*not implemented/,
  },
  {
    feature: 'inline action',
    given: () => machine(go({ actions: () => {} })),
    says: /^inline action in state 'm\.a'/,
  },
  {
    feature: 'inline assign',
    given: () => machine({ entry: assign({ n: 1 }) }),
    says: /^inline assign in state 'm\.a'/,
  },
  {
    feature: 'inline raise',
    given: () => machine({ exit: raise({ type: 'go' }) }),
    says: /^inline raise in state 'm\.a'/,
  },
  {
    feature: 'action of the initial transition',
    given: () => machine({ initial: { target: 'x', actions: () => {} }, states: { x: {} } }),
    says: /^inline action in state 'm\.a'/,
  },
  {
    feature: 'named raise',
    given: () => machine(go({ actions: 'again' }), { actions: { again: raise({ type: 'go' }) } }),
    says: /^raise \('again'\) in state 'm\.a'/,
  },
  {
    feature: 'named sendTo',
    given: () =>
      machine(go({ actions: 'tell' }), { actions: { tell: sendTo('x', { type: 'go' }) } }),
    says: /^sendTo \('tell'\) in state 'm\.a'/,
  },
  {
    feature: 'named emit',
    given: () => machine(go({ actions: 'shout' }), { actions: { shout: emit({ type: 'go' }) } }),
    says: /^emit \('shout'\) in state 'm\.a'/,
  },
  {
    feature: 'named enqueueActions',
    given: () => machine(go({ actions: 'many' }), { actions: { many: enqueueActions(() => {}) } }),
    says: /^enqueueActions \('many'\) in state 'm\.a'/,
  },
  {
    feature: 'absent action',
    given: () => machine(go({ actions: 'stop' })),
    says: /^action 'stop' in state 'm\.a' .*not implemented/,
  },
  {
    feature: 'absent delay',
    given: () => machine({ after: { grace: 'b' } }),
    says: /^after 'grace' in state 'm\.a' .*neither a named delay nor milliseconds/,
  },
  {
    feature: 'negative delay',
    given: () => machine({ after: { '-1': 'b' } }),
    says: /^after '-1' in state 'm\.a'/,
  },
  {
    feature: 'two deadlines of one state',
    given: () => machine({ after: { 10: 'b', 20: 'b' } }),
    says: /^more than one after \(xstate\.after\.10\.m\.a, xstate\.after\.20\.m\.a\) in state 'a'/,
  },
  {
    feature: 'deadlines of a state and of its parent',
    given: () =>
      machine({ after: { 10: 'b' }, initial: 'x', states: { x: { after: { 20: 'y' } }, y: {} } }),
    says: /^more than one after/,
  },
  {
    feature: 'deadlines of two regions',
    given: () =>
      regions(
        { a: { meta: { word: 'one' }, after: { 10: 'b' } }, b: {} },
        { a: { meta: { word: '+other' }, after: { 10: 'b' } }, b: {} },
      ),
    says: /^more than one after .* in state 'one\+other'/,
  },
  {
    feature: 'two configurations with one word',
    given: () => machine({ meta: { word: 'b' }, ...go('b') }),
    says: /^the word 'b' in state '"b"' .*"a" has it too/,
  },
  {
    feature: 'a leaf without a word',
    given: () => machine({ meta: {} }),
    says: /^a leaf without a word in state '"a"'/,
  },
  {
    feature: 'a leaf with an addition only',
    given: () => machine({ meta: { word: '+a' } }),
    says: /^a leaf without a word in state '"a"'/,
  },
  {
    feature: 'two regions that both leave',
    given: () =>
      regions(
        { a: { meta: { word: 'one' }, ...go('#m.out') } },
        { a: { meta: { word: '+other' }, ...go('#m.away') } },
      ),
    says: /^'go' in 'one\+other', where regions 'one' and 'other' both leave, in state 'm\.both'/,
  },
  {
    feature: 'a region that leaves into its sibling, which leaves too',
    given: () =>
      regions(
        { a: { meta: { word: 'one' }, ...go('#m.both.other.b') } },
        { a: { meta: { word: '+other' }, ...go('#m.away') }, b: {} },
      ),
    says: /^'go' in 'one\+other', where regions 'one' and 'other' both leave/,
  },
  {
    feature: 'too many outcomes',
    given: () => {
      const transitions = Array.from({ length: 70 }, () => ({ guard: 'yes', actions: 'done' }))
      const states = { a: { meta: { word: 'one' }, ...go(transitions) } }
      return regions(states, states).provide({ guards, actions: { done: () => {} } })
    },
    says: /^5041 outcomes of one event in state 'm\.both' .*4096/,
  },
]

describe.for([
  { by: 'compile', load: compile },
  { by: 'interpret', load: interpret },
])('$by refuses', ({ load }) => {
  test.for(rows)('$feature', ({ given, says }) => {
    const built = given()
    let thrown: unknown
    try {
      load(built)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(HealthError)
    expect(thrown).toMatchObject({ code: 'HEALTH_COMPILE', message: expect.stringMatching(says) })
  })
})

test('the refusal says what to do and where', () => {
  expect(() => compile(machine({ always: 'b' }))).toThrow(
    expect.objectContaining({
      path: 'm.a',
      message:
        "always in state 'm.a' cannot become a table: put the choice into the transitions that lead here.",
    }),
  )
})

test('what only looks like a refused feature is accepted', () => {
  const given = setup({ delays: { pause: 10 }, actions: { done: () => {} } }).createMachine({
    id: 'm',
    initial: 'a',
    // The machine may have an output as an actor; a table has none.
    output: 1,
    states: {
      a: { meta: { word: 'a' }, after: { pause: [{ target: 'b' }, { actions: 'done' }] } },
      b: { meta: { word: 'b' }, after: { 10: 'a' } },
    },
  })
  expect(compile(given).configurations.map(({ word, after }) => [word, after])).toEqual([
    ['a', 'xstate.after.pause.m.a'],
    ['b', 'xstate.after.10.m.b'],
  ])
})
