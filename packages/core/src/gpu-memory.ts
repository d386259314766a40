/**
 * What is remembered of one device between samples: numbers in a fixed shape, so that a thousand devices cost a megabyte and a
 * snapshot is plain JSON. It judges nothing.
 */
import type { Compared } from './decision.ts'
import { levels } from './gpu-level.ts'
import { signalRules, signalTable, type SignalRule } from './gpu-signal.ts'
import type { ActionClass, RecoveryAction } from './xid.ts'

/** What became true about a device, or no longer is. */
export interface Verdict {
  readonly rule: SignalRule
  /** True: raised; false: released. */
  readonly raised: boolean
  readonly class: ActionClass
  /** True: concluded from readings; false: a fact that the driver states. */
  readonly doubt: boolean
  readonly compared: readonly Compared[]
  /** One sentence for people. */
  readonly text: string
}

/** A counter by the minute. -1: not known. */
export interface Rate {
  /** Value at the beginning of the minute. */
  base: number
  at: number
  /** Bad minutes in a row. */
  bad: number
  /** Since when minutes are good. */
  goodAt: number
}

/** Everything that is remembered of one device, about 600 bytes. -1: not known. */
export interface DeviceMemory {
  sampledAt: number
  /** Since when it is watched without a gap. */
  watchedAt: number
  /** Raised rules, one bit each. */
  raised: number
  /** By level: since when its condition holds; while raised, since when its release does. */
  readonly since: number[]
  /** Samples in a row beyond the critical temperature; while raised, of those well below. */
  critical: number
  /** Number of the current tenth of the window of `throttle.hw`, and samples by tenth: all, and those slowed down. */
  bucket: number
  readonly seen: number[]
  readonly hot: number[]
  /** Last values of counters. */
  ecc: number
  slowedMs: number
  readonly replay: Rate
  readonly nvlink: Rate
  recovery: RecoveryAction
  recoveryAt: number
  /** False while the recovery action has not settled. */
  recoveryTold: boolean
}

/** Parts of the window of `throttle.hw`. */
export const TENTHS = 10

const bit = Object.fromEntries(signalRules.map((rule, index) => [rule, 1 << index])) as Readonly<
  Record<SignalRule, number>
>

/** A device of which nothing is known yet. */
export function createMemory(): DeviceMemory {
  const rate = (): Rate => ({ base: -1, at: -1, bad: 0, goodAt: -1 })
  const zeros = (): number[] => Array.from({ length: TENTHS }, () => 0)
  return {
    sampledAt: -1,
    watchedAt: -1,
    raised: 0,
    since: levels.map(() => -1),
    critical: 0,
    bucket: -1,
    seen: zeros(),
    hot: zeros(),
    ecc: -1,
    slowedMs: -1,
    replay: rate(),
    nvlink: rate(),
    recovery: 'none',
    recoveryAt: -1,
    recoveryTold: true,
  }
}

/** Is this rule raised on the device? */
export function isRaised(memory: DeviceMemory, rule: SignalRule): boolean {
  return (memory.raised & bit[rule]) !== 0
}

/** Forgets everything that needs an unbroken row of samples; counters and raised rules stay. */
export function forget(memory: DeviceMemory, at: number): void {
  memory.watchedAt = at
  memory.since.fill(-1)
  memory.critical = 0
  memory.bucket = -1
  memory.seen.fill(0)
  memory.hot.fill(0)
  for (const rate of [memory.replay, memory.nvlink]) {
    rate.at = -1
    rate.bad = 0
    rate.goodAt = -1
  }
}

/** Notes that a rule is raised or released and says so; class and doubt are the table's. */
export function change(
  memory: DeviceMemory,
  rule: SignalRule,
  raised: boolean,
  compared: readonly Compared[],
): Verdict {
  memory.raised = raised ? memory.raised | bit[rule] : memory.raised & ~bit[rule]
  const { class: asks, doubt } = signalTable[rule]
  const text = compared
    .map(({ name, value, op, threshold }) => `${name} ${tidy(value)} ${op} ${tidy(threshold)}`)
    .join(', ')
  return { rule, raised, class: asks, doubt, compared, text }
}

function tidy(value: number): number {
  return Math.round(value * 10) / 10
}
