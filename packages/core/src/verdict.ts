/**
 * What a fact means: each kind of fact is translated into the verdicts that the charts know, in order, and nothing else. It never
 * decides a transition, and an old life's fact never reaches a chart.
 */
import type { AttemptEnded, HealthEvent, RunnerOrderGiven } from './event.ts'
import { leaveNode } from './node-bond.ts'
import { BY_RUNNER, outcomeRules, outcomes } from './outcome.ts'
import {
  answered,
  betweenRequests,
  lookCloser,
  portOpened,
  TCP_FRESH_MS,
  watchPort,
  watchRare,
} from './probe.ts'
import { settleRequest } from './request.ts'
import { degrade, owe, proveStart } from './start.ts'
import { runnersOf, type AppRecord, type Fleet, type RunnerRecord } from './state.ts'
import { cancelProbe, touch } from './give.ts'
import { tell } from './tell.ts'
import { traits } from './word.ts'

/** The runner that a fact is about, when the fact is about its present life. */
export function subjectOf(
  fleet: Fleet,
  event: { readonly runner: string; readonly incarnation?: number },
): RunnerRecord | null {
  const runner = fleet.runners.get(event.runner)
  return runner !== undefined &&
    (event.incarnation === undefined || event.incarnation === runner.incarnation)
    ? runner
    : null
}

/** Translates one fact about a runner. */
export function applyRunnerFact(
  fleet: Fleet,
  runner: RunnerRecord,
  event: Extract<HealthEvent, { readonly runner: string }>,
): void {
  const { at } = event
  const seq = fleet.seq
  touch(fleet, runner)
  switch (event.type) {
    case 'process.started':
      runner.pid = event.pid
      runner.startTime = event.startTime ?? null
      runner.url = event.url
      tell(fleet, runner, { type: 'process.started', at, seq })
      return watchPort(fleet, runner)
    case 'process.adopted':
      return
    case 'provision.refused':
      return refused(fleet, runner, event)
    case 'port.opened':
      if (runner.flyingKind === 'port') runner.flying = 0
      runner.probed(at, 'port', true, null, null, event.latencyMs)
      return portOpened(fleet, runner, at, seq)
    case 'setup.failed':
      return tell(fleet, runner, { type: 'setup.failed', at, seq })
    case 'process.exited':
      return tell(fleet, runner, { type: 'process.exited', at, seq })
    case 'probe.passed':
    case 'probe.failed':
    case 'probe.errored':
      return answered(fleet, runner, event)
    case 'attempt.ended':
      return applyAttempt(fleet, runner, event)
    case 'work.counted':
      // The answer may come when the runner has already left service: its work is no longer the pool's.
      if (!traits(runner.configuration).serving) return
      told(fleet, runner, event.inFlight, at)
      return tell(fleet, runner, { type: 'work.left', inFlight: event.inFlight, at, seq })
    case 'heartbeat.received': {
      const { heartbeatTtlMs } = runner.app.policy
      if (heartbeatTtlMs === null || !traits(runner.configuration).serving) return
      fleet.rare.set(runner.slot * 3, at + heartbeatTtlMs)
      runner.episode = null
      if (runner.context.signal === 'heartbeat')
        tell(fleet, runner, { type: 'probe.passed', at, seq })
      return
    }
    case 'attempt.stalled':
      return tell(fleet, runner, {
        type: 'check.asked',
        kind: 'progress',
        rule: 'health.progress',
        at,
        seq,
      })
    case 'order.stop':
    case 'order.drain':
      return drain(fleet, runner, event)
    case 'order.kill':
      return tell(fleet, runner, { type: 'order.kill', at, seq })
    case 'order.check': {
      const { hasCheck, callRegularly } = runner.app.policy
      // A check that is not made regularly is made because somebody asked: as a manual one.
      if (event.manual || (hasCheck && !callRegularly))
        return tell(fleet, runner, {
          type: 'check.asked',
          kind: hasCheck ? 'manual' : 'tcp',
          rule: event.by === BY_RUNNER ? 'health.manual' : 'order.check',
          at,
          seq,
        })
      if (hasCheck && traits(runner.configuration).serving) fleet.probes.set(runner.slot, at)
      return
    }
    default:
      event satisfies never
  }
}

/** The gauge of a runner as a fact tells it. */
export function told(fleet: Fleet, runner: RunnerRecord, inFlight: number, at: number): void {
  if (inFlight === runner.counted) return
  touch(fleet, runner)
  runner.app.working += inFlight - runner.counted
  const fellIdle = inFlight === 0 && runner.counted > 0
  if (fellIdle) runner.idleSince = at
  runner.counted = inFlight
  if (fellIdle) betweenRequests(fleet, runner)
  fleet.dirty.add(runner.app)
}

/** No capacity: asked again after a fixed delay, not counted. A configuration error: nothing is started until it changes. */
function refused(
  fleet: Fleet,
  runner: RunnerRecord,
  event: Extract<HealthEvent, { type: 'provision.refused' }>,
): void {
  const { app } = runner
  const asked = runner.configuration.word === 'provisioning'
  tell(fleet, runner, { type: 'provision.refused', at: event.at, seq: fleet.seq })
  if (!asked) return
  // It holds no device while it waits: it would be the one that it waits for.
  leaveNode(fleet, runner)
  runner.refusals++
  if (app.trial === runner) app.trial = null
  if (event.why === 'no_capacity') {
    runner.place.refused = runner.place.next === runner
    fleet.deadlines.set(runner.slot, event.at + app.policy.noCapacityMs)
    fleet.dirty.add(app)
    return
  }
  app.broken = event.detail
  degrade(
    fleet,
    app,
    `A runner cannot be started: ${event.detail.replace(/\.$/, '')}. Change the configuration, or order a start to try again.`,
  )
  owe(fleet, runner)
}

/** An operator's drain or stop; with `replace` the successor comes first. */
function drain(fleet: Fleet, runner: RunnerRecord, event: RunnerOrderGiven): void {
  const reason = event.type === 'order.stop' ? 'stopped' : 'drained'
  const { place } = runner
  if (
    event.replace === true &&
    place.current === runner &&
    place.url === null &&
    traits(runner.configuration).serving
  ) {
    // A node that waits for it asked for the same, and has a deadline.
    if (place.handover?.reason === 'node_drained') return
    place.handover = { reason: 'replaced', rule: event.type }
    runner.app.vacant.push(place)
    fleet.dirty.add(runner.app)
    return
  }
  tell(fleet, runner, {
    type: 'drain.ordered',
    reason,
    rule: event.type,
    inFlight: event.inFlight,
    at: event.at,
    seq: fleet.seq,
  })
}

/** How an attempt ended: first what it means for the runner, then that its slot is free, then what becomes of the request. */
function applyAttempt(fleet: Fleet, runner: RunnerRecord, event: AttemptEnded): void {
  const { at, headers, outcome, status } = event
  const { app } = runner
  const seq = fleet.seq
  const row = outcomes[outcome]
  const serving = traits(runner.configuration).serving
  const success = status !== null && status >= 200 && status < 300
  if (success) {
    proveStart(fleet, runner)
    const { asked } = runner.context
    tell(fleet, runner, { type: 'work.served', at, seq })
    // Real work refuted the doubt: the check that was on its way would answer a question nobody asks any more.
    if (asked !== null && runner.context.asked === null && runner.flyingKind !== 'regular') {
      cancelProbe(fleet, runner)
      runner.wanted = null
    }
  }
  if (headers?.stop === true)
    tell(fleet, runner, {
      type: 'died',
      reason: 'stop_header',
      rule: 'outcome.stop_header',
      at,
      seq,
    })
  else if (row.runner === 'ends' && !(outcome === 'server_error' && headers?.stop === false)) {
    if (outcome === 'crashed' && !serving) tell(fleet, runner, { type: 'process.exited', at, seq })
    else
      tell(fleet, runner, {
        type: 'died',
        reason: row.reason,
        rule: outcomeRules[outcome],
        at,
        seq,
      })
  } else if (headers?.check === true) {
    tell(fleet, runner, {
      type: 'check.asked',
      kind: app.policy.hasCheck ? 'manual' : 'tcp',
      rule: 'health.manual',
      at,
      seq,
    })
  } else if (row.runner === 'tcp_check') {
    if (runner.tcpPassedAt >= 0 && at - runner.tcpPassedAt < TCP_FRESH_MS)
      lookCloser(fleet, runner, at, seq)
    else
      tell(fleet, runner, {
        type: 'check.asked',
        kind: 'tcp',
        rule: outcomeRules[outcome],
        at,
        seq,
      })
  }
  const ended = serving && !traits(runner.configuration).serving
  if (traits(runner.configuration).serving) {
    told(fleet, runner, event.inFlight, at)
    tell(fleet, runner, { type: 'work.left', inFlight: event.inFlight, at, seq })
  }
  if (event.record !== undefined) settleRequest(fleet, app, runner, event, ended)
}

/** A start under way when the app was configured or people asked. */
export function tryAgain(fleet: Fleet, app: AppRecord): void {
  app.broken = null
  app.degraded = false
  app.nextStartAt = -1
  fleet.dirty.add(app)
}

/** The supervisor began again: probes in flight and gauges of before are void; nothing else moves. */
export function voidFlights(fleet: Fleet, at: number): void {
  fleet.flying = 0
  // By app, not by age: a restored fleet knows no order between apps.
  for (const runner of runnersOf(fleet)) {
    touch(fleet, runner)
    const { serving, draining, paused } = traits(runner.configuration)
    if (runner.flying > 0) {
      const kind = runner.flyingKind
      runner.flying = 0
      if (kind === 'port') watchPort(fleet, runner)
      else if (kind !== 'regular' && serving) runner.wanted ??= runner.context.asked ?? 'exclusive'
    }
    told(fleet, runner, 0, at)
    if (runner.wanted !== null && serving) fleet.asked.push(runner)
    if (serving) watchRare(fleet, runner)
    if (draining || paused)
      tell(fleet, runner, { type: 'work.left', inFlight: 0, at, seq: fleet.seq })
  }
}
