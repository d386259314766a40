/**
 * Measures whether this process is overloaded: event loop late or busy all the time, heap or memory over a limit. It only says
 * so; an adapter sheds load with 429, never 503, because a 503 would end the runner behind a gateway.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { invalid, readSeconds, refuseUnknown } from './option.ts'

export interface OverloadOptions {
  /** Mean delay of the event loop within one sample. */
  readonly maxEventLoopDelaySeconds?: number
  /** Share of time the event loop was busy, 0 to 1. */
  readonly maxEventLoopUtilization?: number
  readonly maxHeapUsedBytes?: number
  readonly maxRssBytes?: number
  /** From sample to sample. Default 1. */
  readonly sampleSeconds?: number
  /** What callers are told to wait. Default 10. */
  readonly retryAfterSeconds?: number
}

/** The limit that is exceeded. */
export type Pressed = 'event_loop_delay' | 'event_loop_utilization' | 'heap' | 'rss'

const known = {
  maxEventLoopDelaySeconds: true,
  maxEventLoopUtilization: true,
  maxHeapUsedBytes: true,
  maxRssBytes: true,
  sampleSeconds: true,
  retryAfterSeconds: true,
} as const satisfies Record<keyof OverloadOptions, true>

/** Resolution of the delay histogram, ms: what it reads when nothing is late. */
const resolution = 10

export class Pressure {
  /** The limit that the last sample exceeded, null when none. */
  exceeded: Pressed | null = null
  readonly retryAfterSeconds: number
  readonly #options: OverloadOptions
  readonly #delay: ReturnType<typeof monitorEventLoopDelay> | null
  readonly #timer: NodeJS.Timeout
  #utilization = performance.eventLoopUtilization()

  /** Throws HEALTH_POLICY_INVALID or HEALTH_POLICY_UNKNOWN. */
  constructor(options: OverloadOptions) {
    refuseUnknown(options, known, 'overload')
    for (const [name, value] of Object.entries(options))
      if (!(typeof value === 'number' && value > 0))
        throw invalid(`overload.${name}`, 'must be a number above 0')
    if ((options.maxEventLoopUtilization ?? 0) > 1)
      throw invalid('overload.maxEventLoopUtilization', 'is a share from 0 to 1')
    this.#options = options
    this.retryAfterSeconds = Math.ceil(options.retryAfterSeconds ?? 10)
    const delayed = options.maxEventLoopDelaySeconds !== undefined
    this.#delay = delayed ? monitorEventLoopDelay({ resolution }) : null
    this.#delay?.enable()
    const sample = readSeconds(options.sampleSeconds, 1, 0.01, 'overload.sampleSeconds')
    this.#timer = setInterval(() => this.sample(), sample)
    this.#timer.unref()
  }

  /** Measures now. Called by its own timer. */
  sample(): void {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization)
    this.#utilization = now
    const mean = this.#delay === null ? 0 : Math.max(0, this.#delay.mean / 1e6 - resolution)
    this.#delay?.reset()
    const { maxHeapUsedBytes, maxRssBytes } = this.#options
    const { maxEventLoopDelaySeconds, maxEventLoopUtilization } = this.#options
    if (isOver(mean / 1000, maxEventLoopDelaySeconds)) this.exceeded = 'event_loop_delay'
    else if (isOver(utilization, maxEventLoopUtilization)) this.exceeded = 'event_loop_utilization'
    else if (maxHeapUsedBytes !== undefined && process.memoryUsage().heapUsed > maxHeapUsedBytes)
      this.exceeded = 'heap'
    else if (maxRssBytes !== undefined && process.memoryUsage.rss() > maxRssBytes)
      this.exceeded = 'rss'
    else this.exceeded = null
  }

  close(): void {
    clearInterval(this.#timer)
    this.#delay?.disable()
    this.exceeded = null
  }
}

function isOver(value: number, limit: number | undefined): boolean {
  return limit !== undefined && value > limit
}
