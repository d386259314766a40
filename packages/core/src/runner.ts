/**
 * The life of one runner as a statechart: starting → serving (ready or suspect, beside its duty) → terminated → gone. It knows
 * verdicts, never a status code, never the fleet: it asks (`propose`, `ask`) and is answered in the same step. In flight is
 * read from events, never kept; idle and busy are words for a gauge, not states.
 */
import { assign, setup } from 'xstate'
import { holds } from './comparison.ts'
import type { Reason } from './command.ts'
import type { Policy } from './policy.ts'

/** A check that something asked for. `progress` is answered by a manual probe, and by a 2xx to real work. */
export type Asked = 'tcp' | 'progress' | 'exclusive' | 'manual'

/** Only what a guard or a command reads. The counter is the evidence: `strikes` holds the journal numbers of the counted failures. */
export interface RunnerContext {
  readonly policy: Policy
  /** When the process started; age counts from here. */
  readonly startedAt: number
  /** True once its port accepted; `readyAfterFirstPass` then waits for a pass. */
  readonly opened: boolean
  readonly strikes: readonly number[]
  /** When the last strike was counted. */
  readonly struckAt: number
  /** What the last strike was: a failed probe or a missed heartbeat. */
  readonly signal: 'probe' | 'heartbeat'
  readonly passes: number
  /** Journal numbers that led to the pending check. Bounded: the last eight. */
  readonly evidence: readonly number[]
  readonly asked: Asked | null
  /** Why it will end or has ended by a verdict. */
  readonly reason: Reason | null
  /** Why it is draining: kept apart, since health goes on judging meanwhile. */
  readonly leaving: Reason | null
  readonly leavingRule: string
}

/** What a fact means for one runner; made in `verdict.ts` or by the fleet, never journaled. */
export type Verdict = { readonly at: number; readonly seq: number } & (
  | {
      readonly type:
        | 'start.granted'
        | 'process.started'
        | 'provision.refused'
        | 'port.opened'
        | 'setup.failed'
        | 'process.exited'
        | 'order.kill'
        | 'probe.passed'
        | 'work.served'
        | 'termination.granted'
    }
  | { readonly type: 'probe.failed'; readonly signal: 'probe' | 'heartbeat' }
  /** The answer to an asked check. `doubt`: it timed out, which may be our fault. */
  | {
      readonly type: 'check.passed' | 'check.failed'
      readonly kind: Asked
      readonly doubt: boolean
    }
  | { readonly type: 'check.asked'; readonly kind: Asked; readonly rule: string }
  /** An exclusive check wants the runner to itself. */
  | { readonly type: 'check.due'; readonly inFlight: number }
  /** A fact of death, judged by the outcome table or a node. */
  | { readonly type: 'died'; readonly reason: Reason; readonly rule: string }
  /** A doubt proved elsewhere (telemetry by level). */
  | { readonly type: 'doubt.proved'; readonly reason: Reason; readonly rule: string }
  | { readonly type: 'work.left'; readonly inFlight: number }
  | {
      readonly type: 'drain.ordered'
      readonly reason: Reason
      readonly rule: string
      readonly inFlight: number
    }
  | { readonly type: 'termination.withheld'; readonly by: string }
)

type Of<T extends Verdict['type'], E = Verdict> = E extends { type: infer X }
  ? T extends X
    ? E
    : never
  : never

const NONE: readonly number[] = Object.freeze([])
const MAX_EVIDENCE = 8
const strength: Readonly<Record<Asked, number>> = { tcp: 1, progress: 2, exclusive: 3, manual: 4 }

/** The newest strikes, never more than the threshold: a runner that is held for hours keeps the last N. */
const struck = (context: RunnerContext, seq: number): readonly number[] =>
  context.strikes.length < context.policy.failureThreshold
    ? [...context.strikes, seq]
    : [...context.strikes.slice(1), seq]
const cited = (context: RunnerContext, seq: number): readonly number[] =>
  context.evidence.length === 0
    ? [seq]
    : context.evidence.includes(seq)
      ? context.evidence
      : [...context.evidence.slice(1 - MAX_EVIDENCE), seq]

/** An order or a question: named here with its parameters, carried out by the fleet. */
const order =
  <P = undefined>() =>
  (_: unknown, _params: P): void => {}

const chart = setup({
  types: {
    context: {} as RunnerContext,
    events: {} as Verdict,
    input: {} as { policy: Policy },
    meta: {} as {
      rule?: string
      enforced?: boolean
      word?: string
      probe?: 'none' | 'port' | 'regular' | 'fast'
    },
  },
  actions: {
    provision: order(),
    stop: order(),
    kill: order(),
    /** This life is over: the fleet may begin the next. */
    retire: order(),
    /** Asks for a probe of the pending check. */
    ask: order(),
    /** Nothing is in flight: the exclusive check may run now. */
    examine: order(),
    /** Asks the fleet whether it may end on doubt. */
    propose: order(),
    born: assign({ startedAt: ({ event }) => event.at }),
    open: assign({ opened: true }),
    strike: assign({
      strikes: ({ context, event }) => struck(context, event.seq),
      struckAt: ({ event }) => event.at,
      signal: ({ event }) => (event as Of<'probe.failed'>).signal,
      passes: 0,
    }),
    lapse: assign({ passes: 0 }),
    pass: assign({ passes: ({ context }) => context.passes + 1 }),
    /** Well again: nothing is held against it. */
    clear: assign({ strikes: NONE, passes: 0, evidence: NONE, asked: null, reason: null }),
    absolve: assign({ strikes: NONE, passes: 0 }),
    answered: assign({ asked: null, evidence: NONE }),
    doubt: assign({
      asked: ({ event }) => (event as Of<'check.asked'>).kind,
      evidence: ({ context, event }) => cited(context, event.seq),
    }),
    cite: assign({ evidence: ({ context, event }) => cited(context, event.seq) }),
    because: assign({ reason: (_, params: { reason: Reason }) => params.reason }),
    becauseGiven: assign({ reason: ({ event }) => (event as Of<'died'>).reason }),
    leave: assign({
      leaving: ({ event }) => (event as Of<'drain.ordered'>).reason,
      leavingRule: ({ event }) => (event as Of<'drain.ordered'>).rule,
    }),
    becauseLeaving: assign({ reason: ({ context }) => context.leaving }),
    becauseSignal: assign({
      reason: ({ event }): Reason =>
        (event as Of<'probe.failed'>).signal === 'heartbeat'
          ? 'heartbeat_missed'
          : 'health_check_failed',
    }),
  },
  guards: {
    inGrace: holds('inGrace'),
    tooSoon: holds('tooSoon'),
    lastStrike: holds('lastStrike'),
    provenWell: holds('provenWell'),
    needsFirstPass: ({ context }) => context.policy.readyAfterFirstPass,
    portOpen: ({ context }) => context.opened,
    isTcp: ({ event }) => (event as Of<'check.failed'>).kind === 'tcp',
    isTcpTimeout: ({ event }) =>
      (event as Of<'check.failed'>).kind === 'tcp' && (event as Of<'check.failed'>).doubt,
    isExclusive: ({ event }) =>
      (event as Of<'check.passed'>).kind === 'exclusive' ||
      (event as Of<'check.passed'>).kind === 'manual',
    tcpRefutes: ({ context, event }) =>
      (event as Of<'check.passed'>).kind === 'tcp' && context.asked === 'tcp',
    tcpRefutesStrikesStay: ({ context, event }) =>
      (event as Of<'check.passed'>).kind === 'tcp' &&
      context.asked === 'tcp' &&
      context.strikes.length > 0,
    refutes: ({ context, event }) => (event as Of<'check.passed'>).kind === context.asked,
    refutesStrikesStay: ({ context, event }) =>
      (event as Of<'check.passed'>).kind === context.asked && context.strikes.length > 0,
    covered: ({ context, event }) =>
      context.asked !== null &&
      strength[(event as Of<'check.asked'>).kind] <= strength[context.asked],
    stalled: ({ context }) => context.asked === 'progress',
    stalledStrikesStay: ({ context }) => context.asked === 'progress' && context.strikes.length > 0,
    idle: ({ event }) => (event as Of<'work.left'>).inFlight === 0,
    evidenceVoid: ({ event }) => {
      const { by } = event as Of<'termination.withheld'>
      return by === 'guard.self' || by === 'guard.dry_run'
    },
  },
  delays: {
    /** A port must open within the startup timeout; with `readyAfterFirstPass` the pass must come within the start period. */
    startup: ({ context, event }) =>
      context.opened
        ? Math.max(0, context.startedAt + context.policy.effectiveStartPeriodMs - event.at)
        : context.policy.startupTimeoutMs,
    drain: ({ context }) => context.policy.drainTimeoutMs,
    exclusiveWait: ({ context }) => context.policy.exclusiveWaitMs,
    grace: ({ context }) => context.policy.terminationGraceMs,
  },
})

const end = <R extends Reason>(
  reason: R,
  rule: string,
  target: '#stopping' | '#killing' | '#gone' = '#stopping',
) => ({ target, actions: { type: 'because', params: { reason } }, meta: { rule } }) as const
/** The rule and the reason come with the event. */
const endAsTold = (target: '#stopping' | '#gone' = '#stopping') =>
  ({ target, actions: 'becauseGiven' }) as const

/** A regular failure that may count: in grace and too soon it is only recorded. */
const graceOrGap = [
  { guard: 'inGrace', meta: { rule: 'health.grace', enforced: false } },
  { guard: 'tooSoon', actions: 'lapse', meta: { rule: 'health.suspect_probe' } },
] as const
const lastStrike = {
  guard: 'lastStrike',
  target: '#held',
  actions: ['strike', 'becauseSignal'],
  meta: { rule: 'health.threshold' },
} as const

/** The runner's chart. Feed it verdicts; carry out the named actions. Guards and limits are read from `context.policy`. */
export const runnerMachine = chart.createMachine({
  id: 'runner',
  version: '1',
  initial: 'starting',
  context: ({ input }) => ({
    policy: input.policy,
    startedAt: 0,
    opened: false,
    strikes: NONE,
    struckAt: 0,
    signal: 'probe',
    passes: 0,
    evidence: NONE,
    asked: null,
    reason: null,
    leaving: null,
    leavingRule: '',
  }),
  states: {
    starting: {
      initial: 'backoff',
      meta: { probe: 'none' },
      on: {
        'setup.failed': end('setup_failed', 'start.failed'),
        'process.exited': end('setup_failed', 'start.failed', '#gone'),
        'drain.ordered': endAsTold(),
        'order.kill': end('killed', 'order.kill', '#killing'),
        died: endAsTold(),
      },
      states: {
        backoff: {
          meta: { word: 'backoff' },
          on: {
            'start.granted': { target: 'provisioning', meta: { rule: 'start.granted' } },
            'drain.ordered': endAsTold('#gone'),
            'order.kill': end('killed', 'order.kill', '#gone'),
            died: endAsTold('#gone'),
          },
        },
        provisioning: {
          meta: { word: 'provisioning' },
          entry: 'provision',
          on: {
            'process.started': { target: 'setup', actions: 'born', meta: { rule: 'start.begun' } },
            'provision.refused': { target: 'backoff', meta: { rule: 'start.backoff' } },
          },
        },
        setup: {
          meta: { word: 'setup', probe: 'port' },
          after: { startup: end('startup_timeout', 'start.deadline') },
          on: {
            'port.opened': [
              {
                guard: 'needsFirstPass',
                target: 'setup',
                reenter: true,
                actions: 'open',
                meta: { rule: 'start.port' },
              },
              { target: '#serving', actions: 'open', meta: { rule: 'start.ready' } },
            ],
            'probe.passed': {
              guard: 'portOpen',
              target: '#serving',
              meta: { rule: 'start.ready' },
            },
            'probe.failed': { guard: 'portOpen', meta: { rule: 'health.grace', enforced: false } },
          },
        },
      },
    },
    serving: {
      id: 'serving',
      type: 'parallel',
      meta: { probe: 'regular' },
      on: {
        died: endAsTold(),
        'process.exited': end('crashed', 'outcome.crashed', '#gone'),
        'order.kill': end('killed', 'order.kill', '#killing'),
      },
      states: {
        // First: when one event enables both regions, the one written first wins.
        duty: {
          initial: 'open',
          states: {
            open: {
              on: {
                'drain.ordered': [
                  { guard: 'idle', ...endAsTold() },
                  { target: 'draining', actions: 'leave' },
                ],
                'check.due': [
                  {
                    guard: 'idle',
                    target: 'paused',
                    actions: 'examine',
                    meta: { rule: 'health.exclusive' },
                  },
                  { target: 'paused', meta: { rule: 'health.exclusive' } },
                ],
              },
            },
            paused: {
              meta: { word: '+paused' },
              after: { exclusiveWait: { target: 'open', meta: { rule: 'health.exclusive_wait' } } },
              on: {
                'work.left': { guard: 'idle', actions: 'examine' },
                'check.passed': { guard: 'isExclusive', target: 'open' },
                'drain.ordered': [
                  { guard: 'idle', ...endAsTold() },
                  { target: 'draining', actions: 'leave' },
                ],
              },
            },
            draining: {
              meta: { word: '+draining' },
              after: {
                drain: {
                  target: '#stopping',
                  actions: 'becauseLeaving',
                  meta: { rule: 'order.drain' },
                },
              },
              on: {
                'work.left': {
                  guard: 'idle',
                  target: '#stopping',
                  actions: 'becauseLeaving',
                  meta: { rule: 'order.drain' },
                },
                'drain.ordered': [{ guard: 'idle', ...endAsTold() }, { actions: 'leave' }],
              },
            },
          },
        },
        health: {
          initial: 'ready',
          on: {
            'check.failed': [
              {
                guard: 'isTcpTimeout',
                target: '#held',
                actions: ['cite', { type: 'because', params: { reason: 'tcp_check_failed' } }],
                meta: { rule: 'outcome.tcp_check' },
              },
              { guard: 'isTcp', ...end('tcp_check_failed', 'outcome.tcp_check') },
              end('manual_health_check_failed', 'health.manual'),
            ],
            'doubt.proved': { target: '#held', actions: 'becauseGiven' },
          },
          states: {
            ready: {
              id: 'ready',
              meta: { word: 'ready' },
              on: {
                'check.asked': { target: 'suspect.verifying', actions: 'doubt' },
                'probe.failed': [
                  ...graceOrGap,
                  lastStrike,
                  { target: 'suspect.failing', actions: 'strike', meta: { rule: 'health.fail' } },
                ],
              },
            },
            suspect: {
              initial: 'failing',
              meta: { probe: 'fast' },
              states: {
                verifying: {
                  meta: { word: 'verifying', probe: 'regular' },
                  entry: 'ask',
                  on: {
                    // A pending check covers later doubts of the same or a weaker kind: no storm of checks.
                    'check.asked': [
                      { guard: 'covered', actions: 'cite' },
                      { actions: ['doubt', 'ask'] },
                    ],
                    'check.passed': [
                      {
                        guard: 'tcpRefutesStrikesStay',
                        target: 'failing',
                        actions: 'answered',
                        meta: { rule: 'outcome.tcp_check' },
                      },
                      {
                        guard: 'tcpRefutes',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'outcome.tcp_check' },
                      },
                      {
                        guard: 'refutesStrikesStay',
                        target: 'failing',
                        actions: 'answered',
                        meta: { rule: 'health.manual' },
                      },
                      {
                        guard: 'refutes',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.manual' },
                      },
                    ],
                    'work.served': [
                      {
                        guard: 'stalledStrikesStay',
                        target: 'failing',
                        actions: 'answered',
                        meta: { rule: 'health.progress' },
                      },
                      {
                        guard: 'stalled',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.progress' },
                      },
                    ],
                    'probe.passed': [
                      { guard: 'provenWell', actions: 'absolve' },
                      { actions: 'pass' },
                    ],
                    'probe.failed': [
                      ...graceOrGap,
                      lastStrike,
                      { actions: 'strike', meta: { rule: 'health.fail' } },
                    ],
                  },
                },
                failing: {
                  meta: { word: 'failing' },
                  on: {
                    'check.asked': { target: 'verifying', actions: 'doubt' },
                    'probe.passed': [
                      {
                        guard: 'provenWell',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.recover' },
                      },
                      { actions: 'pass', meta: { rule: 'health.pass' } },
                    ],
                    'probe.failed': [
                      ...graceOrGap,
                      lastStrike,
                      { actions: 'strike', meta: { rule: 'health.fail' } },
                    ],
                  },
                },
                held: {
                  id: 'held',
                  meta: { word: 'held' },
                  entry: 'propose',
                  on: {
                    'termination.granted': { target: '#stopping' },
                    'termination.withheld': [{ guard: 'evidenceVoid', target: 'failing' }, {}],
                    'check.asked': [
                      { guard: 'covered', actions: 'cite' },
                      { actions: ['doubt', 'ask'] },
                    ],
                    'check.passed': { guard: 'refutes', actions: 'answered' },
                    'probe.passed': [
                      {
                        guard: 'provenWell',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.recover' },
                      },
                      { actions: 'pass', meta: { rule: 'health.pass' } },
                    ],
                    'probe.failed': { actions: 'strike', meta: { rule: 'health.fail' } },
                  },
                },
              },
            },
          },
        },
      },
    },
    terminated: {
      initial: 'stopping',
      meta: { probe: 'none' },
      on: {
        'process.exited': { target: '#gone', meta: { rule: 'stop.exited' } },
        'provision.refused': { target: '#gone', meta: { rule: 'stop.exited' } },
      },
      states: {
        stopping: {
          id: 'stopping',
          meta: { word: 'stopping' },
          entry: 'stop',
          after: { grace: { target: 'killing', meta: { rule: 'stop.grace' } } },
          on: { 'order.kill': { target: 'killing', meta: { rule: 'order.kill' } } },
        },
        killing: { id: 'killing', meta: { word: 'killing' }, entry: 'kill' },
      },
    },
    // At the top: a final child of `terminated` would never complete the machine.
    gone: { id: 'gone', type: 'final', meta: { word: 'gone', probe: 'none' }, entry: 'retire' },
  },
})
