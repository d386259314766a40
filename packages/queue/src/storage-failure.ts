/** What callers are told when the disk refused a change. It decides nothing else: whether a change is tried again is the store's. */
import { HealthError } from '@health/core'
import type { Refusal } from './batch.ts'

/** The error for a refusal of the writer. */
export function failureOf(refusal: Refusal): HealthError {
  if (refusal.kind === 'full') return new HealthError('HEALTH_STORAGE_FULL')
  if (refusal.kind === 'failed')
    return new HealthError(
      'HEALTH_STORAGE_FAILED',
      `The disk did not take a change of the queue (${refusal.message}). Nothing was changed.`,
    )
  return new HealthError(
    'HEALTH_QUEUE_FORMAT',
    `The queue file is damaged (${refusal.message}). Restore it, or move it away.`,
  )
}
