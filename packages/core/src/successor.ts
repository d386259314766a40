/**
 * Runners come and go in places: a start in a place, its successor, the handover, and the end of the books. Which places there
 * should be is the pool's.
 */
import type { Reason } from './command.ts'
import {
  Fleet,
  RunnerRecord,
  runnerTable,
  takeSlot,
  type AppRecord,
  Place,
  type RunnerHandle,
} from './state.ts'
import { factBehind, touch, touchPlace } from './give.ts'
import { leaveNode } from './node-bond.ts'
import type { Policy } from './policy.ts'
import { limitProbes } from './probe.ts'
import { backoffDelay, owe } from './start.ts'
import { setOut, settlePlace, unseat, watchPanic } from './passage.ts'
import { percentOf } from './percent.ts'
import { tell } from './tell.ts'
import { traits } from './word.ts'

/** Runners that a demand needs: `active` is in flight, waiting and queued together. */
export const targetOf = (policy: Policy, active: number): number =>
  targetFor(policy, neededOf(policy, active))

/** Runners that hold as much, each full. */
export const neededOf = ({ maxMultiplexing }: Policy, active: number): number =>
  maxMultiplexing === 1 ? active : Math.ceil(active / maxMultiplexing)

/** Runners that there should be when so many are needed. */
export function targetFor(policy: Policy, needed: number): number {
  const { concurrencyBufferPercent: percent } = policy
  const buffer =
    percent === 0
      ? policy.concurrencyBuffer
      : Math.max(policy.concurrencyBuffer, Math.ceil(percentOf(percent, needed)))
  return Math.min(policy.maxConcurrency, Math.max(policy.minConcurrency, needed + buffer))
}

/** Ends after which the seeds ask for a replacement. Orders and the pool's own ends are left to the target. */
const replaced: ReadonlySet<Reason> = new Set([
  'health_check_failed',
  'manual_health_check_failed',
  'tcp_check_failed',
  'server_error',
  'stop_header',
  'connection_lost',
  'crashed',
  'request_timeout',
  'device_fault',
  'heartbeat_missed',
  'orphaned',
  'node_drained',
] satisfies Reason[])

/** Target by the demand that events told. Adopted servers are all needed. */
export function toldTarget(app: AppRecord): number {
  if (app.removed) return 0
  return app.urls !== null
    ? app.urls.length
    : targetOf(app.policy, app.working + app.waiting + app.queued)
}

/** What a place remembers of a runner that ended. */
const lossOf = ({ id, context, readyAt }: RunnerRecord): NonNullable<Place['lost']> => ({
  id,
  owed: context.reason !== null && replaced.has(context.reason) && readyAt >= 0,
})

export const over = (runner: RunnerRecord | null): boolean => {
  if (runner === null) return true
  const { stage } = traits(runner.configuration)
  return stage === 'terminated' || stage === 'gone'
}

const leaving = (place: Place): boolean =>
  place.current !== null && traits(place.current.configuration).draining && place.next === null

/** Places that are not on their way out. */
export const staying = (app: AppRecord): readonly Place[] =>
  app.draining === 0 ? app.places : app.places.filter((place) => !leaving(place))

const aliasOf = (id: string): string => id.slice(id.lastIndexOf('/') + 1)

/**
 * What a new app is called in the ids of its runners: its alias; with its owner when that is the name of another. Runners of a removed
 * app are still listed by their ids, and it has its name again when it comes back.
 */
export function nameFor(fleet: Fleet, id: string): string {
  const alias = aliasOf(id)
  for (const books of [fleet.apps, fleet.former])
    for (const known of books.values())
      if ((known.name ?? aliasOf(known.id)) === alias)
        return `${id.slice(0, id.lastIndexOf('/'))}~${alias}`
  return alias
}

/** Creates a runner in a place and puts it into the row of starts. */
function spawn(fleet: Fleet, app: AppRecord, place: Place, replaces: string | null): RunnerRecord {
  const slot = takeSlot(fleet) as RunnerHandle
  const { name } = app
  const id =
    place.url === null
      ? `${name}-${(fleet.seed >>> 0).toString(36)}-${++app.runnerCount}`
      : `${name}-url-${place.number}`
  const { configuration, context } = runnerTable.start({ policy: app.policy })
  const runner = new RunnerRecord(slot, id, app, place, configuration, context, fleet.now)
  runner.replaces = replaces
  // What made it needed; where only time did, what became of the one before it.
  runner.sinceSeq = fleet.judged > 0 ? fleet.judged : (place.current?.sinceSeq ?? 0)
  fleet.owners[slot] = runner
  fleet.runners.set(id, runner)
  app.runners.push(runner)
  owe(fleet, runner)
  fleet.register?.began(id)
  return runner
}

export function open(fleet: Fleet, app: AppRecord, url: string | null): void {
  const place = new Place(++app.placeCount, url)
  app.places.push(place)
  place.current = spawn(fleet, app, place, null)
}

function drop(fleet: Fleet, app: AppRecord, place: Place): void {
  const index = app.places.indexOf(place)
  if (index < 0) return
  app.places.splice(index, 1)
  setOut(app, place, false)
  if (app.canaryPlace === place) app.canaryPlace = null
  if (!place.established) return
  app.established--
  watchPanic(fleet, app)
}

/** Gives a vacant place its successor, hands over to one that is ready, or closes the place. */
export function fill(fleet: Fleet, app: AppRecord, place: Place): void {
  if (!app.places.includes(place)) return
  touchPlace(fleet, place)
  const { current } = place
  if (place.next !== null && over(place.next)) {
    place.next = null
    place.ready = false
    if (!over(current)) setOut(app, place, false)
  }
  const wanted =
    place.handover !== null ||
    (current !== null && app.canary === current && !traits(current.configuration).draining)
  if (place.next !== null && !over(current) && !wanted) {
    // The one it was to succeed is well again. A successor holds no work before it takes over.
    return tell(fleet, place.next, {
      type: 'drain.ordered',
      reason: 'scaled_down',
      rule: 'pool.unneeded',
      inFlight: 0,
      at: fleet.now,
      seq: factBehind(fleet, place.next),
    })
  }
  if (place.ready && place.next !== null) {
    if (!over(current)) {
      if (place.handover === null) return
      tell(fleet, current!, {
        type: 'drain.ordered',
        ...place.handover,
        inFlight: -1,
        at: fleet.now,
        seq: factBehind(fleet, current!),
      })
    }
    if (current !== null) unseat(app, current)
    unseat(app, place.next)
    place.current = place.next
    place.lost = null
    place.next = null
    place.ready = false
    place.refused = false
    place.handover = null
    settlePlace(fleet, app, place, fleet.now)
    return
  }
  if (!over(current)) {
    const stays = !app.removed && app.urls === null && !fleet.shuttingDown
    if (wanted && place.next === null && stays) {
      place.refused = false
      place.next = spawn(fleet, app, place, current!.id)
      setOut(app, place, place.established)
    }
    return
  }
  if (place.next !== null) return
  if (place.url !== null) {
    if (fleet.shuttingDown || !isAdopted(app, place)) drop(fleet, app, place)
    return
  }
  const lost = current === null ? place.lost : lossOf(current)
  const keep =
    !app.removed &&
    app.urls === null &&
    !fleet.shuttingDown &&
    (app.places.length <= toldTarget(app) ||
      // A replacement is owed whatever the demand, but never above the maximum: it would be stopped again at once.
      (place.established &&
        lost?.owed === true &&
        staying(app).length <= app.policy.maxConcurrency))
  if (!keep) return drop(fleet, app, place)
  const runner = spawn(fleet, app, place, place.established ? (lost?.id ?? null) : null)
  if (place.established) place.next = runner
  else place.current = runner
}

/** Whether the server of a place is still one that the app adopts: it is then asked again, however often it ended. */
const isAdopted = (app: AppRecord, { url }: Place): boolean =>
  url !== null && !app.removed && app.urls !== null && app.urls.includes(url)

/** Takes a runner that is gone off the books, or begins the next life of an adopted server. */
export function bury(fleet: Fleet, app: AppRecord, runner: RunnerRecord): void {
  const { context, place } = runner
  touch(fleet, runner)
  if (isAdopted(app, place) && app.places.includes(place) && !fleet.shuttingDown) {
    const next = runnerTable.start({ policy: app.policy })
    const stable = runner.readyAt >= 0 && runner.since - runner.readyAt >= app.policy.stableMs
    const ill = context.reason !== null && replaced.has(context.reason)
    runner.returns = ill ? (stable ? 1 : runner.returns + 1) : 0
    runner.incarnation++
    runner.revision = app.revision
    runner.configuration = next.configuration
    runner.context = next.context
    runner.grantedAt = runner.readyAt = runner.tcpPassedAt = runner.exclusiveAt = -1
    runner.refusals = runner.probes = runner.fumbles = runner.slowRow = 0
    runner.served = false
    runner.wanted = null
    runner.since = fleet.now
    runner.heldBy = runner.episode = null
    fleet.deadlines.clear(runner.slot)
    // The server is the same one that was ill: it is asked again after a while, later and later.
    if (runner.returns > 0)
      fleet.deadlines.set(runner.slot, fleet.now + backoffDelay(runner.returns, app, fleet.seed))
    else owe(fleet, runner)
    return
  }
  if (place.current === runner) {
    place.lost = lossOf(runner)
    place.current = null
  }
  const gone = {
    id: runner.id,
    incarnation: runner.incarnation,
    reason: context.reason,
    at: fleet.now,
    startedAt: context.startedAt,
    url: runner.url,
    pid: runner.pid,
    node: runner.node,
    failures: context.strikes.length,
    lastProbe: runner.lastProbe,
    replaces: runner.replaces,
    effectiveStartPeriodMs: app.policy.effectiveStartPeriodMs,
  }
  app.gone.push(gone)
  fleet.register?.ended(app.id, gone)
  if (app.gone.length > MAX_GONE) app.gone.shift()
  app.runners.splice(app.runners.indexOf(runner), 1)
  fleet.runners.delete(runner.id)
  fleet.deadlines.clear(runner.slot)
  fleet.owners[runner.slot] = null
  fleet.freeSlots.push(runner.slot)
  unseat(app, runner)
  leaveNode(fleet, runner)
  for (const other of fleet.apps.values()) if (other.starting.length > 0) fleet.dirty.add(other)
}

/** Runners that are gone stay listed a day, at most this many per app. */
export const MAX_GONE = 1000

export const GONE_MS = 86_400_000

/** Removed apps whose runners are still listed. */
const MAX_FORMER = 100

/** Takes a removed app off the books; what is listed of it stays. */
export function forget(fleet: Fleet, app: AppRecord): void {
  fleet.apps.delete(app.id)
  for (const { id, at } of fleet.former.values())
    if (fleet.now - at >= GONE_MS || fleet.former.size >= MAX_FORMER) fleet.former.delete(id)
  if (app.placeCount > 0) {
    const { id, name, placeCount, runnerCount, gone } = app
    fleet.former.set(id, { id, name, at: fleet.now, placeCount, runnerCount, gone })
  }
  fleet.dirty.delete(app)
  fleet.guarded.delete(app)
  limitProbes(fleet)
  fleet.deadlines.clear(app.slot)
  fleet.owners[app.slot] = null
  fleet.freeSlots.push(app.slot)
}
