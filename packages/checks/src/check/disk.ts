/** Disk: free space, and free inodes, on the file system that holds a path. What only root could use is not counted as free. */
import { statfs } from 'node:fs/promises'
import { atLeast, complete, number, split, worst } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface DiskOptions {
  /** Default the working directory. */
  readonly path?: string
  /** Free share below which it is unhealthy. Default 5. */
  readonly minFreePercent?: number
  /** Free share below which it is degraded. Default 10. */
  readonly warnFreePercent?: number
  readonly minFreeBytes?: number
  readonly warnFreeBytes?: number
}

const known = {
  path: true,
  minFreePercent: true,
  warnFreePercent: true,
  minFreeBytes: true,
  warnFreeBytes: true,
} as const satisfies Record<keyof DiskOptions, true>

/** A check of a file system. */
export function disk(options: DiskOptions & CheckSettings = {}): CheckOptions {
  const { own, settings } = split<DiskOptions>('disk', options, known)
  const { path = '.', minFreePercent = 5, warnFreePercent = 10 } = own
  for (const [name, value] of Object.entries({ minFreePercent, warnFreePercent }))
    number(value, `disk.${name}`, 0, 100)
  number(own.minFreeBytes, 'disk.minFreeBytes')
  number(own.warnFreeBytes, 'disk.warnFreeBytes')
  const bytes = {
    ...(own.minFreeBytes === undefined ? {} : { min: own.minFreeBytes }),
    ...(own.warnFreeBytes === undefined ? {} : { warn: own.warnFreeBytes }),
  }
  return complete(settings, async () => {
    const { blocks, bavail, bsize, files, ffree } = await statfs(path)
    const percent = { min: minFreePercent, warn: warnFreePercent }
    const answers = [
      atLeast(blocks === 0 ? 100 : (100 * bavail) / blocks, 'percent', percent),
      atLeast(bavail * bsize, 'bytes', bytes),
    ]
    // Some file systems have no fixed number of inodes and report none.
    if (files > 0) answers.push(atLeast((100 * ffree) / files, 'percent', percent))
    return worst(answers)
  })
}
