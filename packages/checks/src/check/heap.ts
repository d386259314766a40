/** Heap: the used share of the JavaScript heap's limit. At the limit the process dies, so this warns before. */
import { getHeapStatistics } from 'node:v8'
import { atMost, complete, number, split } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface HeapOptions {
  /** Used share of the limit above which it is unhealthy. Default 95. */
  readonly maxPercent?: number
  /** Used share above which it is degraded. Default 85. */
  readonly warnPercent?: number
}

const known = { maxPercent: true, warnPercent: true } as const satisfies Record<
  keyof HeapOptions,
  true
>

/** A check of the JavaScript heap. */
export function heap(options: HeapOptions & CheckSettings = {}): CheckOptions {
  const { own, settings } = split<HeapOptions>('heap', options, known)
  const { maxPercent = 95, warnPercent = 85 } = own
  number(maxPercent, 'heap.maxPercent', 0, 100)
  number(warnPercent, 'heap.warnPercent', 0, 100)
  return complete(settings, () => {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    return atMost((100 * used) / limit, 'percent', { max: maxPercent, warn: warnPercent })
  })
}
