/**
 * The bond between nodes and the runners that sit on them: facts about nodes go in, drains and faults of runners come out, places
 * are given and given back. What a reading means is decided in `nodes.ts`, what ends a runner in its chart.
 */
import type { NodeEvent } from './node-event.ts'
import { nodeTunables, resolveNodePolicy, type NodePolicy } from './node-policy.ts'
import type { NodesEnv, NodesStep } from './nodes.ts'
import type { OptionSpec } from './option.ts'
import { runnersOf, type Fleet, type RunnerRecord } from './state.ts'
import { factBehind, give, touch } from './give.ts'
import { tell } from './tell.ts'
import type { PolicyOptions } from './tunable.ts'
import { traits } from './word.ts'

/** Names that `policy` may hold beside the tunables of runners. */
export const nodeOptions: Readonly<Record<string, OptionSpec>> = {
  ...nodeTunables,
  xid: { kind: 'object', default: null, reason: 'overrides of the Xid table: { number: class }' },
}

/** The numbers by which nodes are judged; throws HEALTH_POLICY_INVALID. */
export function nodePolicyOf(policy: Readonly<Record<string, unknown>>): NodePolicy {
  return resolveNodePolicy(policy, (policy['xid'] as Record<string, unknown> | undefined) ?? {})
}

/** What the fleet's nodes are judged by: what the configuration told of them, else the fleet's own policy; orders of people over both. */
export function resolveNodes(
  fleet: Fleet,
  overrides: Readonly<Record<string, unknown>> = fleet.globalOverrides,
  base: PolicyOptions = fleet.globalPolicy,
): NodePolicy {
  return nodePolicyOf({ ...(fleet.nodes.tunables ?? base), ...overrides })
}

const env = (fleet: Fleet): NodesEnv => ({
  policy: fleet.nodePolicy,
  nextDecision: () => ++fleet.decisionSeq,
  runnerByPid: (node, pid) => {
    for (const runner of runnersOf(fleet))
      if (runner.node === node && runner.pid === pid) return runner.id
    return null
  },
})

/** Takes one fact about a node. Answers why it changed nothing and need not be kept; null when it was taken. */
export function applyNodeFact(fleet: Fleet, event: NodeEvent): string | null {
  if (event.type === 'node.configured' && event.policy !== undefined) {
    fleet.nodes.tunables = event.policy
    fleet.nodePolicy = resolveNodes(fleet)
  }
  const result = fleet.nodes.step({ ...event, seq: fleet.seq } as NodeEvent, env(fleet))
  absorb(fleet, result)
  return result.dismissed
}

/** Lets deadlines of nodes act. */
export function elapseNodes(fleet: Fleet, at: number): void {
  absorb(fleet, fleet.nodes.elapse(at, env(fleet)))
}

function absorb(fleet: Fleet, result: NodesStep): void {
  for (const command of result.commands) give(fleet, command)
  // They have their numbers already.
  if (result.decisions.length > 0) fleet.decisions = [...fleet.decisions, ...result.decisions]
  for (const effect of result.effects) {
    switch (effect.type) {
      case 'runner.drain': {
        const runner = fleet.runners.get(effect.runner)
        if (runner !== undefined) drainFromNode(fleet, runner, effect.rule, effect.deadlineMs)
        break
      }
      case 'device.fault': {
        const runner = fleet.runners.get(effect.runner)
        if (runner !== undefined)
          tell(fleet, runner, {
            type: effect.doubt ? 'doubt.proved' : 'died',
            reason: 'device_fault',
            rule: effect.rule,
            at: fleet.now,
            seq: factBehind(fleet, runner),
          })
        break
      }
      case 'evidence':
        fleet.evidence.push(effect)
        break
      case 'node.returned':
        for (const app of fleet.apps.values()) fleet.dirty.add(app)
        break
      case 'node.grew':
        askAgain(fleet)
        break
      default:
        effect satisfies never
    }
  }
}

/** The successor starts elsewhere first; past the deadline the runner ends, with or without one. */
function drainFromNode(fleet: Fleet, runner: RunnerRecord, rule: string, deadlineMs: number): void {
  const { place } = runner
  if (place.current !== runner || !traits(runner.configuration).serving || runner.fixedUrl !== null)
    return drainNow(fleet, runner, rule)
  touch(fleet, runner)
  place.handover = { reason: 'node_drained', rule }
  runner.app.vacant.push(place)
  fleet.dirty.add(runner.app)
  fleet.rare.set(runner.slot * 3 + 2, fleet.now + deadlineMs)
}

/** Drains a runner of a node that leaves service. */
function drainNow(fleet: Fleet, runner: RunnerRecord, rule: string): void {
  const inFlight = traits(runner.configuration).serving ? -1 : 0
  tell(fleet, runner, {
    type: 'drain.ordered',
    reason: 'node_drained',
    rule,
    inFlight,
    at: fleet.now,
    seq: factBehind(fleet, runner),
  })
}

/** Finds room for a start; false when no node has any. */
export function seatOnNode(fleet: Fleet, runner: RunnerRecord): boolean {
  const { devices } = runner.app.policy
  const found = fleet.nodes.place(devices, fleet.now, fleet.nodePolicy)
  if (found === null) return false
  runner.node = found.node
  runner.devices = found.devices
  fleet.nodes.occupy(runner.id, found)
  return true
}

/** No process of the runner is left: its devices are free. */
export function leaveNode(fleet: Fleet, runner: RunnerRecord): void {
  const ran = runner.pid !== null
  absorb(fleet, fleet.nodes.vacate(runner.id, fleet.now, env(fleet), fleet.seq, ran))
  if (runner.devices.length > 0) askAgain(fleet)
  runner.devices = []
}

/** A device became free: starts that found none need not wait for their next try. */
function askAgain(fleet: Fleet): void {
  for (const app of fleet.apps.values())
    if (app.starting.length > 0 && app.policy.devices > 0) fleet.dirty.add(app)
}
