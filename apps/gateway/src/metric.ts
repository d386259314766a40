/**
 * The gateway's numbers and their Prometheus text. What is counted for each request is a field of an object that is already at
 * hand: no label text is built before somebody asks for the page.
 */
import {
  type AlertName,
  alerts,
  type Mode,
  type Observation,
  type OutcomeName,
  outcomes,
  reasons,
} from '@health/core'
import { Histogram } from './histogram.ts'
import { LifeNumbers } from './life-metric.ts'
import { bump, label } from './label.ts'
import { type MetricName, metricTable } from './metric-table.ts'

const modes: readonly Mode[] = ['queue', 'run', 'stream', 'realtime']
const outcomeNames = Object.keys(outcomes) as OutcomeName[]

/** Modes that this version serves, and what it answers in them itself when it fails. */
const served: readonly Mode[] = ['queue', 'run', 'stream']
const failures = [500, 502, 503, 504] as const

class AppNumbers {
  readonly attempts = Object.fromEntries(outcomeNames.map((name) => [name, 0])) as Record<
    OutcomeName,
    number
  >
  /** Requests by status, for each mode. */
  readonly requests = Object.fromEntries(
    modes.map((mode) => [mode, new Map<number, number>()]),
  ) as Record<Mode, Map<number, number>>
  readonly durations = Object.fromEntries(modes.map((mode) => [mode, new Histogram()])) as Record<
    Mode,
    Histogram
  >
  readonly retries = new Map<string, number>()
}

/** A gauge that is read when somebody asks. */
export interface Gauge {
  readonly name: MetricName
  /** Label text (`app="a/b",state="idle"`, or '') and value. */
  read(): Iterable<readonly [labels: string, value: number]>
}

/** Counts, and writes what was counted. */
export interface Metrics {
  attempt(app: string, outcome: OutcomeName): void
  request(app: string, mode: Mode, status: number, ms: number): void
  retry(app: string, condition: string): void
  /** Counts an alert. */
  alert(name: AlertName): void
  /** Transitions, ends and probes, from the fleet. */
  observe(observation: Observation): void
  /** Counts a named thing that is no request: results of lost leases, refused connections. */
  count(name: string): void
  /**
   * The page. For each of `apps` what an alert counts is there from 0 on: Prometheus sees no increase in a series that begins with its
   * first burst.
   */
  text(gauges: readonly Gauge[], apps?: readonly string[]): string
}

/** Creates an empty registry. `appOf` says which app a runner belongs to, `reasonOf` why it ended; ended ones included. */
export function createMetrics(
  appOf: (runner: string) => string | null,
  reasonOf: (runner: string) => string | null = () => null,
): Metrics {
  const apps = new Map<string, AppNumbers>()
  const lives = new LifeNumbers(appOf, reasonOf)
  const alerted = new Map<AlertName, number>(alerts.map((name) => [name, 0]))
  const counts = new Map<string, number>()
  const of = (app: string): AppNumbers => {
    let found = apps.get(app)
    if (found === undefined) apps.set(app, (found = new AppNumbers()))
    return found
  }
  return {
    attempt(app, outcome) {
      of(app).attempts[outcome]++
    },
    request(app, mode, status, ms) {
      const numbers = of(app)
      bump(numbers.requests[mode], status)
      numbers.durations[mode].add(ms / 1000)
    },
    retry(app, condition) {
      bump(of(app).retries, condition)
    },
    observe: (observation) => lives.observe(observation),
    alert(name) {
      bump(alerted, name)
    },
    count(name) {
      bump(counts, name)
    },
    text(gauges, configured = []) {
      const out: string[] = []
      const head = (name: MetricName): void => {
        const { says, type } = metricTable[name]
        out.push(`# HELP ${name} ${says}`, `# TYPE ${name} ${type}`)
      }
      const counter = (
        name: MetricName,
        entries: Iterable<readonly [string, number]>,
        fromZero: Iterable<string> = [],
      ): void => {
        head(name)
        const shown = new Set<string>()
        for (const [labels, value] of entries) {
          out.push(labels === '' ? `${name} ${value}` : `${name}{${labels}} ${value}`)
          shown.add(labels)
        }
        for (const labels of fromZero) if (!shown.has(labels)) out.push(`${name}{${labels}} 0`)
      }
      const forEachApp = (labelsOf: (app: string) => readonly string[]): readonly string[] =>
        configured.flatMap((app) => labelsOf(label(app)))
      const each = function* <T>(
        read: (numbers: AppNumbers, app: string) => Iterable<T>,
      ): Iterable<T> {
        for (const [app, numbers] of apps) yield* read(numbers, label(app))
      }
      counter(
        'health_requests_total',
        each(function* (numbers, app) {
          for (const mode of modes)
            for (const [status, n] of numbers.requests[mode])
              yield [`app="${app}",mode="${mode}",status="${status}"`, n] as const
        }),
        forEachApp((app) =>
          served.flatMap((mode) =>
            failures.map((status) => `app="${app}",mode="${mode}",status="${status}"`),
          ),
        ),
      )
      head('health_request_duration_seconds')
      for (const [app, numbers] of apps) {
        for (const mode of modes)
          if (numbers.requests[mode].size > 0)
            numbers.durations[mode].write(
              out,
              'health_request_duration_seconds',
              `app="${label(app)}",mode="${mode}"`,
            )
      }
      counter(
        'health_attempts_total',
        each(function* (numbers, app) {
          for (const outcome of outcomeNames)
            if (numbers.attempts[outcome] > 0)
              yield [`app="${app}",outcome="${outcome}"`, numbers.attempts[outcome]] as const
        }),
      )
      counter(
        'health_retries_total',
        each(function* (numbers, app) {
          for (const [condition, n] of numbers.retries)
            yield [`app="${app}",condition="${label(condition)}"`, n] as const
        }),
      )
      counter('health_transitions_total', lives.transitions)
      counter(
        'health_terminations_total',
        lives.terminations,
        forEachApp((app) =>
          reasons.map((reason) => `app="${app}",reason="${reason}",enforced="true"`),
        ),
      )
      head('health_probe_duration_seconds')
      for (const [labels, histogram] of lives.probes)
        histogram.write(out, 'health_probe_duration_seconds', labels)
      counter(
        'health_alerts_total',
        [...alerted].map(([name, n]) => [`name="${name}"`, n] as const),
      )
      counter(
        'health_gateway_events_total',
        [...counts].map(([name, n]) => [`event="${label(name)}"`, n] as const),
      )
      for (const gauge of gauges) {
        head(gauge.name)
        for (const [labels, value] of gauge.read())
          out.push(labels === '' ? `${gauge.name} ${value}` : `${gauge.name}{${labels}} ${value}`)
      }
      return `${out.join('\n')}\n`
    },
  }
}
