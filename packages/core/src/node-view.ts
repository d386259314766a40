/** A node as the API shows it, and as a person who must repair it wants to see it. It reads the record and decides nothing. */
import type { AlertName } from './command.ts'
import type { NodeState } from './node.ts'
import { throttleReasons } from './gpu-signal.ts'
import { isRaised } from './gpu-memory.ts'
import { signalRules } from './gpu-signal.ts'
import type { DeviceSample } from './node-event.ts'
import {
  tenantsOf,
  type DeviceRecord,
  type Fault,
  type NodeRecord,
  type Remediation,
  type XidRecord,
} from './node-record.ts'

/** What is believed of a device. */
export type DeviceState = 'healthy' | 'suspect' | 'faulty' | 'lost' | 'unknown'

/** One device of {@link NodeView}. A value that is not reported is absent. */
export interface DeviceView {
  readonly uuid: string
  readonly index?: number
  readonly name?: string
  readonly state: DeviceState
  readonly runner: string | null
  readonly temperatureC?: number
  readonly marginC?: number
  readonly smClockMHz?: number
  readonly maxSmClockMHz?: number
  readonly throttle?: readonly string[]
  readonly powerW?: number
  readonly memoryUsedMiB?: number
  readonly utilisationPercent?: number
  readonly lastXid?: number
}

/** The Node object of the API; `since` in observed ms. */
export interface NodeView {
  readonly id: string
  readonly state: NodeState
  readonly cordonedBy: string | null
  readonly since: number
  readonly runners: readonly string[]
  readonly devices: readonly DeviceView[]
}

/** Everything that is known of a node at its escalation. */
export interface NodeEvidence {
  readonly node: NodeView
  readonly at: number
  readonly faults: readonly Fault[]
  readonly history: readonly Remediation[]
  readonly devices: readonly {
    readonly uuid: string
    readonly raised: readonly string[]
    readonly xids: readonly { readonly xid: number; readonly at: number }[]
    readonly sample: DeviceSample | null
  }[]
}

const shown = [
  'index',
  'name',
  'temperatureC',
  'marginC',
  'smClockMHz',
  'maxSmClockMHz',
  'powerW',
  'memoryUsedMiB',
  'utilisationPercent',
] as const

/** The node as the API shows it. */
export function viewNode(node: NodeRecord): NodeView {
  return {
    id: node.id,
    state: node.configuration.meta.state as NodeState,
    cordonedBy: node.context.cordonedBy,
    since: node.since,
    runners: [...node.tenants.keys()],
    devices: devicesOf(node).map((device) => viewDevice(node, device)),
  }
}

/** Alerts about a node that may last; what an alert says of a moment only is not among them. */
export const lastingNodeAlerts = [
  'node.suspect',
  'node.cordoned',
  'node.escalated',
  'telemetry.unknown',
] as const satisfies readonly AlertName[]

/** Those of them that are true of the node now. A retired one was handed over: nobody is told of it. */
export function nodeAlerts(node: NodeRecord): readonly (typeof lastingNodeAlerts)[number][] {
  const state = node.configuration.meta.state as NodeState
  if (state === 'retired') return []
  // What the breaker keeps in service was told as a cordon that it forbids.
  const withheld = node.faults.some(({ because }) => because === 'node.breaker')
  const inService = state === 'healthy' || state === 'suspect'
  const holds = {
    'node.suspect': state === 'suspect' && !withheld,
    'node.cordoned': inService ? withheld : state !== 'escalated',
    'node.escalated': state === 'escalated',
    'telemetry.unknown': node.unknownAt !== null,
  }
  return lastingNodeAlerts.filter((name) => holds[name])
}

/** The node for whoever repairs it. */
export function gatherEvidence(node: NodeRecord, at: number): NodeEvidence {
  return {
    node: viewNode(node),
    at,
    faults: node.faults,
    history: node.history,
    devices: devicesOf(node).map(({ uuid, memory, xids, sample }) => ({
      uuid,
      raised: signalRules.filter((rule) => isRaised(memory, rule)),
      xids: xids.map(({ xid, at: when }) => ({ xid, at: when })),
      sample,
    })),
  }
}

/** An error of a device and whose it was. */
export interface DeviceError extends XidRecord {
  readonly node: string
  readonly device: string
}

/** Errors of all nodes' devices that were a runner's, oldest first. */
export function errorsOf(nodes: Iterable<NodeRecord>, runner: string): DeviceError[] {
  const found: DeviceError[] = []
  for (const { id, devices } of nodes)
    for (const { uuid, xids } of devices.values())
      for (const record of xids)
        if (record.runners.includes(runner)) found.push({ ...record, node: id, device: uuid })
  return found.sort((a, b) => a.at - b.at)
}

/** By index where it is known, then by UUID: a stable order. */
export function devicesOf(node: NodeRecord): DeviceRecord[] {
  const index = ({ sample }: DeviceRecord): number => sample?.index ?? Infinity
  return [...node.devices.values()].sort(
    (a, b) => compare(index(a), index(b)) || compare(a.uuid, b.uuid),
  )
}

function compare<T>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function viewDevice(node: NodeRecord, device: DeviceRecord): DeviceView {
  const { uuid, sample, lastXid } = device
  const view: Record<string, unknown> = {
    uuid,
    state: deviceState(node, device),
    runner: tenantsOf(node, uuid)[0]?.runner ?? null,
  }
  for (const key of shown) if (sample?.[key] !== undefined) view[key] = sample[key]
  if (sample?.throttle !== undefined) view.throttle = throttleReasons(sample.throttle)
  if (lastXid !== null) view.lastXid = lastXid
  return view as unknown as DeviceView
}

/** What is believed of a device; silence of the source is `unknown`, never a fault. */
export function deviceState(node: NodeRecord, device: DeviceRecord): DeviceState {
  if (device.lost) return 'lost'
  const faults = node.faults.filter(({ device: uuid }) => uuid === device.uuid || uuid === null)
  if (faults.some(({ because, idleUntil }) => because !== 'guard.dry_run' && idleUntil === null))
    return 'faulty'
  if (node.unknownAt !== null) return 'unknown'
  const doubted = node.warnings.some((warning) => warning.endsWith(` ${device.uuid}`))
  return doubted || faults.length > 0 ? 'suspect' : 'healthy'
}
