/**
 * Writes a report in the format that a caller asked for: the plain JSON, `application/health+json` (draft 06), MicroProfile
 * Health, or the lines that Kubernetes prints. It adds no knowledge and hides none: what may be shown is decided before.
 */
import type { Readiness, Report, ReportedCheck, Status } from './report.ts'

/** Media types by format name. MicroProfile has no type of its own registered, hence the vendor one. */
export const formats = {
  json: 'application/json; charset=utf-8',
  draft: 'application/health+json; charset=utf-8',
  microprofile: 'application/vnd.microprofile.health+json; charset=utf-8',
  text: 'text/plain; charset=utf-8',
} as const

export type FormatName = keyof typeof formats

/** What is said about the service itself. */
export interface Service {
  readonly version: string | null
  /** Milliseconds since the process or the service started. */
  readonly uptime: number
  /** Wall clock, ms since 1970. */
  readonly wall: number
  /** Named values only, chosen by the service; shown in details. */
  readonly info: Readonly<Record<string, string | number | boolean>> | null
}

/** One answer of one endpoint, before it has a format. */
export interface View {
  readonly endpoint: 'live' | 'ready' | 'startup' | 'health'
  readonly status: Status
  /** The seeds' word when it is not the status: `alive`, `ready`, `not ready`, `started`, `starting`. */
  readonly state: Readiness | null
  readonly report: Report | null
  readonly service: Service
  /** Show every check. */
  readonly verbose: boolean
  /** Show also what only an authorised reader sees: criticality, groups, observed numbers, info, history. */
  readonly detailed: boolean
  readonly history: readonly Readonly<Record<string, string | number | boolean | null>>[] | null
}

/** A body and its media type. */
export interface Rendered {
  readonly type: string
  readonly body: string
}

/** The body of a view in a format. */
export function render(format: FormatName, view: View): Rendered {
  return { type: formats[format], body: bodies[format](view) }
}

const bodies = { json, draft, microprofile, text } satisfies Record<FormatName, (v: View) => string>

function json(view: View): string {
  if (view.endpoint === 'live') return '{"status":"alive"}'
  const checks = view.report !== null && view.verbose ? `,"checks":${jsonChecks(view)}` : ''
  if (view.state !== null && view.endpoint !== 'health') {
    const words = view.endpoint === 'ready' ? ['ready', 'not ready'] : ['started', 'starting']
    const reason = view.state.ready ? '' : `,"reason":${JSON.stringify(view.state.reason)}`
    return `{"status":"${view.state.ready ? words[0] : words[1]}"${reason}${checks}}`
  }
  const { service } = view
  const reason =
    view.state === null || view.state.ready ? '' : `,"reason":${JSON.stringify(view.state.reason)}`
  let body = `{"status":"${view.status}"${reason},"version":${JSON.stringify(service.version)}`
  body += `,"timestamp":"${isoTime(service.wall)}","uptime_seconds":${Math.round(service.uptime) / 1000}`
  body += checks
  const unmatched = view.report?.unmatched ?? []
  if (unmatched.length > 0) body += `,"warnings":${JSON.stringify(unmatched.map(noSuchCheck))}`
  if (view.detailed && service.info !== null) body += `,"info":${JSON.stringify(service.info)}`
  if (view.detailed && view.history !== null) body += `,"history":${JSON.stringify(view.history)}`
  return `${body}}`
}

// Put together by hand: this is what dashboards ask for over and over, and a third of its cost would be making objects.
function jsonChecks(view: View): string {
  let lines = ''
  for (const check of view.report?.checks ?? []) {
    const latency = check.latency === null ? null : hundredth(check.latency)
    const age = check.age === null ? null : Math.round(check.age)
    lines += `${lines === '' ? '' : ','}${JSON.stringify(check.name)}:{"status":"${check.status}"`
    lines += `,"latency_ms":${latency},"age_ms":${age},"error":${JSON.stringify(check.error)}`
    if (check.repaired) lines += ',"repaired":true'
    if (view.detailed) lines += jsonDetails(check)
    lines += '}'
  }
  return `{${lines}}`
}

function jsonDetails({ critical, groups, observed }: ReportedCheck): string {
  const seen = observed === null ? '' : `,"observed":${JSON.stringify(observed)}`
  return `,"critical":${critical},"groups":${JSON.stringify(groups)}${seen}`
}

const drafts = { healthy: 'pass', degraded: 'warn', unhealthy: 'fail' } as const

function draft(view: View): string {
  const { service } = view
  const body: Record<string, unknown> = { status: drafts[view.status] }
  // A major version is what the draft calls `version`; the one of this build is its `releaseId`.
  if (service.version !== null) {
    body['version'] = service.version.split('.', 1)[0]
    body['releaseId'] = service.version
  }
  if (view.state !== null && !view.state.ready) body['output'] = view.state.reason
  const notes = (view.report?.unmatched ?? []).map(noSuchCheck)
  if (notes.length > 0) body['notes'] = notes
  if (view.report !== null && view.verbose) {
    const checks: Record<string, unknown> = Object.create(null) as Record<string, unknown>
    for (const check of view.report.checks) {
      checks[`${check.name}:responseTime`] = [draftLine(check, service.wall)]
      const { observed } = check
      if (view.detailed && observed !== null) {
        const measured = { observedValue: observed.value, observedUnit: observed.unit }
        checks[`${check.name}:observed`] = [{ ...measured, status: drafts[check.status] }]
      }
    }
    checks['uptime'] = [
      {
        componentType: 'system',
        observedValue: Math.round(service.uptime) / 1000,
        observedUnit: 's',
        status: 'pass',
      },
    ]
    body['checks'] = checks
  }
  return JSON.stringify(body)
}

function draftLine(check: ReportedCheck, wall: number): Record<string, unknown> {
  const line: Record<string, unknown> = {
    componentId: check.name,
    status: drafts[check.status],
  }
  if (check.latency !== null && check.age !== null) {
    line['observedValue'] = hundredth(check.latency)
    line['observedUnit'] = 'ms'
    line['time'] = isoTime(wall - check.age)
  }
  // The draft wants no output on a pass.
  if (check.status !== 'healthy' && check.error !== null) line['output'] = check.error
  return line
}

function microprofile(view: View): string {
  const up = (status: Status) => (status === 'unhealthy' ? 'DOWN' : 'UP')
  const checks = (view.report?.checks ?? []).map((check) => {
    const data: Record<string, string | number> = {}
    if (check.latency !== null) data['latencyMs'] = hundredth(check.latency)
    if (check.age !== null) data['ageMs'] = Math.round(check.age)
    if (check.error !== null) data['error'] = check.error
    const line = { name: check.name, status: up(check.status) }
    return Object.keys(data).length === 0 ? line : { ...line, data }
  })
  if (view.state !== null && !view.state.ready) {
    const data = { reason: view.state.reason ?? '' }
    return JSON.stringify({
      status: 'DOWN',
      checks: [...checks, { name: view.endpoint, status: 'DOWN', data }],
    })
  }
  return JSON.stringify({ status: up(view.status), checks })
}

const titles = {
  live: 'livez',
  ready: 'readyz',
  startup: 'startupz',
  health: 'healthz',
} as const

function text(view: View): string {
  const title = titles[view.endpoint]
  const failed = view.status === 'unhealthy'
  // As the API server does: a pass is one word unless asked for more, a failure always shows its lines.
  const warnings = (view.report?.unmatched ?? []).map((name) => `warn: ${noSuchCheck(name)}\n`)
  if (!failed && !view.verbose) return `${warnings.join('')}ok`
  const lines = (view.report?.checks ?? []).map(textLine)
  for (const name of view.report?.excluded ?? []) lines.push(`[+]${name} excluded: ok\n`)
  if (view.state !== null && !view.state.ready)
    lines.push(`[-]${view.endpoint} failed: ${view.state.reason ?? 'reason withheld'}\n`)
  return `${lines.join('')}${warnings.join('')}${title} check ${failed ? 'failed' : 'passed'}\n`
}

function textLine(check: ReportedCheck): string {
  if (check.status === 'healthy') return `[+]${check.name} ok\n`
  const reason = check.error ?? 'reason withheld'
  // A flaw that does not fail the service keeps its plus, so that scripts that count minus signs stay right.
  if (check.status === 'degraded' || !check.critical)
    return `[+]${check.name} degraded: ${reason}\n`
  return `[-]${check.name} failed: ${reason}\n`
}

function noSuchCheck(name: string): string {
  return `no check to exclude is called ${JSON.stringify(name)}`
}

function hundredth(value: number): number {
  return Math.round(value * 100) / 100
}

const words: Readonly<Record<string, FormatName>> = {
  'application/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
  'application/health+json': 'draft',
  'application/vnd.microprofile.health+json': 'microprofile',
  'text/plain': 'text',
  'text/*': 'text',
}

/** Longest `Accept` that is read; what is behind it does not count. */
const acceptLength = 1024

/**
 * The format for an `Accept` header, or for `?format=` when that names one. The highest `q` wins, then the first named; an
 * exact type goes before a wildcard. What asks for nothing we have gets the plain JSON: a probe is never refused over a header.
 */
export function chooseFormat(accept: string | undefined, asked?: string): FormatName {
  if (asked !== undefined && Object.hasOwn(formats, asked)) return asked as FormatName
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return 'json'
  let best: FormatName = 'json'
  let bestScore = 0
  for (const range of accept.slice(0, acceptLength).toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
    const profile = parameters.some((p) => /^profile="?[^"]*microprofile/.test(p))
    const name = type === 'application/json' && profile ? 'microprofile' : words[type]
    if (name === undefined || !Object.hasOwn(words, type)) continue
    const q = Number(parameters.find((p) => p.startsWith('q='))?.slice(2) ?? 1)
    const score = (q > 0 && q <= 1 ? q : 0) * (type.endsWith('*') ? 0.999 : 1)
    if (score > bestScore) {
      best = name
      bestScore = score
    }
  }
  return best
}

/** ISO 8601 in UTC of milliseconds since 1970, for the years 1970 to 9999. */
export function isoTime(wall: number): string {
  const ms = Math.max(0, Math.floor(wall))
  // Civil date from days, counted in eras of 400 years that begin on the first of March.
  const z = Math.floor(ms / 86_400_000) + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const time = ms % 86_400_000
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`
  const clock = `${two(Math.floor(time / 3_600_000))}:${two(Math.floor(time / 60_000) % 60)}`
  return `${date}T${clock}:${two(Math.floor(time / 1000) % 60)}.${String(ms % 1000).padStart(3, '0')}Z`
}

function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`
}
