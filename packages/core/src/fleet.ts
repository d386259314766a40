/**
 * The one pure entry: `step` advances the fleet by one fact and says what to do and why. Order inside a step: deadlines that have
 * passed, each at its own time; the fact; what it frees; probes that are due. No clock, no I/O: the same snapshot and fact give
 * the same result, byte for byte.
 */
import { type Command, NO_COMMANDS } from './command.ts'
import type { Decision } from './decision.ts'
import { HealthError } from './error.ts'
import type { HealthEvent } from './event.ts'
import { applyNodeFact, elapseNodes, nodeOptions, nodePolicyOf, resolveNodes } from './node-bond.ts'
import type { NodeEvent } from './node-event.ts'
import { resolvePolicy, type Policy } from './policy.ts'
import { type PolicyOptions } from './tunable.ts'
import { ask, examine, mayProbe, probeDue, rareDue, watchRare } from './probe.ts'
import { settlePool } from './pool.ts'
import { settleRequest } from './request.ts'
import { countFailedStarts, grantStarts, owe, proveStart, watchStable } from './start.ts'
import { AppRecord, Fleet, RunnerRecord } from './state.ts'
import { armApp, give, push, touch } from './give.ts'
import { expire, govern } from './tell.ts'
import { applyRunnerFact, subjectOf, told, tryAgain, voidFlights } from './verdict.ts'
import { traits } from './word.ts'
import { adopt, configure, drainAll, merged, prepare } from './configure.ts'

/** What a step did. */
export interface StepResult {
  /** Journal number of the fact; 0 when it was dismissed: a wake-up, a stale fact. Only numbered facts are journaled. */
  readonly seq: number
  readonly commands: readonly Command[]
  readonly decisions: readonly Decision[]
  /** Why a fact about a node was dismissed, in one sentence: for whoever gave an order. */
  readonly dismissed?: string
}

/** Replaced by whoever adds the first, never written. */
const NONE: never[] = []

const NOTHING: StepResult = Object.freeze({
  seq: 0,
  commands: NO_COMMANDS,
  decisions: Object.freeze([]),
})

/** A fleet without apps. `policy`: global tunables by their configuration names. `seed`: all its chance. */
export function createFleet(policy: PolicyOptions, options: { readonly seed: number }): Fleet {
  resolvePolicy({}, policy, nodeOptions)
  nodePolicyOf(policy)
  return new Fleet(options.seed, policy)
}

/**
 * Ms at which `step` has something to do by itself; Infinity when nothing is scheduled. Wake then with `time.passed`.
 * `probesFrom`: nobody wakes for a regular probe before this time, so that several that are due soon cost one wake-up.
 */
export function nextDue(fleet: Fleet, probesFrom = 0): number {
  return Math.min(
    fleet.deadlines.nextDue(),
    fleet.rare.nextDue(),
    fleet.nodes.nextDue(),
    mayProbe(fleet) ? Math.max(fleet.probes.nextDue(), probesFrom) : Number.POSITIVE_INFINITY,
  )
}

/** Facts that are checked against the options before anything moves. */
const configuring: ReadonlySet<HealthEvent['type']> = new Set([
  'app.configured',
  'policy.configured',
  'policy.changed',
  'node.configured',
])

/** Advances the fleet in place by one fact. Throws HealthError before anything moves. */
export function step(fleet: Fleet, event: HealthEvent): StepResult {
  if (!(event.at >= fleet.now))
    throw new HealthError(
      'HEALTH_TIME_BACKWARDS',
      `An event at ${event.at} follows one at ${fleet.now}.`,
    )
  const prepared = configuring.has(event.type) ? prepare(fleet, event) : NONE
  fleet.commands = NONE
  fleet.decisions = NONE
  fleet.judged = 0
  elapse(fleet, event.at)
  fleet.now = event.at
  let seq = 0
  let why: string | null = null
  if (event.type !== 'time.passed') {
    const runner =
      'runner' in event && event.runner !== undefined && event.runner !== ''
        ? subjectOf(fleet, event as { runner: string; incarnation?: number })
        : null
    if (dismissed(fleet, event, runner)) fleet.stale++
    else {
      const before = fleet.seq
      seq = fleet.seq = fleet.judged = event.seq ?? before + 1
      if (isNodeEvent(event)) {
        why = applyNodeFact(fleet, event)
        if (why !== null) {
          fleet.seq = before
          seq = fleet.judged = 0
        }
      } else if (runner !== null && event.type !== 'request.cancelled')
        applyRunnerFact(fleet, runner, event as never)
      else apply(fleet, event, prepared, runner)
      settle(fleet)
    }
  }
  startProbes(fleet)
  if (why === null && seq === 0 && fleet.commands.length === 0 && fleet.decisions.length === 0)
    return NOTHING
  const { commands, decisions } = fleet
  return why === null ? { seq, commands, decisions } : { seq, commands, decisions, dismissed: why }
}

const isNodeEvent = (event: HealthEvent): event is NodeEvent =>
  'node' in event || event.type === 'order.close-breaker'

/** A fact about an old life, or an answer to a probe that is not the one in flight, changes nothing. */
function dismissed(fleet: Fleet, event: HealthEvent, runner: RunnerRecord | null): boolean {
  switch (event.type) {
    case 'probe.passed':
    case 'probe.failed':
    case 'probe.errored':
      return (
        runner === null || (!fleet.loose && (runner.flying === 0 || runner.flying !== event.probe))
      )
    case 'attempt.ended':
      return runner === null && event.record === undefined
    case 'request.cancelled':
      return false
    default:
      return 'runner' in event && runner === null
  }
}

/** Facts that are not about the life of one runner. */
function apply(
  fleet: Fleet,
  event: HealthEvent,
  prepared: readonly (readonly [AppRecord | null, Policy])[],
  runner: RunnerRecord | null,
): void {
  switch (event.type) {
    case 'app.configured':
      return configure(fleet, event, prepared[0]![1])
    case 'app.removed': {
      const app = fleet.apps.get(event.app)
      if (app === undefined) return
      app.removed = true
      drainAll(fleet, app, 'app_removed', 'pool.app_removed')
      return
    }
    case 'policy.configured':
      fleet.globalPolicy = event.policy
      fleet.nodePolicy = resolveNodes(fleet)
      for (const [app, policy] of prepared) adopt(fleet, app!, policy)
      return
    case 'policy.changed':
      if (event.app === null) {
        fleet.globalOverrides = merged(fleet.globalOverrides, event.change)
        fleet.nodePolicy = resolveNodes(fleet)
      }
      for (const [app, policy] of prepared) {
        if (event.app !== null) app!.overrides = merged(app!.overrides, event.change)
        adopt(fleet, app!, policy)
      }
      return
    case 'core.started':
      fleet.wallOffset = event.wall - event.at
      fleet.control = true
      if (fleet.shuttingDown) {
        // The end that was ordered is over: pools fill again.
        fleet.shuttingDown = false
        for (const app of fleet.apps.values()) fleet.dirty.add(app)
      }
      return voidFlights(fleet, event.at)
    case 'clock.resumed':
      fleet.wallOffset = event.wall - event.at
      fleet.stoodStillAt = event.at
      return
    case 'control.ended':
      fleet.control = event.passed
      if (event.passed) {
        fleet.unwellAlerted = false
        for (const app of fleet.apps.values()) if (app.held.length > 0) fleet.guarded.add(app)
      }
      return
    case 'traffic.counted': {
      const app = fleet.apps.get(event.app)
      if (app === undefined) return
      event.runners.forEach((id, i) => {
        const counted = fleet.runners.get(id)
        if (counted === undefined || !traits(counted.configuration).serving) return
        touch(fleet, counted)
        told(fleet, counted, event.inFlight[i]!, event.at)
        if (event.served[i]! > 0) proveStart(fleet, counted)
        if (event.inFlight[i] === 0 && event.started[i]! > 0) counted.idleSince = event.at
      })
      app.waiting = event.waiting
      app.queued = event.queued
      fleet.dirty.add(app)
      return
    }
    case 'attempt.ended': {
      const app = fleet.apps.get(event.app)
      if (app !== undefined && event.record !== undefined)
        settleRequest(fleet, app, null, event, false)
      return
    }
    case 'lease.expired': {
      const app = fleet.apps.get(event.app)
      if (app === undefined) return
      return settleRequest(
        fleet,
        app,
        null,
        {
          ...event,
          type: 'attempt.ended',
          app: event.app,
          runner: '',
          incarnation: 0,
          mode: 'queue',
          outcome: 'gateway_lost',
          status: null,
          inFlight: 0,
        },
        false,
      )
    }
    case 'request.expired':
      return endRequest(fleet, event.request, event.at, 'retry.deadline', 504, 'request_timeout')
    case 'request.cancelled':
      if (event.attempt === undefined)
        return endRequest(fleet, event.request, event.at, 'cancel', 499, 'client_cancelled')
      // A runner that is being ended gets no orders; the end of its attempt is then the end of the request.
      if (runner === null || !traits(runner.configuration).serving) return
      return give(fleet, {
        type: 'cancel',
        id: `cancel:${event.request}:${event.attempt}`,
        runner: runner.id,
        incarnation: runner.incarnation,
        request: event.request,
        attempt: event.attempt,
        cutAfterMs: runner.app.policy.hardCancelAfterMs,
      })
    case 'order.start': {
      const app = fleet.apps.get(event.app)
      if (app !== undefined) tryAgain(fleet, app)
      return
    }
    case 'order.shutdown':
      if (event.keepRunners) return
      fleet.shuttingDown = true
      for (const app of fleet.apps.values()) drainAll(fleet, app, 'shutdown', 'order.shutdown')
      return
    default:
      return
  }
}

/** A request ends before an attempt: one decision, one answer of our own. */
function endRequest(
  fleet: Fleet,
  request: string,
  at: number,
  rule: string,
  status: number,
  errorType: string,
): void {
  const id = `reject:${request}:0`
  give(fleet, { type: 'reject', id, request, status, errorType, quarantine: false, cause: rule })
  push(fleet, {
    seq: 0,
    at,
    subject: { kind: 'request', id: request, incarnation: 0 },
    from: 'queued',
    to: rule === 'cancel' ? 'cancelled' : 'rejected',
    rule,
    compared: [],
    enforced: true,
    because: null,
    commands: [id],
    events: [fleet.seq],
  })
}

/** Deadlines act at their own time, so that waking late changes nothing. */
function elapse(fleet: Fleet, to: number): void {
  for (;;) {
    const deadline = fleet.deadlines.nextDue()
    const rare = fleet.rare.nextDue()
    const probe = mayProbe(fleet) ? fleet.probes.nextDue() : Number.POSITIVE_INFINITY
    const node = fleet.nodes.nextDue()
    const due = Math.min(deadline, rare, probe, node)
    if (due > to) return
    fleet.now = Math.max(fleet.now, due)
    if (node === due) elapseNodes(fleet, due)
    else if (deadline === due) deadlineDue(fleet)
    else if (rare === due) {
      rareDue(fleet, fleet.rare.top())
    } else {
      probeDue(fleet, fleet.owners[fleet.probes.top()] as RunnerRecord)
      continue
    }
    settle(fleet)
  }
}

function deadlineDue(fleet: Fleet): void {
  const slot = fleet.deadlines.top()
  const owner = fleet.owners[slot]
  if (owner instanceof RunnerRecord) touch(fleet, owner)
  fleet.deadlines.clear(slot)
  if (owner instanceof AppRecord) {
    if (owner.panic && owner.calmAt >= 0 && owner.calmAt <= fleet.now) {
      owner.panic = false
      owner.seatsStale = true
      owner.calmAt = -1
      owner.canaryPlace = null
    }
    const { due } = owner
    for (const name of ['guard', 'start', 'pool', 'stable'] as const)
      if (due[name] <= fleet.now) due[name] = Number.NaN
    fleet.dirty.add(owner)
  } else if (owner instanceof RunnerRecord) {
    if (owner.configuration.word === 'backoff') owe(fleet, owner)
    else expire(fleet, owner)
  }
}

/** Everything that a change freed, until nothing moves: checks asked for, guards, vacancies, starts. */
function settle(fleet: Fleet): void {
  for (
    let rounds = 0;
    fleet.asked.length > 0 ||
    fleet.examined.length > 0 ||
    fleet.dirty.size > 0 ||
    fleet.guarded.size > 0;
    rounds++
  ) {
    if (rounds > 1_000_000) throw new Error('the fleet does not settle')
    const asked = fleet.asked.shift()
    if (asked !== undefined) {
      ask(fleet, asked)
      continue
    }
    const examined = fleet.examined.shift()
    if (examined !== undefined) {
      examine(fleet, examined)
      continue
    }
    if (fleet.dirty.size === 0) {
      const app = first(fleet.guarded)
      fleet.guarded.delete(app)
      govern(fleet, app)
      continue
    }
    const app = first(fleet.dirty)
    fleet.dirty.delete(app)
    fleet.guarded.delete(app)
    if (fleet.apps.get(app.id) !== app) continue
    countFailedStarts(fleet, app)
    for (const runner of app.arrivals) watchRare(fleet, runner)
    settlePool(fleet, app)
    // It may have lost its last runner: its slot is somebody else's now.
    if (fleet.apps.get(app.id) !== app) continue
    watchStable(fleet, app)
    govern(fleet, app)
    grantStarts(fleet, app)
    armApp(fleet, app)
  }
}

/** By slot, so that the order never depends on history. */
function first(apps: ReadonlySet<AppRecord>): AppRecord {
  let least: AppRecord | undefined
  for (const app of apps) if (least === undefined || app.slot < least.slot) least = app
  return least!
}

/** Starts scheduled probes whose time has come, as far as the cap allows. */
function startProbes(fleet: Fleet): void {
  while (mayProbe(fleet) && fleet.probes.nextDue() <= fleet.now)
    probeDue(fleet, fleet.owners[fleet.probes.top()] as RunnerRecord)
}
