/**
 * The life of a queued request as a statechart: queued → leased → delivered, rejected or cancelled. The order of the transitions
 * on `attempt.ended` is the order of authority: the first that speaks wins. `dispose` asks this chart, so rule and picture are one.
 */
import { assign, setup } from 'xstate'
import { compile } from './compile.ts'
import type { Compared } from './decision.ts'
import type { AttemptEnded } from './event.ts'
import { outcomes, type OutcomeName } from './outcome.ts'
import type { Policy } from './policy.ts'
import { type Ended, retryDelay, type RequestRecord } from './retry.ts'
import type { AppRecord, Fleet, RunnerRecord } from './state.ts'
import { alert, give, push } from './give.ts'
import { pardonStarts } from './start.ts'

/** What a guard reads: the record that travels with the lease. */
export interface RequestContext {
  readonly policy: Policy
  readonly record: RequestRecord
}

/** What happens to a request. */
export type RequestVerdict =
  | { readonly type: 'lease.granted' }
  | ({ readonly type: 'attempt.ended' } & Ended)
  | { readonly type: 'request.cancelled' }
  | { readonly type: 'request.expired' }
  | { readonly type: 'lease.returned' }

type AttemptVerdict = Extract<RequestVerdict, { type: 'attempt.ended' }>
const ended = (event: RequestVerdict): AttemptVerdict => event as AttemptVerdict

/** Status and headers that `needsRetryScope: errors` listens to. */
const inScope = (policy: Policy, status: number | null): boolean =>
  policy.needsRetryScope === 'any' || status === null || status === 429 || status >= 500

/** The condition of an outcome under this policy; null when it is not one. */
export function conditionOf(outcome: OutcomeName, policy: Policy): string | null {
  const { condition } = outcomes[outcome]
  return condition === 'rate_limited' && !policy.retryRunner429 ? null : condition
}

/** The budget of extra attempts that the request, then the app, sets for a condition; null when neither speaks. */
function budgetOf({ record, policy }: RequestContext, condition: string): number | null {
  return record.retryConfig?.[condition] ?? policy.retryConfig?.[condition] ?? null
}

const forced = (context: RequestContext, event: RequestVerdict): boolean | undefined => {
  const { headers, status } = ended(event)
  return headers?.needsRetry !== undefined && inScope(context.policy, status)
    ? headers.needsRetry
    : undefined
}

const answered = (event: RequestVerdict): boolean => ended(event).status !== null

type Read = (args: { context: RequestContext; event: RequestVerdict }) => boolean

/** The questions of semantics 5, in no order: the chart below gives the order. */
const guards = {
  cancelled: ({ context }) => context.record.cancelled,
  expired: ({ context }) => context.record.expired,
  noRetry: ({ context, event }) => context.record.noRetry && wishes(context, event),
  ceiling: ({ context, event }) =>
    context.record.attempts >= context.policy.maxAttempts && wishes(context, event),
  // Whatever it ended before, an answer that nobody would ask for again is its answer.
  poisoned: ({ context, event }) =>
    context.policy.poisonQuarantine &&
    context.record.ended.length >= context.policy.poisonThreshold &&
    wishes(context, event),
  headerForces: ({ context, event }) => forced(context, event) === true,
  headerForbids: ({ context, event }) => forced(context, event) === false,
  lost: ({ event }) => ended(event).outcome === 'gateway_lost',
  budgetLeft: ({ context, event }) => {
    const condition = conditionOf(ended(event).outcome, context.policy)
    const budget = condition === null ? null : budgetOf(context, condition)
    return budget !== null && (context.record.spent[condition!] ?? 0) < budget
  },
  budgetSpent: ({ context, event }) => {
    const condition = conditionOf(ended(event).outcome, context.policy)
    return condition !== null && budgetOf(context, condition) !== null
  },
  skipped: ({ context, event }) =>
    context.policy.skipRetryConditions.includes(
      conditionOf(ended(event).outcome, context.policy) ?? '',
    ),
  retryable: ({ context, event }) => conditionOf(ended(event).outcome, context.policy) !== null,
} satisfies Record<string, Read>

/** Whether anything at all would try again: a plain delivery is not credited to the ceiling. */
function wishes(context: RequestContext, event: RequestVerdict): boolean {
  return forced(context, event) ?? conditionOf(ended(event).outcome, context.policy) !== null
}

const both =
  (read: Read, wantsAnswer: boolean): Read =>
  (args) =>
    answered(args.event) === wantsAnswer && read(args)

const chart = setup({
  types: {
    context: {} as RequestContext,
    events: {} as RequestVerdict,
    input: {} as { policy: Policy; record: RequestRecord },
    meta: {} as { rule?: string; word?: string },
  },
  actions: {
    requeue: () => {},
    deliver: () => {},
    reject: () => {},
    attempted: assign({
      record: ({ context }) => ({ ...context.record, attempts: context.record.attempts + 1 }),
    }),
  },
  guards: {
    ...guards,
    cancelledAnswered: both(guards.cancelled, true),
    expiredAnswered: both(guards.expired, true),
    noRetryAnswered: both(guards.noRetry, true),
    ceilingAnswered: both(guards.ceiling, true),
    headerForbidsAnswered: both(guards.headerForbids, true),
    budgetSpentAnswered: both(guards.budgetSpent, true),
    skippedAnswered: both(guards.skipped, true),
    hasAnswer: ({ event }) => answered(event),
  },
})

const delivered = <G extends string, R extends string>(guard: G, rule: R) =>
  ({ guard, target: 'delivered', actions: 'deliver', meta: { rule } }) as const
const rejected = <G extends string, R extends string>(guard: G, rule: R) =>
  ({ guard, target: 'rejected', actions: 'reject', meta: { rule } }) as const
const requeued = <G extends string, R extends string>(guard: G, rule: R) =>
  ({ guard, target: 'queued', actions: 'requeue', meta: { rule } }) as const

/** The request's chart: a final rule delivers the last answer, or rejects when there was none. */
export const requestMachine = chart.createMachine({
  id: 'request',
  version: '1',
  initial: 'queued',
  context: ({ input }) => ({ policy: input.policy, record: input.record }),
  states: {
    queued: {
      meta: { word: 'queued' },
      on: {
        'lease.granted': {
          target: 'leased',
          actions: 'attempted',
          meta: { rule: 'lease.granted' },
        },
        'request.cancelled': { target: 'cancelled', meta: { rule: 'cancel' } },
        'request.expired': {
          target: 'rejected',
          actions: 'reject',
          meta: { rule: 'retry.deadline' },
        },
      },
    },
    leased: {
      meta: { word: 'leased' },
      on: {
        'lease.returned': { target: 'queued', meta: { rule: 'retry.fencing' } },
        'attempt.ended': [
          delivered('cancelledAnswered', 'cancel'),
          rejected('cancelled', 'cancel'),
          delivered('expiredAnswered', 'retry.deadline'),
          rejected('expired', 'retry.deadline'),
          delivered('noRetryAnswered', 'retry.no_retry'),
          rejected('noRetry', 'retry.no_retry'),
          delivered('ceilingAnswered', 'retry.ceiling'),
          rejected('ceiling', 'retry.ceiling'),
          rejected('poisoned', 'retry.poison'),
          requeued('headerForces', 'retry.header'),
          delivered('headerForbidsAnswered', 'retry.header'),
          rejected('headerForbids', 'retry.header'),
          requeued('lost', 'retry.fencing'),
          requeued('budgetLeft', 'retry.config'),
          delivered('budgetSpentAnswered', 'retry.config'),
          rejected('budgetSpent', 'retry.config'),
          delivered('skippedAnswered', 'retry.skip'),
          rejected('skipped', 'retry.skip'),
          requeued('retryable', 'retry.table'),
          delivered('hasAnswer', 'retry.one_outcome'),
          { target: 'rejected', actions: 'reject', meta: { rule: 'retry.one_outcome' } },
        ],
      },
    },
    delivered: { type: 'final', meta: { word: 'delivered' } },
    rejected: { type: 'final', meta: { word: 'rejected' } },
    cancelled: { type: 'final', meta: { word: 'cancelled' } },
  },
})

let compiled: ReturnType<typeof compileRequest> | null = null

/** Made when the first attempt of a queued request ends: many a gateway only passes calls on. */
function compileRequest() {
  const table = compile(requestMachine)
  return { table, leased: table.find('leased') }
}

/** What becomes of a request, and by which rule. */
export type Disposition =
  | { readonly do: 'deliver'; readonly rule: string }
  | {
      readonly do: 'requeue'
      readonly rule: string
      readonly delayMs: number
      readonly condition: string
      readonly record: RequestRecord
    }
  | {
      readonly do: 'reject'
      readonly rule: string
      readonly status: number
      readonly errorType: string
      readonly quarantine: boolean
    }

const cutTypes = {
  refused: 'runner_connection_refused',
  connect_timeout: 'runner_connection_timeout',
  disconnected: 'runner_disconnected',
  incomplete: 'runner_incomplete_response',
} as const

/** Decides what becomes of a request when an attempt has ended; pure. `record.attempts` counts the attempt that ended. */
export function dispose(
  request: string,
  record: RequestRecord,
  attempt: Ended & { readonly cut?: keyof typeof cutTypes | undefined },
  policy: Policy,
  seed: number,
): Disposition {
  const verdict: RequestVerdict = {
    type: 'attempt.ended',
    outcome: attempt.outcome,
    status: attempt.status,
    headers: attempt.headers,
  }
  const { table, leased } = (compiled ??= compileRequest())
  const plan = table.decide(leased, { policy, record }, verdict)!
  const rule = plan.rule!
  if (plan.next.word === 'delivered') return { do: 'deliver', rule }
  if (plan.next.word === 'queued') {
    const condition = conditionOf(attempt.outcome, policy) ?? 'needs_retry'
    const spent = { ...record.spent, [condition]: (record.spent[condition] ?? 0) + 1 }
    return {
      do: 'requeue',
      rule,
      delayMs: retryDelay(request, record.attempts, attempt, policy, seed),
      condition,
      record: { ...record, spent },
    }
  }
  if (rule === 'cancel')
    return { do: 'reject', rule, status: 499, errorType: 'client_cancelled', quarantine: false }
  if (rule === 'retry.deadline')
    return { do: 'reject', rule, status: 504, errorType: 'request_timeout', quarantine: false }
  if (rule === 'retry.poison')
    return { do: 'reject', rule, status: 503, errorType: 'poison_request', quarantine: true }
  const answer = outcomes[attempt.outcome].answer ?? {
    status: 503,
    errorType: 'runner_disconnected',
  }
  return {
    do: 'reject',
    rule,
    status: answer.status,
    errorType: answer.status === 503 && attempt.cut ? cutTypes[attempt.cut] : answer.errorType,
    quarantine: false,
  }
}

/** Rules that have spoken before anybody counted the runners that a request ended. */
const early: ReadonlySet<string> = new Set([
  'cancel',
  'retry.deadline',
  'retry.no_retry',
  'retry.ceiling',
])

/** The numbers that were looked at on the way to a disposition. */
function comparedOf(
  rule: string,
  record: RequestRecord,
  { outcome }: Ended,
  policy: Policy,
): readonly Compared[] {
  const below = (name: string, value: number, threshold: number, option: string | null) =>
    ({ name, value, op: '<', threshold, option }) as const
  const compared: Compared[] = [
    below('attempts', record.attempts, policy.maxAttempts, 'maxAttempts'),
  ]
  if (policy.poisonQuarantine && !early.has(rule))
    compared.push(
      below('endedRunners', record.ended.length, policy.poisonThreshold, 'poisonThreshold'),
    )
  const condition = rule === 'retry.config' ? conditionOf(outcome, policy) : null
  if (condition !== null) {
    const own = record.retryConfig?.[condition]
    const budget = own ?? policy.retryConfig![condition]!
    const option = own === undefined ? `retryConfig.${condition}.retries` : null
    compared.push(below('extraAttempts', record.spent[condition] ?? 0, budget, option))
  }
  return compared
}

/** Whether the runner crashed by itself with this attempt on it: the end of a process is often told before the end of its attempts. */
function crashedUnder(app: AppRecord, runner: RunnerRecord | null, event: AttemptEnded): boolean {
  if (event.outcome !== 'crashed') return false
  if (runner !== null) return runner.context.reason === 'crashed'
  const { runner: id, incarnation } = event
  return app.gone.some(
    (gone) => gone.id === id && gone.incarnation === incarnation && gone.reason === 'crashed',
  )
}

/** Decides for an attempt of a queued request inside a step: order, record and, for a poison request, the blame. */
export function settleRequest(
  fleet: Fleet,
  app: AppRecord,
  runner: RunnerRecord | null,
  event: AttemptEnded,
  endedRunner: boolean,
): void {
  const before = event.record!
  const blamed =
    (endedRunner || crashedUnder(app, runner, event)) && !before.ended.includes(event.runner)
  const record = blamed ? { ...before, ended: [...before.ended, event.runner].slice(-10) } : before
  if (blamed && record.ended.length >= app.policy.poisonThreshold) {
    pardonStarts(fleet, app, record.ended)
    if (record.ended.length === app.policy.poisonThreshold)
      alert(
        fleet,
        'request.poison',
        'request',
        event.request,
        `It ended ${record.ended.length} different runners of ${app.id}; the request is suspected, not the runners.`,
      )
  }
  const disposition = dispose(event.request, record, event, app.policy, fleet.seed)
  const first = fleet.commands.length
  const id = (kind: string): string => `${kind}:${event.request}:${event.attempt}`
  let to: string
  if (disposition.do === 'requeue') {
    to = 'queued'
    give(fleet, {
      type: 'requeue',
      id: id('requeue'),
      request: event.request,
      attempt: event.attempt,
      delayMs: disposition.delayMs,
      avoid: event.runner === '' ? null : event.runner,
      condition: disposition.condition,
      record: disposition.record,
    })
  } else if (disposition.do === 'deliver') {
    to = 'delivered'
    give(fleet, {
      type: 'deliver',
      id: id('deliver'),
      request: event.request,
      attempt: event.attempt,
    })
  } else {
    to = 'rejected'
    give(fleet, {
      type: 'reject',
      id: id('reject'),
      request: event.request,
      status: disposition.status,
      errorType: disposition.errorType,
      quarantine: disposition.quarantine,
      cause: disposition.rule,
    })
  }
  push(fleet, {
    seq: 0,
    at: event.at,
    subject: { kind: 'request', id: event.request, incarnation: event.attempt },
    from: 'leased',
    to,
    rule: disposition.rule,
    compared: comparedOf(disposition.rule, record, event, app.policy),
    enforced: true,
    because: null,
    commands: fleet.commands.slice(first).map((command) => command.id),
    events: [fleet.seq],
  })
}
