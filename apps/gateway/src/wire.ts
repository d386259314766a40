/**
 * The fleet in the wire's words: observed milliseconds become dates, internal numbers become seconds. It shows, and decides
 * nothing.
 */
import {
  appView,
  type AttemptLine,
  type Clock,
  type Fleet,
  type NodePolicy,
  type Policy,
  type NodeView,
  type QueueEntry,
  type RunnerView,
} from '@health/core'
import type { CallEntry } from './call-log.ts'

/** A date on the wire, from Unix ms. */
export const isoOf = (unixMs: number): string => new Date(unixMs).toISOString()

const observed = (clock: Clock, at: number): string => isoOf(clock.wall(at))

/** A Runner object. */
export function runnerObject(clock: Clock, runner: RunnerView): Record<string, unknown> {
  const { lastProbe, effectiveStartPeriodMs } = runner
  return {
    id: runner.id,
    app: runner.app,
    incarnation: runner.incarnation,
    state: runner.state,
    substate: runner.substate,
    falState: runner.falState,
    suspect: runner.suspect,
    accepting: runner.accepting,
    reason: runner.reason,
    since: observed(clock, runner.since),
    inFlight: runner.inFlight,
    node: runner.node,
    url: runner.url,
    pid: runner.pid,
    startedAt: runner.startedAt === null ? null : observed(clock, runner.startedAt),
    failures: runner.failures,
    effectiveStartPeriodSeconds: effectiveStartPeriodMs / 1000,
    lastProbe: lastProbe === null ? null : { ...lastProbe, at: observed(clock, lastProbe.at) },
    replaces: runner.replaces,
  }
}

/** The names of a policy as they are configured: seconds for milliseconds. */
export function policyObject(policy: Policy | NodePolicy): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(policy).map(([name, value]) =>
      name.endsWith('Ms')
        ? [`${name.slice(0, -2)}Seconds`, typeof value === 'number' ? value / 1000 : value]
        : [name, value],
    ),
  )
}

const checkNames = [
  'path',
  'method',
  'startPeriodSeconds',
  'effectiveStartPeriodSeconds',
  'timeoutSeconds',
  'failureThreshold',
  'successThreshold',
  'callRegularly',
  'intervalSeconds',
  'suspectIntervalSeconds',
  'exclusive',
  'exclusiveWaitSeconds',
  'betweenRequestsSeconds',
  'readyAfterFirstPass',
  'progressTimeoutSeconds',
  'heartbeatTtlSeconds',
] as const

/** An App object; null for an unknown app. */
export function appObject(fleet: Fleet, id: string): Record<string, unknown> | null {
  const app = appView(fleet, id)
  if (app === null) return null
  const policy = policyObject(app.policy)
  const healthCheck = app.policy.hasCheck
    ? Object.fromEntries(checkNames.map((name) => [name, policy[name]]))
    : null
  return {
    id,
    degraded: app.degraded || app.broken !== null,
    target: app.target,
    runners: app.runners,
    inFlight: app.inFlight,
    waiting: app.waiting,
    queued: app.queued,
    healthCheck,
    policy,
  }
}

const attemptObject = (line: AttemptLine): Record<string, unknown> => ({
  ...line,
  startedAt: isoOf(line.startedAt),
  endedAt: isoOf(line.endedAt),
})

/** A Request object, from the queue or from the memory of direct calls. */
export function requestObject(entry: QueueEntry | CallEntry): Record<string, unknown> {
  const { final } = entry
  return {
    id: entry.id,
    app: entry.app,
    mode: 'mode' in entry ? entry.mode : 'queue',
    status: 'status' in entry ? entry.status : 'COMPLETED',
    submittedAt: isoOf(entry.submittedAt),
    position: 'position' in entry ? entry.position : null,
    priority: 'priority' in entry ? entry.priority : 'normal',
    attempts: entry.attempts.map(attemptObject),
    final:
      final === null
        ? null
        : {
            status: final.status,
            error_type: final.errorType,
            at: isoOf(final.at),
            ...('cause' in final && final.cause !== null && { cause: final.cause }),
          },
  }
}

/** A Node object. */
export function nodeObject(clock: Clock, node: NodeView): Record<string, unknown> {
  return { ...node, since: observed(clock, node.since) }
}

/** All Node objects, in the order in which the nodes came. */
export function nodeObjects({
  fleet,
  clock,
}: {
  readonly fleet: Fleet
  readonly clock: Clock
}): readonly Record<string, unknown>[] {
  return fleet.nodes.ids().flatMap((id) => {
    const node = fleet.nodes.view(id)
    return node === null ? [] : [nodeObject(clock, node)]
  })
}
