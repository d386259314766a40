/**
 * What is kept of one node beside its place in the chart: devices, runners, open faults, and the history that the ladder counts.
 * Plain data with a limit on every list, so that a snapshot is JSON; it decides nothing.
 */
import type { Compared } from './decision.ts'
import { createMemory, type DeviceMemory } from './gpu-memory.ts'
import type { NodeContext } from './node.ts'
import type { DeviceSample } from './node-event.ts'
import type { NodePolicy } from './node-policy.ts'
import type { Configuration } from './table.ts'
import type { ActionClass } from './xid.ts'

/** Limits of the lists below; what is said at each. */
export const limits = {
  /** More devices in a sample are ignored; as many more may be known by their PCI address alone. */
  devices: 64,
  /** More open faults than this are dropped: those that are open keep the node out of service already. */
  faults: 64,
  /** Of each device the last Xids, for repeats and evidence. */
  xids: 16,
  /** Of each node the last remediations; the ladder's counts are far smaller. */
  history: 64,
  /** Kernels and sources whose sequence is remembered; the oldest is forgotten. */
  boots: 4,
  /** Processes above one that the driver names. */
  lineage: 64,
  /** Nodes; facts about more are dismissed. */
  nodes: 10_000,
} as const

/** One Xid of a device: when it was last seen, and whose it was. */
export interface XidRecord {
  readonly xid: number
  at: number
  readonly runners: readonly string[]
  /** Journal number of the first of its burst. */
  readonly seq: number
}

/** One device of a node. */
export interface DeviceRecord {
  readonly uuid: string
  memory: DeviceMemory
  /** The last sample; null before the first. */
  sample: DeviceSample | null
  /** Samples in a row in which it was missing. */
  absent: number
  lost: boolean
  lastXid: number | null
  /** Who held it last, and until when; null: nobody yet. */
  left: { readonly runner: string; readonly at: number } | null
  readonly xids: XidRecord[]
}

/** A runner that sits on a node. */
export interface Tenant {
  readonly runner: string
}

/** Something that is wrong with a device or the node, until it is proved cured. */
export interface Fault {
  /** Null: the whole node. */
  readonly device: string | null
  readonly rule: string
  /** What "the same fault" means: the rule, for an Xid with its number. */
  readonly signature: string
  readonly class: ActionClass
  readonly doubt: boolean
  /** True: it ends by itself when its level is released. */
  readonly level: boolean
  /** Until when it may wait for an idle device; null: it does not wait. */
  readonly idleUntil: number | null
  /** Ordered by this person; null: by rule. */
  readonly by: string | null
  readonly since: number
  /** Journal number of the fact behind it. */
  readonly seq: number
  readonly text: string
  readonly compared: readonly Compared[]
  /** `open`: nothing done yet; `withheld`: may not act; `tried`: a remedy was carried out and must prove itself. */
  state: 'open' | 'withheld' | 'tried'
  because: string | null
}

/** One remediation, for the ladder's counts. */
export interface Remediation {
  readonly kind: 'reset' | 'reboot'
  readonly device: string | null
  readonly signature: string
  readonly at: number
  /** Null while it is under way. */
  passed: boolean | null
}

/** Everything of one node. */
export interface NodeRecord {
  readonly id: string
  /** Place in the heap of deadlines. */
  readonly slot: number
  configuration: Configuration
  context: NodeContext
  /** Since when it has its state. */
  since: number
  /** False for the default node until something is said about it. */
  configured: boolean
  /** UUIDs that the configuration names; empty: whatever reports. */
  expects: readonly string[]
  /** Most devices ever reported; what a healthy node must show. */
  count: number
  canReset: boolean
  canReboot: boolean
  canValidate: boolean
  boot: string | null
  readonly devices: Map<string, DeviceRecord>
  /** Its runners in the order in which they came. */
  readonly tenants: Set<string>
  /** Those of them that hold devices. */
  readonly holdings: Map<string, readonly string[]>
  /** Runners that were told to leave. */
  readonly leaving: Set<string>
  faults: Fault[]
  /** Raised levels that alert only: `rule` and device. */
  warnings: string[]
  history: Remediation[]
  /** Last sequence by boot id. */
  boots: [string, number][]
  /** Orders given, for their ids. */
  orders: number
  /** Id of the order that is being carried out; null when none. */
  pending: string | null
  /** Highest rung of this absence: 0 none, 1 reset, 2 reboot. */
  rung: number
  /** True: the last remedy or its proof failed, and nothing was begun since. */
  refuted: boolean
  /** True: a rule took it out of service, so that the breaker counts it. */
  byRule: boolean
  /** True: a person wants no runner on it. */
  emptied: boolean
  /** Of the validation under way: did the configured check pass? Null: no answer yet. */
  checked: boolean | null
  /** When it last entered validation; samples before it prove nothing. -1: never. */
  provingFrom: number
  /** When the last sample came; -1: none ever. */
  sampledAt: number
  /** Since when its devices are unknown; null: they are known. */
  unknownAt: number | null
}

/** A device of which nothing is known. */
export function createDevice(uuid: string): DeviceRecord {
  return {
    uuid,
    memory: createMemory(),
    sample: null,
    absent: 0,
    lost: false,
    lastXid: null,
    left: null,
    xids: [],
  }
}

/** A node of which nothing is known. */
export function createNode(
  id: string,
  slot: number,
  at: number,
  configuration: Configuration,
  policy: NodePolicy,
): NodeRecord {
  return {
    id,
    slot,
    configuration,
    context: { policy, cordonedBy: null, held: false, device: null },
    since: at,
    configured: false,
    expects: [],
    count: 0,
    canReset: false,
    canReboot: false,
    canValidate: false,
    boot: null,
    devices: new Map(),
    tenants: new Set(),
    holdings: new Map(),
    leaving: new Set(),
    faults: [],
    warnings: [],
    history: [],
    boots: [],
    orders: 0,
    pending: null,
    rung: 0,
    refuted: false,
    byRule: false,
    emptied: false,
    checked: null,
    provingFrom: -1,
    sampledAt: -1,
    unknownAt: null,
  }
}

/** The device, made when it is new; null past the limit. */
export function deviceOf(node: NodeRecord, name: string): DeviceRecord | null {
  const uuid = resolve(node, name)
  const known = node.devices.get(uuid)
  if (known !== undefined) return known
  // Addresses that were never sampled must not take the place of a device that is.
  const stranger = isStranger(uuid)
  let alike = 0
  for (const other of node.devices.keys()) if (isStranger(other) === stranger) alike++
  if (alike >= limits.devices) return null
  const device = createDevice(uuid)
  node.devices.set(uuid, device)
  return device
}

/** Is this a name of the kernel's, for a device that no sample was at? Whose device it is nobody knows. */
export const isStranger = (name: string): boolean => name.startsWith('pci:')

/** The kernel names devices by PCI address (`pci:0000:1a:00`): the UUID that was sampled at it, else the name itself. */
export function resolve(node: NodeRecord, name: string): string {
  if (!isStranger(name)) return name
  const pci = name.slice('pci:'.length)
  for (const { uuid, sample } of node.devices.values()) if (sample?.pci === pci) return uuid
  return name
}

/** Runners that hold a device; of the whole node when `device` is null. In the order in which they came. */
export function tenantsOf(node: NodeRecord, device: string | null): Tenant[] {
  if (device === null) return Array.from(node.tenants, (runner) => ({ runner }))
  const found: Tenant[] = []
  for (const [runner, devices] of node.holdings)
    if (devices.includes(device)) found.push({ runner })
  return found
}

/** Keeps the newest `limit` of a list. */
export function keep<T>(list: T[], limit: number): void {
  if (list.length > limit) list.splice(0, list.length - limit)
}
