/**
 * Whether a decision is still taken when its subject is judged by other numbers: the journal is replayed, and nothing else is changed.
 * Of a runner this one life is judged so, of a request its attempts, of a node the time since the decision before.
 */
import type { Decision } from './decision.ts'
import type { HealthEvent } from './event.ts'
import { step } from './fleet.ts'
import type { NodePolicy } from './node-policy.ts'
import type { Policy } from './policy.ts'
import { budgetOf, scaleOf } from './policy-number.ts'
import { begin, type Recording } from './replay.ts'
import type { AppRecord, Fleet } from './state.ts'

/** Numbers of the policy by their names in the configuration, in their own units; `retryConfig.CONDITION.retries` for a budget. */
export type Numbers = Readonly<Record<string, number>>

/** A proof in pieces, so that nothing waits for a long journal. */
export interface Proof {
  /** Of a life: its ages, in ms, at which a check of it failed or a heartbeat was missed. */
  readonly failures: readonly number[]
  /** Times at which the same was decided about the subject, as far as the replay has come. */
  readonly moments: readonly number[]
  /** Of a life: it was over before the moment of the decision, or at that moment by something else. */
  readonly endedElsewise: boolean
  /** Of a node: index of the first event after the decision before this one. */
  readonly since: number
  /** What the subject was judged by last, in the option's own unit; null when it was not judged or the option is none of its. */
  valueOf(option: string): number | null
  /** Replays up to `events` more; null while there is more, then whether the decision is still taken. */
  advance(events: number): boolean | null
}

/** Lets one subject be judged by other numbers. */
interface Judge {
  /** What it was judged by, its own numbers included; null: it was not judged yet. */
  readonly policy: object | null
  before(event: HealthEvent): void
  after(): void
}

function runnerJudge(fleet: Fleet, { subject }: Decision, numbers: Numbers): Judge {
  let policy: Policy | null = null
  const after = (): void => {
    const runner = fleet.runners.get(subject.id)
    if (runner === undefined || runner.incarnation !== subject.incarnation) return
    // The object is the app's own until it was changed here: a change of configuration shows by another one.
    if (runner.context.policy === policy) return
    policy = changed(runner.context.policy, numbers)
    ;(runner.context as { policy: Policy }).policy = policy
  }
  after()
  return {
    get policy() {
      return policy
    },
    before: () => {},
    after,
  }
}

/** A request is judged in the step that tells how its attempt ended, by the policy of its app. */
function requestJudge(fleet: Fleet, { subject }: Decision, numbers: Numbers): Judge {
  let policy: Policy | null = null
  let app: AppRecord | null = null
  let real: Policy | null = null
  return {
    get policy() {
      return policy
    },
    before: (event) => {
      if (event.type !== 'attempt.ended' && event.type !== 'lease.expired') return
      if (event.request !== subject.id) return
      app = fleet.apps.get(event.app) ?? null
      if (app === null) return
      real = app.policy
      policy = app.policy = changed(real, numbers)
    },
    after: () => {
      if (app !== null && app.policy === policy) app.policy = real!
      app = null
    },
  }
}

/**
 * A node is judged in the steps of the facts that name it, and at the moment of the decision, by whatever that is brought about. Its
 * neighbours are judged as they were.
 */
function nodeJudge(fleet: Fleet, { subject, at }: Decision, numbers: Numbers): Judge {
  let real: NodePolicy | null = null
  let policy: NodePolicy = fleet.nodePolicy
  return {
    get policy() {
      return policy
    },
    before: (event) => {
      const named = 'node' in event && event.node === subject.id
      if (!named && event.at !== at) return
      real = fleet.nodePolicy
      policy = fleet.nodePolicy = changed(real, numbers)
    },
    after: () => {
      if (real !== null && fleet.nodePolicy === policy) fleet.nodePolicy = real
      real = null
    },
  }
}

const MS = /Seconds$/

/** A resolved policy with other numbers; what is derived from them follows. */
function changed<P extends Policy | NodePolicy>(policy: P, numbers: Numbers): P {
  const entries = Object.entries(numbers)
  if (entries.length === 0) return policy
  const values: Record<string, unknown> = {}
  for (const [option, value] of entries) {
    const condition = budgetOf(option)
    if (condition !== null)
      values['retryConfig'] = { ...(policy as Policy).retryConfig, [condition]: Math.round(value) }
    else values[option.replace(MS, 'Ms')] = Math.round(value * scaleOf(option))
  }
  const other = { ...policy, ...values }
  if ('startPeriodMs' in values || 'startupTimeoutMs' in values) {
    const { startPeriodMs, startupTimeoutMs } = other as Policy
    return { ...other, effectiveStartPeriodMs: Math.max(startPeriodMs, startupTimeoutMs) }
  }
  return other
}

function valueIn(policy: object | null, option: string): number | null {
  const values = policy as Readonly<Record<string, unknown>> | null
  const condition = budgetOf(option)
  const value =
    condition === null
      ? values?.[option.replace(MS, 'Ms')]
      : (values?.['retryConfig'] as Policy['retryConfig'])?.[condition]
  return typeof value === 'number' ? value / scaleOf(option) : null
}

/** Whether one decision is the other: of a request its end counts and not the rule, for the same end is no other one. */
function same(one: Decision, other: Decision): boolean {
  const { kind, id, incarnation } = one.subject
  if (kind !== other.subject.kind || id !== other.subject.id) return false
  if (incarnation !== other.subject.incarnation || one.to !== other.to) return false
  return kind === 'request' || (one.rule === other.rule && one.enforced === other.enforced)
}

const ended = /^(stopping|killing|gone)/

/** Whether one decision ended the life that another one is about, which then could not be taken. */
function isEndOf({ subject, at, to }: Decision, end: Decision): boolean {
  return (
    subject.kind === 'runner' &&
    end.subject.kind === 'runner' &&
    end.subject.id === subject.id &&
    end.subject.incarnation === subject.incarnation &&
    ended.test(end.to) &&
    (end.at < at || ended.test(to))
  )
}

/**
 * Asks whether a decision is still taken, at its moment, when its subject is judged by other numbers. Everything else stays as it was,
 * so the answer is exact: until this decision both worlds saw the same. `since`: index of the first event for which they count; without
 * it that of a node is found by a replay.
 */
export function beginProof(
  recording: Recording,
  decision: Decision,
  numbers: Numbers,
  since = beginsAt(recording, decision, numbers),
): Proof {
  const fleet = begin(recording)
  const { kind, id, incarnation } = decision.subject
  let still = false
  let next = 0
  let over = false
  let begun = 0
  fleet.loose = true
  const failures: number[] = []
  const moments: number[] = []
  let endedElsewise = false
  fleet.onTell = (runner, verdict) => {
    if (verdict.type === 'probe.failed' && runner.id === id && runner.incarnation === incarnation)
      failures.push(verdict.at - runner.context.startedAt)
  }
  const judge =
    kind === 'runner'
      ? runnerJudge(fleet, decision, numbers)
      : kind === 'request'
        ? requestJudge(fleet, decision, numbers)
        : nodeJudge(fleet, decision, numbers)
  const take = (event: HealthEvent): void => {
    const counts = next > since
    if (counts) judge.before(event)
    const { decisions } = step(fleet, event)
    if (counts) judge.after()
    for (const taken of decisions) {
      if (same(taken, decision)) {
        moments.push(taken.at)
        if (taken.at === decision.at) still = true
      } else if (isEndOf(decision, taken)) endedElsewise = true
      const { subject, at } = taken
      if (subject.kind === 'node' && subject.id === id && at < decision.at) begun = next
    }
  }
  /** A deadline of a node acts by itself: it is judged in a step of its own. */
  const wait = (): void => {
    for (const at of [decision.at - 1, decision.at])
      if (at > fleet.now) take({ type: 'time.passed', at })
  }
  const finish = (): boolean => {
    if (!over && !still && decision.at >= fleet.now) {
      if (kind === 'node') wait()
      take({ type: 'time.passed', at: decision.at })
    }
    over = true
    return still
  }
  return {
    failures,
    moments,
    get endedElsewise() {
      return endedElsewise
    },
    get since() {
      return begun
    },
    valueOf: (option) => valueIn(judge.policy, option),
    advance(events) {
      for (let n = 0; n < events; n++) {
        const event = recording.events[next++]
        if (event === undefined || over) return finish()
        if (event.at < fleet.now || (event.seq ?? Infinity) <= fleet.seq) continue
        // A held runner may be let go by a later event of the same moment than those it rests on.
        if (event.at > decision.at || still) return finish()
        if (kind === 'node' && event.at === decision.at) wait()
        take(event)
      }
      return null
    },
  }
}

/** Other numbers count for a life and a request from their beginning, for a node since the decision before. */
function beginsAt(recording: Recording, decision: Decision, numbers: Numbers): number {
  if (decision.subject.kind !== 'node' || Object.keys(numbers).length === 0) return 0
  const real = beginProof(recording, decision, {}, 0)
  real.advance(Infinity)
  return real.since
}

/** {@link beginProof}, at once. */
export function stands(recording: Recording, decision: Decision, numbers: Numbers): boolean {
  return beginProof(recording, decision, numbers).advance(Infinity) ?? false
}
