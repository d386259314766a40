/**
 * The fleet in the words of the API: runners, apps, live processes, open orders. Times are observed ms; an adapter turns them into
 * dates. Reading changes nothing.
 */
import type { Command, Reason } from './command.ts'
import { demandOf, inFlightOf } from './load.ts'
import type { Policy } from './policy.ts'
import { GONE_MS, toldTarget } from './successor.ts'
import type { ProcessRecord } from './port.ts'
import type { Fleet, GoneRunner, LastProbe, RunnerRecord } from './state.ts'
import { falState, type Stage, traits, wordOf } from './word.ts'

/** One runner as people see it. */
export interface RunnerView {
  readonly id: string
  readonly app: string
  readonly incarnation: number
  readonly state: Exclude<Stage, 'gone'>
  readonly substate: string
  readonly falState: string
  readonly suspect: boolean
  readonly accepting: boolean
  readonly reason: Reason | null
  /** Observed ms of the last change of its word. */
  readonly since: number
  readonly inFlight: number
  readonly node: string
  readonly url: string
  readonly pid: number | null
  /** Observed ms; null before its process started. */
  readonly startedAt: number | null
  readonly failures: number
  readonly effectiveStartPeriodMs: number
  readonly lastProbe: LastProbe | null
  readonly replaces: string | null
}

/** One app as people see it. */
export interface AppView {
  readonly id: string
  readonly degraded: boolean
  /** Why nothing is started; null unless a configuration error stands. */
  readonly broken: string | null
  readonly target: number
  /** Runners by word. */
  readonly runners: Readonly<Record<string, number>>
  readonly inFlight: number
  readonly waiting: number
  readonly queued: number
  readonly policy: Policy
}

/** Its process lives or has lived: before, there is no start time to show. */
const begun = ({ configuration, pid, url }: RunnerRecord): boolean =>
  // Ended before the host answered, it has no address either.
  pid !== null || (url !== '' && !['backoff', 'provisioning'].includes(configuration.word))

function viewOf(fleet: Fleet, runner: RunnerRecord): RunnerView {
  const { configuration, context, app } = runner
  const { stage, accepting } = traits(configuration)
  const inFlight = inFlightOf(fleet, runner)
  const state = stage === 'gone' ? 'terminated' : stage
  const ended = state === 'terminated'
  return {
    id: runner.id,
    app: app.id,
    incarnation: runner.incarnation,
    state,
    substate: wordOf(configuration, inFlight),
    falState: falState(configuration, inFlight),
    suspect: state === 'suspect',
    accepting,
    reason: ended ? context.reason : null,
    since: runner.since,
    inFlight,
    node: runner.node,
    url: runner.url,
    pid: runner.pid,
    startedAt: begun(runner) ? context.startedAt : null,
    failures: context.strikes.length,
    effectiveStartPeriodMs: app.policy.effectiveStartPeriodMs,
    lastProbe: runner.lastProbe,
    replaces: runner.replaces,
  }
}

/** A runner that is gone, as it stays listed. */
export function goneView(app: string, gone: GoneRunner): RunnerView {
  return {
    id: gone.id,
    app,
    incarnation: gone.incarnation,
    state: 'terminated',
    substate: 'gone',
    falState: 'TERMINATED',
    suspect: false,
    accepting: false,
    reason: gone.reason,
    since: gone.at,
    inFlight: 0,
    node: gone.node,
    url: gone.url,
    pid: gone.pid,
    // Who never had a process did not start when we did.
    startedAt: gone.pid === null && gone.url === '' ? null : gone.startedAt,
    failures: gone.failures,
    effectiveStartPeriodMs: gone.effectiveStartPeriodMs,
    lastProbe: gone.lastProbe,
    replaces: gone.replaces,
  }
}

const listed = (fleet: Fleet, gone: GoneRunner): boolean => fleet.now - gone.at < GONE_MS

/** A runner by id, gone ones of the last day included. */
export function view(fleet: Fleet, id: string): RunnerView | null {
  const runner = fleet.runners.get(id)
  if (runner !== undefined) return viewOf(fleet, runner)
  for (const books of [fleet.apps, fleet.former]) {
    for (const app of books.values()) {
      const gone = app.gone.findLast((each) => each.id === id)
      if (gone !== undefined && listed(fleet, gone)) return goneView(app.id, gone)
    }
  }
  return null
}

/** All runners, gone ones last; `states` takes states and substates. */
export function* views(
  fleet: Fleet,
  filter: { readonly app?: string; readonly states?: ReadonlySet<string> } = {},
): Iterable<RunnerView> {
  const matches = (runner: RunnerView): boolean =>
    filter.states === undefined ||
    filter.states.has(runner.state) ||
    filter.states.has(runner.substate)
  function* goneOf({ id, gone }: { id: string; gone: readonly GoneRunner[] }) {
    for (const each of gone) {
      if (!listed(fleet, each)) continue
      const seen = goneView(id, each)
      if (matches(seen)) yield seen
    }
  }
  for (const app of fleet.apps.values()) {
    if (filter.app !== undefined && app.id !== filter.app) continue
    for (const runner of app.runners) {
      const seen = viewOf(fleet, runner)
      if (matches(seen)) yield seen
    }
    yield* goneOf(app)
  }
  for (const app of fleet.former.values())
    if (filter.app === undefined || app.id === filter.app) yield* goneOf(app)
}

/** An app by id. */
export function appView(fleet: Fleet, id: string): AppView | null {
  const app = fleet.apps.get(id)
  if (app === undefined) return null
  const runners: Record<string, number> = {}
  for (const runner of app.runners) {
    const word = wordOf(runner.configuration, inFlightOf(fleet, runner))
    runners[word] = (runners[word] ?? 0) + 1
  }
  const live = demandOf(fleet, id)
  return {
    id,
    degraded: app.degraded,
    broken: app.broken,
    target: toldTarget(app),
    runners,
    ...live,
    policy: app.policy,
  }
}

/** Ids of all apps. */
export const apps = (fleet: Fleet): readonly string[] => [...fleet.apps.keys()]

/** What an app is judged by; null for an unknown one. */
export const policyOf = (fleet: Fleet, app: string): Policy | null =>
  fleet.apps.get(app)?.policy ?? null

/** Whether a start is under way or owed, so that waiting has a point. */
export function startPending(fleet: Fleet, id: string): boolean {
  const app = fleet.apps.get(id)
  return (
    app !== undefined &&
    app.broken === null &&
    app.runners.some((runner) => traits(runner.configuration).stage === 'starting')
  )
}

/** Why an app serves nobody: a configuration error, with no runner of before left that takes work. null while it may. */
export function whyUnserved(fleet: Fleet, id: string): string | null {
  const app = fleet.apps.get(id)
  if (app === undefined || app.broken === null) return null
  return app.runners.some((runner) => traits(runner.configuration).accepting) ? null : app.broken
}

/** Processes that should be alive, for a supervisor that takes them over. */
export function processes(fleet: Fleet): readonly ProcessRecord[] {
  const out: ProcessRecord[] = []
  for (const runner of fleet.runners.values()) {
    const { word, stage } = traits(runner.configuration)
    if (stage === 'gone' || word === 'backoff' || word === 'provisioning') continue
    out.push({
      runner: runner.id,
      incarnation: runner.incarnation,
      app: runner.app.id,
      url: runner.url,
      pid: runner.pid,
      startTime: runner.startTime,
    })
  }
  return out
}

/** Orders that may not have been carried out when the supervisor died: the same ids as when they were given. */
export function openOrders(fleet: Fleet): readonly Command[] {
  const out: Command[] = []
  for (const runner of fleet.runners.values()) {
    const { word } = traits(runner.configuration)
    const { id, incarnation, app } = runner
    const life = `${id}.${incarnation}`
    if (word === 'provisioning') {
      const again = runner.refusals > 0 ? `:${runner.refusals + 1}` : ''
      out.push({
        type: 'provision',
        id: `provision:${life}${again}`,
        runner: id,
        incarnation,
        app: app.id,
        revision: runner.revision,
        node: runner.node,
        devices: runner.devices,
        url: runner.fixedUrl,
        replaces: runner.replaces,
      })
    } else if (word === 'stopping') {
      out.push({
        type: 'stop',
        id: `stop:${life}`,
        runner: id,
        incarnation,
        graceMs: app.policy.terminationGraceMs,
        reason: runner.context.reason ?? 'stopped',
      })
    } else if (word === 'killing')
      out.push({ type: 'kill', id: `kill:${life}`, runner: id, incarnation })
  }
  out.push(...fleet.nodes.openOrders())
  return out
}
