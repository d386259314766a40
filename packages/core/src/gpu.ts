/**
 * Readings of one device → verdicts about it, by the table in `gpu-signal.ts`: hold times, rows, shares and rates on the way up,
 * lower levels on the way down. It knows one device and nothing of runners or nodes; silence is never a reading, and what a
 * device does not report is never judged.
 */
import type { Compared } from './decision.ts'
import { critical, hot, levels } from './gpu-level.ts'
import { change, forget, isRaised, TENTHS, type DeviceMemory, type Verdict } from './gpu-memory.ts'
import { judgeNvlink, judgeReplays } from './gpu-rate.ts'
import { announce, settle } from './gpu-recovery.ts'
import type { SignalRule } from './gpu-signal.ts'
import type { DeviceSample } from './node-event.ts'
import type { NodePolicy } from './node-policy.ts'

export { createMemory, isRaised, type DeviceMemory, type Verdict } from './gpu-memory.ts'

const NONE: readonly Verdict[] = Object.freeze([])

/**
 * Judges one sample. `memory` is advanced in place; `at` (ms) never decreases. Most samples change nothing and answer one shared
 * empty list.
 *
 * ```ts
 * const memory = createMemory()
 * assess(memory, { uuid: 'GPU-1', rowRemapFailed: true }, 0, policy) // => [{ rule: 'remap.failed', class: 'escalate', … }]
 * ```
 */
export function assess(
  memory: DeviceMemory,
  sample: DeviceSample,
  at: number,
  policy: NodePolicy,
): readonly Verdict[] {
  // Nobody knows what happened in a gap: whatever had to hold begins to hold anew.
  if (memory.sampledAt < 0 || at - memory.sampledAt > policy.telemetryStalledMs) forget(memory, at)
  memory.sampledAt = at
  return pass(memory, sample, at, policy) ?? NONE
}

/** Every line of the table in turn; allocates only when one of them speaks. */
function pass(
  memory: DeviceMemory,
  sample: DeviceSample,
  at: number,
  policy: NodePolicy,
): Verdict[] | null {
  let out: Verdict[] | null = null
  if (sample.recoveryAction !== undefined)
    out = add(out, announce(memory, sample.recoveryAction, at))
  out = add(out, settle(memory, at, policy))
  for (let index = 0; index < levels.length; index++)
    out = add(out, judgeLevel(memory, index, sample, at, policy))
  out = add(out, judgeCritical(memory, sample, policy))
  out = add(out, judgeThrottle(memory, sample, at, policy))
  out = add(out, judgeEcc(memory, sample))
  out = add(out, judgeFlag(memory, 'remap.pending', sample.rowRemapPending, true))
  out = add(out, judgeFlag(memory, 'remap.failed', sample.rowRemapFailed, false))
  out = add(out, judgeFlag(memory, 'sram.threshold', sample.sramThresholdExceeded, false))
  out = add(out, judgeFlag(memory, 'retired.pending', sample.retiredPagesPending, true))
  out = add(out, judgePages(memory, sample, policy))
  out = add(out, judgeReplays(memory, sample, at, policy))
  return add(out, judgeNvlink(memory, sample, at, policy))
}

function add(list: Verdict[] | null, verdict: Verdict | null): Verdict[] | null {
  if (verdict === null) return list
  if (list === null) return [verdict]
  list.push(verdict)
  return list
}

/** A condition that must hold for a time, and a milder one that must hold to release it. */
function judgeLevel(
  memory: DeviceMemory,
  index: number,
  sample: DeviceSample,
  at: number,
  policy: NodePolicy,
): Verdict | null {
  const level = levels[index]!
  const raised = isRaised(memory, level.rule)
  const holds = raised ? level.released(sample, policy) : level.raised(sample, policy)
  if (holds === undefined) return null
  if (!holds) {
    memory.since[index] = -1
    return null
  }
  if (memory.since[index]! < 0) memory.since[index] = at
  const held = at - memory.since[index]!
  const span = raised ? level.release : level.hold
  const needed = span === null ? 0 : policy[span.value]
  if (held < needed) return null
  memory.since[index] = -1
  return change(memory, level.rule, !raised, [
    ...level.read(sample, policy, !raised),
    { name: 'heldMs', value: held, op: '>=', threshold: needed, option: span?.option ?? null },
  ])
}

function judgeCritical(
  memory: DeviceMemory,
  sample: DeviceSample,
  policy: NodePolicy,
): Verdict | null {
  const raised = isRaised(memory, 'temp.critical')
  const holds = critical(sample, policy, raised)
  if (holds === undefined) return null
  memory.critical = holds === raised ? 0 : memory.critical + 1
  if (memory.critical < policy.tempCriticalSamples) return null
  const samples: Compared = {
    name: 'samples',
    value: memory.critical,
    op: '>=',
    threshold: policy.tempCriticalSamples,
    option: 'tempCriticalSamples',
  }
  memory.critical = 0
  return change(memory, 'temp.critical', !raised, [
    ...critical.read(sample, policy, !raised),
    samples,
  ])
}

/** The share of slowed-down samples in a window of ten parts; a window that was not watched to its end says nothing. */
function judgeThrottle(
  memory: DeviceMemory,
  sample: DeviceSample,
  at: number,
  policy: NodePolicy,
): Verdict | null {
  const slowed = hot(memory, sample)
  if (slowed === undefined) return null
  const now = Math.floor(at / (policy.throttleHwWindowMs / TENTHS))
  const first = now - TENTHS + 1
  const from = memory.bucket < first ? first : memory.bucket + 1
  for (let bucket = from; bucket <= now; bucket++) {
    const place = ((bucket % TENTHS) + TENTHS) % TENTHS
    memory.seen[place] = 0
    memory.hot[place] = 0
  }
  memory.bucket = now
  memory.seen[now % TENTHS]! += 1
  if (slowed) memory.hot[now % TENTHS]! += 1
  const watched = at - memory.watchedAt
  if (watched < policy.throttleHwWindowMs) return null
  let seen = 0
  let count = 0
  for (let tenth = 0; tenth < TENTHS; tenth++) {
    seen += memory.seen[tenth]!
    count += memory.hot[tenth]!
  }
  const percent = (count * 100) / seen
  const raised = isRaised(memory, 'throttle.hw')
  if (raised ? percent >= policy.throttleHwReleasePercent : percent < policy.throttleHwPercent)
    return null
  return change(memory, 'throttle.hw', !raised, [
    raised
      ? {
          name: 'throttledPercent',
          value: percent,
          op: '<',
          threshold: policy.throttleHwReleasePercent,
          option: 'throttleHwReleasePercent',
        }
      : {
          name: 'throttledPercent',
          value: percent,
          op: '>=',
          threshold: policy.throttleHwPercent,
          option: 'throttleHwPercent',
        },
    {
      name: 'watchedMs',
      value: watched,
      op: '>=',
      threshold: policy.throttleHwWindowMs,
      option: 'throttleHwWindowSeconds',
    },
  ])
}

function judgeEcc(memory: DeviceMemory, sample: DeviceSample): Verdict | null {
  const count = sample.eccVolatileUncorrected
  if (count === undefined) return null
  const before = memory.ecc
  memory.ecc = count
  // The first reading is where counting begins; a smaller one means that the driver counts anew.
  if (before < 0 || count === before) return null
  const grew = count > before
  if (grew === isRaised(memory, 'ecc.uncorrected')) return null
  return change(memory, 'ecc.uncorrected', grew, [
    {
      name: 'eccVolatileUncorrected',
      value: count,
      op: grew ? '>' : '<',
      threshold: before,
      option: null,
    },
  ])
}

function judgeFlag(
  memory: DeviceMemory,
  rule: SignalRule,
  value: boolean | undefined,
  releases: boolean,
): Verdict | null {
  if (value === undefined || value === isRaised(memory, rule) || (!value && !releases)) return null
  return change(memory, rule, value, [
    { name: rule, value: value ? 1 : 0, op: value ? '>=' : '<', threshold: 1, option: null },
  ])
}

function judgePages(
  memory: DeviceMemory,
  { retiredPages }: DeviceSample,
  policy: NodePolicy,
): Verdict | null {
  if (retiredPages === undefined || retiredPages < policy.retiredPagesMax) return null
  if (isRaised(memory, 'retired.pages')) return null
  return change(memory, 'retired.pages', true, [
    {
      name: 'retiredPages',
      value: retiredPages,
      op: '>=',
      threshold: policy.retiredPagesMax,
      option: 'retiredPagesMax',
    },
  ])
}
