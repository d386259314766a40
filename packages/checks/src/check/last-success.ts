/**
 * Last success: a job that runs now and then must have succeeded recently. The job says so by calling `succeeded()`; the check
 * looks at nothing else.
 */
import { complete, needed, number, split } from '../measure.ts'
import type { CheckAnswer, CheckOptions, CheckSettings } from '../option.ts'

export interface LastSuccessOptions {
  /** Longest time without a success before it is unhealthy. */
  readonly maxAgeSeconds: number
  /** Time without a success before it is degraded. */
  readonly warnAgeSeconds?: number
}

/** The check, and what the job calls when it has succeeded. */
export interface LastSuccess {
  readonly check: CheckOptions
  succeeded(): void
}

const known = { maxAgeSeconds: true, warnAgeSeconds: true } as const satisfies Record<
  keyof LastSuccessOptions,
  true
>

/**
 * A check of a job's last success. Until the first one, time counts from the making of the check.
 *
 * ```ts
 * const backup = lastSuccess({ maxAgeSeconds: 86_400 })
 * createCheckup({ checks: { backup: backup.check } })
 * ```
 */
export function lastSuccess(options: LastSuccessOptions & CheckSettings): LastSuccess {
  const { own, settings } = split<LastSuccessOptions>('lastSuccess', options, known)
  const { maxAgeSeconds, warnAgeSeconds } = own
  needed(maxAgeSeconds, 'lastSuccess.maxAgeSeconds')
  number(warnAgeSeconds, 'lastSuccess.warnAgeSeconds')
  let last = performance.now()
  const check = (): CheckAnswer => {
    const value = Math.round((performance.now() - last) / 1000)
    const observed = { value, unit: 's' } as const
    if (value > maxAgeSeconds) return { status: 'unhealthy', error: 'too_old', observed }
    if (warnAgeSeconds !== undefined && value > warnAgeSeconds)
      return { status: 'degraded', error: 'too_old', observed }
    return { status: 'healthy', observed }
  }
  return {
    check: complete(settings, check),
    succeeded() {
      last = performance.now()
    },
  }
}
