/**
 * The rows of a snapshot: which fields of a runner, an app and the fleet are kept, and how they are written. What can be derived is
 * left out; reading them back is in `snapshot.ts`.
 */
import { type AppOptions } from './app-option.ts'
import { type PolicyOptions } from './tunable.ts'
import {
  AppRecord,
  Fleet,
  type FormerApp,
  type GoneRunner,
  type LastProbe,
  type Place,
  type ProbeWindow,
  RunnerRecord,
} from './state.ts'
import type { RunnerContext } from './runner.ts'

export const FORMAT = 1

/** Fields of a runner that are copied as they are. */
export const plain = [
  'incarnation',
  'revision',
  'replaces',
  'url',
  'pid',
  'startTime',
  'devices',
  'node',
  'since',
  'sinceSeq',
  'readyAt',
  'grantedAt',
  'returns',
  'refusals',
  'served',
  'counted',
  'idleSince',
  'flying',
  'flyingKind',
  'probes',
  'wanted',
  'fumbles',
  'slowRow',
  'tcpPassedAt',
  'exclusiveAt',
  'lastProbe',
  'heldSeq',
  'heldBy',
  'heldRule',
  'episode',
] as const satisfies readonly (keyof RunnerRecord)[]

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

type Context = Omit<RunnerContext, 'policy'>

export interface RunnerRow extends Pick<RunnerRecord, (typeof plain)[number]> {
  readonly slot: number
  readonly id: string
  readonly place: number
  readonly fixedUrl: string | null
  readonly word: string
  readonly context: Context
  /** Due times; null when not set. */
  readonly due: readonly (number | null)[]
  readonly lastProbe: LastProbe | null
}

export interface AppRow extends Pick<AppRecord, (typeof plainApp)[number]> {
  readonly id: string
  readonly slot: number
  readonly options: AppOptions
  readonly policy: PolicyOptions
  readonly places: readonly {
    readonly number: number
    readonly current: string | null
    readonly lost: Place['lost']
    readonly next: string | null
    readonly established: boolean
    readonly ready: boolean
    readonly refused: boolean
    readonly out: boolean
    readonly handover: Place['handover']
    readonly url: string | null
  }[]
  readonly runners: readonly RunnerRow[]
  readonly gone: readonly GoneRunner[]
  readonly starting: readonly string[]
  readonly held: readonly string[]
  readonly trial: string | null
  readonly canary: string | null
  readonly canaryPlace: number | null
  readonly due: readonly (number | null)[]
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
  readonly window: ProbeWindow
  readonly lastWindow: ProbeWindow
  readonly control: boolean
  readonly unwell: boolean
  readonly stoodStillAt: number
  readonly wallOffset: number
  readonly shuttingDown: boolean
  readonly alerted: readonly (readonly [string, number])[]
  readonly slots: number
  readonly freeSlots: readonly number[]
  readonly nodes: unknown
  readonly former: readonly FormerApp[]
  readonly apps: readonly AppRow[]
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value)

export function pick<T, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const out = {} as Pick<T, K>
  for (const name of names) out[name] = from[name]
  return out
}

export function runnerRow(fleet: Fleet, runner: RunnerRecord): RunnerRow {
  const { policy: _, ...context } = runner.context
  const { slot } = runner
  return {
    slot,
    id: runner.id,
    place: runner.place.number,
    fixedUrl: runner.fixedUrl,
    word: runner.configuration.word,
    context,
    due: [
      orNull(fleet.deadlines.due(slot)),
      orNull(fleet.probes.due(slot)),
      orNull(fleet.rare.due(slot * 3)),
      orNull(fleet.rare.due(slot * 3 + 1)),
      orNull(fleet.rare.due(slot * 3 + 2)),
    ],
    ...pick(runner, plain),
  }
}

export function appRow(fleet: Fleet, app: AppRecord, runners: readonly RunnerRow[]): AppRow {
  return {
    id: app.id,
    slot: app.slot,
    options: app.options,
    policy: app.configured,
    places: app.places.map((place) => ({
      number: place.number,
      current: place.current?.id ?? null,
      lost: place.lost,
      next: place.next?.id ?? null,
      established: place.established,
      ready: place.ready,
      refused: place.refused,
      out: place.out,
      handover: place.handover,
      url: place.url,
    })),
    runners,
    gone: [...app.gone],
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
  }
}

export function header(fleet: Fleet): Omit<Snapshot, 'apps'> {
  return {
    format: FORMAT,
    at: fleet.now,
    seq: fleet.seq,
    decisions: fleet.decisionSeq,
    seed: fleet.seed,
    policy: fleet.globalPolicy,
    overrides: fleet.globalOverrides,
    window: { ...fleet.window, slots: [...fleet.window.slots] },
    lastWindow: { ...fleet.lastWindow, slots: [...fleet.lastWindow.slots] },
    control: fleet.control,
    unwell: fleet.unwellAlerted,
    stoodStillAt: fleet.stoodStillAt,
    wallOffset: fleet.wallOffset,
    shuttingDown: fleet.shuttingDown,
    alerted: [...fleet.alerted],
    slots: fleet.owners.length,
    freeSlots: [...fleet.freeSlots],
    nodes: fleet.nodes.snapshot(),
    former: [...fleet.former.values()],
  }
}
