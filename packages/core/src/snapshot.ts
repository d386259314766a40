/**
 * The fleet's value as JSON, and back. It holds only what cannot be derived: counters, queues and heaps are rebuilt and must come
 * out equal. Taken at any point, saved and restored, it changes nothing afterwards.
 */
import { HealthError } from './error.ts'
import { nodeOptions, resolveNodes } from './node-bond.ts'
import { Nodes } from './nodes.ts'
import { limitProbes } from './probe.ts'
import { resolvePolicy } from './policy.ts'
import { type PolicyOptions } from './tunable.ts'
import {
  AppRecord,
  Fleet,
  Place,
  type RunnerHandle,
  RunnerRecord,
  runnerTable,
  type Writable,
} from './state.ts'
import type { RunnerContext } from './runner.ts'
import { nameFor } from './successor.ts'
import { traits } from './word.ts'
import {
  appHead,
  type AppRow,
  copyOf,
  FORMAT,
  formerHead,
  header,
  pick,
  placeRow,
  plainApp,
  runnerRow,
  type RunnerRow,
  type Snapshot,
  usual,
  usualPlace,
} from './snapshot-row.ts'

const names = Object.keys(usual) as (keyof typeof usual)[]

/** The whole fleet as plain JSON data. */
export function snapshot(fleet: Fleet): Snapshot {
  return {
    ...header(fleet),
    former: Array.from(fleet.former.values(), (app) => ({ ...formerHead(app), gone: app.gone })),
    nodes: fleet.nodes.snapshot(),
    apps: Array.from(fleet.apps.values(), (app) => ({
      ...appHead(fleet, app),
      gone: [...app.gone],
      places: app.places.map(placeRow),
      runners: app.runners.map((runner) => runnerRow(fleet, runner)),
    })),
  }
}

/** A fleet from a snapshot. Throws HEALTH_SNAPSHOT_FORMAT for anything else, a newer format included. */
export function restore(json: unknown): Fleet {
  const saved = json as Snapshot
  if (typeof json !== 'object' || json === null || saved.format !== FORMAT)
    throw new HealthError(
      'HEALTH_SNAPSHOT_FORMAT',
      `This snapshot has format ${String((json as { format?: unknown } | null)?.format)}; this version reads ${FORMAT}.`,
    )
  if (!Array.isArray(saved.apps))
    throw new HealthError('HEALTH_SNAPSHOT_FORMAT', 'This snapshot is damaged: it has no apps.')
  const fleet = new Fleet(saved.seed, saved.policy)
  fleet.nodes = Nodes.restore(saved.nodes, { seed: saved.seed })
  fleet.now = saved.at
  fleet.seq = saved.seq
  fleet.decisionSeq = saved.decisions
  fleet.globalOverrides = { ...saved.overrides }
  fleet.nodePolicy = resolveNodes(fleet)
  fleet.control = saved.control
  fleet.unwellAlerted = saved.unwell
  fleet.stoodStillAt = saved.stoodStillAt
  fleet.wallOffset = saved.wallOffset
  fleet.shuttingDown = saved.shuttingDown
  for (const [key, n] of saved.alerted) fleet.alerted.set(key, n)
  for (let slot = 0; slot < saved.slots; slot++) fleet.owners.push(null)
  for (const slot of saved.freeSlots) fleet.freeSlots.push(slot)
  for (const app of saved.former) fleet.former.set(app.id, app)
  for (const row of saved.apps) restoreApp(fleet, row)
  limitProbes(fleet)
  return fleet
}

function restoreApp(fleet: Fleet, row: AppRow): void {
  const policy = resolvePolicy(
    row.options,
    {
      ...fleet.globalPolicy,
      ...row.policy,
      ...fleet.globalOverrides,
      ...row.overrides,
    } as PolicyOptions,
    nodeOptions,
  )
  const app = new AppRecord(row.id, row.slot, row.options, row.policy, policy, row.revision)
  Object.assign(app, pick(row, plainApp), {
    name: row.name ?? nameFor(fleet, row.id),
    overrides: { ...row.overrides },
    recentFails: [...row.recentFails],
    window: copyOf(row.window ?? app.window),
    lastWindow: copyOf(row.lastWindow ?? app.lastWindow),
  })
  fleet.apps.set(app.id, app)
  fleet.owners[app.slot] = app
  app.gone.push(...row.gone)
  const places = new Map<number, Place>()
  for (const saved of row.places) {
    const place = new Place(saved.number, saved.url ?? null)
    place.lost = saved.lost ?? usualPlace.lost
    place.established = saved.established ?? usualPlace.established
    place.ready = saved.ready ?? usualPlace.ready
    place.refused = saved.refused ?? usualPlace.refused
    place.out = saved.out ?? usualPlace.out
    place.handover = saved.handover ?? usualPlace.handover
    places.set(place.number, place)
    app.places.push(place)
    if (place.established) app.established++
    if (place.out) app.outs++
  }
  const { context } = runnerTable.start({ policy })
  for (const saved of row.runners) restoreRunner(fleet, app, saved, places, context)
  const find = (id: string | null | undefined): RunnerRecord | null =>
    id === null || id === undefined ? null : (fleet.runners.get(id) ?? null)
  for (const saved of row.places) {
    const place = places.get(saved.number)!
    place.current = find(saved.current)
    place.next = find(saved.next)
  }
  app.starting.push(...row.starting.map(find).filter((runner) => runner !== null))
  app.trial = find(row.trial)
  app.canary = find(row.canary)
  app.canaryPlace = row.canaryPlace === null ? null : (places.get(row.canaryPlace) ?? null)
  app.held = row.held.map(find).filter((runner) => runner !== null)
  const [guard, start, pool, stable, own] = row.due
  Object.assign(app.due, {
    guard: guard ?? Number.NaN,
    start: start ?? Number.NaN,
    pool: pool ?? Number.NaN,
    stable: stable ?? Number.NaN,
  })
  if (own !== null && own !== undefined) fleet.deadlines.set(app.slot, own)
}

function restoreRunner(
  fleet: Fleet,
  app: AppRecord,
  row: RunnerRow,
  places: ReadonlyMap<number, Place>,
  unborn: RunnerContext,
): void {
  const context: Writable<RunnerContext> = { ...unborn, ...row.context }
  // A place may be closed while its runner is still ending.
  const place = places.get(row.place) ?? new Place(row.place, row.fixedUrl ?? null)
  const runner = new RunnerRecord(
    row.slot as RunnerHandle,
    row.id,
    app,
    place,
    runnerTable.find(row.word),
    context,
    0,
  )
  const fields: Record<string, unknown> = runner as never
  // The app's and the place's are no defaults: a runner may have started with none.
  runner.revision = usual.revision
  runner.url = usual.url
  for (const name of names) if (name in row) fields[name] = row[name]
  if (row.devices !== undefined) runner.devices = row.devices
  fleet.owners[runner.slot] = runner
  fleet.runners.set(runner.id, runner)
  app.runners.push(runner)
  const { doubted, draining } = traits(runner.configuration)
  if (doubted) app.suspects++
  if (draining) app.draining++
  app.working += runner.counted
  if (runner.flying > 0 && runner.flyingKind === 'regular') fleet.flying++
  const [deadline, probe, heartbeat, exclusive, handover] = row.due
  if (deadline !== null && deadline !== undefined) fleet.deadlines.set(runner.slot, deadline)
  if (probe !== null && probe !== undefined) fleet.probes.set(runner.slot, probe)
  if (heartbeat !== null && heartbeat !== undefined) fleet.rare.set(runner.slot * 3, heartbeat)
  if (exclusive !== null && exclusive !== undefined) fleet.rare.set(runner.slot * 3 + 1, exclusive)
  if (handover !== null && handover !== undefined) fleet.rare.set(runner.slot * 3 + 2, handover)
}
