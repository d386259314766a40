/**
 * When a runner is probed and what an answer means: cadence, jitter, single flight, the cap, checks that were asked for. The
 * chart says which cadence and asks for checks; whether an answer ends a runner is the chart's to say.
 */
import { chance } from './chance.ts'
import type { HealthEvent, ProbeKind } from './event.ts'
import { countProbe } from './guard.ts'
import type { Asked } from './runner.ts'
import type { AppRecord, Fleet, RunnerRecord } from './state.ts'
import { count, factBehind, give, push, touch } from './give.ts'
import { expire, tell } from './tell.ts'
import { toldWord, traits } from './word.ts'

/** How often a port is tried while a runner sets up, in ms. */
export const PORT_EVERY_MS = 250
/** A TCP check that passed is not repeated within this time, in ms. */
export const TCP_FRESH_MS = 1000
/** How often an asked check is asked again when the failure was ours. */
const MAX_FUMBLES = 3

type ProbeAnswer = Extract<HealthEvent, { type: 'probe.passed' | 'probe.failed' | 'probe.errored' }>

/** Whether scheduled probes may start now. */
export const mayProbe = (fleet: Fleet): boolean => fleet.flying < fleet.maxProbes

/** The cap of scheduled probes is the fleet's: the largest that any app asks for, 64 without apps. */
export function limitProbes(fleet: Fleet): void {
  let most = fleet.apps.size === 0 ? 64 : 1
  for (const app of fleet.apps.values()) most = Math.max(most, app.policy.maxConcurrentProbes)
  fleet.maxProbes = most
}

/** Starts the scheduled probe of a runner and sets when the next one is due. */
export function probeDue(fleet: Fleet, runner: RunnerRecord): void {
  touch(fleet, runner)
  const { policy } = runner.app
  const { probe, stage } = traits(runner.configuration)
  if (probe === 'none' || !policy.hasCheck || !(policy.callRegularly || stage === 'starting'))
    return fleet.probes.clear(runner.slot)
  // What came before it was ready, as a first pass, is no check of the cadence.
  const first = runner.probes <= 1 || fleet.probes.due(runner.slot) === runner.readyAt
  fleet.probes.set(
    runner.slot,
    nextProbeAt(fleet, runner, probe === 'fast' || stage === 'starting', first),
  )
  // Single flight: a tick that is missed is skipped, never made up for.
  if (runner.flying > 0 || runner.wanted !== null) return
  launch(fleet, runner, 'regular')
}

function nextProbeAt(fleet: Fleet, runner: RunnerRecord, fast: boolean, first: boolean): number {
  const { policy } = runner.app
  const draw = chance(fleet.seed, runner.chanceKey, runner.incarnation * 65_536 + runner.probes)
  // Runners that started together do not stay in step: the second probe comes after a random share of the interval.
  if (!fast && first) return fleet.now + Math.max(1, Math.round(policy.intervalMs * draw))
  // The checks in between come beside the regular ones, never in their place.
  const every = fast ? Math.min(policy.suspectIntervalMs, policy.intervalMs) : policy.intervalMs
  const jitter = policy.probeJitterPercent / 100
  const due = fleet.now + Math.max(1, Math.round(every * (1 + (2 * draw - 1) * jitter)))
  const { strikes, struckAt } = runner.context
  const tooSoon = strikes.length > 0 && fleet.now - struckAt < policy.strikeGapMs
  return fast && tooSoon
    ? Math.min(due, struckAt + Math.ceil(policy.intervalMs * (1 + jitter)))
    : due
}

/** Orders a probe. */
function launch(fleet: Fleet, runner: RunnerRecord, kind: ProbeKind): void {
  const { policy } = runner.app
  runner.flying = ++runner.probes
  runner.flyingKind = kind
  if (kind === 'regular') fleet.flying++
  give(fleet, {
    type: 'probe',
    id: `probe:${runner.id}.${runner.incarnation}:${runner.flying}`,
    runner: runner.id,
    incarnation: runner.incarnation,
    probe: runner.flying,
    kind,
    timeoutMs:
      kind === 'tcp'
        ? policy.tcpCheckTimeoutMs
        : kind === 'port'
          ? policy.tcpCheckTimeoutMs
          : policy.timeoutMs,
    ...(kind === 'port' && { everyMs: PORT_EVERY_MS }),
  })
}

/** Begins to try the port of a runner whose process lives. */
export function watchPort(fleet: Fleet, runner: RunnerRecord): void {
  if (traits(runner.configuration).probe === 'port' && runner.flying === 0)
    launch(fleet, runner, 'port')
}

/**
 * The kind of probe that answers an asked check: TCP where the check is configured no more. A stalled runner has work in flight, beside
 * which no exclusive check may run.
 */
const probeFor = (asked: Asked, { policy }: AppRecord): ProbeKind => {
  if (!policy.hasCheck) return 'tcp'
  return asked === 'progress' ? (policy.exclusive ? 'tcp' : 'manual') : asked
}

const needsPause = (asked: Asked, app: AppRecord): boolean =>
  app.policy.hasCheck && (asked === 'exclusive' || (asked === 'manual' && app.policy.exclusive))

/**
 * Begins the check that is wanted, or goes on with it: at once and beside the cap, but an exclusive one first waits for an empty
 * runner, and is skipped on one that drains: it will be empty only when it ends.
 */
export function ask(fleet: Fleet, runner: RunnerRecord): void {
  const { asked } = runner.context
  const { serving, accepting, paused } = traits(runner.configuration)
  // Between requests the fleet wants an exclusive check, not the chart, and only while the runner is paused for it.
  runner.wanted = serving ? (asked ?? (paused ? 'exclusive' : null)) : null
  if (runner.wanted === null) return
  if (asked === null || !needsPause(asked, runner.app)) return start(fleet, runner)
  if (accepting)
    tell(fleet, runner, {
      type: 'check.due',
      inFlight: -1,
      at: fleet.now,
      seq: factBehind(fleet, runner),
    })
  // Whether it is empty may have been said before the check could start: ask again.
  else if (paused) count(fleet, runner)
  else runner.wanted = null
}

/** The runner is empty and paused: the exclusive check may run. */
export function examine(fleet: Fleet, runner: RunnerRecord): void {
  runner.wanted ??= runner.context.asked ?? 'exclusive'
  start(fleet, runner)
}

/** Starts the wanted check unless a probe is in flight; then a fresh one follows its answer. */
function start(fleet: Fleet, runner: RunnerRecord): void {
  if (runner.wanted === null || !traits(runner.configuration).serving) return
  if (runner.flying > 0) return
  const kind = probeFor(runner.wanted, runner.app)
  runner.wanted = null
  launch(fleet, runner, kind)
}

/** What a probe's answer means; told to the chart. */
export function answered(fleet: Fleet, runner: RunnerRecord, event: ProbeAnswer): void {
  const { app } = runner
  const { at, kind } = event
  const seq = fleet.seq
  const covered = runner.wanted
  const pending = runner.context.asked
  if (runner.flying > 0) {
    if (runner.flyingKind === 'regular') fleet.flying--
    runner.flying = 0
  }
  const passed = event.type === 'probe.passed'
  const error = passed ? null : (event.why ?? event.detail ?? 'error')
  runner.probed(at, kind, passed, event.status ?? null, error, event.latencyMs)
  if (kind !== 'port')
    countProbe(app, at, runner.slot, event.type === 'probe.failed' && event.why === 'timeout')
  if (event.type === 'probe.errored') {
    if (kind === 'port') return watchPort(fleet, runner)
    if (kind !== 'regular') fumbled(fleet, runner, kind)
    else if (covered !== null) start(fleet, runner)
    return
  }
  if (event.type === 'probe.passed') runner.episode = null
  runner.fumbles = 0
  if (kind === 'regular') {
    watchSlow(fleet, runner, event)
    tell(
      fleet,
      runner,
      event.type === 'probe.passed'
        ? { type: 'probe.passed', at, seq }
        : { type: 'probe.failed', signal: 'probe', at, seq },
    )
  } else if (kind === 'port') {
    // A prober reports the pass alone; whatever else it says, the port is still awaited.
    if (event.type === 'probe.passed') portOpened(fleet, runner, at, seq)
    else watchPort(fleet, runner)
  } else if (event.type === 'probe.passed') {
    if (kind === 'tcp') runner.tcpPassedAt = at
    // After too many errors of ours TCP decides in the place of what was asked for.
    const { paused } = traits(runner.configuration)
    const meant =
      kind === 'tcp' && covered === null ? (pending ?? (paused ? 'exclusive' : kind)) : kind
    tell(fleet, runner, {
      type: 'check.passed',
      kind: pending === 'progress' ? 'progress' : meant,
      doubt: false,
      at,
      seq,
    })
  } else {
    tell(fleet, runner, { type: 'check.failed', kind, doubt: event.why === 'timeout', at, seq })
  }
  if (kind === 'tcp' && pending === 'tcp' && event.type === 'probe.passed')
    lookCloser(fleet, runner, at, seq)
  if (runner.wanted === null) return
  // A check asked for meanwhile is not answered by the one that flew: a fresh one, now, even when a regular pass made the runner
  // ready again, or a TCP check that timed out is over and a guard holds the runner.
  if (pending === null || runner.context.asked !== null) return ask(fleet, runner)
  // The chart asks when it is told: a second question would wait for the answer to the first, and ask for one more for ever.
  tell(fleet, runner, { type: 'check.asked', kind: pending, rule: 'health.manual', at, seq })
}

/** The port accepts. A runner that must pass a check first is asked at once. */
export function portOpened(fleet: Fleet, runner: RunnerRecord, at: number, seq: number): void {
  // The age of an adopted server counts from the first connection that it accepted.
  if (runner.fixedUrl !== null && traits(runner.configuration).stage === 'starting')
    runner.context.startedAt = at
  tell(fleet, runner, { type: 'port.opened', at, seq })
  if (traits(runner.configuration).stage === 'starting' && runner.context.opened)
    fleet.probes.set(runner.slot, at)
}

/** An error whose TCP check passed: an app with an exclusive check has it made, at most once an interval (`health.after_error`). */
export function lookCloser(fleet: Fleet, runner: RunnerRecord, at: number, seq: number): void {
  const { policy } = runner.app
  if (!policy.hasCheck || !policy.exclusive || !traits(runner.configuration).serving) return
  if (runner.exclusiveAt >= 0 && at - runner.exclusiveAt < policy.intervalMs) return
  runner.exclusiveAt = at
  tell(fleet, runner, {
    type: 'check.asked',
    kind: 'exclusive',
    rule: 'health.after_error',
    at,
    seq,
  })
}

/** The check could not be made because of us: asked again at once, a few times; then TCP decides; then the next interval. */
function fumbled(fleet: Fleet, runner: RunnerRecord, kind: ProbeKind): void {
  runner.fumbles++
  if (runner.fumbles <= MAX_FUMBLES) return launch(fleet, runner, kind)
  runner.fumbles = 0
  if (kind !== 'tcp') return launch(fleet, runner, 'tcp')
  runner.wanted = runner.context.asked
  // Nobody is left to wait for: the runner takes work again, as when the wait for its work was too long.
  if (traits(runner.configuration).paused) expire(fleet, runner)
  else fleet.rare.set(runner.slot * 3 + 1, fleet.now + runner.app.policy.suspectIntervalMs)
}

/** Three slow regular probes in a row are worth a warning, never a verdict. */
function watchSlow(fleet: Fleet, runner: RunnerRecord, event: ProbeAnswer): void {
  const half = runner.app.policy.timeoutMs / 2
  runner.slowRow = event.type === 'probe.passed' && event.latencyMs > half ? runner.slowRow + 1 : 0
  if (runner.slowRow !== 3) return
  const word = toldWord(runner)
  push(fleet, {
    seq: 0,
    at: event.at,
    subject: { kind: 'runner', id: runner.id, incarnation: runner.incarnation },
    from: word,
    to: word,
    rule: 'health.slow',
    compared: [
      {
        name: 'latency',
        value: event.latencyMs,
        op: '>',
        threshold: half,
        option: 'timeoutSeconds',
      },
    ],
    enforced: false,
    because: 'health.slow',
    commands: [],
    events: [fleet.seq],
  })
}

/** Sets the rare deadlines of a runner that serves: missed heartbeats, exclusive checks between requests. Not `anew`: one that is armed keeps its time. */
export function watchRare(fleet: Fleet, runner: RunnerRecord, anew = true): void {
  const { policy } = runner.app
  const arm = (key: number, afterMs: number): void => {
    if (anew || Number.isNaN(fleet.rare.due(key))) fleet.rare.set(key, fleet.now + afterMs)
  }
  // Switched on again they are awaited from then on: those that came meanwhile were not looked at.
  if (policy.heartbeatTtlMs === null) fleet.rare.clear(runner.slot * 3)
  else arm(runner.slot * 3, policy.heartbeatTtlMs)
  if (policy.exclusive && policy.betweenRequestsMs > 0)
    arm(runner.slot * 3 + 1, policy.betweenRequestsMs)
}

/** A runner fell idle: an exclusive check that waited for that is made next, once what has just ended was judged. */
export function betweenRequests(fleet: Fleet, runner: RunnerRecord): void {
  const { exclusive, betweenRequestsMs } = runner.app.policy
  if (!exclusive || betweenRequestsMs === 0 || runner.wanted !== null) return
  const due = Math.max(runner.exclusiveAt, runner.readyAt) + betweenRequestsMs
  if (due <= fleet.now) fleet.rare.set(runner.slot * 3 + 1, fleet.now + 1)
}

/** A rare deadline passed. */
export function rareDue(fleet: Fleet, key: number): void {
  const runner = fleet.owners[Math.floor(key / 3)]
  const known = runner !== null && runner !== undefined && 'place' in runner
  if (known) touch(fleet, runner)
  fleet.rare.clear(key)
  if (!known) return
  const { policy } = runner.app
  const { serving, accepting } = traits(runner.configuration)
  if (!serving) return
  if (key % 3 === 2) {
    const { place, context } = runner
    const { handover } = place
    const waits = handover !== null && place.current === runner
    const order = waits ? handover : context.leaving
    // Somebody else may have told it to leave since: the node still waits for it no longer than that.
    const rule = order?.reason === 'node_drained' ? order.rule : 'node.drain'
    tell(fleet, runner, {
      type: 'died',
      reason: 'node_drained',
      rule,
      at: fleet.now,
      seq: factBehind(fleet, runner),
    })
    return
  }
  if (key % 3 === 0) {
    if (policy.heartbeatTtlMs === null) return
    fleet.rare.set(key, fleet.now + policy.heartbeatTtlMs)
    tell(fleet, runner, {
      type: 'probe.failed',
      signal: 'heartbeat',
      at: fleet.now,
      seq: factBehind(fleet, runner),
    })
    return
  }
  const between = policy.exclusive && policy.betweenRequestsMs > 0
  if (between) fleet.rare.set(key, fleet.now + policy.betweenRequestsMs)
  if (runner.wanted !== null) return ask(fleet, runner)
  if (!between || !accepting) return
  const due = Math.max(runner.exclusiveAt, runner.readyAt) + policy.betweenRequestsMs
  if (due > fleet.now) return fleet.rare.set(key, due)
  // One that is at work is looked at as soon as it is not.
  if (runner.counted > 0) return
  runner.exclusiveAt = fleet.now
  tell(fleet, runner, {
    type: 'check.due',
    inFlight: -1,
    at: fleet.now,
    seq: factBehind(fleet, runner),
  })
}
