/**
 * What all benchmarks of the gateway share: CPU time of processes as the kernel counts it, what the rest of the machine took
 * meanwhile, medians, tables. It starts nothing and knows no server.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** The kernel's clock ticks per second; 100 on every Linux that Node runs on. */
const TICK_MICROS = 10_000

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** CPU time of a process with all its threads since it began, in µs; 0 when it is gone. */
export function cpuMicros(pid: number): number {
  let nanos = 0
  try {
    for (const task of readdirSync(`/proc/${pid}/task`))
      nanos += Number(read(`/proc/${pid}/task/${task}/schedstat`).split(' ', 1)[0])
  } catch {
    return 0
  }
  return nanos > 0 ? nanos / 1000 : ticksOf(pid, 2) * TICK_MICROS
}

/** `fields`: 2 for the process, 4 for the children that it has waited for, too. */
function ticksOf(pid: number | 'self', fields: 2 | 4): number {
  const stat = read(`/proc/${pid}/stat`)
  const words = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return words.slice(11, 11 + fields).reduce((sum, word) => sum + Number(word), 0)
}

/** Memory of a process, in MiB: `pss` shares what it shares with others, `rss` does not. */
export function memory(pid: number): { readonly pss: number; readonly rss: number } {
  const field = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(read(`/proc/${pid}/smaps_rollup`))
    return Number(found?.[1] ?? 0) / 1024
  }
  return { pss: field('Pss'), rss: field('Rss') }
}

function busyTicks(): number {
  const [, user, nice, system, , , irq, softirq] = read('/proc/stat').split(/\s+/, 9).map(Number)
  return user! + nice! + system! + irq! + softirq!
}

/** Measures how many cores others took: everything that was busy, less `pids`, us, and the children we waited for. */
export function watchForeign(pids: readonly number[]): () => number {
  const own = (): number =>
    ticksOf('self', 4) * TICK_MICROS + pids.reduce((sum, pid) => sum + cpuMicros(pid), 0)
  const begun = performance.now()
  const [busy, ours] = [busyTicks(), own()]
  return () => {
    const micros = (busyTicks() - busy) * TICK_MICROS - (own() - ours)
    return Math.max(0, micros / ((performance.now() - begun) * 1000))
  }
}

/** The middle value; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[at]! : (sorted[at - 1]! + sorted[at]!) / 2
}

/** A line of a table, with its head above the first one. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** One measured number beside another one of the same run. */
export interface Row {
  /** What was measured: `direct call, GET`. */
  readonly what: string
  readonly ours: number
  readonly unit: string
  /** Beside what; null when there is nothing to compare with. */
  readonly beside: string | null
  readonly theirs: number | null
  /** The goal for ours / theirs, or for ours alone without `theirs`; null when it is told for knowledge only. */
  readonly goal: string | null
}

/** Hands rows to the runner of all benchmarks, which names a file in `BENCH_ROWS`; alone it does nothing. */
export function tell(rows: readonly Row[]): void {
  const file = process.env['BENCH_ROWS']
  if (file === undefined) return
  for (const row of rows) {
    // JSON has no NaN, and null would pass for less than any limit.
    if (!Number.isFinite(row.ours)) throw new Error(`not measured: ${row.what}`)
    appendFileSync(file, `${JSON.stringify(row)}\n`)
  }
}

/** Cores of this machine. */
export const cores = cpus().length
