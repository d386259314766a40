/**
 * The words in which the runner's chart is written: what it remembers, the verdicts it hears, its actions, guards and delays. Which
 * of them apply where is the chart's to say (`runner.ts`).
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
  /** Why it is draining and by which rule: kept apart, since health goes on judging meanwhile. */
  readonly leaving: { readonly reason: Reason; readonly rule: string } | null
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
        /** What counted the strikes is configured no more: no pass would ever come. */
        | 'checks.ended'
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

/** No journal numbers: one list for all. */
export const NONE: readonly number[] = Object.freeze([])
const MAX_EVIDENCE = 8
/** A regular probe that was under way, the check, and three more times when the failure was ours; TCP then as often. */
const CHECKS = 5
/** A gauge that was asked for is read by then, in ms. */
const COUNT_MS = 1000
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

/** Guards that say that what a verdict rests on says nothing. */
const isVoid = (event: Verdict): boolean => {
  const { by } = event as Of<'termination.withheld'>
  return by === 'guard.self' || by === 'guard.dry_run'
}
const acquitted = ({ asked, reason }: RunnerContext, event: Verdict): boolean =>
  reason === 'tcp_check_failed' && (event as Of<'check.passed'>).kind === asked

/** An order or a question: named here with its parameters, carried out by the fleet. */
const order =
  <P = undefined>() =>
  (_: unknown, _params: P): void => {}

/** The chart's vocabulary; `runnerMachine` is made of it. */
export const runnerVocabulary = setup({
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
    /** The check is over; what it said goes on counting. */
    settled: assign({ asked: null }),
    doubt: assign({
      asked: ({ event }) => (event as Of<'check.asked'>).kind,
      evidence: ({ context, event }) => cited(context, event.seq),
    }),
    cite: assign({ evidence: ({ context, event }) => cited(context, event.seq) }),
    because: assign({ reason: (_, params: { reason: Reason }) => params.reason }),
    becauseGiven: assign({ reason: ({ event }) => (event as Of<'died'>).reason }),
    leave: assign({
      leaving: ({ event }) => {
        const { reason, rule } = event as Of<'drain.ordered'>
        return { reason, rule }
      },
    }),
    becauseLeaving: assign({ reason: ({ context }) => context.leaving?.reason ?? null }),
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
    /** Held for a check that timed out, and now one passed. */
    acquits: ({ context, event }) => acquitted(context, event),
    acquitsStrikesStay: ({ context, event }) =>
      acquitted(context, event) && context.strikes.length > 0,
    heldByStrikes: ({ context: { reason } }) =>
      reason === 'health_check_failed' || reason === 'heartbeat_missed',
    evidenceVoid: ({ event }) => isVoid(event),
    voidStrikesStay: ({ context, event }) => isVoid(event) && context.strikes.length > 0,
  },
  delays: {
    /** A port must open within the startup timeout; with `readyAfterFirstPass` the pass must come within the start period. */
    startup: ({ context, event }) =>
      context.opened
        ? Math.max(0, context.startedAt + context.policy.effectiveStartPeriodMs - event.at)
        : context.policy.startupTimeoutMs,
    drain: ({ context }) => context.policy.drainTimeoutMs,
    /**
     * While there is work: how long it is waited for; whether there is any must be said first. Then the check: its own timeouts
     * end it, and what we failed to ask.
     */
    exclusiveWait: ({ context: { policy }, event }) =>
      (event as Of<'work.left'>).inFlight === 0
        ? CHECKS * (policy.timeoutMs + policy.tcpCheckTimeoutMs)
        : Math.max(policy.exclusiveWaitMs, COUNT_MS),
    grace: ({ context }) => context.policy.terminationGraceMs,
  },
})
