/**
 * Whose an Xid is: whether it was told before, which runners it is blamed on, and whether another runner had the same one lately. What
 * follows from it is for `node-report.ts`.
 */
import type { NodeEvent } from './node-event.ts'
import { keep, limits, tenantsOf, type DeviceRecord, type NodeRecord } from './node-record.ts'
import type { Turn } from './node-turn.ts'

type XidSeen = Extract<NodeEvent, { type: 'gpu.xid' }>

/** Sources tell of an error at most this long after it happened: the kernel's log is read every half second. */
const LATE_MS = 2_000

/** By boot and sequence; a source that starts again tells nothing twice. */
export function isNew(node: NodeRecord, { boot, sequence }: XidSeen): boolean {
  const known = node.boots.find(([id]) => id === boot)
  if (known === undefined) {
    node.boots.push([boot, sequence])
    keep(node.boots, limits.boots)
    return true
  }
  if (sequence <= known[1]) return false
  known[1] = sequence
  return true
}

/** The runner whose process the driver names, or whose process started it; nobody when it is somebody else's; else whoever holds the device. */
export function culprits(
  turn: Turn,
  node: NodeRecord,
  device: DeviceRecord,
  { pid, lineage }: XidSeen,
): string[] {
  for (const each of pid === undefined ? [] : [pid, ...(lineage ?? []).slice(0, limits.lineage)]) {
    const named = turn.env.runnerByPid?.(node.id, each) ?? null
    if (named !== null && node.tenants.has(named)) return [named]
  }
  if (lineage !== undefined) return []
  // Errors are told a little late: one that came right after a runner had left is not its successor's.
  if (device.left !== null && turn.at - device.left.at <= LATE_MS) return [device.left.runner]
  return tenantsOf(node, device.uuid).map(({ runner }) => runner)
}

/** The same error under another runner within a day: not the application's fault any more. */
export function otherVictim(
  turn: Turn,
  { xids }: DeviceRecord,
  xid: number,
  runners: readonly string[],
): DeviceRecord['xids'][number] | undefined {
  if (runners.length === 0) return undefined
  return xids.findLast(
    (other) =>
      other.xid === xid &&
      turn.at - other.at <= turn.policy.xidRepeatMs &&
      other.runners.length > 0 &&
      !other.runners.some((runner) => runners.includes(runner)),
  )
}
