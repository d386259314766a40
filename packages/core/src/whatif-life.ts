/**
 * What is said about one life under another policy: the same, ended earlier, spared and then unknown, by another rule, or not sure.
 * The five are never added up: a spared life may have ended a second later or not at all, and nobody knows.
 */
import type { AppRecord, RunnerRecord } from './state.ts'
import type { Ending, Shadow } from './shadow.ts'
import { rules, type Rule } from './rule.ts'
import { traits } from './word.ts'

/**
 * `same`: it ended at the same moment by the same rule, or lives in both. `earlier`: it ends earlier, certainly. `spared`: it does not
 * end when it really did; what then is unknown. `other_rule`: the same moment, another rule. `unsure`: it would have ended by what the
 * journal shows, but would have been probed more often, and any of those probes may have acquitted it; or so many would have ended about
 * then that a guard may have made it wait.
 */
export type Fate = 'same' | 'earlier' | 'spared' | 'other_rule' | 'unsure'

/** All fates, in the order of reports. */
export const fates = [
  'same',
  'earlier',
  'spared',
  'other_rule',
  'unsure',
] as const satisfies readonly Fate[]

/** What the journal shows of a life after a moment. */
export interface Afterwards {
  readonly passes: number
  readonly failures: number
  /** Answers with a 2xx to real work, to the second. */
  readonly served: number
  /** How long it went on, in ms. */
  readonly ms: number
}

/** A stretch of one configuration word, from `at` on. */
export interface Stretch {
  readonly at: number
  readonly word: string
}

/** One life and its other one. Times are observed ms. */
export interface Life {
  readonly runner: string
  readonly incarnation: number
  readonly app: string
  readonly begunAt: number
  /** How it really ended; null: it lived on. */
  readonly ended: Ending | null
  /** How it ends under the other policy as far as the journal goes; null: not there. */
  readonly other: Ending | null
  readonly fate: Fate
  /** Why an `unsure` one is not sure: probes that nobody made, or guards that others may have kept busy; else null. */
  readonly doubt: 'probes' | 'guards' | null
  /** What it really did after the moment at which the other policy ends it (`earlier` and `unsure`). */
  readonly afterwards: Afterwards | null
  /**
   * Of a spared one: when it would have ended at the earliest, had it gone on failing (null: never by this rule), and that it would
   * not have ended at all, had it recovered. The truth is in between.
   */
  readonly bounds: { readonly ifFailing: number | null; readonly ifRecovered: null } | null
  /** The guard, or the dry run, by which it is spared; null: the rule itself did not ask. */
  readonly because: string | null
  /** The real verdict that was withheld first (a guard, a dry run), and what the runner then did: the control group. */
  readonly withheld: {
    readonly at: number
    readonly rule: string
    readonly because: string
    readonly afterwards: Afterwards
  } | null
  readonly really: readonly Stretch[]
  readonly otherwise: readonly Stretch[]
}

/** Stretches kept of one life; later ones replace the last. */
const MAX_STRETCHES = 200

class Count {
  passes = 0
  failures = 0
  served = 0
  readonly from: number

  constructor(from: number) {
    this.from = from
  }

  until(at: number): Afterwards {
    const { passes, failures, served } = this
    return { passes, failures, served, ms: Math.max(0, at - this.from) }
  }
}

/** A life that is still being followed. */
export class LifeRecord {
  readonly record: RunnerRecord
  readonly incarnation: number
  readonly app: AppRecord
  readonly shadow: Shadow
  readonly begunAt: number
  ended: Ending | null = null
  over = false
  readonly really: Stretch[] = []
  readonly otherwise: Stretch[] = []
  #after: Count | null = null
  #withheld: { at: number; rule: string; because: string; after: Count } | null = null

  constructor(record: RunnerRecord, shadow: Shadow, at: number) {
    this.record = record
    this.incarnation = record.incarnation
    this.app = record.app
    this.shadow = shadow
    this.begunAt = at
    const { word } = record.configuration
    this.note(this.really, word, at)
    this.note(this.otherwise, word, at)
    shadow.onMove = (to, when) => this.note(this.otherwise, to, when)
  }

  note(list: Stretch[], word: string, at: number): void {
    if (list.at(-1)?.word === word) return
    if (list.length >= MAX_STRETCHES) list.pop()
    list.push({ at, word })
  }

  /** The shadow ended in this step: from here on the journal shows what the runner really did. */
  watchEnd(): boolean {
    if (this.shadow.ended === null || this.#after !== null) return false
    this.#after = new Count(this.shadow.ended.at)
    return true
  }

  /** A verdict was withheld in truth; the first one begins the control group's count. */
  withhold(at: number, rule: string, because: string): boolean {
    if (this.#withheld !== null) return false
    this.#withheld = { at, rule, because, after: new Count(at) }
    return true
  }

  count(what: 'passes' | 'failures' | 'served', n: number): void {
    if (this.#after !== null) this.#after[what] += n
    if (this.#withheld !== null) this.#withheld.after[what] += n
  }

  /** What is said about it; `at`: its end, or where the journal ends. */
  close(at: number): Life {
    const { ended, shadow, record } = this
    const { ended: other } = shadow
    const fate = fateOf(ended, shadow)
    const withheld = this.#withheld
    return {
      runner: record.id,
      incarnation: this.incarnation,
      app: this.app.id,
      begunAt: this.begunAt,
      ended,
      other,
      fate,
      doubt: fate === 'unsure' ? (shadow.thin && !shadow.early ? 'probes' : 'guards') : null,
      afterwards:
        this.#after !== null && (fate === 'earlier' || fate === 'unsure')
          ? this.#after.until(at)
          : null,
      bounds:
        fate === 'spared' ? { ifFailing: earliest(shadow, ended!.at), ifRecovered: null } : null,
      because: fate === 'spared' ? shadow.withheld : null,
      withheld:
        withheld === null
          ? null
          : {
              at: withheld.at,
              rule: withheld.rule,
              because: withheld.because,
              afterwards: withheld.after.until(at),
            },
      really: this.really,
      otherwise: this.otherwise,
    }
  }
}

const isFact = (rule: string): boolean =>
  (rules as Readonly<Record<string, Rule>>)[rule]?.fact !== undefined

function fateOf(ended: Ending | null, { ended: other, thin, crowded, early }: Shadow): Fate {
  if (other === null) return ended !== null ? 'spared' : early ? 'unsure' : 'same'
  // What was told needs no probe: an exit, an order, a 503. The start's deadline rests on probes that were not made.
  const told = isFact(other.rule) && other.rule !== 'start.deadline'
  const certain = !early && (told || (!thin && !crowded))
  if (ended !== null && other.at >= ended.at) {
    if (other.rule !== ended.rule) return 'other_rule'
    return certain ? 'same' : 'unsure'
  }
  return certain ? 'earlier' : 'unsure'
}

/** When a spared life would have ended at the earliest, had it gone on as it was. */
function earliest(shadow: Shadow, ended: number): number | null {
  const { context, configuration, withheld, due } = shadow
  const { policy } = context
  if (withheld === 'guard.dry_run') return null
  const { serving, held } = traits(configuration)
  if (!serving) return Number.isNaN(due) ? null : Math.max(ended, due)
  if (held) return ended
  const draining = Number.isNaN(due) ? Number.POSITIVE_INFINITY : due
  if (!policy.hasCheck) return draining === Number.POSITIVE_INFINITY ? null : draining
  const { length } = context.strikes
  const gap = policy.strikeGapMs
  const failing =
    length > 0
      ? context.struckAt + Math.max(1, policy.failureThreshold - length) * gap
      : Math.max(ended, context.startedAt + policy.effectiveStartPeriodMs) +
        (policy.failureThreshold - 1) * gap
  return Math.max(ended, Math.min(failing, draining))
}
