/**
 * The nodes of a fleet: where runners may be placed, what their telemetry means, and the way of each node out of service and
 * back. The fleet owns runners and tells it who sits where; it answers with commands, decisions and effects, and reads no clock.
 */
import { HealthError } from './error.ts'
import { Deadlines } from './deadline.ts'
import { closeBreaker, createBreaker, type BreakerState } from './node-breaker.ts'
import { advance, demand, escalated, reconsider, remedied, returned } from './node-care.ts'
import type { Command } from './command.ts'
import type { NodeState } from './node.ts'
import type { NodeEvent } from './node-event.ts'
import { ordered } from './node-order.ts'
import { choosePlace, type NodePlace } from './node-place.ts'
import { resolveNodePolicy, type NodePolicy } from './node-policy.ts'
import { createNode, limits, type NodeRecord } from './node-record.ts'
import {
  configured,
  ended,
  lost,
  sampled,
  settled,
  sourceChanged,
  unknown,
  xidSeen,
} from './node-report.ts'
import { deviceOf } from './node-record.ts'
import {
  deadlineKey,
  deadlineKinds,
  inService,
  nodeTable,
  stateOf,
  Turn,
  type NodesEnv,
  type NodesStep,
} from './node-turn.ts'
import {
  errorsOf,
  gatherEvidence,
  nodeAlerts,
  type DeviceError,
  viewNode,
  type NodeEvidence,
  type NodeView,
} from './node-view.ts'
import { nodeRow, nodesHead, readNodes } from './node-snapshot.ts'

export type { NodePlace } from './node-place.ts'
export type { NodeEffect, NodesEnv, NodesStep } from './node-turn.ts'

/** The node that is there when nothing is configured. */
export const LOCAL = 'local'

const NOTHING: NodesStep = Object.freeze({
  commands: Object.freeze([]),
  decisions: Object.freeze([]),
  effects: Object.freeze([]),
  dismissed: null,
}) as NodesStep

/** All nodes. Advanced in place by its owner; JSON by {@link Nodes.snapshot}. */
export class Nodes {
  readonly #nodes = new Map<string, NodeRecord>()
  readonly #slots: NodeRecord[] = []
  readonly #deadlines = new Deadlines()
  /** Nodes of runners that are not on the default one: there they are looked for without a second list. */
  readonly #homes = new Map<string, NodeRecord>()
  #breaker: BreakerState = createBreaker()
  /** What the configuration judges nodes by; null: nothing was said, the fleet's own policy counts. Set by the owner. */
  tunables: Readonly<Record<string, unknown>> | null = null
  /** An incremental snapshot wants to see a node before it changes. */
  keeper: ((node: NodeRecord) => void) | null = null

  /** `seed`: nothing about nodes is left to chance today; it is here so that a rule that draws can be added. */
  constructor(_options: { readonly seed: number } = { seed: 0 }) {
    this.#create(LOCAL, 0, defaults)
  }

  /** Takes one fact; deadlines that passed before it act first, each at its own time. */
  step(event: NodeEvent, env: NodesEnv): NodesStep {
    const turn = this.#turn(event.at, event.seq ?? 0, env)
    this.#elapse(turn)
    const dismissed = this.#take(turn, event)
    return turn.done(dismissed)
  }

  /** Lets deadlines act that are due by `at`. */
  elapse(at: number, env: NodesEnv): NodesStep {
    if (this.#deadlines.nextDue() > at) return NOTHING
    const turn = this.#turn(at, 0, env)
    this.#elapse(turn)
    return turn.done()
  }

  /** When the next deadline is due, in ms; Infinity when none is. */
  nextDue(): number {
    return this.#deadlines.nextDue()
  }

  /**
   * Where a runner that needs this many devices may go: healthy nodes before suspect ones, the fullest that has room when it
   * needs devices (whole nodes stay free for large runners), else the one with the fewest runners. Null: no room.
   */
  place(devices: number, at = Infinity, policy: NodePolicy = defaults): NodePlace | null {
    return choosePlace(this.#nodes.values(), devices, at, policy)
  }

  /** A runner was placed: it holds its devices until {@link Nodes.vacate}. */
  occupy(runner: string, place: NodePlace): void {
    const node = this.#nodes.get(place.node)
    if (node === undefined) return
    const old = this.#home(runner)
    if (old !== undefined) this.#leave(runner, old)
    this.keeper?.(node)
    if (node.id !== LOCAL) this.#homes.set(runner, node)
    node.tenants.add(runner)
    if (place.devices.length > 0) node.holdings.set(runner, place.devices)
  }

  /**
   * No process of a runner is left: its devices are free, and a node that waited for that goes on. `ran`: there was one, so that an
   * error which is told right after may be its own.
   */
  vacate(runner: string, at: number, env: NodesEnv, seq = 0, ran = true): NodesStep {
    const node = this.#home(runner)
    if (node === undefined) return NOTHING
    this.keeper?.(node)
    for (const uuid of node.holdings.get(runner) ?? []) {
      const device = node.devices.get(uuid)
      if (ran && device !== undefined) device.left = { runner, at }
    }
    this.#leave(runner, node)
    if (node.faults.length === 0 && inService(node)) return NOTHING
    const turn = this.#turn(at, seq, env)
    this.#elapse(turn)
    if (stateOf(node) === 'draining') advance(turn, node)
    else this.#idle(turn, node)
    return turn.done()
  }

  /** Node of a runner; null when it has none. */
  homeOf(runner: string): NodePlace | null {
    const node = this.#home(runner)
    return node === undefined ? null : { node: node.id, devices: node.holdings.get(runner) ?? [] }
  }

  /** Ids of all nodes, in the order in which they came. */
  ids(): string[] {
    return [...this.#nodes.keys()]
  }

  /** The node as the API shows it, times in observed ms; null when there is none. */
  view(id: string): NodeView | null {
    const node = this.#nodes.get(id)
    return node === undefined ? null : viewNode(node)
  }

  /** Alerts about a node that are true now, whenever they were raised; none when there is no such node. */
  alerts(id: string): ReturnType<typeof nodeAlerts> {
    const node = this.#nodes.get(id)
    return node === undefined ? [] : nodeAlerts(node)
  }

  /** Everything that is known of a node, for whoever repairs it. */
  evidence(id: string, at: number): NodeEvidence | null {
    const node = this.#nodes.get(id)
    return node === undefined ? null : gatherEvidence(node, at)
  }

  /** Remedies that wait for an answer, with the ids under which they were ordered: after a restart nobody knows whether they were begun. */
  openOrders(): Command[] {
    return [...this.#nodes.values()].flatMap((node) => {
      const type = remedyOf[stateOf(node)]
      if (type === undefined || node.pending === null) return []
      return [{ type, id: node.pending, node: node.id, device: node.context.device }]
    })
  }

  /** Errors of devices that were blamed on a runner, or came right after it had left its device. Oldest first. */
  errorsOf(runner: string): DeviceError[] {
    return errorsOf(this.#nodes.values(), runner)
  }

  /** The last sequence told of a kernel, so that a source can go on behind it; null when none was. */
  cursor(id: string, boot: string): number | null {
    return this.#nodes.get(id)?.boots.find(([known]) => known === boot)?.[1] ?? null
  }

  /** Since when the breaker is open; null: closed. */
  get breakerOpenedAt(): number | null {
    return this.#breaker.openedAt
  }

  /** Everything, as JSON. */
  snapshot(): unknown {
    const { head, nodes, write } = this.parts()
    return JSON.parse(JSON.stringify({ ...head, nodes: nodes.map(write) }))
  }

  /** The same in parts, for one that is written bit by bit: what `write` gives of a node is to be turned into text at once. */
  parts(): {
    readonly head: object
    readonly nodes: readonly NodeRecord[]
    readonly write: (node: NodeRecord) => object
  } {
    return {
      head: nodesHead(this.#breaker, this.tunables),
      nodes: [...this.#nodes.values()],
      write: (node) => nodeRow(node, this.#deadlines),
    }
  }

  /** The nodes as they were. Throws HEALTH_SNAPSHOT_FORMAT for what is not a snapshot of nodes. */
  static restore(snapshot: unknown, options: { readonly seed: number } = { seed: 0 }): Nodes {
    const nodes = new Nodes(options)
    nodes.#nodes.clear()
    nodes.#slots.length = 0
    nodes.tunables = (snapshot as { tunables?: Nodes['tunables'] } | null)?.tunables ?? null
    nodes.#breaker = readNodes(snapshot, defaults, (record, deadlines) => {
      nodes.#nodes.set(record.id, record)
      nodes.#slots[record.slot] = record
      if (record.id !== LOCAL) for (const runner of record.tenants) nodes.#homes.set(runner, record)
      deadlineKinds.forEach((kind, index) => {
        const due = deadlines[index]
        if (typeof due === 'number') nodes.#deadlines.set(deadlineKey(record.slot, kind), due)
      })
    })
    if (nodes.#nodes.size === 0)
      throw new HealthError('HEALTH_SNAPSHOT_FORMAT', 'The snapshot of nodes has no node.')
    return nodes
  }

  #home(runner: string): NodeRecord | undefined {
    const local = this.#nodes.get(LOCAL)
    return local?.tenants.has(runner) === true ? local : this.#homes.get(runner)
  }

  #leave(runner: string, node: NodeRecord): void {
    this.keeper?.(node)
    this.#homes.delete(runner)
    node.tenants.delete(runner)
    node.holdings.delete(runner)
    node.leaving.delete(runner)
  }

  #turn(at: number, seq: number, env: NodesEnv): Turn {
    return new Turn(at, seq, env, {
      deadlines: this.#deadlines,
      nodes: this.#nodes,
      breaker: this.#breaker,
      keeper: this.keeper,
    })
  }

  #create(id: string, at: number, policy: NodePolicy): NodeRecord {
    const slot = this.#slots.length
    const node = createNode(id, slot, at, nodeTable().find('healthy'), policy)
    this.#nodes.set(id, node)
    this.#slots.push(node)
    return node
  }

  /** The node of a fact; made when telemetry or configuration speaks of a new one. */
  #find(
    turn: Turn,
    event: Exclude<NodeEvent, { type: 'order.close-breaker' }>,
  ): NodeRecord | string {
    const known = this.#nodes.get(event.node)
    if (known !== undefined) return known
    if (event.type.startsWith('order.') || event.type.endsWith('.ended'))
      return `there is no node ${event.node}`
    if (this.#nodes.size >= limits.nodes) return `there are ${limits.nodes} nodes already`
    // The default node stands in for a configuration; it goes when one names others.
    const local = this.#nodes.get(LOCAL)
    if (event.type === 'node.configured' && local !== undefined)
      if (!local.configured && local.tenants.size === 0 && local.sampledAt < 0)
        if (inService(local)) this.#forget(local)
    return this.#create(event.node, turn.at, turn.policy)
  }

  #forget(node: NodeRecord): void {
    this.keeper?.(node)
    this.#nodes.delete(node.id)
    for (const kind of deadlineKinds) this.#deadlines.clear(deadlineKey(node.slot, kind))
  }

  #take(turn: Turn, event: NodeEvent): string | null {
    if (event.type === 'order.close-breaker') {
      if (!closeBreaker(this.#breaker)) return 'the breaker is closed'
      reconsider(turn)
      return null
    }
    const node = this.#find(turn, event)
    if (typeof node === 'string') return node
    this.keeper?.(node)
    switch (event.type) {
      case 'gpu.sampled':
        sampled(turn, node, event.devices)
        return null
      case 'gpu.xid':
        return xidSeen(turn, node, event)
      case 'gpu.lost': {
        const device = deviceOf(node, event.device)
        if (device === null) return `node ${node.id} has ${limits.devices} devices already`
        if (device.lost) return `device ${device.uuid} is lost already`
        lost(turn, node, device, event.detail)
        return null
      }
      case 'source.failed':
      case 'source.recovered':
        sourceChanged(turn, node, event)
        return null
      case 'node.configured':
        configured(turn, node, event)
        return null
      case 'node.reset.ended':
      case 'node.reboot.ended':
      case 'node.validate.ended':
        return ended(turn, node, event)
      default:
        return ordered(turn, node, event)
    }
  }

  /** Deadlines act in order of time, ties in order of the nodes. */
  #elapse(turn: Turn): void {
    const { at, seq } = turn
    turn.seq = 0
    for (let due = this.#deadlines.nextDue(); due <= at; due = this.#deadlines.nextDue()) {
      const key = this.#deadlines.top()
      const node = this.#slots[Math.floor(key / deadlineKinds.length)]!
      this.keeper?.(node)
      this.#deadlines.clear(key)
      turn.at = due
      this.#due(turn, node, deadlineKinds[key % deadlineKinds.length]!)
    }
    turn.at = at
    turn.seq = seq
  }

  #due(turn: Turn, node: NodeRecord, kind: (typeof deadlineKinds)[number]): void {
    switch (kind) {
      case 'chart':
        this.#expire(turn, node)
        return
      case 'telemetry':
        unknown(turn, node, 'no sample came in time')
        return
      case 'recovery':
        settled(turn, node)
        return
      case 'idle':
        this.#idle(turn, node)
        return
      default:
        kind satisfies never
    }
  }

  /** The one deadline of the chart's configuration has passed. */
  #expire(turn: Turn, node: NodeRecord): void {
    const before = stateOf(node)
    const { after } = node.configuration
    if (after === null) return
    const seqs = node.faults.map(({ seq }) => seq)
    turn.send(node, { type: after as `xstate.after.${string}` }, { seqs })
    const state = stateOf(node)
    if (state === 'escalated') {
      const last = node.history.at(-1)
      if (last?.passed === null) last.passed = false
      escalated(turn, node)
    } else if (inService(node)) returned(turn, node)
    else if (before === 'resetting') remedied(turn, node, false)
    else if (before === 'validating' && state === 'draining') {
      node.pending = null
      node.refuted = true
      advance(turn, node)
    }
  }

  /** Faults that waited for an idle device may go on now. */
  #idle(turn: Turn, node: NodeRecord): void {
    for (const fault of node.faults) {
      if (fault.idleUntil === null || fault.state !== 'open' || !node.faults.includes(fault))
        continue
      if (inService(node)) demand(turn, node, fault)
    }
  }
}

const defaults = resolveNodePolicy()

/** The order that a state waits for. */
const remedyOf: Partial<Record<NodeState, 'reset' | 'reboot' | 'validate'>> = {
  resetting: 'reset',
  rebooting: 'reboot',
  validating: 'validate',
}
