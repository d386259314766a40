/**
 * What follows when a runner passes from one configuration to the next: counters, its place, panic, probes that end. Whatever it
 * frees is looked at when the step settles; it tells no verdict and writes no decision.
 */
import { panicAt } from './guard.ts'
import { type AppRecord, type Fleet, type Place, type RunnerRecord } from './state.ts'
import type { Verdict } from './runner.ts'
import type { Configuration } from './table.ts'
import { traits } from './word.ts'
import { alert, cancelProbe, count } from './give.ts'
import { watchCalm } from './seat.ts'

/** A runner is no longer paused for a check: one that has no answer yet is skipped, and asked for again an interval later. */
function skipExclusive(fleet: Fleet, runner: RunnerRecord, at: number): void {
  const { asked } = runner.context
  if (runner.flyingKind === 'exclusive' || runner.flyingKind === 'manual')
    cancelProbe(fleet, runner)
  const again = asked !== null && traits(runner.configuration).accepting
  runner.wanted = again ? asked : null
  if (again) fleet.rare.set(runner.slot * 3 + 1, at + runner.app.policy.intervalMs)
}

/**
 * Panic begins with enough doubted runners and ends below the share plus the cooldown. Looked at whenever one of its numbers
 * changes: the doubted, the places, the policy.
 */
export function watchPanic(fleet: Fleet, app: AppRecord): void {
  fleet.guarded.add(app)
  if (app.suspects >= panicAt(app)) {
    if (!app.panic) {
      app.panic = true
      app.seatsStale = true
      alert(
        fleet,
        'guard.panic',
        'app',
        app.id,
        `${app.suspects} of ${app.established} runners are doubted at once: endings by doubt go one at a time.`,
      )
    }
    app.calmAt = -1
  } else if (app.panic && app.calmAt < 0) {
    app.calmAt = fleet.now + app.policy.panicCooldownMs
  }
}

/** The load looks again at a runner; when nobody asks it for long, at all of them at once. */
export function unseat(app: AppRecord, runner: RunnerRecord): void {
  if (app.seatsStale) return
  app.reseated.push(runner)
  if (app.reseated.length <= app.runners.length + 8) return
  app.seatsStale = true
  app.reseated.length = 0
}

/** Marks a place as out or back. */
export function setOut(app: AppRecord, place: Place, out: boolean): void {
  if (place.out === out) return
  place.out = out
  app.outs += out ? 1 : -1
}

/** What the fleet derives from a change of configuration; whatever it frees is looked at when the step settles. */
export function moved(
  fleet: Fleet,
  runner: RunnerRecord,
  before: Configuration,
  after: Configuration,
  verdict: Verdict,
): void {
  const { app, place } = runner
  const was = traits(before)
  const is = traits(after)
  runner.since = verdict.at
  if (verdict.seq > 0) runner.sinceSeq = verdict.seq
  if (was.calm !== is.calm) watchCalm(fleet.load, runner)
  if (was.draining !== is.draining) {
    app.draining += is.draining ? 1 : -1
    // It fills its place no more.
    fleet.dirty.add(app)
  }
  if (was.doubted !== is.doubted) {
    app.suspects += is.doubted ? 1 : -1
    watchPanic(fleet, app)
  }
  // Who leaves for another reason gets no successor: the turn is somebody else's.
  if (is.draining && app.canary === runner) {
    app.canary = null
    app.vacant.push(place)
    fleet.dirty.add(app)
    fleet.guarded.add(app)
  }
  if (was.held && !is.held) {
    runner.heldSeq = 0
    app.held = app.held.filter((held) => held !== runner)
    if (app.canary === runner && is.stage !== 'terminated' && is.stage !== 'gone') {
      app.canary = null
      app.vacant.push(place)
      fleet.dirty.add(app)
    }
    fleet.guarded.add(app)
  }
  if (is.stage === 'ready' && was.stage !== 'ready') {
    runner.heldBy = null
    runner.episode = null
  }
  unseat(app, runner)
  if (was.accepting && is.serving && !is.accepting) count(fleet, runner)
  if (was.paused && !is.paused && is.serving) skipExclusive(fleet, runner, verdict.at)
  if (is.stage === 'terminated' || is.stage === 'gone') {
    if (was.stage !== 'terminated') left(fleet, runner, place, was.serving, verdict.at)
    if (is.stage === 'gone') app.vacant.push(place)
  } else if (was.stage === 'starting' && is.serving) {
    arrived(fleet, runner, place, verdict.at)
  } else if (was.probe !== is.probe && is.serving) {
    const due = fleet.probes.due(runner.slot)
    if (is.probe === 'fast')
      fleet.probes.set(
        runner.slot,
        Number.isNaN(due)
          ? verdict.at + app.policy.suspectIntervalMs
          : Math.min(due, verdict.at + app.policy.suspectIntervalMs),
      )
  }
}

/** A runner left service or its start failed: its probes end, its place is out. */
function left(fleet: Fleet, runner: RunnerRecord, place: Place, served: boolean, at: number): void {
  const { app } = runner
  fleet.probes.clear(runner.slot)
  fleet.rare.clear(runner.slot * 3)
  fleet.rare.clear(runner.slot * 3 + 1)
  fleet.rare.clear(runner.slot * 3 + 2)
  cancelProbe(fleet, runner)
  runner.wanted = null
  app.working -= runner.counted
  runner.counted = 0
  if (app.canary === runner) app.canary = null
  // Whatever ended it: no start may wait for a trial that is over.
  if (app.trial === runner) app.trial = null
  const row = app.starting.indexOf(runner)
  if (row >= 0) app.starting.splice(row, 1)
  if (place.current === runner && place.established) setOut(app, place, true)
  if (served) endedAfterReady(runner, at)
  else if (runner.context.reason === 'setup_failed' || runner.context.reason === 'startup_timeout')
    app.failedStarts.push(runner)
  app.vacant.push(place)
  fleet.dirty.add(app)
}

/** A process that ends by itself right after it was ready, before any 2xx, is a failed start from the second in a row. */
function endedAfterReady(runner: RunnerRecord, at: number): void {
  const { app } = runner
  if (runner.context.reason !== 'crashed') return
  if (runner.served || at - runner.readyAt >= app.policy.stableMs) {
    app.flaps = 0
    return
  }
  app.flaps++
  app.flappedAt = at
  if (app.flaps >= 2) app.failedStarts.push(runner)
}

/** A runner became ready: the first regular check goes at once, its place is whole again. */
function arrived(fleet: Fleet, runner: RunnerRecord, place: Place, at: number): void {
  const { app } = runner
  runner.readyAt = at
  runner.idleSince = at
  app.arrivals.push(runner)
  fleet.dirty.add(app)
  if (app.policy.hasCheck && app.policy.callRegularly) fleet.probes.set(runner.slot, at)
  if (place.next === runner) {
    place.ready = true
    app.vacant.push(place)
  } else if (place.current === runner || place.current === null) {
    place.current = runner
    settlePlace(fleet, app, place, at)
  }
}

/** The place has a ready runner of its own again. */
export function settlePlace(fleet: Fleet, app: AppRecord, place: Place, at: number): void {
  if (!place.established) {
    place.established = true
    app.established++
    watchPanic(fleet, app)
  }
  setOut(app, place, false)
  if (app.canaryPlace === place) {
    app.canaryPlace = null
    app.canaryAt = at + app.policy.panicCooldownMs
  }
}
