/**
 * Says once that the queue refuses, and once that it takes everything again, however many operations were refused in between. It only
 * listens: what becomes of a refused operation is its caller's matter.
 */
import { HealthError } from '@health/core'
import type { Gateway } from './gateway.ts'

/** What was asked of the queue, one of few words. */
export type QueueWork =
  | 'submit'
  | 'lease'
  | 'complete'
  | 'requeue'
  | 'release'
  | 'end'
  | 'renew'
  | 'sweep'

/** Hears how the queue does. */
export interface QueueTrouble {
  /** The queue refused for its own sake: a full or broken disk, a file that cannot be opened. */
  failed(doing: QueueWork, error: unknown, fields?: Readonly<Record<string, unknown>>): void
  /** The queue made a change. */
  worked(doing: QueueWork): void
}

/** Trouble is over when nothing was refused for this long, in ms: a disk that is nearly full takes small requests and refuses large ones. */
const QUIET_MS = 5000

/** Refusals that are the caller's doing, or the order of things, and say nothing about the disk. */
const ordinary: ReadonlySet<unknown> = new Set(['HEALTH_QUEUE_FULL', 'HEALTH_QUEUE_DUPLICATE'])

/** Creates the listener. */
export function createQueueTrouble({
  clock,
  lanes,
  log,
}: Pick<Gateway, 'clock' | 'lanes' | 'log'>): QueueTrouble {
  let trouble: { readonly since: number; last: number; refused: number } | null = null
  /** What has not worked since it was last refused. A new request needs more room than all other work: that it worked is enough. */
  const open = new Set<QueueWork>()
  let looking = false

  const look = (): void => {
    looking = false
    if (trouble === null || open.size > 0) return
    const { since, last, refused } = trouble
    if (clock.now() - last < QUIET_MS) return lookLater()
    trouble = null
    log({ level: 'info', event: 'queue.recovered', refused, after: Math.round(last - since) })
  }
  const lookLater = (): void => {
    if (looking) return
    looking = true
    lanes.wait(QUIET_MS, look)
  }

  return {
    failed(doing, error, fields = {}) {
      const code = error instanceof HealthError ? error.code : undefined
      if (ordinary.has(code)) return
      open.add(doing)
      const now = clock.now()
      if (trouble !== null) {
        trouble.last = now
        trouble.refused++
        return
      }
      trouble = { since: now, last: now, refused: 1 }
      log({
        level: 'error',
        event: 'queue.failed',
        doing,
        ...(code !== undefined && { code }),
        error: error instanceof Error ? error.message : String(error),
        ...fields,
      })
    },
    worked(doing) {
      if (trouble === null) return
      if (doing === 'submit') open.clear()
      else open.delete(doing)
      if (open.size === 0) lookLater()
    },
  }
}
