/**
 * Memory: the used share of what this process may use: the container's limit where there is one, the machine's memory otherwise.
 */
import { freemem, totalmem } from 'node:os'
import { cgroupRoot, readMemory } from '../cgroup.ts'
import { atMost, complete, number, split } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface MemoryOptions {
  /** Used share above which it is unhealthy. Default 95. */
  readonly maxPercent?: number
  /** Used share above which it is degraded. Default 85. */
  readonly warnPercent?: number
  /** Where control groups are mounted. Default /sys/fs/cgroup. */
  readonly cgroup?: string
}

const known = { maxPercent: true, warnPercent: true, cgroup: true } as const satisfies Record<
  keyof MemoryOptions,
  true
>

/** A check of the memory that is left. */
export function memory(options: MemoryOptions & CheckSettings = {}): CheckOptions {
  const { own, settings } = split<MemoryOptions>('memory', options, known)
  const { maxPercent = 95, warnPercent = 85, cgroup = cgroupRoot } = own
  number(maxPercent, 'memory.maxPercent', 0, 100)
  number(warnPercent, 'memory.warnPercent', 0, 100)
  return complete(settings, async () => {
    const container = await readMemory(cgroup)
    const total = totalmem()
    const limited = container !== null && container.limit !== null && container.limit < total
    const share = limited
      ? container.used / (container.limit as number)
      : (total - Math.min(total, process.availableMemory?.() ?? freemem())) / total
    return atMost(100 * share, 'percent', { max: maxPercent, warn: warnPercent })
  })
}
