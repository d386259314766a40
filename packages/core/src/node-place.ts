/** Where a runner goes: devices that are free, on a node in service. It reads records and changes nothing. */
import type { NodePolicy } from './node-policy.ts'
import { tenantsOf, type DeviceRecord, type NodeRecord } from './node-record.ts'
import { inService, stateOf } from './node-turn.ts'
import { devicesOf, deviceState } from './node-view.ts'

/** Where a runner goes. */
export interface NodePlace {
  readonly node: string
  readonly devices: readonly string[]
}

/** One for all runners that need none. */
const NO_DEVICES: readonly string[] = Object.freeze([])

/** See `Nodes.place`. */
export function choosePlace(
  nodes: Iterable<NodeRecord>,
  devices: number,
  at: number,
  policy: NodePolicy,
): NodePlace | null {
  let best: { node: NodeRecord; free: DeviceRecord[]; key: readonly number[] } | null = null
  for (const node of nodes) {
    if (!inService(node) || isUnknownTooLong(node, at, policy)) continue
    const free = devices === 0 ? [] : freeDevices(node)
    if (free.length < devices) continue
    const key = [stateOf(node) === 'healthy' ? 0 : 1, free.length, node.tenants.size, node.slot]
    if (best === null || isBefore(key, best.key)) best = { node, free, key }
  }
  if (best === null) return null
  const { id } = best.node
  if (devices === 0) return { node: id, devices: NO_DEVICES }
  return { node: id, devices: best.free.slice(0, devices).map(({ uuid }) => uuid) }
}

function freeDevices(node: NodeRecord): DeviceRecord[] {
  return devicesOf(node).filter((device) => {
    // One that only a kernel line spoke of is not known to be there.
    if (device.sample === null && !node.expects.includes(device.uuid)) return false
    const state = deviceState(node, device)
    return state !== 'lost' && state !== 'faulty' && tenantsOf(node, device.uuid).length === 0
  })
}

function isUnknownTooLong(node: NodeRecord, at: number, policy: NodePolicy): boolean {
  const limit = policy.telemetryUnknownWaitMs
  return limit > 0 && node.unknownAt !== null && at - node.unknownAt > limit
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  for (let index = 0; index < a.length; index++)
    if (a[index] !== b[index]) return a[index]! < b[index]!
  return false
}
