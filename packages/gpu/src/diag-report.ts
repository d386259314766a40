/**
 * The report of `dcgmi diag --json` → did it pass. Two layouts: DCGM 4 names entities, DCGM 3 names GPUs; anything between a report and
 * garbage is a sentence, never a pass. What was skipped did not pass. Pure.
 */
import type { Outcome } from './remediation.ts'
import { brief, pciAddress } from './source.ts'

type Json = Readonly<Record<string, unknown>>

/** One test on one device, or on all of them. */
interface DiagResult {
  readonly test: string
  /** Deployment checks look at software; the others at the device. */
  readonly deployment: boolean
  /** DCGM's numbers of the GPUs; empty: not about one. */
  readonly gpus: readonly number[]
  /** Lower case: pass, skip, fail, warn; others are DCGM's words. */
  readonly status: string
  readonly warnings: readonly string[]
}

/** What a report holds. */
export interface DiagReport {
  readonly version: string | null
  readonly error: string | null
  readonly results: readonly DiagResult[]
}

/** DCGM's severities, by number. */
const severities = ['', 'monitor', 'isolate', 'unknown', 'triage', 'configuration', 'reset']

/** Exit codes that say more than "failed": DCGM's return codes, as a process shows negative numbers. */
const exits: Readonly<Record<number, string>> = {
  189: 'GPUs are detached',
  199: 'the driver does not answer',
  200: 'NVML is not loaded',
  203: 'the diagnostic was killed',
  204: 'the diagnostic is not installed',
  205: 'a device should be isolated',
  217: 'another diagnostic is running',
  226: 'the diagnostic reported an error',
  227: 'the host engine must run as root',
  235: 'no connection to the host engine',
  237: 'a GPU requires a reset',
  238: 'a GPU is lost',
  245: 'a time limit of DCGM passed',
}

/** Reads what the tool printed. A sentence when it is no report. */
export function readDiag(text: string): DiagReport | string {
  const begin = text.search(/^\{/m)
  if (begin < 0) return 'no report'
  let root: unknown
  try {
    root = JSON.parse(text.slice(begin))
  } catch {
    return 'the report is cut or broken'
  }
  const body = isObject(root) ? (root['DCGM Diagnostic'] ?? root['DCGM GPU Diagnostic']) : null
  if (!isObject(root) || !isObject(body)) return 'the JSON is no report of a diagnostic'
  const { metadata } = root
  const version = isObject(metadata) ? metadata.version : body.version
  return {
    version: typeof version === 'string' ? brief(version) : null,
    error: typeof body.runtime_error === 'string' ? brief(body.runtime_error) : null,
    results: list(body.test_categories).flatMap((category) =>
      list(category.tests).flatMap((test) => resultsOf(test, category.category === 'Deployment')),
    ),
  }
}

function resultsOf(test: Json, deployment: boolean): DiagResult[] {
  const name = typeof test.name === 'string' ? brief(test.name) : 'a test without a name'
  const read = (result: Json): DiagResult => ({
    test: name,
    deployment,
    gpus: gpusOf(result),
    status: typeof result.status === 'string' ? result.status.toLowerCase() : 'no status',
    warnings: warningsOf(result.warnings),
  })
  const results = list(test.results).map(read)
  if (!isObject(test.test_summary)) return results
  // The summary repeats its results; it counts where it knows of a failure that none of them shows.
  const summary = read(test.test_summary)
  const known = results.some(({ status }) => status === summary.status)
  return known ? results : [...results, summary]
}

/** `entity_group` and `entity_id`, else `gpu_id` or `gpu_ids`. */
function gpusOf(result: Json): number[] {
  if (typeof result.entity_id === 'number')
    return result.entity_group === 'GPU' ? [result.entity_id] : []
  const ids = result.gpu_id ?? result.gpu_ids
  const text = typeof ids === 'string' || typeof ids === 'number' ? String(ids) : ''
  return /^\d+(?:\s*,\s*\d+)*$/.test(text) ? text.split(',').map(Number) : []
}

/** A text, a list of texts, or a list of `{ warning, error_severity }`. */
function warningsOf(value: unknown): string[] {
  const all = Array.isArray(value) ? (value as unknown[]) : value === undefined ? [] : [value]
  return all.flatMap((each) => {
    if (typeof each === 'string') return [brief(each)]
    if (!isObject(each) || typeof each.warning !== 'string') return []
    const severity = severities[Number(each.error_severity)] ?? ''
    return [`${brief(each.warning)}${severity === '' ? '' : ` (${severity})`}`]
  })
}

/**
 * Did it pass? `gpu`: DCGM's number of the one device that was meant, null for all. Above level 1 at least one test of the device itself
 * must have passed.
 */
export function judgeDiag(
  report: DiagReport,
  {
    gpu,
    level,
    code,
  }: { readonly gpu: number | null; readonly level: number; readonly code: number },
): Outcome {
  const { results, error, version } = report
  const failed = (detail: string): Outcome => ({ passed: false, detail: brief(detail) })
  if (error !== null) return failed(`level ${level}: ${error}`)
  const bad = results.filter(({ status }) => status !== 'pass' && status !== 'skip')
  if (bad.length > 0) {
    const [first] = bad
    const more = bad.length > 1 ? `, and ${bad.length - 1} more` : ''
    return failed(`level ${level}: ${nameOf(first!)} ${sentenceOf(first!)}${more}`)
  }
  const named = results.flatMap(({ gpus }) => gpus)
  if (gpu !== null && named.length > 0 && !named.includes(gpu))
    return failed(`level ${level}: the report is about GPU ${named[0]}, not GPU ${gpu}`)
  if (code !== 0) return failed(`level ${level}: ${exitOf(code)}`)
  const passed = results.filter(({ status }) => status === 'pass')
  const skipped = [...new Set(results.filter(({ status }) => status === 'skip').map(nameOf))]
  const left = skipped.length === 0 ? '' : ` (skipped: ${skipped.join(', ')})`
  if (passed.length === 0) return failed(`skipped: level ${level} ran no test${left}`)
  if (level > 1 && passed.every(({ deployment }) => deployment))
    return failed(`skipped: level ${level} ran no test of the device${left}`)
  const by = version === null ? '' : `, DCGM ${version}`
  return {
    passed: true,
    detail: brief(`level ${level}: ${passed.length} passed, ${skipped.length} skipped${by}`),
  }
}

/** What an exit code says. */
export function exitOf(code: number): string {
  const name = exits[code]
  return name === undefined ? `exit ${code}` : `exit ${code}, ${name}`
}

function nameOf({ test, gpus }: DiagResult): string {
  return gpus.length === 0 ? test : `${test} on GPU ${gpus.join(', ')}`
}

function sentenceOf({ status, warnings }: DiagResult): string {
  const verdict = status === 'fail' ? 'failed' : status === 'warn' ? 'warns' : `says "${status}"`
  return warnings.length === 0 ? verdict : `${verdict}: ${warnings[0]}`
}

/**
 * DCGM's number of a device, from the table that `dcgmi discovery -l` prints; null when it is not in it. A device is named by UUID, or as
 * `pci:0000:1a:00`.
 */
export function gpuNumber(table: string, device: string): number | null {
  let number: number | null = null
  for (const line of table.split('\n')) {
    const row = /^\|\s*(\d*)\s*\|\s*([^|]*?)\s*\|/.exec(line)
    if (row === null) continue
    if (row[1] !== '') number = Number(row[1])
    const [, key, value] = /^(Device UUID|PCI Bus ID):\s*(\S+)/.exec(row[2]!) ?? []
    if (key === 'Device UUID' && value === device) return number
    if (key === 'PCI Bus ID' && device.startsWith('pci:'))
      if (`pci:${pciAddress(value!)}` === device) return number
  }
  return null
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
