/**
 * CPU: the share that this process used since the check last ran, of the processors that its container may use. The first run
 * has nothing to compare with and passes.
 */
import { availableParallelism } from 'node:os'
import { cgroupRoot, readProcessors } from '../cgroup.ts'
import { atMost, complete, number, split } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface CpuOptions {
  /** Used share above which it is unhealthy. Default: never. */
  readonly maxPercent?: number
  /** Used share above which it is degraded. Default 95. */
  readonly warnPercent?: number
  /** Where control groups are mounted. Default /sys/fs/cgroup. */
  readonly cgroup?: string
}

const known = { maxPercent: true, warnPercent: true, cgroup: true } as const satisfies Record<
  keyof CpuOptions,
  true
>

/** A check of the processor time that this process uses. */
export function cpu(options: CpuOptions & CheckSettings = {}): CheckOptions {
  const { own, settings } = split<CpuOptions>('cpu', options, known)
  const { maxPercent, warnPercent = 95, cgroup = cgroupRoot } = own
  number(maxPercent, 'cpu.maxPercent')
  number(warnPercent, 'cpu.warnPercent')
  let before: { at: number; used: number } | null = null
  return complete(settings, async () => {
    const processors = Math.min(
      (await readProcessors(cgroup)) ?? Number.POSITIVE_INFINITY,
      availableParallelism(),
    )
    const { user, system } = process.cpuUsage()
    const now = { at: performance.now(), used: (user + system) / 1000 }
    const past = before
    before = now
    if (past === null || now.at <= past.at) return { status: 'healthy' }
    const percent = (100 * (now.used - past.used)) / ((now.at - past.at) * processors)
    const max = maxPercent === undefined ? {} : { max: maxPercent }
    return atMost(percent, 'percent', { ...max, warn: warnPercent })
  })
}
