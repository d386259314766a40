/**
 * Orders of people about nodes. They are not limited by the breaker or by counts, and are refused with a sentence where they
 * make no sense; what follows from them goes the same ways as a rule's.
 */
import { advance, escalated, found, goOn, reconsider, returned, sendAway } from './node-care.ts'
import { beginProof } from './node-proof.ts'
import type { NodeEvent } from './node-event.ts'
import { isStranger, type NodeRecord } from './node-record.ts'
import { inService, stateOf, type Turn } from './node-turn.ts'

type OrderEvent = Extract<NodeEvent, { readonly node: string; readonly by: string }>

/** Carries out an order. Answers why it is refused, or null. */
export function ordered(turn: Turn, node: NodeRecord, event: OrderEvent): string | null {
  switch (event.type) {
    case 'order.cordon': {
      const refused = cordonFor(turn, node, event.by)
      if (refused === null) goOn(turn, node)
      return refused
    }
    case 'order.uncordon':
      return uncordon(turn, node)
    case 'order.drain-node':
      return drainFor(turn, node, event.by)
    case 'order.reset':
      return reset(turn, node, event.by, event.device)
    case 'order.reboot':
      return reboot(turn, node, event.by)
    case 'order.escalate':
    case 'order.retire':
      return handOver(turn, node, event.by, event.type)
    default:
      return event.type satisfies never
  }
}

function cordonFor(turn: Turn, node: NodeRecord, by: string): string | null {
  const state = stateOf(node)
  if (state === 'escalated' || state === 'retired') return `node ${node.id} is ${state} already`
  const fresh = inService(node)
  if (fresh) node.byRule = false
  turn.send(node, { type: 'cordon.granted', at: turn.at, by, held: true }, { rule: 'order.cordon' })
  if (fresh) turn.alert(node, 'node.cordoned', `node ${node.id} was cordoned by ${by}`)
  return null
}

function uncordon(turn: Turn, node: NodeRecord): string | null {
  const before = stateOf(node)
  if (inService(node)) return `node ${node.id} is in service`
  if (before === 'resetting' || before === 'rebooting')
    return `node ${node.id} is ${before}: wait until that has ended`
  if (before === 'escalated' || before === 'retired') relearn(node)
  node.emptied = false
  const sound = node.faults.every(({ because }) => because === 'guard.dry_run')
  turn.send(node, { type: 'uncordon.ordered', at: turn.at, sound })
  const after = stateOf(node)
  if (inService(node)) returned(turn, node)
  else if (before !== 'validating' && after === 'validating') {
    node.rung = 0
    node.refuted = false
    beginProof(turn, node)
  }
  return null
}

/** A person repaired it: what is gone is gone, what is there now is what it has. */
function relearn(node: NodeRecord): void {
  node.count = 0
  for (const device of node.devices.values()) {
    const gone = device.lost || device.absent > 0
    if (gone && !node.expects.includes(device.uuid)) node.devices.delete(device.uuid)
  }
}

function drainFor(turn: Turn, node: NodeRecord, by: string): string | null {
  const refused = cordonFor(turn, node, by)
  if (refused !== null) return refused
  node.emptied = true
  turn.send(node, { type: 'drain.granted', at: turn.at }, { rule: 'order.drain' })
  sendAway(turn, node, null, 'order.drain')
  goOn(turn, node)
  if (stateOf(node) === 'draining') advance(turn, node)
  return null
}

function reset(
  turn: Turn,
  node: NodeRecord,
  by: string,
  device: string | undefined,
): string | null {
  if (!node.canReset) return `node ${node.id} has no reset command; set gpu.resetCommand`
  const refused = handedOver(node)
  if (refused !== null) return refused
  if (device !== undefined && !node.devices.has(device))
    return `node ${node.id} has no device ${device}`
  const devices =
    device !== undefined ? [device] : [...node.devices.keys()].filter((uuid) => !isStranger(uuid))
  for (const uuid of devices.length > 0 ? devices : [null]) {
    if (isUnderWay(node, 'resetting', uuid)) continue
    found(turn, node, {
      device: uuid,
      rule: 'order.reset',
      class: 'reset',
      doubt: false,
      by,
      text: `${by} ordered a reset`,
    })
  }
  return null
}

function reboot(turn: Turn, node: NodeRecord, by: string): string | null {
  if (!node.canReboot) return `node ${node.id} has no reboot command; set gpu.rebootCommand`
  const refused = handedOver(node)
  if (refused !== null) return refused
  if (isUnderWay(node, 'rebooting', null)) return null
  found(turn, node, {
    device: null,
    rule: 'order.reboot',
    class: 'reboot',
    doubt: false,
    by,
    text: `${by} ordered a reboot`,
  })
  return null
}

/** An order for what is being done already is the same order: a double click resets or reboots once. */
function isUnderWay(
  node: NodeRecord,
  state: 'resetting' | 'rebooting',
  device: string | null,
): boolean {
  const target = node.context.device
  return stateOf(node) === state && (target === null || target === device)
}

function handedOver(node: NodeRecord): string | null {
  const state = stateOf(node)
  return state === 'escalated' || state === 'retired'
    ? `node ${node.id} is ${state}: uncordon or retire it`
    : null
}

function handOver(
  turn: Turn,
  node: NodeRecord,
  by: string,
  type: 'order.escalate' | 'order.retire',
): string | null {
  const wanted = type === 'order.escalate' ? 'escalated' : 'retired'
  const state = stateOf(node)
  if (state === wanted || state === 'retired') return `node ${node.id} is ${state} already`
  if (inService(node)) cordonFor(turn, node, by)
  const verdict = type === 'order.escalate' ? 'escalation.ordered' : 'retirement.ordered'
  turn.send(node, { type: verdict, at: turn.at })
  sendAway(turn, node, null, type)
  if (wanted === 'escalated') escalated(turn, node)
  else reconsider(turn)
  return null
}
