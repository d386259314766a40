/**
 * Counters of the links, judged by the minute: replays of PCIe, errors of NVLink. A counter that fell back was reset by the
 * driver; counting begins anew, and no minute is ever negative.
 */
import { change, isRaised, type DeviceMemory, type Rate, type Verdict } from './gpu-memory.ts'
import { pcieLimit } from './gpu-level.ts'
import type { DeviceSample } from './node-event.ts'
import type { NodePolicy } from './node-policy.ts'

const MINUTE_MS = 60_000

/** `pcie.replay.rate`: more replays than the link's generation and width allow, for some minutes in a row. */
export function judgeReplays(
  memory: DeviceMemory,
  sample: DeviceSample,
  at: number,
  policy: NodePolicy,
): Verdict | null {
  const limit = sample.pcieReplays === undefined ? null : pcieLimit(sample)
  if (limit === null) return null
  const minute = advance(memory.replay, sample.pcieReplays!, at, limit + 1)
  return minute === null ? null : judge(memory, 'pcie.replay.rate', memory.replay, minute, policy)
}

/** `nvlink.errors`: a minute with more errors than a healthy link ever has. */
export function judgeNvlink(
  memory: DeviceMemory,
  sample: DeviceSample,
  at: number,
  policy: NodePolicy,
): Verdict | null {
  if (sample.nvlinkErrors === undefined) return null
  const minute = advance(memory.nvlink, sample.nvlinkErrors, at, policy.nvlinkErrorsPerMinute)
  return minute === null ? null : judge(memory, 'nvlink.errors', memory.nvlink, minute, policy)
}

interface Minute {
  readonly at: number
  readonly perMinute: number
  /** From this many it is bad. */
  readonly limit: number
}

/** Counts on; answers a minute that has passed, null within one. */
function advance(rate: Rate, count: number, at: number, limit: number): Minute | null {
  if (rate.at < 0 || count < rate.base) {
    rate.base = count
    rate.at = at
    return null
  }
  const passed = at - rate.at
  if (passed < MINUTE_MS) return null
  const perMinute = ((count - rate.base) * MINUTE_MS) / passed
  const bad = perMinute >= limit
  rate.bad = bad ? rate.bad + 1 : 0
  if (bad) rate.goodAt = -1
  else if (rate.goodAt < 0) rate.goodAt = rate.at
  rate.base = count
  rate.at = at
  return { at, perMinute, limit }
}

function judge(
  memory: DeviceMemory,
  rule: 'pcie.replay.rate' | 'nvlink.errors',
  rate: Rate,
  { at, perMinute, limit }: Minute,
  policy: NodePolicy,
): Verdict | null {
  const pcie = rule === 'pcie.replay.rate'
  const minutes = pcie ? policy.pcieReplayWindows : 1
  if (!isRaised(memory, rule)) {
    if (rate.bad < minutes) return null
    const option = pcie ? null : 'nvlinkErrorsPerMinute'
    return change(memory, rule, true, [
      { name: 'perMinute', value: perMinute, op: '>=', threshold: limit, option },
      {
        name: 'minutes',
        value: rate.bad,
        op: '>=',
        threshold: minutes,
        option: pcie ? 'pcieReplayWindows' : null,
      },
    ])
  }
  const good = rate.goodAt < 0 ? 0 : at - rate.goodAt
  if (good < policy.pcieReplayReleaseMs) return null
  return change(memory, rule, false, [
    {
      name: 'goodMs',
      value: good,
      op: '>=',
      threshold: policy.pcieReplayReleaseMs,
      option: 'pcieReplayReleaseSeconds',
    },
  ])
}
