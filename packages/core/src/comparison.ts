/**
 * Guards that compare, as data: the predicate of the chart, the line in a decision and the counterfactual of an explanation all
 * come from the one row here. A guard that only reads a word (`isTcp`) is not a comparison and stays in the chart.
 */
import type { Compared } from './decision.ts'
import type { Policy } from './policy.ts'
import type { RunnerContext, Verdict } from './runner.ts'

/** One comparison: what is read, against which limit, and which option moves that limit. */
export interface Comparison {
  /** Name of the reading in a decision. */
  readonly name: string
  readonly read: (context: RunnerContext, event: Verdict) => number
  readonly op: '<' | '>='
  readonly limit: (policy: Policy) => number
  /** The option behind the limit. */
  readonly option: (policy: Policy) => string
  /**
   * The value of the option, in its own unit, at which the comparison turns out the other way; null when no policy should be
   * blamed (a derived limit).
   */
  readonly turned: ((value: number) => number) | null
}

const seconds = (ms: number): number => Math.ceil(ms) / 1000

/** Every comparing guard of the runner's chart, by the guard's name. */
export const comparisons = {
  inGrace: {
    name: 'age',
    read: (context, event) => event.at - context.startedAt,
    op: '<',
    limit: (policy) => policy.effectiveStartPeriodMs,
    option: (policy) =>
      policy.startPeriodMs >= policy.startupTimeoutMs
        ? 'startPeriodSeconds'
        : 'startupTimeoutSeconds',
    turned: (value) => seconds(value + 1),
  },
  tooSoon: {
    name: 'sinceCounted',
    read: (context, event) =>
      context.strikes.length > 0 ? event.at - context.struckAt : Number.MAX_SAFE_INTEGER,
    op: '<',
    limit: (policy) => policy.strikeGapMs,
    option: () => 'intervalSeconds',
    turned: null,
  },
  lastStrike: {
    name: 'failures',
    read: (context) => context.strikes.length + 1,
    op: '>=',
    limit: (policy) => policy.failureThreshold,
    option: () => 'failureThreshold',
    turned: (value) => value + 1,
  },
  provenWell: {
    name: 'passes',
    read: (context) => context.passes + 1,
    op: '>=',
    limit: (policy) => policy.successThreshold,
    option: () => 'successThreshold',
    turned: (value) => value,
  },
} as const satisfies Record<string, Comparison>

/** Name of a comparing guard. */
export type ComparisonName = keyof typeof comparisons

const rows: Readonly<Record<string, Comparison>> = comparisons
const NONE: readonly Compared[] = Object.freeze([])

/** The predicate of a comparison, in the shape xstate asks of a guard. */
export function holds(
  name: ComparisonName,
): (args: { context: RunnerContext; event: Verdict }) => boolean {
  const { read, op, limit }: Comparison = comparisons[name]
  return op === '<'
    ? ({ context, event }) => read(context, event) < limit(context.policy)
    : ({ context, event }) => read(context, event) >= limit(context.policy)
}

/** The comparisons among the guards that were looked at, with their readings before the verdict acted. */
export function compare(
  looked: readonly string[],
  context: RunnerContext,
  event: Verdict,
): readonly Compared[] {
  let out: Compared[] | null = null
  for (const guard of looked) {
    const row = rows[guard]
    if (row === undefined) continue
    const value = row.read(context, event)
    if (value === Number.MAX_SAFE_INTEGER) continue
    const compared: Compared = {
      name: row.name,
      value,
      op: row.op,
      threshold: row.limit(context.policy),
      option: row.option(context.policy),
    }
    if (out === null) out = [compared]
    else out.push(compared)
  }
  return out ?? NONE
}
