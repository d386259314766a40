/**
 * Seats: the live load of a fleet, by small numbers. Who accepts work, in the order of belief and age, and rings of equally loaded
 * runners, least recently used first. Changed one runner at a time, so that nothing grows with the fleet. It chooses nobody.
 */
import type { AppRecord, Fleet, RunnerRecord } from './state.ts'
import { traits } from './word.ts'

/** Runners by how well we believe in them: ready, verifying, doubted. */
export const TIERS = 3

// A seat is a stretch of eight numbers in `Load.seats`, so that a grant among a hundred thousand costs one line of the cache. Where
// what stands in it, from its base:
/** Attempts in flight. */
export const IN_FLIGHT = 0
/** Since they were last told: attempts begun, attempts ended, ends with a 2xx. */
export const STARTED = 1
export const ENDED = 2
export const SERVED = 3
/** Neighbours in its ring; `NEXT` is -1 for a seat without a free slot, which stands in none. */
const NEXT = 4
const PREVIOUS = 5
/** Its level (attempts in flight) while it may get new work; else -1. */
const RING = 6
/** Tier in whose order it stands; -1 when it accepts nothing. */
const TIER = 7

/** Where a seat begins in `Load.seats`. */
export const base = (seat: number): number => seat << 3

/** The seats of one app. */
export interface Row {
  readonly app: AppRecord
  /** Accepting runners by tier, each by age. Concatenated they are the order; its first `eligible` get new work. */
  readonly order: readonly number[][]
  eligible: number
  /** Runners wanted as long as no more than `fits` is active, and more than one runner less would hold; -1: not known. */
  wanted: number
  fits: number
  /** Slots that are free on the eligible. */
  slots: number
  /** How many are in the order. */
  listed: number
  /** Ring heads by tier and level (attempts in flight); -1 when empty. */
  readonly heads: Int32Array[]
  inFlight: number
  waiting: number
  queued: number
  /** Grants since the queue last had its turn. */
  turns: number
  /** Seats whose counters changed since they were last told, each once. */
  readonly touched: number[]
  changed: boolean
  readonly byHint: Map<string, Set<number>>
}

/** The live load of a fleet. */
export class Load {
  readonly rows = new Map<AppRecord, Row>()
  /** The app that was last given a slot; it may be off the books by now, and is `removed` then. */
  latest: AppRecord | null = null
  /** By seat: who sits there, and the row of its app. */
  readonly records: (RunnerRecord | null)[] = []
  readonly rowAt: (Row | null)[] = []
  readonly free: number[] = []
  /** Numbers of the seats, one after the other. */
  seats = new Int32Array(base(64))
  /** By seat: the life that is ready and open, so that a neutral outcome of it is finished after one look; 0 when it is not. */
  calm = new Int32Array(64)
  hints: (readonly string[] | null)[] = []
  /** Something began to wait: the pool should hear of it now. */
  urgent = false
}

/** The load of a fleet; empty at first. */
export function loadOf(fleet: Fleet): Load {
  return (fleet.load ??= new Load())
}

/** The row of an app. */
export function rowOf(load: Load, app: AppRecord): Row {
  let { row } = app
  if (row === null) {
    row = {
      app,
      order: Array.from({ length: TIERS }, () => []),
      eligible: 0,
      wanted: 0,
      fits: -1,
      slots: 0,
      listed: 0,
      heads: Array.from({ length: TIERS }, () => new Int32Array(8).fill(-1)),
      inFlight: 0,
      waiting: 0,
      queued: 0,
      turns: 0,
      touched: [],
      changed: false,
      byHint: new Map(),
    }
    load.rows.set(app, row)
    app.row = row
    app.seatsStale = true
  }
  return row
}

function grow(load: Load, seat: number): void {
  if (base(seat) < load.seats.length) return
  const wider = new Int32Array(load.seats.length * 2)
  wider.set(load.seats)
  load.seats = wider
  const calm = new Int32Array(load.calm.length * 2)
  calm.set(load.calm)
  load.calm = calm
}

/** The seat of a runner that is on the books; a new one when it has none. */
export function seatOf(load: Load, runner: RunnerRecord): number {
  if (runner.seat >= 0) return runner.seat
  const seat = load.free.pop() ?? load.records.length
  grow(load, seat)
  runner.seat = seat
  load.records[seat] = runner
  load.rowAt[seat] = rowOf(load, runner.app)
  watchCalm(load, runner)
  load.hints[seat] = null
  const at = base(seat)
  load.seats.fill(0, at, base(seat + 1))
  load.seats[at | RING] = load.seats[at | TIER] = -1
  return seat
}

/** A seated runner became, or ceased to be, ready and open. */
export function watchCalm(
  load: Load | null,
  { seat, configuration, incarnation }: RunnerRecord,
): void {
  if (load !== null && seat >= 0) load.calm[seat] = traits(configuration).calm ? incarnation : 0
}

/** Its counters are about to change: they are to be told. */
export function mark(load: Load, row: Row, seat: number): void {
  if (isUntold(load, seat)) return
  row.touched.push(seat)
}

/** Whether something happened since its counters were told; it is then on the list of the touched. */
const isUntold = ({ seats }: Load, seat: number): boolean =>
  (seats[base(seat) | STARTED]! | seats[base(seat) | ENDED]!) !== 0

/** Its counters were told. */
export function unmark({ seats }: Load, seat: number): void {
  const at = base(seat)
  seats[at | STARTED] = seats[at | ENDED] = seats[at | SERVED] = 0
}

/** Frees the seat of a runner that is off the books and holds nothing. */
export function vacate(load: Load, row: Row, seat: number): void {
  const runner = load.records[seat]
  const at = base(seat)
  if (runner === null || runner === undefined || load.seats[at | IN_FLIGHT]! > 0) return
  if (traits(runner.configuration).stage !== 'gone') return
  remove(load, row, seat)
  forgetHints(load, row, seat)
  runner.seat = -1
  load.calm[seat] = 0
  load.records[seat] = load.rowAt[seat] = null
  load.free.push(seat)
  // Whoever sits here next is marked anew.
  if (isUntold(load, seat)) row.touched.splice(row.touched.indexOf(seat), 1)
  unmark(load, seat)
}

/** True while it may be given work. */
export const isListed = (load: Load, seat: number): boolean => load.seats[base(seat) | RING]! >= 0

/** True when it may be given work as one of this tier. */
export const isOf = (load: Load, seat: number, tier: number): boolean =>
  isListed(load, seat) && load.seats[base(seat) | TIER] === tier

/** The next in its ring. */
export const nextOf = (load: Load, seat: number): number => load.seats[base(seat) | NEXT]!

/** Leaves its ring: it gets no new work. */
export function leave(load: Load, row: Row, seat: number): void {
  const { seats } = load
  const at = base(seat)
  const ring = seats[at | RING]!
  if (ring < 0) return
  seats[at | RING] = -1
  const next = seats[at | NEXT]!
  if (next < 0) return
  row.slots -= row.app.policy.maxMultiplexing - ring
  const heads = row.heads[seats[at | TIER]!]!
  if (next === seat) {
    heads[ring] = -1
    return
  }
  const previous = seats[at | PREVIOUS]!
  seats[base(previous) | NEXT] = next
  seats[base(next) | PREVIOUS] = previous
  if (heads[ring] === seat) heads[ring] = next
}

/** Joins the ring of its level at the end: the head is the least recently used. */
export function join(load: Load, row: Row, seat: number): void {
  const { seats } = load
  const at = base(seat)
  const level = seats[at | IN_FLIGHT]!
  const free = row.app.policy.maxMultiplexing - level
  seats[at | RING] = level
  if (free <= 0) {
    seats[at | NEXT] = -1
    return
  }
  row.slots += free
  const heads = headsFor(row, seats[at | TIER]!, level)
  const head = heads[level]!
  if (head < 0) {
    heads[level] = seats[at | NEXT] = seats[at | PREVIOUS] = seat
    return
  }
  const tail = seats[base(head) | PREVIOUS]!
  seats[base(tail) | NEXT] = seats[base(head) | PREVIOUS] = seat
  seats[at | NEXT] = head
  seats[at | PREVIOUS] = tail
}

function headsFor(row: Row, tier: number, level: number): Int32Array {
  const heads = row.heads[tier]!
  if (level < heads.length) return heads
  const wider = new Int32Array(level * 2).fill(-1)
  wider.set(heads)
  return (row.heads[tier] = wider)
}

/** The tier of a runner; -1 when it takes no work. In panic ready and suspect are alike. */
function tierOf(runner: RunnerRecord): number {
  const { accepting, ready, verifying } = traits(runner.configuration)
  if (!accepting || runner.place.current !== runner) return -1
  return ready || runner.app.panic ? 0 : verifying ? 1 : 2
}

/** Where a runner of this age stands, or would stand, in the order of its tier. */
function indexOf(load: Load, order: readonly number[], age: number): number {
  let from = 0
  let to = order.length
  while (from < to) {
    const middle = (from + to) >> 1
    if (load.records[order[middle]!]!.place.number < age) from = middle + 1
    else to = middle
  }
  return from
}

/** How many stand before a tier. */
function before(row: Row, tier: number): number {
  let count = 0
  for (let i = 0; i < tier; i++) count += row.order[i]!.length
  return count
}

/** The seat at a place of the whole order. */
function seatAt(row: Row, index: number): number {
  let rest = index
  for (const order of row.order) {
    if (rest < order.length) return order[rest]!
    rest -= order.length
  }
  return -1
}

function insert(load: Load, row: Row, seat: number, tier: number): void {
  const order = row.order[tier]!
  const index = indexOf(load, order, load.records[seat]!.place.number)
  // Runners come in the order of age: the usual insertion is at the end.
  if (index === order.length) order.push(seat)
  else order.splice(index, 0, seat)
  row.listed++
  load.seats[base(seat) | TIER] = tier
  if (before(row, tier) + index >= row.eligible) return
  join(load, row, seat)
  leave(load, row, seatAt(row, row.eligible))
}

function remove(load: Load, row: Row, seat: number): void {
  const tier = load.seats[base(seat) | TIER]!
  if (tier < 0) return
  const order = row.order[tier]!
  let index = indexOf(load, order, load.records[seat]!.place.number)
  // A runner and its successor share a place while one hands over to the other.
  while (order[index] !== seat) index++
  if (before(row, tier) + index < row.eligible) {
    leave(load, row, seat)
    row.eligible--
  }
  order.splice(index, 1)
  row.listed--
  load.seats[base(seat) | TIER] = -1
}

/** Looks again at one runner. */
function reseat(load: Load, row: Row, runner: RunnerRecord): void {
  const tier = tierOf(runner)
  let { seat } = runner
  if (seat < 0) {
    if (tier < 0) return
    seat = seatOf(load, runner)
  }
  if (load.seats[base(seat) | TIER] !== tier) {
    remove(load, row, seat)
    if (tier >= 0) insert(load, row, seat, tier)
  }
  if (tier < 0) vacate(load, row, seat)
}

/** Brings the seats of an app up to what its last steps changed: one runner at a time, or all when there is no telling. */
export function refresh(load: Load, row: Row): void {
  const { app } = row
  if (app.seatsStale) {
    for (let seat = 0; seat < load.records.length; seat++) {
      const runner = load.records[seat]
      if (runner === null || runner === undefined || runner.app !== app) continue
      load.seats[base(seat) | RING] = load.seats[base(seat) | TIER] = -1
      vacate(load, row, seat)
    }
    for (const order of row.order) order.length = 0
    for (const heads of row.heads) heads.fill(-1)
    row.eligible = row.slots = row.listed = 0
    // The policy may be another one.
    row.fits = -1
    const sorted = app.runners.toSorted((a, b) => a.place.number - b.place.number)
    for (const runner of sorted) reseat(load, row, runner)
    app.seatsStale = false
  } else for (const runner of app.reseated) reseat(load, row, runner)
  app.reseated.length = 0
}

/** Lets exactly the first `count` runners of the order take new work. */
export function enlist(load: Load, row: Row, count: number): void {
  const wanted = Math.min(count, row.listed)
  while (row.eligible < wanted) join(load, row, seatAt(row, row.eligible++))
  while (row.eligible > wanted) leave(load, row, seatAt(row, --row.eligible))
}

/** Forgets the hints of a seat. */
export function forgetHints(load: Load, row: Row, seat: number): void {
  for (const hint of load.hints[seat] ?? []) {
    const set = row.byHint.get(hint)
    set?.delete(seat)
    if (set?.size === 0) row.byHint.delete(hint)
  }
  load.hints[seat] = null
}

/** Drops the row of an app that is off the books, with its seats. */
export function dismiss(load: Load, row: Row): void {
  for (let seat = 0; seat < load.records.length; seat++)
    if (load.records[seat]?.app === row.app) vacate(load, row, seat)
  load.rows.delete(row.app)
  row.app.row = null
}
