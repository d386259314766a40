/**
 * Event loop: how late it is, and how busy, since the check last ran. A process whose loop is late answers everything late, its
 * other checks included.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { atMost, complete, number, split, worst } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface EventLoopOptions {
  /** 99th percentile of the delay above which it is unhealthy. Default 1. */
  readonly maxDelaySeconds?: number
  /** Delay above which it is degraded. Default 0.25. */
  readonly warnDelaySeconds?: number
  /** Busy share above which it is degraded. Default 98. */
  readonly warnUtilizationPercent?: number
}

/** Resolution of the histogram, ms: what it reads when nothing is late. */
const resolution = 20

const known = {
  maxDelaySeconds: true,
  warnDelaySeconds: true,
  warnUtilizationPercent: true,
} as const satisfies Record<keyof EventLoopOptions, true>

/** A check of this process's event loop. The measuring begins here and costs one timer. */
export function eventLoop(options: EventLoopOptions & CheckSettings = {}): CheckOptions {
  const { own, settings } = split<EventLoopOptions>('eventLoop', options, known)
  const { maxDelaySeconds = 1, warnDelaySeconds = 0.25, warnUtilizationPercent = 98 } = own
  number(maxDelaySeconds, 'eventLoop.maxDelaySeconds')
  number(warnDelaySeconds, 'eventLoop.warnDelaySeconds')
  number(warnUtilizationPercent, 'eventLoop.warnUtilizationPercent', 0, 100)
  const delays = monitorEventLoopDelay({ resolution })
  delays.enable()
  let before = performance.eventLoopUtilization()
  return complete(settings, () => {
    const late = delays.count === 0 ? 0 : Math.max(0, delays.percentile(99) / 1e6 - resolution)
    delays.reset()
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    return worst([
      atMost(late, 'ms', { max: maxDelaySeconds * 1000, warn: warnDelaySeconds * 1000 }),
      atMost(100 * utilization, 'percent', { warn: warnUtilizationPercent }),
    ])
  })
}
