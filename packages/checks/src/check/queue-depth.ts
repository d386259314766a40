/** Queue depth: how much waits in a queue, and for how long the oldest has. Where the numbers come from is the service's own affair. */
import { CheckFailure } from '../failure.ts'
import { atMost, complete, number, split, worst } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface QueueDepthOptions {
  /** How many wait now. */
  readonly depth: () => number | Promise<number>
  /** How long the oldest has waited, s. */
  readonly oldestSeconds?: () => number | Promise<number>
  /** Number above which it is unhealthy. */
  readonly max?: number
  /** Number above which it is degraded. */
  readonly warn?: number
  /** Wait of the oldest above which it is unhealthy. */
  readonly maxOldestSeconds?: number
}

const known = {
  depth: true,
  oldestSeconds: true,
  max: true,
  warn: true,
  maxOldestSeconds: true,
} as const satisfies Record<keyof QueueDepthOptions, true>

/** A check of a queue. */
export function queueDepth(options: QueueDepthOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<QueueDepthOptions>('queueDepth', options, known)
  const { depth, oldestSeconds, max, warn, maxOldestSeconds } = own
  number(max, 'queueDepth.max')
  number(warn, 'queueDepth.warn')
  number(maxOldestSeconds, 'queueDepth.maxOldestSeconds')
  const limits = { ...(max === undefined ? {} : { max }), ...(warn === undefined ? {} : { warn }) }
  return complete(settings, async () => {
    const [waiting, oldest] = await Promise.all([depth(), oldestSeconds?.() ?? 0])
    if (!Number.isFinite(waiting) || !Number.isFinite(oldest))
      throw new CheckFailure('unexpected_answer')
    const age = maxOldestSeconds === undefined ? {} : { max: maxOldestSeconds }
    return worst([atMost(waiting, 'count', limits), atMost(oldest, 's', age)])
  })
}
