/**
 * DCGM's own diagnostic as a check of a device that no runner holds: `dcgmi diag -r N --json`, on that device alone. A tool that is not
 * there, hangs, or says nothing that can be read is a check that did not pass.
 */
import type { Clock } from '@health/core'
import { runCommand, type CommandLine, type RunEnd } from './command-run.ts'
import { exitOf, gpuNumber, judgeDiag, readDiag } from './diag-report.ts'
import type { Outcome } from './remediation.ts'
import { brief } from './source.ts'

/** Levels: 1 takes seconds, 2 minutes, 3 a quarter of an hour, 4 one to two hours. */
export type DiagLevel = 1 | 2 | 3 | 4

/** `command`: default `dcgmi`, what comes before its own arguments. */
export interface DiagOptions {
  readonly clock: Clock
  readonly level: DiagLevel
  readonly limitMs: number
  readonly command?: CommandLine | undefined
  readonly signal?: AbortSignal | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** The tool stops the diagnostic of the host engine before it ends itself; killed at once, the device would stay busy. */
const GRACE_MS = 30_000
const DISCOVERY_MS = 30_000
/** A report of 16 devices at level 4 is far smaller. */
const MAX_REPORT = 4 * 1024 * 1024

/** Runs the diagnostic on one device, by UUID or `pci:…`, or on all (null). Never rejects. */
export async function runDiag(device: string | null, options: DiagOptions): Promise<Outcome> {
  const { clock, level, command = ['dcgmi'] } = options
  const begun = clock.now()
  let gpu: number | null = null
  if (device !== null) {
    // DCGM has numbers of its own, and the diagnostic must not disturb a neighbour.
    const table = await runCommand([...command, 'discovery', '-l'], {
      ...options,
      limitMs: Math.min(DISCOVERY_MS, options.limitMs),
      keep: MAX_REPORT,
    })
    if (table.kind !== 'ended' || table.code !== 0) return failed('discovery', table)
    gpu = gpuNumber(table.stdout, device)
    if (gpu === null) return { passed: false, detail: `dcgmi discovery does not name ${device}` }
  }
  const which = gpu === null ? [] : ['-i', String(gpu)]
  const end = await runCommand([...command, 'diag', '-r', String(level), '--json', ...which], {
    ...options,
    limitMs: Math.max(1, options.limitMs - (clock.now() - begun)),
    graceMs: GRACE_MS,
    keep: MAX_REPORT,
  })
  if (end.kind !== 'ended' || end.code === null) return failed('diag', end)
  const report = end.cut ? 'the report is too long' : readDiag(end.stdout)
  if (typeof report !== 'string') return judgeDiag(report, { gpu, level, code: end.code })
  return failed('diag', end, `${report}; `)
}

function failed(what: string, end: RunEnd, why = ''): Outcome {
  const said =
    end.kind === 'ended'
      ? `${end.code === null ? end.signal : exitOf(end.code)}${end.words === '' ? '' : `: ${end.words}`}`
      : end.detail
  return { passed: false, detail: brief(`dcgmi ${what}: ${why}${said}`) }
}
