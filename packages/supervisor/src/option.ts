/** What a supervisor is given: where it keeps its record, its ports, and how the app launches and hears. Data and functions only. */
import type {
  Clock,
  Host,
  Launch,
  PolicyOptions,
  Prober,
  ProcessRecord,
  Telemetry,
} from '@health/core'
import type { Log } from './line.ts'

/** Asks ourselves: is our own network and loop well. */
export interface ControlProbe {
  check(): Promise<{ readonly passed: boolean; readonly latencyMs: number }>
  close(): Promise<void>
}

/** Bounds of the journal on disk. */
export interface JournalBounds {
  /** A file that has reached this size is followed by the next one; default 64 MiB. */
  readonly segmentBytes: number
  /** All files together; default 1 GiB. What the newest snapshot needs is kept beyond it. */
  readonly maxBytes: number
  /** Default 7 days. */
  readonly maxAgeSeconds: number
}

/** Options of `startSupervisor`. */
export interface SupervisorOptions {
  /** Holds `journal/`, `snapshots/` and the lock; made when it is not there. */
  readonly dataDir: string
  /** Global tunables of a fleet without a past. Later changes come as facts, so that the journal has them. */
  readonly policy?: PolicyOptions
  /** Of all chance, for a fleet without a past; default: drawn once. */
  readonly seed?: number
  /** Default: the machine's, as observed time. Goes on where the journal ended. */
  readonly clock?: Clock
  readonly prober: (clock: Clock) => Prober
  readonly host: (clock: Clock) => Host
  readonly control?: (clock: Clock, prober: Prober) => ControlProbe | Promise<ControlProbe>
  /** Between two control probes; default 5 s. */
  readonly controlSeconds?: number
  readonly telemetry?: (clock: Clock) => Promise<Telemetry>
  /** How runners of an app are started; null: it has no command. */
  readonly launchOf: (app: string) => Launch | null
  /** Variables of ours for one runner: where and with which token it sends heartbeats. */
  readonly runnerEnv?: (runner: string, app: string) => Readonly<Record<string, string>>
  /**
   * Called once at the start when every process of before was adopted or found gone, before anything is started: the place to
   * end what a killed supervisor left behind. `records` are those of before, `kept` the runners that were adopted.
   */
  readonly sweep?: (
    clock: Clock,
    records: readonly ProcessRecord[],
    kept: ReadonlySet<string>,
  ) => Promise<void>
  readonly journal?: Partial<JournalBounds>
  /** Between two snapshots; default 60 s. */
  readonly snapshotSeconds?: number
  /** Of this software, as the journal notes it; default `0.0.0`. */
  readonly version?: string
  readonly log: Log
}

/** Bounds with their defaults. Only whole files are deleted, so one has at most half of what all may have. */
export function boundsOf(journal: Partial<JournalBounds> = {}): JournalBounds {
  const { segmentBytes = 64 << 20, maxBytes = 1 << 30 } = journal
  return {
    segmentBytes: Math.min(segmentBytes, Math.floor(maxBytes / 2)),
    maxBytes,
    maxAgeSeconds: journal.maxAgeSeconds ?? 604_800,
  }
}
