/** A kiln that uses every feature a table can have, each at least once. It means nothing; it is there to be walked. */
import { assign, setup } from 'xstate'

export interface KilnContext {
  readonly limit: number
  readonly heat: number
  readonly loads: readonly number[]
  readonly last: string | null
}

export type KilnEvent =
  | {
      readonly type:
        | 'lit'
        | 'pushed'
        | 'turned'
        | 'opened'
        | 'broken'
        | 'relit'
        | 'swapped'
        | 'noted'
        | 'ended'
    }
  | { readonly type: 'heated' | 'cooled'; readonly by: number }
  | { readonly type: 'loaded'; readonly weight: number }

/** Heat stops at eight, so that the walk ends. */
const by = (event: KilnEvent): number => ('by' in event ? event.by : 0)

const kiln = setup({
  types: {
    context: {} as KilnContext,
    events: {} as KilnEvent,
    input: {} as { limit: number },
    meta: {} as { word?: string; rule?: string; enforced?: boolean; colour?: string },
  },
  actions: {
    vent: () => {},
    bell: (_, _params: { tone: string }) => {},
    report: (_, _params: { heat: number }) => {},
    warm: assign({ heat: ({ context, event }) => Math.min(8, context.heat + by(event)) }),
    forget: assign({ last: null }),
    note: assign({ last: (_, params: { text: string }) => params.text }),
    // Two keys: the second must see the old heat.
    surge: assign({
      heat: ({ context }) => Math.min(8, context.heat + 5),
      loads: ({ context }) => [context.heat],
    }),
    empty: assign({ loads: [], heat: 0 }),
    load: assign(({ context, event }) => ({
      loads: [...context.loads, 'weight' in event ? event.weight : 0].slice(-1),
    })),
  },
  guards: {
    hot: ({ context }) => context.heat >= context.limit,
    atLeast: ({ context }, params: { heat: number }) => context.heat >= params.heat,
    heavy: ({ event }) => 'weight' in event && event.weight > 10,
    never: () => false,
  },
  delays: { cooling: ({ context }) => 100 + context.heat, pause: 40 },
})

export const kilnMachine = kiln.createMachine({
  id: 'kiln',
  initial: 'cold',
  context: ({ input }) => ({ limit: input.limit, heat: 0, loads: [], last: null }),
  meta: { colour: 'grey' },
  on: {
    broken: {
      target: '.ruined',
      actions: { type: 'note', params: { text: 'broken' } },
      meta: { rule: 'kiln.broken' },
    },
    noted: { actions: 'forget' },
  },
  states: {
    cold: {
      meta: { word: 'cold' },
      entry: 'empty',
      after: {
        1000: { actions: { type: 'bell', params: { tone: 'low' } }, meta: { rule: 'cold.bored' } },
      },
      on: {
        lit: [
          { guard: 'never', target: 'ruined' },
          {
            guard: { type: 'atLeast', params: { heat: 2 } },
            target: 'burning',
            meta: { rule: 'cold.warm' },
          },
          { target: ['burning.door.shut', 'burning.fire.low'], actions: 'surge' },
        ],
        heated: { actions: 'warm' },
        // The children come with the state; reentering rearms its deadline.
        relit: { target: 'cold', reenter: true },
        // Known, and changes nothing.
        noted: [{ guard: 'hot', meta: { rule: 'cold.noted', enforced: false } }, {}],
      },
    },
    burning: {
      type: 'parallel',
      meta: { colour: 'red' },
      exit: ['vent', { type: 'report', params: ({ context }) => ({ heat: context.heat }) }],
      on: {
        cooled: { guard: 'hot', target: 'cold', meta: { rule: 'burning.cooled' } },
        relit: {
          target: 'burning',
          reenter: true,
          actions: { type: 'note', params: ({ event }) => ({ text: event.type }) },
        },
        loaded: {
          guard: { type: 'atLeast', params: ({ context }) => ({ heat: context.limit }) },
          actions: 'load',
        },
      },
      states: {
        door: {
          initial: 'open',
          states: {
            open: {
              on: {
                pushed: 'shut',
                loaded: {
                  guard: 'heavy',
                  actions: ['load', { type: 'bell', params: { tone: 'high' } }],
                },
              },
            },
            shut: {
              meta: { word: '+shut', colour: 'black' },
              after: {
                cooling: [
                  { guard: 'hot', target: 'open', meta: { rule: 'door.hot' } },
                  { target: 'open' },
                ],
              },
              on: {
                pushed: [
                  {
                    guard: 'hot',
                    actions: { type: 'bell', params: { tone: 'shut' } },
                    meta: { rule: 'door.stuck', enforced: false },
                  },
                  { target: 'open' },
                ],
                // Conflicts with the fire's way out: the region written first wins.
                ended: { guard: 'hot', target: 'open' },
              },
            },
          },
        },
        fire: {
          initial: 'low',
          on: { turned: { target: '.low', actions: 'forget' } },
          states: {
            low: {
              meta: { word: 'low' },
              entry: { type: 'report', params: ({ context }) => ({ heat: context.heat }) },
              exit: 'forget',
              on: {
                heated: { actions: 'warm', meta: { rule: 'fire.fed' } },
                pushed: {
                  guard: 'hot',
                  target: 'high',
                  actions: 'surge',
                  meta: { rule: 'fire.high' },
                },
                loaded: { guard: 'never' },
              },
            },
            high: {
              meta: { word: 'high', colour: 'white' },
              initial: 'steady',
              on: { turned: { guard: { type: 'atLeast', params: { heat: 8 } }, target: 'low' } },
              states: {
                steady: { on: { pushed: { target: 'wild' } } },
                wild: {
                  meta: { word: '+wild' },
                  on: { ended: { target: '#spent', meta: { rule: 'fire.ended' } } },
                },
              },
            },
          },
        },
        gauges: {
          type: 'parallel',
          meta: { colour: 'brass' },
          on: { opened: { actions: { type: 'note', params: { text: 'gauges' } } } },
          states: {
            left: {
              initial: 'off',
              states: {
                off: { on: { swapped: 'on', opened: { guard: 'hot', target: 'on' } } },
                on: { meta: { word: '+left' }, on: { swapped: 'off' } },
              },
            },
            right: {
              initial: 'off',
              states: {
                off: {
                  on: {
                    swapped: { guard: { type: 'atLeast', params: { heat: 6 } }, target: 'on' },
                    opened: { guard: 'never' },
                  },
                },
                on: { meta: { word: '+right' }, on: { swapped: 'off' } },
              },
            },
          },
        },
      },
    },
    spent: {
      id: 'spent',
      meta: { word: 'spent' },
      initial: { target: 'resting', actions: { type: 'bell', params: { tone: 'rest' } } },
      after: { pause: { target: 'cold', meta: { rule: 'spent.over' } } },
      on: { lit: '.swept' },
      states: {
        resting: { type: 'atomic', on: { turned: 'swept' } },
        swept: { type: 'final', meta: { word: '+swept' } },
      },
    },
    ruined: {
      type: 'final',
      meta: { word: 'ruined' },
      entry: { type: 'bell', params: { tone: 'end' } },
    },
  },
})

export const kilnEvents: KilnEvent[] = [
  { type: 'lit' },
  { type: 'pushed' },
  { type: 'turned' },
  { type: 'opened' },
  { type: 'broken' },
  { type: 'relit' },
  { type: 'swapped' },
  { type: 'noted' },
  { type: 'ended' },
  { type: 'heated', by: 3 },
  { type: 'cooled', by: 1 },
  { type: 'loaded', weight: 20 },
  { type: 'loaded', weight: 2 },
]
