/** RSS: memory of this process that is in RAM, buffers and native libraries included. A limit on it catches leaks outside the heap. */
import { atMost, complete, needed, number, split } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface RssOptions {
  readonly maxBytes: number
  readonly warnBytes?: number
}

const known = { maxBytes: true, warnBytes: true } as const satisfies Record<keyof RssOptions, true>

/** A check of this process's resident memory. */
export function rss(options: RssOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<RssOptions>('rss', options, known)
  needed(own.maxBytes, 'rss.maxBytes', 1)
  number(own.warnBytes, 'rss.warnBytes', 1)
  const warn = own.warnBytes === undefined ? {} : { warn: own.warnBytes }
  return complete(settings, () =>
    atMost(process.memoryUsage.rss(), 'bytes', { max: own.maxBytes, ...warn }),
  )
}
