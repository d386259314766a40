/**
 * Every fact that may be told to `step`: past tense, each with the observed time `at` at which it became true.
 * Facts carry no verdict; what they mean is decided in `verdict.ts` and the machines, never here.
 */
import type { OutcomeName } from './outcome.ts'
import type { AppOptions } from './app-option.ts'
import type { PolicyOptions } from './tunable.ts'
import type { RequestRecord } from './retry.ts'
import type { NodeEvent } from './node-event.ts'

/** Milliseconds of observed time: it stands still while the supervisor stood still. */
export type Millis = number

/** What a probe asks: is the port open, is the runner well (regular, manual, exclusive), does TCP still answer. */
export type ProbeKind = 'port' | 'regular' | 'manual' | 'tcp' | 'exclusive'

/** How a request came in. Only `queue` is ever retried. */
export type Mode = 'queue' | 'run' | 'stream' | 'realtime'

/** Why a probe failed; `timeout` alone counts towards `guard.self`. */
export type ProbeFailure = 'status' | 'refused' | 'reset' | 'timeout' | 'invalid'

interface Fact {
  /** Observed milliseconds, never decreasing. */
  readonly at: Millis
  /** Journal number: given by `step`, kept in the journal, obeyed in a replay. Gaps are legal. */
  readonly seq?: number
}

/** A fact about one life of one runner. A fact about an old incarnation is stale and changes nothing. */
interface RunnerFact extends Fact {
  readonly runner: string
  readonly incarnation: number
}

/** The response headers that change a verdict, already parsed; absent when the runner did not send them. */
export interface OutcomeHeaders {
  /** `x-fal-stop-runner`: true ends the runner on any status, false keeps it even on 503. */
  readonly stop?: boolean
  /** `x-fal-runner-health-check`: the runner asks for a manual check. */
  readonly check?: boolean
  /** `x-fal-needs-retry`. */
  readonly needsRetry?: boolean
  /** `retry-after` in ms. */
  readonly retryAfterMs?: number
}

/** An attempt ended, in a way that crosses a rule, or on a runner that is not ready and open. */
export interface AttemptEnded extends RunnerFact {
  readonly type: 'attempt.ended'
  readonly app: string
  readonly request: string
  /** Number of the attempt, from 1. */
  readonly attempt: number
  readonly mode: Mode
  readonly outcome: OutcomeName
  /** Status the runner answered, null when there was no answer. */
  readonly status: number | null
  readonly headers?: OutcomeHeaders
  /** How the connection ended, when there was no whole answer. */
  readonly cut?: 'refused' | 'connect_timeout' | 'disconnected' | 'incomplete'
  /** Attempts still in flight on the runner after this one ended. */
  readonly inFlight: number
  /** What the queue knows of the request; absent for direct calls. */
  readonly record?: RequestRecord
}

/** An operator's order about a runner. */
export interface RunnerOrderGiven extends Fact {
  readonly type: 'order.stop' | 'order.drain' | 'order.kill'
  readonly runner: string
  readonly by: string
  /** The successor is ready before the runner takes its last request. */
  readonly replace?: boolean
  readonly inFlight: number
}

/** Every fact. `POST /v1/events` takes exactly these, without `at` and `seq`. */
export type HealthEvent =
  // configuration
  | (Fact & {
      readonly type: 'app.configured'
      readonly app: string
      readonly options: AppOptions
      /** Global and app policy of the configuration, merged. */
      readonly policy: PolicyOptions
      /** Changes when runners must be replaced: command, environment, folder or urls. */
      readonly revision: string
      /** Addresses of servers to adopt; absent for runners that are started. */
      readonly urls?: readonly string[]
    })
  | (Fact & { readonly type: 'app.removed'; readonly app: string })
  | (Fact & {
      readonly type: 'policy.configured'
      /** The global tunables of the configuration, all that it names. */
      readonly policy: PolicyOptions
    })
  | (Fact & {
      readonly type: 'policy.changed'
      /** null: all apps. */
      readonly app: string | null
      /** Names of `PolicyOptions`; null removes an override. */
      readonly change: Readonly<Record<string, unknown>>
      readonly by: string
    })
  /** The supervisor began (again): probes in flight and gauges of before are void. `wall` is Unix ms at `at`. */
  | (Fact & { readonly type: 'core.started'; readonly version: string; readonly wall: number })
  // host
  | (RunnerFact & {
      readonly type: 'process.started'
      readonly pid: number | null
      readonly url: string
      /** Kernel's start time of the process, to tell it from a later one with the same pid. */
      readonly startTime?: string
      readonly answers?: string
    })
  | (RunnerFact & { readonly type: 'process.adopted' })
  | (RunnerFact & {
      readonly type: 'provision.refused'
      readonly why: 'no_capacity' | 'bad_config'
      readonly detail: string
      readonly answers?: string
    })
  | (RunnerFact & { readonly type: 'port.opened'; readonly latencyMs: number })
  | (RunnerFact & { readonly type: 'setup.failed'; readonly detail: string })
  | (RunnerFact & {
      readonly type: 'process.exited'
      readonly code: number | null
      readonly signal: string | null
      /** Id of the stop or kill command that this end answers; absent when it ended by itself. */
      readonly answers?: string
    })
  // prober
  | (RunnerFact & {
      readonly type: 'probe.passed' | 'probe.failed' | 'probe.errored'
      /** Number of the probe, as the command gave it. */
      readonly probe: number
      readonly kind: ProbeKind
      readonly latencyMs: number
      readonly status?: number
      readonly why?: ProbeFailure
      readonly detail?: string
    })
  | (Fact & {
      readonly type: 'control.ended'
      readonly passed: boolean
      readonly latencyMs: number
    })
  // gateway
  | AttemptEnded
  | (Fact & {
      /** Healthy traffic of one app, summed; at most one a second, or at once when something begins to wait. */
      readonly type: 'traffic.counted'
      readonly app: string
      readonly runners: readonly string[]
      readonly started: readonly number[]
      readonly ended: readonly number[]
      /** Of `ended`, those with a 2xx. */
      readonly served: readonly number[]
      readonly inFlight: readonly number[]
      /** Direct calls that wait for a runner. */
      readonly waiting: number
      /** Queued requests that may start now. */
      readonly queued: number
    })
  /** The answer to `count`: attempts in flight on a runner that takes nothing new. */
  | (RunnerFact & {
      readonly type: 'work.counted'
      readonly inFlight: number
      readonly answers?: string
    })
  | (RunnerFact & { readonly type: 'heartbeat.received' })
  | (RunnerFact & { readonly type: 'attempt.stalled'; readonly inFlight: number })
  | (Fact & {
      /** The caller asked for a cancel. `runner` and `attempt` are there while it runs. */
      readonly type: 'request.cancelled'
      readonly app: string
      readonly request: string
      readonly runner?: string
      readonly attempt?: number
      readonly cause: 'caller' | 'flushed'
    })
  /** The time-to-start limit passed before a start. */
  | (Fact & { readonly type: 'request.expired'; readonly app: string; readonly request: string })
  /** The holder of a lease died or let it pass. */
  | (Fact & {
      readonly type: 'lease.expired'
      readonly app: string
      readonly request: string
      readonly attempt: number
      readonly record: RequestRecord
    })
  // people
  | RunnerOrderGiven
  | (Fact & {
      readonly type: 'order.check'
      readonly runner: string
      readonly by: string
      readonly manual: boolean
    })
  /** Try an app again that was stopped by a configuration error. */
  | (Fact & { readonly type: 'order.start'; readonly app: string; readonly by: string })
  /** The whole fleet ends. With `keepRunners` the processes stay for the next supervisor. */
  | (Fact & { readonly type: 'order.shutdown'; readonly by: string; readonly keepRunners: boolean })
  // supervisor
  | (Fact & { readonly type: 'clock.resumed'; readonly gapMs: number; readonly wall: number })
  /** A wake-up; never journaled: deadlines act at their own time, whenever they are reached. */
  | (Fact & { readonly type: 'time.passed' })
  | NodeEvent

/** Name of a fact. */
export type EventType = HealthEvent['type']
