/**
 * Reads the options of a check: seconds in, milliseconds out, defaults filled in once. Every value out of range is refused
 * with its path; an unknown name is refused with the nearest one that exists.
 */
import { HealthError, units, type Observed, type Status, type Unit } from '@health/core/report'

/** What a check function gets. */
export interface CheckContext {
  /** Aborted when the timeout is over. A check that heeds it leaves nothing behind. */
  readonly signal: AbortSignal
}

/** A check may answer in these words instead of passing by returning and failing by throwing. */
export interface CheckAnswer {
  readonly status: Status
  /** A code of the table `failureCodes`, or one that the check declares in `codes`. */
  readonly error?: string
  readonly observed?: Observed
}

/**
 * Passes by returning, fails by throwing or by returning `false`. A `Response` that is not ok fails, a {@link CheckAnswer} says
 * it in full, every other value passes.
 */
export type CheckFunction = (context: CheckContext) => unknown

/** A check with its options. A bare function stands for `{ check }`. */
export interface CheckOptions {
  readonly check: CheckFunction
  /** A failing critical check makes the service unhealthy and not ready, another one degraded. Default true. */
  readonly critical?: boolean
  /** Longest a run may take, repair included. Default 5. */
  readonly timeoutSeconds?: number
  /** How long a pass is served without running again. Default 1. */
  readonly cacheSeconds?: number
  /** How long a failure is served without running again. Default 1. */
  readonly failureCacheSeconds?: number
  /** Run in the background, from start to start. Default: off, the check runs when asked. */
  readonly intervalSeconds?: number
  /** Wait before the first background run; until then the check counts as not passed. Default 0. */
  readonly initialDelaySeconds?: number
  /** Consecutive failures before it counts as unhealthy. Default 1. */
  readonly failureThreshold?: number
  /** Time in failure that must also have passed. Default 0. */
  readonly failureSeconds?: number
  /** Consecutive passes before it counts as well again. Default 1. */
  readonly successThreshold?: number
  /** A run longer than this is logged once as slow. Default: half of the timeout. */
  readonly slowSeconds?: number
  /** Names of the groups it belongs to. `startup` is looked at by `/startup`. */
  readonly groups?: readonly string[]
  /** Codes of its own that may be shown. */
  readonly codes?: readonly string[]
  /** Runs once when the check fails, inside the same timeout; then the check runs again. */
  readonly repair?: (context: CheckContext) => unknown
}

/** Options that a factory of ready-made checks passes through. */
export type CheckSettings = Omit<CheckOptions, 'check' | 'codes'>

/** The same, complete and in ms. */
export interface CheckPlan {
  readonly name: string
  readonly check: CheckFunction
  readonly repair: ((context: CheckContext) => unknown) | null
  readonly critical: boolean
  readonly groups: readonly string[]
  readonly codes: ReadonlySet<string>
  readonly timeout: number
  readonly cache: number
  readonly failureCache: number
  readonly interval: number | null
  readonly initialDelay: number
  readonly slow: number
  readonly failureThreshold: number
  readonly failureMs: number
  readonly successThreshold: number
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
const codePattern = /^[a-z][a-z0-9_]{0,39}$/

/** What every check may be given, beside what it does. */
export const settingNames = {
  critical: true,
  timeoutSeconds: true,
  cacheSeconds: true,
  failureCacheSeconds: true,
  intervalSeconds: true,
  initialDelaySeconds: true,
  failureThreshold: true,
  failureSeconds: true,
  successThreshold: true,
  slowSeconds: true,
  groups: true,
  repair: true,
} as const satisfies Record<keyof CheckSettings, true>

const known = {
  ...settingNames,
  check: true,
  codes: true,
} as const satisfies Record<keyof CheckOptions, true>

/** True for what may be the name of a check or a group: it appears in paths, metrics and logs. */
export function isName(name: string): boolean {
  return namePattern.test(name)
}

/** Reads one check. Throws HEALTH_POLICY_INVALID or HEALTH_POLICY_UNKNOWN with the option's path. */
export function readCheck(name: string, given: CheckFunction | CheckOptions): CheckPlan {
  const path = `checks.${name}`
  if (!isName(name))
    throw invalid(path, 'a name of letters, digits, "_", "." and "-", at most 64, is needed')
  const options: CheckOptions = typeof given === 'function' ? { check: given } : given
  if (typeof options !== 'object' || options === null || typeof options.check !== 'function')
    throw invalid(`${path}.check`, 'must be a function')
  refuseUnknown(options, known, path)
  const seconds = (key: keyof CheckOptions, fallback: number, least: number) =>
    readSeconds(options[key], fallback, least, `${path}.${key}`)
  const count = (key: 'failureThreshold' | 'successThreshold') =>
    readCount(options[key], 1, `${path}.${key}`)
  const timeout = seconds('timeoutSeconds', 5, 0.001)
  const interval =
    options.intervalSeconds === undefined ? null : seconds('intervalSeconds', 15, 0.1)
  if (options.repair !== undefined && typeof options.repair !== 'function')
    throw invalid(`${path}.repair`, 'must be a function')
  const groups = options.groups ?? []
  for (const group of groups)
    if (!isName(group)) throw invalid(`${path}.groups`, `${JSON.stringify(group)} is no group name`)
  for (const code of options.codes ?? [])
    if (!codePattern.test(code))
      throw invalid(`${path}.codes`, 'codes are lower-case words joined by "_", at most 40 letters')
  return {
    name,
    check: options.check,
    repair: options.repair ?? null,
    critical: options.critical ?? true,
    groups: [...new Set(groups)],
    codes: new Set(options.codes),
    timeout,
    cache: seconds('cacheSeconds', 1, 0),
    failureCache: seconds('failureCacheSeconds', 1, 0),
    interval,
    initialDelay: seconds('initialDelaySeconds', 0, 0),
    slow: seconds('slowSeconds', Math.max(0.001, timeout / 2000), 0.001),
    failureThreshold: count('failureThreshold'),
    failureMs: seconds('failureSeconds', 0, 0),
    successThreshold: count('successThreshold'),
  }
}

/** Longest span any option may have: what a timer can hold. */
const longest = 2_147_483

/** Seconds to whole ms. Throws HEALTH_POLICY_INVALID when out of range. */
export function readSeconds(value: unknown, fallback: number, least: number, path: string): number {
  const seconds = value === undefined ? fallback : value
  if (typeof seconds !== 'number' || !(seconds >= least) || seconds > longest)
    throw invalid(path, `${shown(value)} is not between ${least} and ${longest} seconds`)
  return Math.round(seconds * 1000)
}

/** A whole number from 1 up. Throws HEALTH_POLICY_INVALID otherwise. */
export function readCount(value: unknown, fallback: number, path: string): number {
  const count = value === undefined ? fallback : value
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1 || count > 1_000_000)
    throw invalid(path, `${shown(value)} is not a whole number from 1 to 1000000`)
  return count
}

/** Refuses names that do not exist, naming the nearest that does. */
export function refuseUnknown(given: object, names: object, path: string): void {
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(names, key)) continue
    const near = nearest(key, Object.keys(names))
    const hint = near === null ? '' : ` Did you mean "${near}"?`
    const full = path === '' ? key : `${path}.${key}`
    throw new HealthError('HEALTH_POLICY_UNKNOWN', `${full} does not exist.${hint}`, full)
  }
}

/** An option with a value that is not allowed, and what is. */
export function invalid(path: string, what: string): HealthError {
  return new HealthError('HEALTH_POLICY_INVALID', `${path}: ${what}.`, path)
}

// A wrong value is shown when it is a number or a flag; text might be a secret in the wrong place.
function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value
}

function nearest(key: string, names: readonly string[]): string | null {
  let best: string | null = null
  let bestDistance = Math.max(2, key.length / 3) + 1
  for (const name of names) {
    // `timeout` for `timeoutSeconds` is the commonest slip.
    const starts = key.length >= 4 && name.toLowerCase().startsWith(key.toLowerCase())
    const distance = starts ? 1 : editDistance(key.toLowerCase(), name.toLowerCase())
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

/** The number that a check may show, or null when it has not the shape of one. */
export function readObserved(observed: unknown): Observed | null {
  if (typeof observed !== 'object' || observed === null) return null
  const { value, unit } = observed as { value?: unknown; unit?: unknown }
  if (typeof value !== 'number' || !Number.isFinite(value)) return null
  return units.includes(unit as Unit) ? { value, unit: unit as Unit } : null
}
