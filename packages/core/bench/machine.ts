/**
 * Transitions per second of a runner-like machine: the compiled table in place and pure, and xstate itself behind the same door.
 * `node packages/core/bench/machine.ts`; the best of five rounds, contexts visited in random order so that the caches are honest.
 */
import { assign, setup } from 'xstate'
import { compile } from '../src/compile.ts'
import { interpret } from '../src/interpret.ts'
import type { Configuration, Expired, Performance, Table } from '../src/table.ts'

type Kind = 'regular' | 'tcp' | 'manual'

interface Context {
  readonly limits: {
    readonly threshold: number
    readonly startPeriod: number
    readonly grace: number
  }
  readonly startedAt: number
  readonly strikes: readonly number[]
  readonly passes: number
  readonly asked: Kind | null
  readonly reason: string | null
}

type Event = { readonly at: number; readonly seq: number } & (
  | {
      readonly type:
        | 'process.started'
        | 'port.opened'
        | 'process.exited'
        | 'order.drain'
        | 'order.kill'
        | 'granted'
    }
  | { readonly type: 'probe.passed' | 'probe.failed' | 'check.asked'; readonly kind: Kind }
)

const none: readonly number[] = []
const kindOf = (event: Event): Kind | null => ('kind' in event ? event.kind : null)

const runner = setup({
  types: {
    context: {} as Context,
    events: {} as Event,
    input: {} as { limits: Context['limits'] },
    meta: {} as { word?: string; rule?: string; enforced?: boolean },
  },
  actions: {
    stop: (_, _params: { graceMs: number }) => {},
    kill: () => {},
    ask: (_, _params: { kind: Kind | null }) => {},
    propose: (_, _params: { reason: string | null }) => {},
    born: assign({ startedAt: ({ event }) => event.at }),
    strike: assign({
      strikes: ({ context, event }) =>
        [...context.strikes, event.seq].slice(-context.limits.threshold),
      passes: 0,
    }),
    clear: assign({ strikes: none, passes: 0, asked: null, reason: null }),
    doubt: assign({ asked: ({ event }) => kindOf(event) }),
    because: assign({ reason: (_, params: { reason: string }) => params.reason }),
  },
  guards: {
    inGrace: ({ context, event }) => event.at - context.startedAt < context.limits.startPeriod,
    lastStrike: ({ context }) => context.strikes.length + 1 >= context.limits.threshold,
    answers: ({ context, event }) => kindOf(event) === context.asked,
    kind: ({ event }, params: { is: Kind }) => kindOf(event) === params.is,
  },
  delays: { grace: ({ context }) => context.limits.grace, startup: 600_000, drain: 300_000 },
})

const failed = [
  { guard: 'inGrace', meta: { rule: 'health.grace', enforced: false } },
  {
    guard: 'lastStrike',
    target: '#held',
    actions: ['strike', { type: 'because', params: { reason: 'health_check_failed' } }],
    meta: { rule: 'health.threshold' },
  },
  { target: '#failing', actions: 'strike', meta: { rule: 'health.fail' } },
] as const

const machine = runner.createMachine({
  id: 'runner',
  initial: 'setup',
  context: ({ input }) => ({
    ...input,
    startedAt: 0,
    strikes: none,
    passes: 0,
    asked: null,
    reason: null,
  }),
  states: {
    setup: {
      meta: { word: 'setup' },
      after: { startup: { target: 'stopping', meta: { rule: 'start.deadline' } } },
      on: {
        'process.started': { actions: 'born' },
        'port.opened': { target: 'serving', meta: { rule: 'start.ready' } },
      },
    },
    serving: {
      type: 'parallel',
      on: {
        'process.exited': { target: 'gone', meta: { rule: 'crashed' } },
        'order.kill': 'killing',
      },
      states: {
        duty: {
          initial: 'open',
          states: {
            open: { on: { 'order.drain': { target: 'draining', meta: { rule: 'order.drain' } } } },
            draining: {
              meta: { word: '+draining' },
              after: { drain: { target: '#stopping', meta: { rule: 'drain.deadline' } } },
            },
          },
        },
        health: {
          initial: 'ready',
          states: {
            ready: {
              id: 'ready',
              meta: { word: 'ready' },
              on: {
                'check.asked': {
                  target: 'suspect.verifying',
                  actions: 'doubt',
                  meta: { rule: 'outcome.check' },
                },
                'probe.failed': failed,
              },
            },
            suspect: {
              initial: 'failing',
              on: {
                'probe.passed': {
                  target: 'ready',
                  actions: 'clear',
                  meta: { rule: 'health.recover' },
                },
                'probe.failed': failed,
              },
              states: {
                verifying: {
                  meta: { word: 'verifying' },
                  entry: { type: 'ask', params: ({ context }) => ({ kind: context.asked }) },
                  on: {
                    'probe.passed': [
                      { guard: { type: 'kind', params: { is: 'regular' } } },
                      {
                        guard: 'answers',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'outcome.refuted' },
                      },
                    ],
                  },
                },
                failing: { id: 'failing', meta: { word: 'failing' } },
                held: {
                  id: 'held',
                  meta: { word: 'held' },
                  entry: { type: 'propose', params: ({ context }) => ({ reason: context.reason }) },
                  on: { granted: { target: '#stopping', meta: { rule: 'guard.granted' } } },
                },
              },
            },
          },
        },
      },
    },
    stopping: {
      id: 'stopping',
      meta: { word: 'stopping' },
      entry: { type: 'stop', params: ({ context }) => ({ graceMs: context.limits.grace }) },
      after: { grace: { target: 'killing', meta: { rule: 'stop.grace' } } },
      on: { 'process.exited': { target: 'gone', meta: { rule: 'stop.exited' } } },
    },
    killing: { meta: { word: 'killing' }, entry: 'kill', on: { 'process.exited': 'gone' } },
    gone: { type: 'final', meta: { word: 'gone' } },
  },
})

type Runners = Table<Context, Event | Expired>

const at = 700_000
const cycle: Event[] = [
  { type: 'check.asked', kind: 'tcp', at, seq: 9 },
  { type: 'probe.passed', kind: 'tcp', at, seq: 10 },
  { type: 'probe.failed', kind: 'regular', at, seq: 11 },
  { type: 'probe.passed', kind: 'regular', at, seq: 12 },
]

interface Held {
  configuration: Configuration
  context: Context
}

/** `size` runners, all ready. */
function ready(table: Runners, size: number): Held[] {
  const limits = { threshold: 3, startPeriod: 1_000, grace: 5_000 }
  const opened: Event = { type: 'port.opened', at: 0, seq: 1 }
  return Array.from({ length: size }, () => {
    const { configuration, context } = table.start({ limits })
    return table.step(configuration, context, opened)
  }).map(({ configuration, context }) => ({ configuration, context }))
}

function inPlace(table: Runners, held: readonly Held[], order: Uint32Array): void {
  const on: Performance<Context, Event | Expired> = {
    context: held[0]!.context,
    event: cycle[0]!,
    effects: [],
    delay: NaN,
    cleared: false,
  }
  for (const i of order) {
    const runner = held[i]!
    for (const event of cycle) {
      const plan = table.decide(runner.configuration, runner.context, event)
      if (plan === null) throw new Error('every event of the cycle changes something')
      on.context = runner.context
      on.event = event
      table.perform(plan, on)
      runner.configuration = plan.next
    }
  }
}

function pure(table: Runners, held: readonly Held[], order: Uint32Array): void {
  for (const i of order) {
    const runner = held[i]!
    for (const event of cycle) {
      const step = table.step(runner.configuration, runner.context, event)
      runner.configuration = step.configuration
      runner.context = step.context
    }
  }
}

function shuffled(size: number, length: number): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => (Math.imul(i, 2_654_435_761) >>> 0) % size)
}

function best(rounds: number, transitions: number, round: () => void): number {
  let fastest = Infinity
  for (let i = 0; i < rounds; i++) {
    const begun = performance.now()
    round()
    fastest = Math.min(fastest, performance.now() - begun)
  }
  return (transitions / fastest) * 1_000
}

const loading = performance.now()
const compiled: Runners = compile(machine)
const loaded = performance.now() - loading
const reference: Runners = interpret(machine)

const rows: [string, Runners, typeof pure, number][] = [
  ['compiled, in place', compiled, inPlace, 1_000_000],
  ['compiled, pure', compiled, pure, 1_000_000],
  ['xstate, pure', reference, pure, 20_000],
]
const sizes = [1, 1_000, 10_000, 100_000]

console.log(
  `${compiled.configurations.length} configurations, compiled in ${loaded.toFixed(1)} ms; transitions/s by number of runners`,
)
console.table(
  Object.fromEntries(
    rows.map(([name, table, walk, transitions]) => [
      name,
      Object.fromEntries(
        sizes.map((size) => {
          const held = ready(table, size)
          const order = shuffled(size, transitions / cycle.length)
          return [size, Math.round(best(5, transitions, () => walk(table, held, order)))]
        }),
      ),
    ]),
  ),
)
