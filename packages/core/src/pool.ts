/**
 * How many runners an app has: its target, idle runners that stop, runners of an older revision that are replaced. It reads demand
 * as events told it, so that a replay sizes the pool the same way.
 */
import { NO_RUNNER, Fleet, type AppRecord, type RunnerHandle } from './state.ts'
import { armApp, touchPlace } from './give.ts'
import { tell } from './tell.ts'
import { traits } from './word.ts'
import { bury, fill, forget, open, over, staying, toldTarget } from './successor.ts'

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
    ({ current }) => current !== null && !over(current) && current.revision !== app.revision,
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
  } else
    tell(fleet, place.current!, {
      type: 'drain.ordered',
      reason: 'replaced',
      rule: 'pool.replaced',
      inFlight: 0,
      at: fleet.now,
      seq: fleet.seq,
    })
}

/** Idle runners above the target stop when nobody needed them for `keepAliveSeconds`; above the maximum at once. */
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
    for (const runner of [place.next, place.current])
      if (runner !== null && !over(runner))
        tell(fleet, runner, {
          type: 'drain.ordered',
          reason: 'scaled_down',
          rule: 'pool.scaled_down',
          inFlight: traits(runner.configuration).serving ? -1 : 0,
          at: fleet.now,
          seq: fleet.seq,
        })
  }
  let due = Number.POSITIVE_INFINITY
  for (let i = Math.min(places.length, most) - 1; i >= 0 && surplus > 0; i--) {
    const runner = places[i]!.current
    if (
      runner === null ||
      places[i]!.next !== null ||
      runner.counted > 0 ||
      !traits(runner.configuration).accepting
    )
      continue
    const at = runner.idleSince + app.policy.keepAliveMs
    if (at <= fleet.now) {
      surplus--
      tell(fleet, runner, {
        type: 'drain.ordered',
        reason: 'keep_alive_expired',
        rule: 'pool.keep_alive',
        inFlight: -1,
        at: fleet.now,
        seq: fleet.seq,
      })
    } else if (at < due) due = at
  }
  if (surplus > 0 && due !== Number.POSITIVE_INFINITY) app.due.pool = due
}

/** Starts what the target asks for, after the scaling delay when one is set. */
function grow(fleet: Fleet, app: AppRecord, target: number): void {
  const count = staying(app).length
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

/** Brings the pool to what it should be: vacancies first, then revisions, then size. */
export function settlePool(fleet: Fleet, app: AppRecord): void {
  for (const runner of app.departed.splice(0)) bury(fleet, app, runner)
  if (app.urls !== null && !app.removed) {
    for (const url of app.urls)
      if (!app.places.some((place) => place.url === url)) open(fleet, app, url)
    for (const place of app.places) {
      if (
        place.url !== null &&
        !app.urls.includes(place.url) &&
        place.current !== null &&
        !over(place.current) &&
        !traits(place.current.configuration).draining
      )
        tell(fleet, place.current, {
          type: 'drain.ordered',
          reason: 'app_removed',
          rule: 'pool.app_removed',
          inFlight: -1,
          at: fleet.now,
          seq: fleet.seq,
        })
    }
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
    if (app.places.length !== target || app.shortSince >= 0) grow(fleet, app, target)
  }
  armApp(fleet, app)
}

/** The handle of a runner by its id. */
export function slotOf(fleet: Fleet, id: string): RunnerHandle {
  return fleet.runners.get(id)?.slot ?? NO_RUNNER
}
