/**
 * Counts the runs of checks and shows them as Prometheus text or through the OpenTelemetry metrics API. Labels are names of
 * checks, statuses and codes, nothing else. It opens no port and sends nothing by itself.
 */
import type { Answer, Status } from '@health/core/report'
import type { Check } from './check.ts'

/** Upper bounds of the duration buckets, s. */
const bounds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] as const

interface Counts {
  runs: Record<Status, number>
  buckets: number[]
  sum: number
  count: number
}

const levels = { healthy: 1, degraded: 0.5, unhealthy: 0 } as const satisfies Record<Status, number>

/** The part of OpenTelemetry's `Meter` that is used; `metrics.getMeter('health')` fits. */
export interface Meter {
  createHistogram(name: string, options?: object): Recorder
  createCounter(name: string, options?: object): Adder
  createObservableGauge(name: string, options?: object): Observable
}
interface Recorder {
  record(value: number, attributes?: Record<string, string>): void
}
interface Adder {
  add(value: number, attributes?: Record<string, string>): void
}
interface Observable {
  addCallback(
    callback: (result: {
      observe(value: number, attributes?: Record<string, string>): void
    }) => void,
  ): void
}

export class Metrics {
  #counts = new Map<string, Counts>()
  #recorder: Recorder | null = null
  #adder: Adder | null = null

  count(check: Check, answer: Answer): void {
    const counts = this.#of(check.name)
    const seconds = answer.latency / 1000
    counts.runs[answer.status]++
    counts.count++
    counts.sum += seconds
    const bucket = bounds.findIndex((bound) => seconds <= bound)
    if (bucket !== -1) counts.buckets[bucket] = (counts.buckets[bucket] as number) + 1
    this.#recorder?.record(seconds, { check: check.name })
    this.#adder?.add(1, { check: check.name, status: answer.status })
  }

  /** Records everything that follows in this meter too. */
  instrument(meter: Meter, checks: () => readonly Check[], status: () => Status): void {
    this.#recorder = meter.createHistogram('health.check.duration', {
      unit: 's',
      description: 'How long runs of a check took',
    })
    this.#adder = meter.createCounter('health.check.runs', {
      description: 'Runs of a check by status',
    })
    meter
      .createObservableGauge('health.check.status', {
        description: 'Standing of a check: 1 healthy, 0.5 degraded, 0 unhealthy',
      })
      .addCallback((result) => {
        for (const check of checks())
          result.observe(levels[check.standing.status], { check: check.name })
      })
    meter
      .createObservableGauge('health.status', {
        description: 'Status of the service: 1 healthy, 0.5 degraded, 0 unhealthy',
      })
      .addCallback((result) => result.observe(levels[status()]))
  }

  /** The Prometheus text format, version 0.0.4. */
  prometheus(checks: readonly Check[], status: Status): string {
    const lines = [
      '# HELP health_status Status of the service: 1 healthy, 0.5 degraded, 0 unhealthy.',
      '# TYPE health_status gauge',
      `health_status ${levels[status]}`,
      '# HELP health_check_status Standing of a check: 1 healthy, 0.5 degraded, 0 unhealthy.',
      '# TYPE health_check_status gauge',
    ]
    for (const { name, standing } of checks)
      lines.push(`health_check_status{check="${name}"} ${levels[standing.status]}`)
    lines.push('# HELP health_check_runs_total Runs of a check by status.')
    lines.push('# TYPE health_check_runs_total counter')
    for (const { name } of checks) {
      for (const [word, runs] of Object.entries(this.#of(name).runs))
        lines.push(`health_check_runs_total{check="${name}",status="${word}"} ${runs}`)
    }
    lines.push('# HELP health_check_duration_seconds How long runs of a check took.')
    lines.push('# TYPE health_check_duration_seconds histogram')
    for (const { name } of checks) lines.push(...this.#histogram(name))
    return `${lines.join('\n')}\n`
  }

  #histogram(name: string): string[] {
    const { buckets, count, sum } = this.#of(name)
    let below = 0
    const lines = bounds.map((bound, index) => {
      below += buckets[index] as number
      return `health_check_duration_seconds_bucket{check="${name}",le="${bound}"} ${below}`
    })
    lines.push(`health_check_duration_seconds_bucket{check="${name}",le="+Inf"} ${count}`)
    lines.push(`health_check_duration_seconds_sum{check="${name}"} ${sum}`)
    lines.push(`health_check_duration_seconds_count{check="${name}"} ${count}`)
    return lines
  }

  #of(name: string): Counts {
    let counts = this.#counts.get(name)
    if (counts === undefined) {
      const runs = { healthy: 0, degraded: 0, unhealthy: 0 }
      counts = { runs, buckets: bounds.map(() => 0), sum: 0, count: 0 }
      this.#counts.set(name, counts)
    }
    return counts
  }
}
