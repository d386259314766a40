/**
 * Traffic, off the machines: who gets the next attempt and what a healthy end costs. Live counters by seat, nothing per request
 * that grows with the fleet, no allocation. It is not part of the fleet's value: after a restart it is empty, and events told it.
 */
import type { HealthEvent, OutcomeHeaders } from './event.ts'
import { neutral, type OutcomeName } from './outcome.ts'
import { neededOf, targetFor } from './successor.ts'
import {
  base,
  dismiss,
  ENDED,
  enlist,
  forgetHints,
  IN_FLIGHT,
  isListed,
  isOf,
  join,
  leave,
  type Load,
  mark,
  loadOf,
  nextOf,
  refresh,
  type Row,
  rowOf,
  seatOf,
  SERVED,
  STARTED,
  TIERS,
  unmark,
  vacate,
} from './seat.ts'
import {
  type AppRecord,
  type Fleet,
  NO_RUNNER,
  type RunnerHandle,
  type RunnerRecord,
} from './state.ts'
import { traits } from './word.ts'

/** Hints kept per runner. */
const MAX_HINTS = 32

function wantedBy(row: Row, more: number): number {
  const { policy, runners, urls } = row.app
  if (urls !== null) return runners.length
  const active = row.inFlight + row.waiting + row.queued + more
  // A division for every grant would be an eighth of it, and most need as many runners as the one before.
  if (active > row.fits || active <= row.fits - policy.maxMultiplexing) {
    const needed = neededOf(policy, active)
    row.fits = needed * policy.maxMultiplexing
    row.wanted = targetFor(policy, needed)
  }
  return row.wanted
}

/**
 * Takes a slot for one attempt: ready before suspect, hint match, idle before busy, fewest in flight, least recently used, among
 * the runners that the target needs. `NO_RUNNER` when none is free. `queued`: the request is already counted as queued.
 */
export function place(
  fleet: Fleet,
  app: string,
  asked?: {
    readonly hint?: string | null
    readonly avoid?: string | null
    readonly queued?: boolean
  },
): RunnerHandle {
  const load = loadOf(fleet)
  const record = served(fleet, load, app)
  if (record === null) return NO_RUNNER
  const row = rowOf(load, record)
  if (record.seatsStale || record.reseated.length > 0) refresh(load, row)
  enlist(load, row, wantedBy(row, asked?.queued === true ? 0 : 1))
  const chosen = choose(load, row, asked?.hint ?? null, asked?.avoid ?? null)
  if (chosen < 0) {
    load.urgent = true
    return NO_RUNNER
  }
  leave(load, row, chosen)
  const { seats } = load
  const at = base(chosen)
  mark(load, row, chosen)
  seats[at | IN_FLIGHT]!++
  seats[at | STARTED]!++
  row.inFlight++
  join(load, row, chosen)
  return chosen as RunnerHandle
}

/** An app that is served. Most are asked for again right away: to search for its name is a tenth of a grant. */
function served(fleet: Fleet, load: Load, app: string): AppRecord | null {
  const { latest } = load
  if (latest !== null && latest.id === app && !latest.removed) return latest
  const record = fleet.apps.get(app)
  return record === undefined || record.removed ? null : (load.latest = record)
}

function choose(load: Load, row: Row, hint: string | null, avoid: string | null): number {
  const { maxMultiplexing } = row.app.policy
  for (let tier = 0; tier < TIERS; tier++) {
    const heads = row.heads[tier]!
    if (hint !== null) {
      const hinted = hintMatch(load, row, hint, tier, avoid)
      if (hinted >= 0) return hinted
    }
    // The one that failed is taken before a worse believed one, after all others of its own tier.
    let second = -1
    const levels = Math.min(maxMultiplexing, heads.length)
    for (let level = 0; level < levels; level++) {
      const head = heads[level]!
      if (head < 0) continue
      if (avoid === null || load.records[head]!.id !== avoid) return head
      const next = nextOf(load, head)
      if (next !== head) return next
      second = head
    }
    if (second >= 0) return second
  }
  return -1
}

function hintMatch(load: Load, row: Row, hint: string, tier: number, avoid: string | null): number {
  let best = -1
  let looked = 0
  for (const at of row.byHint.get(hint) ?? []) {
    if (++looked > MAX_HINTS) break
    const busy = load.seats[base(at) | IN_FLIGHT]!
    if (
      !isOf(load, at, tier) ||
      busy >= row.app.policy.maxMultiplexing ||
      load.records[at]!.id === avoid
    )
      continue
    if (best < 0 || busy < load.seats[base(best) | IN_FLIGHT]!) best = at
  }
  return best
}

/** Keeps the hints that a runner last sent, at most 32. */
export function hints(fleet: Fleet, runner: RunnerHandle, list: readonly string[]): void {
  const load = loadOf(fleet)
  const record = load.records[runner]
  if (record === null || record === undefined) return
  const old = load.hints[runner]
  if (
    old !== null &&
    old !== undefined &&
    old.length === list.length &&
    old.every((hint, i) => hint === list[i])
  )
    return
  const row = rowOf(load, record.app)
  forgetHints(load, row, runner)
  const kept = list.slice(0, MAX_HINTS)
  load.hints[runner] = kept
  for (const hint of kept) {
    const set = row.byHint.get(hint) ?? new Set<number>()
    set.add(runner)
    row.byHint.set(hint, set)
  }
}

/**
 * An attempt ended: gives its slot back. `counted`: nothing else is to be done; `event`: tell `attempt.ended` to `step`, with
 * `inFlight(fleet, runner)` as its reading. `served`: the answer was a 2xx.
 */
export function judge(
  fleet: Fleet,
  runner: RunnerHandle,
  incarnation: number,
  outcome: OutcomeName,
  headers?: OutcomeHeaders,
  served = false,
): 'counted' | 'event' {
  const load = loadOf(fleet)
  const row = load.rowAt[runner]
  const { seats } = load
  const at = base(runner)
  // A slot that is given back twice would be given out twice.
  if (row === null || row === undefined || seats[at | IN_FLIGHT]! <= 0) return 'event'
  const calm = load.calm[runner] === incarnation
  const listed = isListed(load, runner)
  if (listed) leave(load, row, runner)
  mark(load, row, runner)
  seats[at | IN_FLIGHT]!--
  seats[at | ENDED]!++
  if (served) seats[at | SERVED]!++
  row.inFlight--
  if (listed) join(load, row, runner)
  else if (seats[at | IN_FLIGHT] === 0) vacate(load, row, runner)
  return calm && neutral(outcome, headers) ? 'counted' : 'event'
}

/** Attempts in flight on a runner. */
export function inFlight(fleet: Fleet, runner: RunnerHandle): number {
  return loadOf(fleet).seats[base(runner) | IN_FLIGHT] ?? 0
}

/** Attempts in flight on a runner, by its record. */
export function inFlightOf(fleet: Fleet, runner: RunnerRecord): number {
  return runner.seat < 0 ? 0 : loadOf(fleet).seats[base(runner.seat) | IN_FLIGHT]!
}

/** Live gauges of what waits for an app: direct calls, and queued requests that may start now. */
export function demand(fleet: Fleet, app: string, waiting: number, queued: number): void {
  const record = fleet.apps.get(app)
  if (record === undefined) return
  const load = loadOf(fleet)
  const row = rowOf(load, record)
  if (row.waiting === waiting && row.queued === queued) return
  if (waiting > row.waiting || queued > row.queued) load.urgent = true
  row.waiting = waiting
  row.queued = queued
  row.changed = true
}

/** Demand as `demand` last told it. */
export function demandOf(
  fleet: Fleet,
  app: string,
): { readonly waiting: number; readonly queued: number; readonly inFlight: number } {
  const record = fleet.apps.get(app)
  const row = record?.row
  return { waiting: row?.waiting ?? 0, queued: row?.queued ?? 0, inFlight: row?.inFlight ?? 0 }
}

/** Who gets a freed slot when both wait: direct calls first, but every fifth grant the queue. */
export function turn(fleet: Fleet, app: string): 'direct' | 'queue' {
  const record = fleet.apps.get(app)
  if (record === undefined) return 'direct'
  const row = rowOf(loadOf(fleet), record)
  row.turns = (row.turns + 1) % 5
  return row.turns === 0 ? 'queue' : 'direct'
}

/** Slots that `place` could give for queued requests now. */
export function free(fleet: Fleet, app: string): number {
  const record = fleet.apps.get(app)
  if (record === undefined || record.removed) return 0
  const load = loadOf(fleet)
  const row = rowOf(load, record)
  if (record.seatsStale || record.reseated.length > 0) refresh(load, row)
  enlist(load, row, wantedBy(row, 0))
  return row.slots
}

/** True when something waits and the pool has not heard of it yet: call `countTraffic` now. */
export function demandChanged(fleet: Fleet): boolean {
  return loadOf(fleet).urgent
}

/** Drains the counters into one `traffic.counted` per app that changed. Feed each to `step`. */
export function countTraffic(fleet: Fleet, at: number): readonly HealthEvent[] {
  const load = loadOf(fleet)
  load.urgent = false
  const events: HealthEvent[] = []
  for (const [app, row] of load.rows) {
    if (fleet.apps.get(app.id) !== app) {
      if (row.inFlight === 0) dismiss(load, row)
      continue
    }
    if (
      row.touched.length === 0 &&
      !row.changed &&
      row.waiting === app.waiting &&
      row.queued === app.queued
    )
      continue
    const runners: string[] = []
    const started: number[] = []
    const ended: number[] = []
    const served: number[] = []
    const flying: number[] = []
    for (const seat of row.touched) {
      const record = load.records[seat]
      const at = base(seat)
      if (record !== null && record !== undefined) {
        runners.push(record.id)
        started.push(load.seats[at | STARTED]!)
        ended.push(load.seats[at | ENDED]!)
        served.push(load.seats[at | SERVED]!)
        flying.push(load.seats[at | IN_FLIGHT]!)
      }
      unmark(load, seat)
    }
    row.touched.length = 0
    row.changed = false
    events.push({
      type: 'traffic.counted',
      at,
      app: app.id,
      runners,
      started,
      ended,
      served,
      inFlight: flying,
      waiting: row.waiting,
      queued: row.queued,
    })
  }
  return events
}

/** Who a handle is, for the one who sends the attempt. */
export function runnerOf(
  fleet: Fleet,
  runner: RunnerHandle,
): {
  readonly id: string
  readonly incarnation: number
  readonly app: string
  readonly url: string
  readonly accepting: boolean
} {
  const record = loadOf(fleet).records[runner]
  if (record === null || record === undefined)
    throw new RangeError(`no runner has handle ${runner}`)
  return {
    id: record.id,
    incarnation: record.incarnation,
    app: record.app.id,
    url: record.url,
    accepting: traits(record.configuration).accepting,
  }
}

/** The handle of a runner that is on the books; NO_RUNNER otherwise. */
export function handleOf(fleet: Fleet, id: string): RunnerHandle {
  const record = fleet.runners.get(id)
  return record === undefined ? NO_RUNNER : (seatOf(loadOf(fleet), record) as RunnerHandle)
}
