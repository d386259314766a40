/**
 * The rows of a snapshot: which fields of a runner, a place, an app and the fleet are kept, and how they are written. What can be
 * derived is left out, and what most have: a row says only what is particular. Reading them back is in `snapshot.ts`.
 */
import { type AppOptions } from './app-option.ts'
import { type PolicyOptions } from './tunable.ts'
import {
  AppRecord,
  Fleet,
  type FormerApp,
  type GoneRunner,
  type Place,
  type ProbeWindow,
  RunnerRecord,
} from './state.ts'
import type { RunnerContext } from './runner.ts'

export const FORMAT = 1

/** Fields of a runner that are copied, with the values that are left out. */
export const usual = {
  incarnation: 1,
  revision: '',
  replaces: null,
  url: '',
  pid: null,
  startTime: null,
  node: 'local',
  since: 0,
  sinceSeq: 0,
  readyAt: -1,
  grantedAt: -1,
  returns: 0,
  refusals: 0,
  served: false,
  counted: 0,
  idleSince: 0,
  flying: 0,
  flyingKind: 'regular',
  probes: 0,
  wanted: null,
  fumbles: 0,
  slowRow: 0,
  tcpPassedAt: -1,
  exclusiveAt: -1,
  lastProbe: null,
  heldSeq: 0,
  heldBy: null,
  heldRule: '',
  episode: null,
} as const satisfies Partial<RunnerRecord>
/** The same of a runner's context. Lists are left out when they are empty. */
const usualContext = {
  startedAt: 0,
  opened: false,
  struckAt: 0,
  signal: 'probe',
  passes: 0,
  asked: null,
  reason: null,
  leaving: null,
} as const satisfies Partial<RunnerContext>
/** The same of a place. */
export const usualPlace = {
  lost: null,
  established: true,
  ready: false,
  refused: false,
  out: false,
  handover: null,
} as const satisfies Partial<Place>

/** Fields of an app that are copied as they are. */
export const plainApp = [
  'overrides',
  'revision',
  'urls',
  'removed',
  'placeCount',
  'runnerCount',
  'waiting',
  'queued',
  'shortSince',
  'fails',
  'failedAt',
  'flaps',
  'flappedAt',
  'recentFails',
  'degraded',
  'broken',
  'nextStartAt',
  'releasing',
  'rolling',
  'tat',
  'panic',
  'calmAt',
  'canaryAt',
] as const satisfies readonly (keyof AppRecord)[]

export interface RunnerRow extends Partial<Pick<RunnerRecord, keyof typeof usual>> {
  readonly slot: number
  readonly id: string
  readonly place: number
  /** Given for adopted servers. */
  readonly fixedUrl?: string
  readonly word: string
  readonly context: Partial<Omit<RunnerContext, 'policy'>>
  /** Due times: deadline, probe, heartbeat, exclusive check, handover; null when not set, the last of these left out. */
  readonly due: readonly (number | null)[]
  readonly devices?: readonly string[]
}

export interface PlaceRow extends Partial<Pick<Place, keyof typeof usualPlace>> {
  readonly number: number
  readonly current?: string
  readonly next?: string
  readonly url?: string
}

export interface AppRow extends Pick<AppRecord, (typeof plainApp)[number]> {
  readonly id: string
  /** Absent in snapshots of before it was kept. */
  readonly name?: string
  readonly slot: number
  readonly options: AppOptions
  readonly policy: PolicyOptions
  readonly starting: readonly string[]
  readonly held: readonly string[]
  readonly trial: string | null
  readonly canary: string | null
  readonly canaryPlace: number | null
  /** Absent in snapshots of before they were each app's own. */
  readonly window?: ProbeWindow
  readonly lastWindow?: ProbeWindow
  readonly due: readonly (number | null)[]
  readonly gone: readonly GoneRunner[]
  readonly places: readonly PlaceRow[]
  readonly runners: readonly RunnerRow[]
}

/** A fleet, saved. Plain JSON. */
export interface Snapshot {
  readonly format: number
  readonly at: number
  readonly seq: number
  readonly decisions: number
  readonly seed: number
  readonly policy: PolicyOptions
  readonly overrides: Readonly<Record<string, unknown>>
  readonly control: boolean
  readonly unwell: boolean
  readonly stoodStillAt: number
  readonly wallOffset: number
  readonly shuttingDown: boolean
  readonly alerted: readonly (readonly [string, number])[]
  readonly slots: number
  readonly freeSlots: readonly number[]
  readonly former: readonly FormerApp[]
  readonly nodes: unknown
  readonly apps: readonly AppRow[]
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value)

export function pick<T, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const out = {} as Pick<T, K>
  for (const name of names) out[name] = from[name]
  return out
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Copies what is not as usual. */
function particular<T extends object, K extends keyof T>(
  of: T,
  commonly: Readonly<Record<K, unknown>>,
  names: readonly K[],
  into: Partial<Pick<T, K>>,
): void {
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    const value = of[name]
    if (value !== commonly[name]) into[name] = value
  }
}

const names = Object.keys(usual) as (keyof typeof usual)[]
const contextNames = Object.keys(usualContext) as (keyof typeof usualContext)[]
const placeNames = Object.keys(usualPlace) as (keyof typeof usualPlace)[]

function dueOf({ deadlines, probes, rare }: Fleet, slot: number): (number | null)[] {
  const due = [
    orNull(deadlines.due(slot)),
    orNull(probes.due(slot)),
    orNull(rare.due(slot * 3)),
    orNull(rare.due(slot * 3 + 1)),
    orNull(rare.due(slot * 3 + 2)),
  ]
  while (due.length > 0 && due.at(-1) === null) due.pop()
  return due
}

export function runnerRow(fleet: Fleet, runner: RunnerRecord): RunnerRow {
  const { slot, id, place, fixedUrl, configuration, devices } = runner
  const { strikes, evidence } = runner.context
  const context: Mutable<RunnerRow['context']> = {}
  particular(runner.context, usualContext, contextNames, context)
  if (strikes.length > 0) context.strikes = strikes
  if (evidence.length > 0) context.evidence = evidence
  const row: Mutable<RunnerRow> = {
    slot,
    id,
    place: place.number,
    word: configuration.word,
    context,
    due: dueOf(fleet, slot),
  }
  if (fixedUrl !== null) row.fixedUrl = fixedUrl
  if (devices.length > 0) row.devices = devices
  particular(runner, usual, names, row)
  return row
}

export function placeRow(place: Place): PlaceRow {
  const { current, next, url } = place
  const row: Mutable<PlaceRow> = { number: place.number }
  if (current !== null) row.current = current.id
  if (next !== null) row.next = next.id
  if (url !== null) row.url = url
  particular(place, usualPlace, placeNames, row)
  return row
}

/** A window is counted on in place. */
export const copyOf = (window: ProbeWindow): ProbeWindow => ({
  ...window,
  slots: [...window.slots],
})

/** An app without its lists of runners and places. Detached: what it holds is replaced and never written. */
export function appHead(fleet: Fleet, app: AppRecord): Omit<AppRow, 'gone' | 'places' | 'runners'> {
  return {
    id: app.id,
    name: app.name,
    slot: app.slot,
    options: app.options,
    policy: app.configured,
    starting: app.starting.map((runner) => runner.id),
    held: app.held.map((runner) => runner.id),
    trial: app.trial?.id ?? null,
    canary: app.canary?.id ?? null,
    canaryPlace: app.canaryPlace?.number ?? null,
    due: [
      orNull(app.due.guard),
      orNull(app.due.start),
      orNull(app.due.pool),
      orNull(app.due.stable),
      orNull(fleet.deadlines.due(app.slot)),
    ],
    ...pick(app, plainApp),
    recentFails: [...app.recentFails],
    window: copyOf(app.window),
    lastWindow: copyOf(app.lastWindow),
  }
}

/** A removed app without its list of runners. */
export function formerHead({
  id,
  name,
  at,
  placeCount,
  runnerCount,
}: FormerApp): Omit<FormerApp, 'gone'> {
  return { id, ...(name !== undefined && { name }), at, placeCount, runnerCount }
}

/** The fleet without its apps and nodes. */
export function header(fleet: Fleet): Omit<Snapshot, 'former' | 'nodes' | 'apps'> {
  return {
    format: FORMAT,
    at: fleet.now,
    seq: fleet.seq,
    decisions: fleet.decisionSeq,
    seed: fleet.seed,
    policy: fleet.globalPolicy,
    overrides: fleet.globalOverrides,
    control: fleet.control,
    unwell: fleet.unwellAlerted,
    stoodStillAt: fleet.stoodStillAt,
    wallOffset: fleet.wallOffset,
    shuttingDown: fleet.shuttingDown,
    alerted: [...fleet.alerted],
    slots: fleet.owners.length,
    freeSlots: [...fleet.freeSlots],
  }
}
