/**
 * One turn of the nodes: the working set of one step, and the only way by which a verdict reaches the chart. What the chart
 * orders becomes commands, a change of state becomes a decision; what a verdict means is decided elsewhere.
 */
import type { AlertName, Command } from './command.ts'
import { compile } from './compile.ts'
import type { Deadlines } from './deadline.ts'
import type { Compared, Decision } from './decision.ts'
import { nodeMachine, type NodeContext, type NodeState, type NodeVerdict } from './node.ts'
import type { BreakerState } from './node-breaker.ts'
import type { NodeEvidence } from './node-view.ts'
import type { NodePolicy } from './node-policy.ts'
import type { NodeRecord } from './node-record.ts'
import type { Configuration, Expired, Performance } from './table.ts'

let compiled: ReturnType<typeof compile<typeof nodeMachine>> | null = null

/** The node's chart as a table; made with the first node, which a fleet of fixed URLs never has. */
export const nodeTable = () => (compiled ??= compile(nodeMachine))

/** What the fleet lends for one step. */
export interface NodesEnv {
  readonly policy: NodePolicy
  /** Number of the next decision; called once for each. */
  nextDecision(): number
  /** Whose process this is; null when it is nobody's. Absent: the holder of the device is blamed. */
  runnerByPid?(node: string, pid: number): string | null
}

/** What nodes ask of the fleet: it owns runners. */
export type NodeEffect =
  /** Its node or device leaves service: drain it, its successor first, elsewhere. */
  | {
      readonly type: 'runner.drain'
      readonly runner: string
      readonly replace: true
      readonly reason: 'node_drained'
      readonly deadlineMs: number
      readonly rule: string
    }
  /** The device under this runner failed it: end it as `device_fault`. `doubt`: the fleet's guards may hold it back. */
  | {
      readonly type: 'device.fault'
      readonly node: string
      readonly device: string
      readonly runner: string
      readonly doubt: boolean
      readonly rule: string
    }
  /** What a person needs to know about an escalation; `command` is the order that it belongs to. */
  | { readonly type: 'evidence'; readonly command: string; readonly evidence: NodeEvidence }
  /** There is room again: starts that found no capacity may be tried. */
  | { readonly type: 'node.returned'; readonly node: string }
  /** It has a device that nobody knew of. */
  | { readonly type: 'node.grew'; readonly node: string }

/** What one step of the nodes answers. */
export interface NodesStep {
  readonly commands: readonly Command[]
  readonly decisions: readonly Decision[]
  readonly effects: readonly NodeEffect[]
  /** Why the fact changed nothing and need not be kept, in words; null when it was taken. */
  readonly dismissed: string | null
}

/** Kinds of deadline of a node. */
export const deadlineKinds = ['chart', 'telemetry', 'recovery', 'idle'] as const
/** One of {@link deadlineKinds}. */
export type DeadlineKind = (typeof deadlineKinds)[number]

/** Why a verdict is sent; what the decision will say. */
export interface Why {
  /** Overrides the rule that the chart has for the transition. */
  readonly rule?: string
  readonly compared?: readonly Compared[]
  /** Journal numbers of what it rests on, besides the fact of this step. */
  readonly seqs?: readonly number[]
  /** The guard that withheld what the rule asked for. */
  readonly because?: string
}

/** The key of a node's deadline in the heap. */
export function deadlineKey(slot: number, kind: DeadlineKind): number {
  return slot * deadlineKinds.length + deadlineKinds.indexOf(kind)
}

/** The state that the API shows for a configuration. */
export function stateOf({ configuration }: { readonly configuration: Configuration }): NodeState {
  return configuration.meta.state as NodeState
}

/** May runners be placed on it, as far as the chart is concerned? */
export function inService(node: NodeRecord): boolean {
  const state = stateOf(node)
  return state === 'healthy' || state === 'suspect'
}

/** The working set of one step. */
export class Turn {
  readonly commands: Command[] = []
  readonly decisions: Decision[] = []
  readonly effects: NodeEffect[] = []
  /** Now: the fact's own time, or a deadline's. */
  at: number
  /** Journal number of the fact; 0 for a deadline. */
  seq: number
  readonly env: NodesEnv
  readonly deadlines: Deadlines
  readonly nodes: ReadonlyMap<string, NodeRecord>
  readonly breaker: BreakerState
  readonly #keeper: ((node: NodeRecord) => void) | null

  constructor(
    at: number,
    seq: number,
    env: NodesEnv,
    store: {
      readonly deadlines: Deadlines
      readonly nodes: ReadonlyMap<string, NodeRecord>
      readonly breaker: BreakerState
      readonly keeper: ((node: NodeRecord) => void) | null
    },
  ) {
    this.at = at
    this.seq = seq
    this.env = env
    this.deadlines = store.deadlines
    this.nodes = store.nodes
    this.breaker = store.breaker
    this.#keeper = store.keeper
  }

  /** A node that the fact is not about is about to change. */
  touch(node: NodeRecord): void {
    this.#keeper?.(node)
  }

  get policy(): NodePolicy {
    return this.env.policy
  }

  /** Sends a verdict to the chart. False when it changes nothing there. */
  send(node: NodeRecord, verdict: NodeVerdict | Expired, why: Why = {}): boolean {
    node.context = { ...node.context, policy: this.policy }
    const plan = nodeTable().decide(node.configuration, node.context, verdict)
    if (plan === null) return false
    const on: Performance<NodeContext, NodeVerdict | Expired> = {
      context: node.context,
      event: verdict,
      effects: [],
      delay: NaN,
      cleared: false,
    }
    nodeTable().perform(plan, on)
    const from = stateOf(node)
    node.configuration = plan.next
    const to = stateOf(node)
    const key = deadlineKey(node.slot, 'chart')
    if (on.cleared) this.deadlines.clear(key)
    if (!Number.isNaN(on.delay)) this.deadlines.set(key, this.at + on.delay)
    const before = this.commands.length
    for (const { type, params } of on.effects)
      this.#order(
        node,
        type as NodeOrder,
        (params as { device: string | null } | undefined)?.device ?? null,
      )
    if (from === to && on.effects.length === 0) return true
    if (from !== to) node.since = this.at
    const given = this.commands.slice(before).map(({ id }) => id)
    this.decide(node, from, to, why.rule ?? plan.rule ?? 'node.change', why, given)
    return true
  }

  /** Writes a decision. */
  decide(
    node: NodeRecord,
    from: string,
    to: string,
    rule: string,
    { compared = [], seqs = [], because }: Why,
    commands: readonly string[] = [],
  ): void {
    const rests = [...new Set([...seqs, this.seq])].filter((seq) => seq > 0)
    this.decisions.push({
      seq: this.env.nextDecision(),
      at: this.at,
      subject: { kind: 'node', id: node.id, incarnation: 0 },
      from,
      to,
      rule,
      compared,
      enforced: because === undefined,
      because: because ?? null,
      commands,
      events: rests,
    })
  }

  /** Tells people. `about`: the rule and the device, so that a second trouble of a node is no repetition of the first. */
  alert(node: NodeRecord, name: AlertName, text: string, about?: string): void {
    this.commands.push({
      type: 'alert',
      id: `alert:${name}:${node.id}:${++node.orders}`,
      name,
      subject: { kind: 'node', id: node.id },
      ...(about !== undefined && { about }),
      text,
    })
  }

  /** The answer of the step. */
  done(dismissed: string | null = null): NodesStep {
    const { commands, decisions, effects } = this
    return { commands, decisions, effects, dismissed }
  }

  #order(node: NodeRecord, type: NodeOrder, device: string | null): void {
    const id = `${type}:${node.id}:${++node.orders}`
    this.commands.push({ type, id, node: node.id, device })
    if (type === 'reset' || type === 'reboot' || type === 'validate') node.pending = id
  }
}

type NodeOrder = 'cordon' | 'uncordon' | 'reset' | 'reboot' | 'validate' | 'escalate' | 'retire'
