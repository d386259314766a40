/**
 * Turns the answers of health checks into a report: which check stands where, what that means for the service, whether it is
 * ready. It never runs a check and never reads a clock: answers and `now` arrive as data. Formats live in `report-format.ts`.
 */

export { HealthError } from './error.ts'
export {
  chooseFormat,
  formats,
  isoTime,
  render,
  type FormatName,
  type Rendered,
  type Service,
  type View,
} from './report-format.ts'

/** What a check, a group or the whole service is. `degraded` works, but somebody should look. */
export type Status = 'healthy' | 'degraded' | 'unhealthy'

/** The units an observed number may have. A closed set: free text could carry what must not reach a body. */
export const units = ['ms', 's', 'bytes', 'percent', 'count', 'days', 'celsius'] as const
export type Unit = (typeof units)[number]

/** A number that a check measured. */
export interface Observed {
  readonly value: number
  readonly unit: Unit
}

/** One answer of one check. */
export interface Answer {
  readonly status: Status
  /** When the answer came: ms of the caller's monotonic clock. */
  readonly at: number
  /** How long the check took, ms. */
  readonly latency: number
  /** Code of the failure or warning, null when there is none. Never text. */
  readonly error: string | null
  /** True when it passed only after its repair ran. */
  readonly repaired: boolean
  readonly observed: Observed | null
}

/** When answers change what is said about a check. */
export interface Thresholds {
  /** Consecutive failures that make a check unhealthy; 1 = the first. */
  readonly failureThreshold: number
  /** Time in failure that must have passed as well, ms; 0 = none. */
  readonly failureMs: number
  /** Consecutive passes that make it well again after a failure; 1 = the first. */
  readonly successThreshold: number
}

/** What is said about a check after all its answers so far. */
export interface Standing {
  readonly status: Status
  readonly failures: number
  readonly passes: number
  /** When the present row of failures began, null when there is none. */
  readonly failingSince: number | null
  readonly last: Answer | null
}

/** Before the first answer: unhealthy, because "nobody has looked yet" must not attract traffic. */
export const unchecked: Standing = {
  status: 'unhealthy',
  failures: 0,
  passes: 0,
  failingSince: null,
  last: null,
}

/** The code shown for a check that has no answer yet. */
export const notCheckedYet = 'not_checked_yet'

/** Folds one answer into a standing: a row of failures, long enough in number and in time, makes a check unhealthy. */
export function settle(standing: Standing, answer: Answer, thresholds: Thresholds): Standing {
  if (answer.status === 'unhealthy') {
    const failures = standing.failures + 1
    const failingSince = standing.failingSince ?? answer.at
    const crossed =
      failures >= thresholds.failureThreshold && answer.at - failingSince >= thresholds.failureMs
    // Below the threshold a check keeps the status it had; one that never passed had none to keep and stays unhealthy.
    const status = crossed ? 'unhealthy' : standing.status
    return { status, failures, passes: 0, failingSince, last: answer }
  }
  const passes = standing.passes + 1
  // Only what has failed must prove itself; a first answer that passes is believed.
  const failed = standing.last !== null && standing.status === 'unhealthy'
  const waits = failed && passes < thresholds.successThreshold
  const status = waits ? 'unhealthy' : answer.status
  return { status, failures: 0, passes, failingSince: null, last: answer }
}

/** A check as the report sees it. */
export interface Subject {
  readonly name: string
  /** A failing critical check makes the service unhealthy and not ready; another one makes it degraded. */
  readonly critical: boolean
  readonly groups: readonly string[]
  readonly standing: Standing
}

/** Which checks a report is about; all of them when empty. */
export interface Selection {
  readonly group?: string
  readonly check?: string
  /** True: only the critical ones. */
  readonly critical?: boolean
  /** Names left out. Those that match nothing are reported, so that a typing error is seen. */
  readonly exclude?: readonly string[]
}

/** One line of a report. */
export interface ReportedCheck {
  readonly name: string
  readonly status: Status
  readonly critical: boolean
  readonly groups: readonly string[]
  /** Milliseconds of the last run, null before the first answer. */
  readonly latency: number | null
  /** Milliseconds since the last answer, null before the first. */
  readonly age: number | null
  readonly error: string | null
  readonly repaired: boolean
  readonly observed: Observed | null
}

/** What the checks say together at one moment. */
export interface Report {
  readonly status: Status
  readonly checks: readonly ReportedCheck[]
  /** Names that were left out as asked. */
  readonly excluded: readonly string[]
  /** Names to leave out that no check of the selection has. */
  readonly unmatched: readonly string[]
}

const none: readonly string[] = []

/** The status of several checks together: a critical failure is unhealthy, any other flaw is degraded, no check is healthy. */
export function combine(subjects: readonly Subject[]): Status {
  let status: Status = 'healthy'
  for (const subject of subjects) {
    const own = subject.standing.status
    if (own === 'healthy') continue
    if (own === 'unhealthy' && subject.critical) return 'unhealthy'
    status = 'degraded'
  }
  return status
}

/** The checks that a selection is about, before exclusion. */
export function select(subjects: readonly Subject[], selection: Selection): readonly Subject[] {
  const { group, check, critical } = selection
  if (critical === true) return subjects.filter((subject) => subject.critical)
  if (check !== undefined) return subjects.filter((subject) => subject.name === check)
  if (group !== undefined) return subjects.filter((subject) => subject.groups.includes(group))
  return subjects
}

/**
 * What the selected checks say at `now` (ms, the same clock as the answers').
 * A single check asked for by name is judged by itself: unhealthy is unhealthy, critical or not.
 */
export function report(
  subjects: readonly Subject[],
  now: number,
  selection: Selection = {},
): Report {
  const selected = select(subjects, selection)
  const exclude = selection.exclude ?? none
  const kept = exclude.length === 0 ? selected : selected.filter((s) => !exclude.includes(s.name))
  const names = exclude.length === 0 ? none : selected.map((subject) => subject.name)
  return {
    status: selection.check === undefined ? combine(kept) : (kept[0]?.standing.status ?? 'healthy'),
    checks: kept.map((subject) => line(subject, now)),
    excluded: exclude.length === 0 ? none : exclude.filter((name) => names.includes(name)),
    unmatched: exclude.length === 0 ? none : exclude.filter((name) => !names.includes(name)),
  }
}

function line({ name, critical, groups, standing }: Subject, now: number): ReportedCheck {
  const { last, status } = standing
  return {
    name,
    status,
    critical,
    groups,
    latency: last === null ? null : last.latency,
    age: last === null ? null : Math.max(0, now - last.at),
    error: last === null ? notCheckedYet : last.error,
    repaired: last !== null && last.repaired,
    observed: last === null ? null : last.observed,
  }
}

/** Where a service is in its life. */
export interface Phase {
  /** It said that its start is done. */
  readonly started: boolean
  /** Shutdown has begun; it never goes back. */
  readonly stopping: boolean
  /** Names of what holds readiness back right now. */
  readonly blocked: readonly string[]
}

/** May the service get requests, and if not, why. */
export interface Readiness {
  readonly ready: boolean
  readonly reason: string | null
}

const isReady: Readiness = { ready: true, reason: null }

/** Ready = started, not stopping, nothing blocks, no critical check is unhealthy. Shutdown outweighs every other reason. */
export function readiness(phase: Phase, subjects: readonly Subject[]): Readiness {
  if (phase.stopping) return { ready: false, reason: 'shutting down' }
  if (!phase.started) return startup(phase, subjects)
  if (phase.blocked.length > 0) return waiting(phase.blocked)
  if (combine(subjects) !== 'unhealthy') return isReady
  return unavailable(subjects.filter((s) => s.critical && s.standing.status === 'unhealthy'))
}

/**
 * Started = the service said so and the checks of the group `startup`, if there are any, have passed. It looks at no other
 * dependency, and says nothing about shutdown: a startup probe that fails there would only restart what is leaving.
 */
export function startup(phase: Phase, subjects: readonly Subject[]): Readiness {
  if (phase.started) return isReady
  if (phase.blocked.length > 0) return waiting(phase.blocked)
  const missing = subjects.filter(
    (s) => s.groups.includes('startup') && s.standing.status === 'unhealthy',
  )
  return missing.length > 0 ? unavailable(missing) : { ready: false, reason: 'initializing' }
}

function waiting(blocked: readonly string[]): Readiness {
  return { ready: false, reason: `waiting for ${blocked.join(', ')}` }
}

function unavailable(subjects: readonly Subject[]): Readiness {
  return { ready: false, reason: `${subjects.map((s) => s.name).join(', ')} unavailable` }
}
