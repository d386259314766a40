/** Nodes as JSON and back. What can be derived (the heap of deadlines' order, who sits where) is rebuilt by whoever restores. */
import { HealthError } from './error.ts'
import type { Deadlines } from './deadline.ts'
import { createBreaker, type BreakerState } from './node-breaker.ts'
import type { NodePolicy } from './node-policy.ts'
import type { NodeRecord, DeviceRecord } from './node-record.ts'
import { deadlineKey, deadlineKinds, nodeTable } from './node-turn.ts'

const FORMAT = 1

interface NodeRow extends Omit<
  NodeRecord,
  'configuration' | 'context' | 'devices' | 'tenants' | 'holdings' | 'leaving'
> {
  readonly word: string
  readonly context: Omit<NodeRecord['context'], 'policy'>
  readonly devices: readonly DeviceRecord[]
  readonly tenants: readonly string[]
  readonly holdings: readonly (readonly [runner: string, devices: readonly string[]])[]
  readonly leaving: readonly string[]
  /** By kind; null: none. */
  readonly deadlines: readonly (number | null)[]
}

interface NodesSnapshot {
  readonly format: number
  readonly breaker: BreakerState
  readonly nodes: readonly NodeRow[]
  readonly tunables: Readonly<Record<string, unknown>> | null
}

/** Everything but the nodes. */
export function nodesHead(
  breaker: BreakerState,
  tunables: NodesSnapshot['tunables'],
): Omit<NodesSnapshot, 'nodes'> {
  const { openedAt, wanted } = breaker
  return {
    format: FORMAT,
    breaker: { openedAt, wanted: wanted.map(([node, at]) => [node, at]) },
    tunables,
  }
}

/** One node. Not detached: it is written as text at once. */
export function nodeRow(node: NodeRecord, due: Deadlines): NodeRow {
  const { configuration, context, devices, tenants, holdings, leaving, ...rest } = node
  const { policy: _policy, ...remembered } = context
  return {
    ...rest,
    word: configuration.word,
    context: remembered,
    devices: [...devices.values()],
    tenants: [...tenants],
    holdings: [...holdings],
    leaving: [...leaving],
    deadlines: deadlineKinds.map((kind) => {
      const at = due.due(deadlineKey(node.slot, kind))
      return Number.isFinite(at) ? at : null
    }),
  }
}

/** Reads a snapshot; `add` gets each node with its deadlines by kind. Throws HEALTH_SNAPSHOT_FORMAT. */
export function readNodes(
  snapshot: unknown,
  policy: NodePolicy,
  add: (node: NodeRecord, deadlines: readonly (number | null)[]) => void,
): BreakerState {
  const { format, nodes, breaker } = (snapshot ?? {}) as Partial<NodesSnapshot>
  if (format !== FORMAT || !Array.isArray(nodes))
    throw new HealthError('HEALTH_SNAPSHOT_FORMAT', 'This is not a snapshot of nodes of format 1.')
  for (const row of JSON.parse(JSON.stringify(nodes)) as NodeRow[]) {
    const { word, context, devices, tenants, holdings, leaving, deadlines, ...rest } = row
    const record: NodeRecord = {
      ...rest,
      // Snapshots of earlier versions do not have it.
      emptied: rest.emptied ?? false,
      configuration: nodeTable().find(word),
      context: { ...context, policy },
      devices: new Map(
        devices.map((device) => [device.uuid, { ...device, left: device.left ?? null }]),
      ),
      tenants: new Set(tenants),
      holdings: new Map(holdings),
      leaving: new Set(leaving),
    }
    add(record, deadlines)
  }
  return breaker === undefined
    ? createBreaker()
    : (JSON.parse(JSON.stringify(breaker)) as BreakerState)
}
