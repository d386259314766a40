/**
 * How many runners an app has: its target, idle runners that stop, runners of an older revision that are replaced. It reads demand
 * as events told it, so that a replay sizes the pool the same way.
 */
import type { Reason } from './command.ts'
import { Fleet, type AppRecord, type Place, type RunnerRecord } from './state.ts'
import { armApp, factBehind, touchPlace } from './give.ts'
import { tell } from './tell.ts'
import { traits } from './word.ts'
import { bury, fill, forget, open, over, staying, toldTarget } from './successor.ts'

/** Why a runner leaves, by the rule that says so. */
const reasons = {
  'pool.replaced': 'replaced',
  'pool.scaled_down': 'scaled_down',
  'pool.keep_alive': 'keep_alive_expired',
  'pool.app_removed': 'app_removed',
} as const satisfies Readonly<Record<string, Reason>>

/** `inFlight`: what it works on, where that is known; -1 where it will be counted. */
function drain(
  fleet: Fleet,
  runner: RunnerRecord,
  rule: keyof typeof reasons,
  inFlight: -1 | 0,
): void {
  tell(fleet, runner, {
    type: 'drain.ordered',
    reason: reasons[rule],
    rule,
    inFlight,
    at: fleet.now,
    seq: factBehind(fleet, runner),
  })
}

const waitsForStart = ({ configuration }: RunnerRecord): boolean => configuration.word === 'backoff'

/** One runner of an older revision at a time, successor first. */
function roll(fleet: Fleet, app: AppRecord): void {
  // An adopted server has no successor: whoever runs it has changed it already.
  if (app.urls !== null) {
    for (const runner of app.runners) runner.revision = app.revision
    app.rolling = false
    return
  }
  if (app.places.some((place) => place.handover !== null)) return
  const place = app.places.find(
    ({ current }) =>
      current !== null &&
      !over(current) &&
      !traits(current.configuration).draining &&
      current.revision !== app.revision,
  )
  if (place === undefined) {
    app.rolling = false
    return
  }
  const { serving } = traits(place.current!.configuration)
  if (serving) {
    touchPlace(fleet, place)
    place.handover = { reason: 'replaced', rule: 'pool.replaced' }
    fill(fleet, app, place)
  } else drain(fleet, place.current!, 'pool.replaced', 0)
}

/**
 * Idle runners above the target stop when nobody needed them for `keepAliveSeconds`, and so do those that have waited for their start as
 * long; above the maximum at once.
 */
function shrink(fleet: Fleet, app: AppRecord, target: number): void {
  app.due.pool = Number.NaN
  // Asked after every count of traffic: a pool of the right size must not be walked each time.
  if (app.places.length <= target) return
  const places = staying(app)
  let surplus = places.length - target
  if (surplus <= 0) return
  const most = app.urls === null ? app.policy.maxConcurrency : places.length
  for (let i = places.length - 1; i >= 0 && i >= most; i--) {
    const place = places[i]!
    surplus--
    touchPlace(fleet, place)
    place.handover = null
    for (const runner of [place.next, place.current])
      if (runner !== null && !over(runner))
        drain(fleet, runner, 'pool.scaled_down', traits(runner.configuration).serving ? -1 : 0)
  }
  let due = Number.POSITIVE_INFINITY
  for (let i = Math.min(places.length, most) - 1; i >= 0 && surplus > 0; i--) {
    const place = places[i]!
    const { current, next } = place
    // A successor that still waits for its start keeps nobody here; one that is being started takes over soon.
    if (next !== null && !waitsForStart(next)) continue
    const runner = current ?? next
    if (runner === null || runner.counted > 0) continue
    const waits = waitsForStart(runner)
    if (!waits && !traits(runner.configuration).accepting) continue
    const at = runner.idleSince + app.policy.keepAliveMs
    if (at <= fleet.now) {
      surplus--
      touchPlace(fleet, place)
      place.handover = null
      // Nobody is owed a successor here any more.
      if (place.lost !== null) place.lost = { ...place.lost, owed: false }
      if (next !== null) drain(fleet, next, 'pool.keep_alive', 0)
      if (runner !== next) drain(fleet, runner, 'pool.keep_alive', waits ? 0 : -1)
    } else if (at < due) due = at
  }
  if (surplus > 0 && due !== Number.POSITIVE_INFINITY) app.due.pool = due
}

/**
 * Starts what the target asks for, after the scaling delay when one is set. A runner that drains fills its place no more, but it still
 * runs: beside it there is room for the maximum less itself.
 */
function grow(fleet: Fleet, app: AppRecord, wanted: number): void {
  const count = staying(app).length
  const target = Math.min(wanted, app.policy.maxConcurrency - (app.places.length - count))
  if (count >= target) {
    app.shortSince = -1
    return
  }
  if (app.shortSince < 0) app.shortSince = fleet.now
  const at = app.shortSince + app.policy.scalingDelayMs
  const least = Math.min(target, app.policy.minConcurrency)
  const now = at <= fleet.now ? target : least
  for (let n = count; n < now; n++) open(fleet, app, null)
  if (now < target) app.due.pool = at
  else app.shortSince = -1
}

/**
 * A place for each server that is adopted; those that are adopted no more, and processes of before, leave as soon as as many others
 * serve. Answers whether some still wait for that.
 */
function matchUrls(fleet: Fleet, app: AppRecord, urls: readonly string[]): boolean {
  const listed = new Set(urls)
  const placed = new Set(app.places.map(({ url }) => url))
  for (const url of listed) if (!placed.has(url)) open(fleet, app, url)
  const stays = ({ url }: Place): boolean => url !== null && listed.has(url)
  const serves = ({ current }: Place): boolean =>
    current !== null && traits(current.configuration).accepting
  let spare = app.places.filter(serves).length - listed.size
  let waits = false
  for (const place of app.places) {
    if (stays(place)) continue
    const lingers = serves(place) && spare-- <= 0
    if (lingers) waits = true
    touchPlace(fleet, place)
    place.handover = null
    // Servers are the successors now: they would stand behind one that waits for room.
    for (const runner of lingers ? [place.next] : [place.next, place.current])
      if (runner !== null && !over(runner) && !traits(runner.configuration).draining)
        drain(fleet, runner, place.url === null ? 'pool.replaced' : 'pool.app_removed', -1)
  }
  return waits
}

/** An app that adopts no servers any more has processes in their places: one that serves keeps its place until its successor is ready. */
function leaveUrls(fleet: Fleet, app: AppRecord): void {
  for (const place of app.places) {
    if (place.url === null) continue
    touchPlace(fleet, place)
    place.url = null
    const { current } = place
    if (current === null || over(current) || traits(current.configuration).serving) continue
    drain(fleet, current, 'pool.replaced', 0)
  }
}

/** Brings the pool to what it should be: vacancies first, then revisions, then size. */
export function settlePool(fleet: Fleet, app: AppRecord): void {
  const moved = app.urlsStale || (app.urls !== null && app.departed.length + app.vacant.length > 0)
  for (const runner of app.departed.splice(0)) bury(fleet, app, runner)
  // Servers are many and change rarely: they are matched when the list did, or a place.
  if (!app.removed && moved) {
    if (app.urls === null) leaveUrls(fleet, app)
    const waits = app.urls !== null && matchUrls(fleet, app, app.urls)
    // A vacancy that is filled below may have changed a place.
    app.urlsStale = waits || (app.urls !== null && app.vacant.length > 0)
  }
  while (app.vacant.length > 0) fill(fleet, app, app.vacant.shift()!)
  app.arrivals.length = 0
  if (app.removed && app.runners.length === 0) return forget(fleet, app)
  if (fleet.shuttingDown || app.removed) return
  if (app.rolling) roll(fleet, app)
  if (app.urls === null) {
    const target = toldTarget(app)
    if (app.places.length >= target) {
      app.shortSince = -1
      shrink(fleet, app, target)
    }
    if (app.places.length !== target || app.draining > 0 || app.shortSince >= 0)
      grow(fleet, app, target)
  }
  armApp(fleet, app)
}
