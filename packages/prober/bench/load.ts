/** What the probers that are measured have in common: the load they get, and the row that each round of one becomes. */
import { readFileSync } from 'node:fs'

/** What is asked of all probers. */
export interface Load {
  /** Each target is asked once in so many ms. */
  readonly every: number
  readonly warmMs: number
  readonly measureMs: number
  /** Addresses and ports, `127.0.0.1:9001`. */
  readonly targets: readonly string[]
}

/** What one round of one prober cost; null where it cannot be seen from outside. */
export interface Row {
  readonly perSecond: number
  readonly cpuPercent: number
  readonly microsPerProbe: number
  readonly p50: number | null
  readonly p99: number | null
  /** How much later than due a probe began, ms. */
  readonly late99: number | null
  /** Starts in the busiest second ÷ starts in the mean second. */
  readonly crowded: number | null
  readonly failed: number | null
  /** Proportional share, which counts what processes have in common once. */
  readonly pssMiB: number
  readonly rssMiB: number
}

/** The probers that run in Node. */
export type AskerName = 'this prober' | 'undici, pooled' | 'undici, new connection each'

/** Memory of a process. */
export function memoryOf(pid: number | 'self'): { pssMiB: number; rssMiB: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
  const of = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) / 1_024
  return { pssMiB: of('Pss'), rssMiB: of('Rss') }
}
