/**
 * What an adapter must provide, each port small and with its contract in words. Types only: the core never calls a port;
 * a supervisor connects them with `step`.
 */
import type { Command } from './command.ts'
import type { HealthEvent, Millis, ProbeFailure, ProbeKind } from './event.ts'
import type { Decision } from './decision.ts'
import type { HealthError } from './error.ts'
import type { RequestRecord } from './retry.ts'

/** Takes back what it came from: a timer, a probe, a subscription. Calling it twice does nothing. */
export type Cancel = () => void

/**
 * Observed time. Contract: `now()` never decreases and stands still while the process stood still; every timeout that can
 * lead to a verdict is taken from `after`, so that a process that was stopped accuses nobody when it wakes.
 */
export interface Clock {
  /** Observed ms; goes on after a restart where the journal ended. */
  now(): Millis
  /** Unix ms that belong to an observed time (default: now). */
  wall(at?: Millis): number
  /** Calls back once, `ms` of observed time from now, never early. */
  after(ms: Millis, callback: () => void): Cancel
}

/** One question to one runner. */
export interface ProbeOrder {
  readonly runner: string
  readonly incarnation: number
  readonly probe: number
  readonly kind: ProbeKind
  /** Base address, `http://127.0.0.1:9001`. */
  readonly url: string
  readonly method: 'GET' | 'POST'
  /** Path of the health check; unused by `port` and `tcp`. */
  readonly path: string
  readonly timeoutMs: Millis
  /** For `port`: repeat this often until it passes or is cancelled, reporting only the pass. */
  readonly everyMs?: Millis
}

/** What became of a probe. `errored` is our own fault (no socket, our loop was late): it accuses nobody. */
export interface ProbeResult {
  readonly result: 'passed' | 'failed' | 'errored'
  readonly latencyMs: Millis
  readonly status?: number
  readonly why?: ProbeFailure
  /** At most 200 characters, no secrets. */
  readonly detail?: string
}

/**
 * Asks runners. Contract: `report` is called exactly once per probe unless it was cancelled first; own connection per probe
 * at least for verdicts (never a pooled one that a request uses), redirects are not followed, a manual or exclusive probe
 * carries `x-fal-runner-health-check: true`.
 */
export interface Prober {
  probe(order: ProbeOrder, report: (result: ProbeResult) => void): Cancel
  /** Probes in flight. */
  readonly flying: number
  close(): Promise<void>
}

/** How to start the runners of one app; no shell, `{port} {runner} {device}` already allowed in arguments and env values. */
export interface Launch {
  readonly command: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** A process as its host remembers it, enough to find it again after a restart of the supervisor. */
export interface ProcessRecord {
  readonly runner: string
  readonly incarnation: number
  readonly app: string
  readonly url: string
  readonly pid: number | null
  /** Kernel's start time of the process; null for an adopted url. */
  readonly startTime: string | null
}

/** A fact from the host. */
export type HostFact =
  | {
      readonly type: 'process.started'
      readonly runner: string
      readonly incarnation: number
      readonly pid: number | null
      readonly url: string
      readonly startTime: string | null
    }
  | {
      readonly type: 'provision.refused'
      readonly runner: string
      readonly incarnation: number
      readonly why: 'no_capacity' | 'bad_config'
      readonly detail: string
    }
  | {
      readonly type: 'process.exited'
      readonly runner: string
      readonly incarnation: number
      readonly code: number | null
      readonly signal: string | null
    }

/** A start as the host gets it: the command of the core and how the app is launched. */
export interface ProvisionOrder {
  readonly runner: string
  readonly incarnation: number
  readonly app: string
  readonly devices: readonly string[]
  /** Given for adopted servers, null for processes. */
  readonly url: string | null
  readonly launch: Launch | null
  /** Extra variables of ours (heartbeat url, token); never logged. */
  readonly env: Readonly<Record<string, string>>
}

/**
 * Starts and ends runners. Contract: every `provision` is answered by exactly one process.started or provision.refused; after
 * process.started exactly one process.exited follows once no process of the group is left; orders for an unknown runner are
 * ignored; the host never kills a process whose pid and start time do not both match.
 */
export interface Host {
  provision(order: ProvisionOrder): void
  stop(runner: string, incarnation: number): void
  kill(runner: string, incarnation: number): void
  /** Takes over a process of an earlier supervisor; resolves false when it is gone. */
  adopt(record: ProcessRecord): Promise<boolean>
  /** Facts in the order in which they became true. One listener. */
  listen(report: (fact: HostFact) => void): void
  /** Ends watching. With `keep` the processes live on. */
  close(options: { readonly keep: boolean }): Promise<void>
}

/** A request as the queue stores it: everything needed to send it to a runner again after any crash. */
export interface Submission {
  readonly id: string
  readonly app: string
  readonly priority: 'normal' | 'low'
  /** Digest of the key that submitted it; '' without keys. */
  readonly owner: string
  readonly method: string
  /** Path and query below the runner's base address. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** Unix ms. */
  readonly submittedAt: number
  /** Unix ms by which it must have started; null: no limit. */
  readonly startBefore: number | null
  readonly hint: string | null
  readonly noRetry: boolean
  /** `X-Fal-Retry-Config`, parsed: extra attempts by condition. */
  readonly retryConfig: Readonly<Record<string, number>> | null
  readonly webhook: string | null
}

/** One line of a request's log. */
export interface AttemptLine {
  readonly n: number
  readonly runner: string
  /** Unix ms. */
  readonly startedAt: number
  readonly endedAt: number
  readonly outcome: string
  readonly status: number | null
  readonly rule: string
  readonly condition: string | null
}

/** The right to work on a request. `fence` rises with each lease of the request: a late holder is harmless. */
export interface Lease {
  readonly request: Submission
  readonly fence: number
  /** Number of this attempt, from 1. */
  readonly attempt: number
  readonly record: RequestRecord
  /** Runner to avoid, when another one is there. */
  readonly avoid: string | null
}

/**
 * The one final answer of a request. One whose `cause` is `retry.poison` puts the request into quarantine: what was submitted is
 * kept beside it, so that an operator can have it run again.
 */
export interface FinalAnswer {
  readonly status: number
  /** By name, in small letters; a list where lines of one name are no list of their own (`set-cookie`). */
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: Uint8Array
  readonly errorType: string | null
  /** Unix ms. */
  readonly at: number
  readonly cause: string | null
}

/** Where a request stands; answered from memory. */
export interface QueueEntry {
  readonly id: string
  readonly app: string
  readonly owner: string
  readonly path: string
  readonly priority: 'normal' | 'low'
  readonly status: 'IN_QUEUE' | 'IN_PROGRESS' | 'COMPLETED'
  /** Requests of the app ahead of it (0 = next); null unless IN_QUEUE. */
  readonly position: number | null
  readonly submittedAt: number
  readonly attempts: readonly AttemptLine[]
  readonly final: {
    readonly status: number
    readonly errorType: string | null
    readonly at: number
    readonly cause: string | null
  } | null
}

/**
 * The durable queue. Contract: a promise that resolved is on disk (memory twin: in memory); a request is leased to one holder
 * until its lease is completed, requeued or expired; calls with an old fence answer 'lost' and change nothing; `normal` goes
 * before `low`, else first in, first out, a requeued request keeping its place by submission; times are Unix ms given by the
 * caller, the queue has no clock of its own. A full disk rejects with HealthError `HEALTH_STORAGE_FULL` and changes nothing.
 */
export interface Queue {
  /** Durable when resolved. Rejects with `HEALTH_QUEUE_FULL` past the configured length, `HEALTH_STORAGE_FULL` on a full disk. */
  submit(request: Submission): Promise<{ readonly position: number }>
  /** Leases up to `max` requests of an app that may start at `now`. */
  lease(app: string, max: number, now: number, until: number): Promise<readonly Lease[]>
  /** Prolongs leases; answers the ids whose fence was old. */
  renew(
    leases: readonly { readonly id: string; readonly fence: number }[],
    until: number,
  ): Promise<readonly string[]>
  complete(
    id: string,
    fence: number,
    line: AttemptLine,
    final: FinalAnswer,
  ): Promise<'done' | 'lost'>
  requeue(
    id: string,
    fence: number,
    line: AttemptLine,
    record: RequestRecord,
    notBefore: number,
    avoid: string | null,
  ): Promise<'done' | 'lost'>
  /** Hands a lease back as if it had never been given: no attempt is spent. */
  release(id: string, fence: number): Promise<'done' | 'lost'>
  /** Ends a request that is not leased, with a final answer; `running` and `completed` change nothing. */
  end(id: string, final: FinalAnswer): Promise<'ended' | 'running' | 'completed' | 'unknown'>
  /** Ends all queued requests of an app; answers how many. `each` hears of every one of them, once its end is safe. */
  flush(
    app: string,
    final: FinalAnswer,
    each?: (ended: { readonly id: string; readonly submittedAt: number }) => void,
  ): Promise<number>
  /**
   * Puts a request in quarantine back, behind what waits: its answer is forgotten, its log stays and counts its attempts on, its
   * record begins anew and its start limit is gone. `refused`: it is in no quarantine. Rejects with `HEALTH_QUEUE_FULL` past the
   * configured length.
   */
  revive(id: string): Promise<'queued' | 'refused' | 'unknown'>
  /** Queued requests whose `startBefore` has passed, at most `max`. */
  overdue(now: number, max: number): readonly { readonly id: string; readonly app: string }[]
  /** Leases whose time has passed, at most `max`. */
  lapsed(
    now: number,
    max: number,
  ): readonly {
    readonly id: string
    readonly app: string
    readonly fence: number
    readonly attempt: number
    readonly record: RequestRecord
  }[]
  /**
   * Earliest Unix ms at which a delayed request may start, a deadline or a lease passes; Infinity when none. A delay counts until
   * `lease` was called for its app (with `max` 0 when nothing is free).
   */
  nextDue(): number
  /**
   * Deletes results older than `before`, which may differ from app to app; answers how many. What is in quarantine is not among
   * them: a bound of its own limits it.
   */
  sweep(before: number | ((app: string) => number)): Promise<number>
  entry(id: string): QueueEntry | null
  /** Requests that run or wait, at most `most`, running ones first; of one app or of all. */
  open?(most: number, app?: string): readonly QueueEntry[]
  result(id: string): Promise<FinalAnswer | null>
  /** Waiting requests of an app: those that may start at `now`, and all; `oldest`: when the first in line was submitted. */
  size(
    app: string,
    now: number,
  ): { readonly ready: number; readonly all: number; readonly oldest: number | null }
  apps(): readonly string[]
  /**
   * Called when a submit, requeue or release makes something startable. For a submit that may be while it is on its way: a lease
   * asked for then may share its commit. One listener.
   */
  listen(ready: (app: string) => void): void
  /** Why nothing can be changed at the moment; null or absent while all is well. What is in memory can still be read. */
  readonly failure?: HealthError | null
  close(): Promise<void>
}

/**
 * The append-only record of events. Contract: `append` never throws and never blocks for long; order is kept; a line that the
 * disk refuses waits in bounded memory; `sync` resolves when everything appended before is on disk.
 */
export interface Journal {
  append(event: HealthEvent): void
  sync(): Promise<void>
  /** Lines that wait for the disk. */
  readonly pending: number
  readonly failing: boolean
  close(): Promise<void>
}

/** A source of facts about nodes and devices. Contract: a source that hangs or dies says so as a fact about itself. */
export interface Telemetry {
  listen(report: (fact: HealthEvent) => void): void
  close(): Promise<void>
}

/** What a supervisor tells its observers, after each step that did something. */
export interface Observation {
  readonly event: HealthEvent
  readonly commands: readonly Command[]
  readonly decisions: readonly Decision[]
}
