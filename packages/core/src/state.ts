/**
 * What the fleet remembers, as plain records: one per runner, place and app, and the fleet that owns them. Data only: every
 * change is made by the module named after it (tell, guard, probe, pool, start, load). Slots are dense numbers; names live at
 * the edges.
 */
import type { Command, Reason } from './command.ts'
import { compile } from './compile.ts'
import { Deadlines } from './deadline.ts'
import type { Decision } from './decision.ts'
import type { HealthEvent } from './event.ts'
import { type NodePolicy, resolveNodePolicy } from './node-policy.ts'
import { Nodes, type NodeEffect } from './nodes.ts'
import type { AppOptions } from './app-option.ts'
import type { Policy } from './policy.ts'
import type { PolicyOptions } from './tunable.ts'
import type { LastProbe } from './last-probe.ts'
import type { Place } from './pool-place.ts'
import { runnerMachine, type RunnerContext, type Verdict } from './runner.ts'
import type { RunnerRecord } from './runner-record.ts'
import type { Load, Row } from './seat.ts'
import type { Table } from './table.ts'

export type { LastProbe } from './last-probe.ts'
export { Place } from './pool-place.ts'
export { RunnerRecord } from './runner-record.ts'

/** A runner inside the fleet: a dense slot. Given by `handleOf` and `place`; events name runners by id. */
export type RunnerHandle = number & { readonly runner: unique symbol }

/** No runner. */
export const NO_RUNNER = -1 as RunnerHandle

/** Changes between a chart's insides and what the fleet writes to it. */
export type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** The runner's chart, compiled once. */
export const runnerTable: Table<Writable<RunnerContext>, Verdict> = compile(runnerMachine) as never

/** A runner that is gone, as it stays listed. */
export interface GoneRunner {
  readonly id: string
  readonly incarnation: number
  readonly reason: Reason | null
  readonly at: number
  readonly startedAt: number
  readonly url: string
  readonly pid: number | null
  readonly node: string
  readonly failures: number
  readonly lastProbe: LastProbe | null
  readonly replaces: string | null
  readonly effectiveStartPeriodMs: number
}

/** What stays of an app that was removed: its runners stay listed a day, and their ids are never given again meanwhile. */
export interface FormerApp {
  readonly id: string
  /** Absent in snapshots of before it was kept. */
  readonly name?: string
  /** When its last runner was gone. */
  readonly at: number
  readonly placeCount: number
  readonly runnerCount: number
  readonly gone: readonly GoneRunner[]
}

/** One app: its policy, its pool, its guards' memory. */
export class AppRecord {
  readonly id: string
  /** What it is called in the ids of its runners; its own for as long as any of them is listed. */
  name = ''
  readonly slot: number
  options: AppOptions
  configured: PolicyOptions
  overrides: Record<string, unknown> = {}
  policy: Policy
  revision: string
  urls: readonly string[] | null
  /** Places may not be those of `urls`. Not part of the value: to match them once more changes nothing. */
  urlsStale = true
  removed = false
  readonly places: Place[] = []
  readonly runners: RunnerRecord[] = []
  readonly gone: GoneRunner[] = []
  placeCount = 0
  runnerCount = 0
  // demand, as last told by events
  waiting = 0
  queued = 0
  /** Runners that drain. */
  draining = 0
  /** In flight over all its runners. */
  working = 0
  /** When demand first exceeded the pool; -1 when it does not. */
  shortSince = -1
  /** Established places: what the guards call n. */
  established = 0
  /** Places whose runner ended or whose successor failed: looked at when the step settles. */
  readonly vacant: Place[] = []
  /** Runners that became ready, or whose start failed, in this step: looked at when it settles. */
  readonly arrivals: RunnerRecord[] = []
  readonly failedStarts: RunnerRecord[] = []
  readonly departed: RunnerRecord[] = []
  /** Runners whose start is owed, oldest first. */
  readonly starting: RunnerRecord[] = []
  // starts
  fails = 0
  failedAt = -1
  /** Ends right after ready, in a row, and when the last was. */
  flaps = 0
  flappedAt = -1
  recentFails: number[] = []
  degraded = false
  /** A configuration error: nothing is started until it changes. */
  broken: string | null = null
  nextStartAt = -1
  /** The one start under way while starts fail. */
  trial: RunnerRecord | null = null
  /** Starts that waited are released one by one. */
  releasing = false
  /** Some runner is of an older revision. */
  rolling = false
  // guards
  suspects = 0
  outs = 0
  /** Theoretical arrival time of the rate guard, in whole ms. */
  tat = 0
  panic = false
  calmAt = -1
  canaryAt = 0
  canary: RunnerRecord | null = null
  /** The place of the last canary until its successor is ready. */
  canaryPlace: Place | null = null
  /** Its probes of the running interval, and of the one before. */
  window: ProbeWindow = { from: 0, until: 0, asked: 0, timedOut: 0, slots: [] }
  lastWindow: ProbeWindow = { from: 0, until: 0, asked: 0, timedOut: 0, slots: [] }
  /** The load must look again at who accepts work: at these, or at all. Not part of the value; at most as many as there are runners. */
  readonly reseated: RunnerRecord[] = []
  seatsStale = true
  /** Its seats in the live load. Not part of the value. */
  row: Row | null = null
  held: RunnerRecord[] = []
  /** When the app's own deadlines fall, by name; NaN when not set. */
  readonly due = { guard: Number.NaN, start: Number.NaN, pool: Number.NaN, stable: Number.NaN }

  constructor(
    id: string,
    slot: number,
    options: AppOptions,
    configured: PolicyOptions,
    policy: Policy,
    revision: string,
  ) {
    this.id = id
    this.slot = slot
    this.options = options
    this.configured = configured
    this.policy = policy
    this.revision = revision
    this.urls = null
  }
}

/** Probes of one interval of an app, to tell our own sickness from theirs. */
export interface ProbeWindow {
  from: number
  /** When the last of them was answered. */
  until: number
  asked: number
  timedOut: number
  /** Up to three distinct runners. */
  readonly slots: number[]
}

/** What is known of a node at its escalation. */
export type EscalationEvidence = Extract<NodeEffect, { type: 'evidence' }>

/** Evidence of the escalations since the last call. */
export const takeEvidence = (fleet: Fleet): readonly EscalationEvidence[] =>
  fleet.evidence.splice(0)

/** Who keeps what changes as it was. */
export interface Keeper {
  /** The runner, and the place it is of, are about to change. */
  runner(runner: RunnerRecord): void
  place(place: Place): void
}

/** Who is told of each runner that comes and goes, also where no order and no decision says so. It must not read the fleet then. */
export interface Register {
  began(id: string): void
  ended(app: string, runner: GoneRunner): void
}

/** The fleet: advanced in place by `step`, by one owner. Its value is `snapshot(fleet)`. */
export class Fleet {
  readonly seed: number
  now = 0
  seq = 0
  /** Number of the fact that is judged; 0 while only time passes. Not part of the value. */
  judged = 0
  decisionSeq = 0
  /** Facts about lives that are over; not part of the value. */
  stale = 0
  globalOverrides: Record<string, unknown> = {}
  /** What the configuration says of all apps; an app's own names win. */
  globalPolicy: PolicyOptions
  nodes: Nodes
  nodePolicy: NodePolicy
  readonly apps = new Map<string, AppRecord>()
  /** Apps that were removed, by id, oldest first; at most 100 (`MAX_FORMER`), then the oldest is forgotten. */
  readonly former = new Map<string, FormerApp>()
  readonly runners = new Map<string, RunnerRecord>()
  /** By slot: a runner, an app, or nothing (a slot that is free again). */
  readonly owners: (RunnerRecord | AppRecord | null)[] = []
  readonly freeSlots: number[] = []
  /** The machine's deadline of a runner, or the start it waits for; the earliest of an app's own. */
  readonly deadlines = new Deadlines()
  /** When the next scheduled probe of a runner is due. */
  readonly probes = new Deadlines()
  /** Rare deadlines of runners, slot × 3 and: 0 heartbeats, 1 exclusive checks, 2 the end of waiting for a successor elsewhere. */
  readonly rare = new Deadlines()
  /** Scheduled probes allowed in flight. */
  maxProbes = 64
  /** Scheduled probes in flight. */
  flying = 0
  /** Whether our own control probe passed. */
  control = true
  unwellAlerted = false
  /** When we last stood still; -1 never. */
  stoodStillAt = -1
  wallOffset = 0
  shuttingDown = false
  readonly alerted = new Map<string, number>()
  // working memory of one step
  commands: Command[] = []
  decisions: Decision[] = []
  /** What a person needs to know about an escalation; taken by `step`'s caller through {@link takeEvidence}. */
  readonly evidence: EscalationEvidence[] = []
  readonly asked: RunnerRecord[] = []
  readonly examined: RunnerRecord[] = []
  /** Apps whose pool, starts or guards may have something to do. */
  readonly dirty = new Set<AppRecord>()
  /** Apps of which only the guards may allow more than they did. */
  readonly guarded = new Set<AppRecord>()
  event: HealthEvent | null = null
  /** An incremental snapshot wants to see what changes before it does. */
  keeper: Keeper | null = null
  /** Whoever tells others of runners wants to hear of those that come and go. */
  register: Register | null = null
  /** A what-if listens to what each runner's machine is told, before it moves. */
  onTell: ((runner: RunnerRecord, verdict: Verdict) => void) | null = null
  /** Live load: slots taken, who waits. Not part of the value. */
  load: Load | null = null
  /** In a what-if the journal's facts answer orders that this policy never gave. */
  loose = false

  constructor(seed: number, policy: PolicyOptions) {
    this.seed = seed
    this.globalPolicy = policy
    this.nodes = new Nodes({ seed })
    this.nodePolicy = resolveNodePolicy(
      policy,
      (policy['xid'] as Record<string, unknown> | undefined) ?? {},
    )
  }
}

/** All runners, app by app: an order that a restored fleet has too. */
export function* runnersOf(fleet: Fleet): Generator<RunnerRecord> {
  for (const app of fleet.apps.values()) yield* app.runners
}

/** A slot for a new owner; slots of runners that are gone are used again. */
export function takeSlot(fleet: Fleet): number {
  const slot = fleet.freeSlots.pop() ?? fleet.owners.length
  if (slot === fleet.owners.length) fleet.owners.push(null)
  return slot
}
