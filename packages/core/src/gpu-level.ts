/**
 * The conditions behind the levels of `gpu.ts`: each reads one sample and says yes, no, or that the device does not report what
 * would be needed. They hold no memory and know no time.
 */
import type { Compared } from './decision.ts'
import type { SignalRule } from './gpu-signal.ts'
import type { DeviceSample } from './node-event.ts'
import type { NodePolicy } from './node-policy.ts'

/** Yes, no, or not reported. */
type Answer = boolean | undefined
type PolicyNumber = {
  readonly [K in keyof NodePolicy]: NodePolicy[K] extends number ? K : never
}[keyof NodePolicy]

/** A condition that must hold for a time to raise its rule, and another one to release it. */
export interface Level {
  readonly rule: SignalRule
  readonly hold: { readonly value: PolicyNumber; readonly option: string }
  /** Null: the first sample releases it. */
  readonly release: { readonly value: PolicyNumber; readonly option: string } | null
  readonly raised: (sample: DeviceSample, policy: NodePolicy) => Answer
  readonly released: (sample: DeviceSample, policy: NodePolicy) => Answer
  readonly read: (sample: DeviceSample, policy: NodePolicy, raised: boolean) => readonly Compared[]
}

const not = (answer: Answer): Answer => (answer === undefined ? undefined : !answer)

/** Without a margin: the lower of our number and the device's own. */
function highLimit(sample: DeviceSample, policy: NodePolicy): number {
  return Math.min(policy.tempHighC, sample.maxOperatingC ?? Infinity)
}

const tempHigh: Level = {
  rule: 'temp.high',
  hold: { value: 'tempHighHoldMs', option: 'tempHighHoldSeconds' },
  release: { value: 'tempHighReleaseMs', option: 'tempHighReleaseSeconds' },
  raised: (sample, policy) =>
    sample.marginC !== undefined
      ? sample.marginC <= policy.tempHighMarginC
      : sample.temperatureC === undefined
        ? undefined
        : sample.temperatureC >= highLimit(sample, policy),
  released: (sample, policy) =>
    sample.marginC !== undefined
      ? sample.marginC >= policy.tempHighReleaseMarginC
      : sample.temperatureC === undefined
        ? undefined
        : sample.temperatureC <= highLimit(sample, policy) - policy.tempReleaseC,
  read: (sample, policy, raised) => [
    sample.marginC !== undefined
      ? raised
        ? {
            name: 'marginC',
            value: sample.marginC,
            op: '<=',
            threshold: policy.tempHighMarginC,
            option: 'tempHighMarginC',
          }
        : {
            name: 'marginC',
            value: sample.marginC,
            op: '>=',
            threshold: policy.tempHighReleaseMarginC,
            option: 'tempHighReleaseMarginC',
          }
      : raised
        ? {
            name: 'temperatureC',
            value: sample.temperatureC!,
            op: '>=',
            threshold: highLimit(sample, policy),
            option: highLimit(sample, policy) === policy.tempHighC ? 'tempHighC' : null,
          }
        : {
            name: 'temperatureC',
            value: sample.temperatureC!,
            op: '<=',
            threshold: highLimit(sample, policy) - policy.tempReleaseC,
            option: 'tempReleaseC',
          },
  ],
}

const SOFT_THERMAL = 0x20
const throttleSoft: Level = {
  rule: 'throttle.sw',
  hold: { value: 'throttleSwMs', option: 'throttleSwSeconds' },
  release: null,
  raised: ({ throttle }) => (throttle === undefined ? undefined : (throttle & SOFT_THERMAL) !== 0),
  released: ({ throttle }) =>
    throttle === undefined ? undefined : (throttle & SOFT_THERMAL) === 0,
  read: ({ throttle }, _policy, raised) => [
    {
      name: 'softThermal',
      value: (throttle! & SOFT_THERMAL) / SOFT_THERMAL,
      op: raised ? '>=' : '<',
      threshold: 1,
      option: null,
    },
  ],
}

const CAPPED = 0x2 | 0x4
function slow(sample: DeviceSample, policy: NodePolicy): Answer {
  const { utilisationPercent: used, smClockMHz: clock, maxSmClockMHz: max, throttle = 0 } = sample
  if (used === undefined || clock === undefined || max === undefined) return undefined
  return (
    used >= policy.clockLowUsePercent &&
    clock * 100 < max * policy.clockLowPercent &&
    (throttle & CAPPED) === 0
  )
}
const clockLow: Level = {
  rule: 'clock.low',
  hold: { value: 'clockLowHoldMs', option: 'clockLowHoldSeconds' },
  release: null,
  raised: slow,
  released: (sample, policy) => not(slow(sample, policy)),
  read: (sample, policy, raised) =>
    raised
      ? [
          {
            name: 'utilisationPercent',
            value: sample.utilisationPercent!,
            op: '>=',
            threshold: policy.clockLowUsePercent,
            option: 'clockLowUsePercent',
          },
          {
            name: 'clockPercent',
            value: (sample.smClockMHz! * 100) / sample.maxSmClockMHz!,
            op: '<',
            threshold: policy.clockLowPercent,
            option: 'clockLowPercent',
          },
        ]
      : [],
}

function degraded(sample: DeviceSample): Answer {
  const {
    utilisationPercent: used,
    pcieGen: gen,
    pcieMaxGen: maxGen,
    pcieWidth: width,
    pcieMaxWidth: maxWidth,
  } = sample
  const narrow = width === undefined || maxWidth === undefined ? undefined : width < maxWidth
  const slower = gen === undefined || maxGen === undefined ? undefined : gen < maxGen
  if (used === undefined || (narrow === undefined && slower === undefined)) return undefined
  return used > 0 && (narrow === true || slower === true)
}
const pcieDegraded: Level = {
  rule: 'pcie.degraded',
  hold: { value: 'pcieDegradedHoldMs', option: 'pcieDegradedHoldSeconds' },
  release: null,
  raised: degraded,
  // An idle link may be slow for good reasons: only one that is used and whole is proof.
  released: (sample) => (sample.utilisationPercent === 0 ? undefined : not(degraded(sample))),
  read: (sample, _policy, raised) => {
    const parts: Compared[] = []
    if (sample.pcieWidth !== undefined && sample.pcieMaxWidth !== undefined)
      parts.push({
        name: 'pcieWidth',
        value: sample.pcieWidth,
        op: raised && sample.pcieWidth < sample.pcieMaxWidth ? '<' : '>=',
        threshold: sample.pcieMaxWidth,
        option: null,
      })
    if (sample.pcieGen !== undefined && sample.pcieMaxGen !== undefined)
      parts.push({
        name: 'pcieGen',
        value: sample.pcieGen,
        op: raised && sample.pcieGen < sample.pcieMaxGen ? '<' : '>=',
        threshold: sample.pcieMaxGen,
        option: null,
      })
    return parts
  },
}

/** The levels with a hold time, in the order of a device's memory. */
export const levels: readonly Level[] = [tempHigh, throttleSoft, clockLow, pcieDegraded]

/** Distances beyond the limits that the sample has: positive is beyond. Margin first, then the device's own limit, then ours. */
function excess(sample: DeviceSample, policy: NodePolicy): readonly Compared[] {
  const out: Compared[] = []
  if (sample.marginC !== undefined)
    out.push({
      name: 'marginC',
      value: sample.marginC,
      op: '<',
      threshold: sample.slowdownMarginC ?? policy.tempCriticalMarginC,
      option: sample.slowdownMarginC === undefined ? 'tempCriticalMarginC' : null,
    })
  else if (sample.temperatureC !== undefined)
    out.push({
      name: 'temperatureC',
      value: sample.temperatureC,
      op: '>=',
      threshold: sample.slowdownC ?? policy.tempCriticalC,
      option: sample.slowdownC === undefined ? 'tempCriticalC' : null,
    })
  if (sample.memoryTemperatureC !== undefined && sample.memoryMaxC !== undefined)
    out.push({
      name: 'memoryTemperatureC',
      value: sample.memoryTemperatureC,
      op: '>=',
      threshold: sample.memoryMaxC,
      option: null,
    })
  return out
}

/** Beyond a critical limit? While `raised`, "no" needs the hysteresis as well. */
export function critical(sample: DeviceSample, policy: NodePolicy, raised: boolean): Answer {
  const slack = raised ? policy.tempReleaseC : 0
  const {
    marginC: margin,
    temperatureC: temperature,
    memoryTemperatureC: memory,
    memoryMaxC: memoryMax,
  } = sample
  const core =
    margin !== undefined
      ? margin < (sample.slowdownMarginC ?? policy.tempCriticalMarginC) + slack
      : temperature === undefined
        ? undefined
        : temperature >= (sample.slowdownC ?? policy.tempCriticalC) - slack
  const stack =
    memory === undefined || memoryMax === undefined ? undefined : memory >= memoryMax - slack
  if (core === undefined && stack === undefined) return undefined
  return core === true || stack === true
}

/** What was compared: when raised, the limits that are exceeded; when released, all of them. */
critical.read = (
  sample: DeviceSample,
  policy: NodePolicy,
  raised: boolean,
): readonly Compared[] => {
  const all = excess(sample, policy)
  if (raised)
    return all.filter(({ value, op, threshold }) =>
      op === '<' ? value < threshold : value >= threshold,
    )
  return all.map(({ op, threshold, ...rest }) =>
    op === '<'
      ? { ...rest, op: '>=' as const, threshold: threshold + policy.tempReleaseC }
      : { ...rest, op: '<' as const, threshold: threshold - policy.tempReleaseC },
  )
}

const HARD = 0x8 | 0x40 | 0x80

/** Did the hardware slow the device down, by its reasons now or by its counters since the last sample? Notes the counters. */
export function hot(memory: { slowedMs: number }, { throttle, throttleMs }: DeviceSample): Answer {
  const before = memory.slowedMs
  let grew: Answer
  if (throttleMs !== undefined) {
    const thermal = throttleMs.hw_thermal_slowdown
    const brake = throttleMs.hw_power_brake_slowdown
    if (thermal !== undefined || brake !== undefined) {
      memory.slowedMs = (thermal ?? 0) + (brake ?? 0)
      // The first reading only says where counting begins.
      grew = before >= 0 && memory.slowedMs > before
    }
  }
  if (throttle === undefined) return grew
  return (throttle & HARD) !== 0 || grew === true
}

/** Replays per lane and minute that are normal, by link generation. */
const replaysPerLane: readonly number[] = [0.15, 0.3, 0.48, 0.96, 1.92, 3.84]

/** Replays per minute that the device's link may have; null when the link is not reported. */
export function pcieLimit({
  pcieGen,
  pcieMaxGen,
  pcieWidth,
  pcieMaxWidth,
}: DeviceSample): number | null {
  const gen = pcieGen ?? pcieMaxGen
  const width = pcieWidth ?? pcieMaxWidth
  const rate = gen === undefined ? undefined : replaysPerLane[gen - 1]
  return rate === undefined || width === undefined ? null : Math.ceil(rate * width)
}
