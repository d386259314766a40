/** Runs one check once, the way a service would, and says what came of it. */
import { createCheckup, type CheckOptions } from '../../src/index.ts'

export async function ask(check: CheckOptions): Promise<{ status: string; error: string | null }> {
  const checkup = createCheckup({ checks: { it: check } })
  const report = await checkup.report()
  checkup.close()
  const { status, error } = report.checks[0]!
  return { status, error }
}

/** The number that a check observed, with its unit. */
export async function observe(check: CheckOptions) {
  const checkup = createCheckup({ checks: { it: check } })
  const report = await checkup.report()
  checkup.close()
  return report.checks[0]!.observed
}

export const healthy = { status: 'healthy', error: null }
export const failed = (error: string) => ({ status: 'unhealthy', error })
export const warned = (error: string) => ({ status: 'degraded', error })
