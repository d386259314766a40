/** What a simulated world is told and what it tells: apps, weather, and what happened. Shapes only. */
import type {
  AppOptions,
  Command,
  Decision,
  Fleet,
  HealthEvent,
  PolicyOptions,
  ProbeFailure,
  ProbeKind,
  StepResult,
} from '@health/core'
import type { Traffic, TrafficOptions } from './world-traffic.ts'

/** One app of a world. */
export interface WorldApp {
  readonly id: string
  readonly options: AppOptions
  readonly policy?: PolicyOptions
  readonly urls?: readonly string[]
}

/** What is wrong with a runner at a moment: the share of its probes that fail, and how. */
export interface Sickness {
  readonly share: number
  readonly why: ProbeFailure
}

/** A runner as a sickness function sees it. `place`: the how-manieth life of its app, from 1. */
export interface WorldRunner {
  readonly id: string
  readonly app: string
  readonly life: number
}

/** How a world behaves. Shares are from 0 to 1; everything that is left out does not happen. */
export interface WorldOptions extends TrafficOptions {
  readonly seed: number
  readonly apps: readonly WorldApp[]
  readonly policy?: PolicyOptions
  /** Observed ms at which it ends. */
  readonly until: number
  readonly sick?: (runner: WorldRunner, at: number, kind: ProbeKind) => Sickness | null
  /** Share of probes that our own side fails to make. */
  readonly errored?: number
  /** Share of starts that fail, and of those that the host refuses for want of capacity. */
  readonly failedStarts?: number
  readonly refusedStarts?: number
  /** Processes that the host has room for; any number when absent. */
  readonly capacity?: number
  /** Share of stops that hang until the kill. */
  readonly hangs?: number
  /** Crashes, operators' orders, changed configurations, pauses of our own: mean ms between two; absent: never. */
  readonly crashEveryMs?: number
  readonly orderEveryMs?: number
  readonly reloadEveryMs?: number
  readonly gapEveryMs?: number
  /** The supervisor is killed and comes back from its snapshot: mean ms between two. */
  readonly restartEveryMs?: number
  /** Whether our own control probe, asked every 5 s, fails at a moment. Absent: no control probe. */
  readonly blind?: (at: number) => boolean
  /** Restores the fleet from its own JSON at every n-th step. Not beside traffic: the load ledger is not part of the value. */
  readonly cut?: number
  /** Looks at the fleet after every step. */
  readonly watch?: (fleet: Fleet, event: HealthEvent, result: StepResult) => void
  /** Looks at the fleet after its counters were drained; `flying`: attempts in flight on a runner, as its callers see it. */
  readonly audit?: (fleet: Fleet, flying: (runner: string) => number) => void
}

/** What happened. */
export interface WorldRun {
  readonly journal: readonly HealthEvent[]
  readonly decisions: readonly Decision[]
  readonly commands: readonly Command[]
  readonly fleet: Fleet
  readonly traffic: Traffic
}
