/**
 * When a start is granted: at once while nothing is owed, one at a time and later and later while starts fail, not at all after
 * a configuration error. It never sizes the pool.
 */
import { chance } from './chance.ts'
import { seatOnNode } from './node-bond.ts'
import { alert, armApp, factBehind, touch } from './give.ts'
import { tell } from './tell.ts'
import type { AppRecord, Fleet, RunnerRecord } from './state.ts'
import { traits } from './word.ts'

const waits = (runner: RunnerRecord): boolean => runner.configuration.word === 'backoff'

/** The delay after the k-th consecutive failure, in whole ms: growing by a step, jitter of at most a tenth inside the cap. */
export function backoffDelay(k: number, app: AppRecord, seed: number): number {
  const { backoffStepMs, backoffMaxMs } = app.policy
  const delay = Math.min(k * backoffStepMs, backoffMaxMs)
  return Math.min(backoffMaxMs, delay + Math.floor(delay * 0.1 * chance(seed, app.slot, k)))
}

/** Puts a runner into the row of those that wait for their start. */
export function owe(fleet: Fleet, runner: RunnerRecord): void {
  runner.app.starting.push(runner)
  fleet.dirty.add(runner.app)
}

/** Counts the starts that failed in this step. Starts begun before the last counted failure count once together. */
export function countFailedStarts(fleet: Fleet, app: AppRecord): void {
  for (const runner of app.failedStarts.splice(0)) {
    if (app.trial === runner) app.trial = null
    if (app.fails > 0 && runner.grantedAt <= app.failedAt) continue
    app.fails++
    app.failedAt = fleet.now
    app.nextStartAt = fleet.now + backoffDelay(app.fails, app, fleet.seed)
    app.recentFails = [
      ...app.recentFails.filter((at) => at > fleet.now - app.policy.giveUpWindowMs),
      fleet.now,
    ].slice(-app.policy.giveUpStarts)
    if (app.recentFails.length >= app.policy.giveUpStarts)
      degrade(
        fleet,
        app,
        `start.give_up: ${app.recentFails.length} starts failed within ${app.policy.giveUpWindowMs / 1000} s and none succeeded; starts go on, each up to ${app.policy.backoffMaxMs / 1000} s after the last.`,
      )
  }
}

/** Marks an app as degraded, with one alert. */
export function degrade(fleet: Fleet, app: AppRecord, text: string): void {
  if (app.degraded) return
  app.degraded = true
  alert(fleet, 'app.degraded', 'app', app.id, text)
}

/** The first 2xx of a life proves its start, unless it had proved itself before the last failure: then it says nothing new. */
export function proveStart(fleet: Fleet, runner: RunnerRecord): void {
  if (runner.served) return
  const { app } = runner
  runner.served = true
  if (runner.readyAt + app.policy.stableMs > lastFailure(app)) absolveStarts(fleet, app)
}

/** Crashes that a poison request caused are not the fault of starts: they stop counting. */
export function pardonStarts(fleet: Fleet, app: AppRecord, runners: readonly string[]): void {
  app.flaps = 0
  const { failedAt } = app
  if (app.fails === 0 || failedAt !== app.flappedAt) return
  if (app.gone.some(({ id, at }) => at === failedAt && runners.includes(id)))
    absolveStarts(fleet, app)
}

const lastFailure = (app: AppRecord): number => Math.max(app.failedAt, app.flappedAt)

/** A start proved itself: by `stableSeconds` of ready or one 2xx. Those that waited are released one by one. */
function absolveStarts(fleet: Fleet, app: AppRecord): void {
  app.flaps = 0
  app.flappedAt = -1
  if (app.fails === 0) return
  app.fails = 0
  app.failedAt = -1
  app.recentFails = []
  app.degraded = false
  app.trial = null
  app.releasing = true
  app.nextStartAt = fleet.now
  app.due.stable = Number.NaN
  fleet.dirty.add(app)
}

/**
 * While starts fail, a runner that becomes stable ends the row; looked at again after `stableSeconds`. One that was stable before the
 * last failure says nothing about starts of today.
 */
export function watchStable(fleet: Fleet, app: AppRecord): void {
  app.due.stable = Number.NaN
  if (app.fails === 0 && app.flaps === 0) return
  const since = lastFailure(app)
  let due = Number.POSITIVE_INFINITY
  for (const runner of app.runners) {
    if (!traits(runner.configuration).serving) continue
    const at = runner.readyAt + app.policy.stableMs
    if (at <= since) continue
    if (at <= fleet.now) return absolveStarts(fleet, app)
    if (at < due) due = at
  }
  if (due !== Number.POSITIVE_INFINITY) app.due.stable = due
}

/**
 * When the one start that is tried stands in the way of others no more. To be ready proves nothing yet: a hundred starts that waited
 * would follow each other as fast as their ports open.
 */
function trialUntil({ trial, policy }: AppRecord): number {
  if (trial === null || waits(trial)) return Number.NEGATIVE_INFINITY
  return traits(trial.configuration).serving
    ? trial.readyAt + policy.stableMs
    : Number.POSITIVE_INFINITY
}

/** Grants what may start now and arms the app's deadline for the rest. */
export function grantStarts(fleet: Fleet, app: AppRecord): void {
  app.due.start = Number.NaN
  // Taken off the row together: a hundred thousand starts at once must not move the rest a hundred thousand times.
  let next = 0
  while (next < app.starting.length && app.broken === null && !fleet.shuttingDown) {
    const runner = app.starting[next]!
    if (!waits(runner)) {
      next++
      continue
    }
    const until = trialUntil(app)
    if (until <= fleet.now) app.trial = null
    else {
      if (until < Number.POSITIVE_INFINITY) app.due.start = until
      break
    }
    if (app.nextStartAt > fleet.now) {
      app.due.start = app.nextStartAt
      break
    }
    touch(fleet, runner)
    if (runner.fixedUrl === null && !seatOnNode(fleet, runner)) {
      runner.place.refused = runner.place.next === runner
      if (!(app.due.start > fleet.now)) app.due.start = fleet.now + app.policy.noCapacityMs
      break
    }
    next++
    runner.grantedAt = fleet.now
    // What is started is what is configured now, however long it waited for its turn.
    runner.revision = app.revision
    if (app.fails > 0) app.trial = runner
    else if (app.releasing)
      app.nextStartAt = fleet.now + Math.round(1000 / app.policy.startsPerSecond)
    tell(fleet, runner, {
      type: 'start.granted',
      at: fleet.now,
      seq: factBehind(fleet, runner),
    })
  }
  app.starting.splice(0, next)
  if (app.starting.length === 0) app.releasing = false
  armApp(fleet, app)
}
