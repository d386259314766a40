/**
 * Which remedy comes next for a node out of service: what its faults ask for, one rung higher after one that did not help, and a
 * person where counts say that no remedy helps. It reads the record and changes nothing.
 */
import type { Compared } from './decision.ts'
import type { Remedy } from './node.ts'
import type { NodePolicy } from './node-policy.ts'
import { tenantsOf, type Fault, type NodeRecord } from './node-record.ts'

/** The remedy, where it works, and what was counted on the way. */
export interface Choice {
  readonly remedy: Remedy
  /** Null: the whole node. */
  readonly device: string | null
  /** No runner is left where it works. */
  readonly clear: boolean
  /** What it is for; null when only a person wanted the node out of service. */
  readonly fault: Fault | null
  readonly compared: readonly Compared[]
}

const RESET = 1
/** The rung that is about the whole node. */
export const REBOOT = 2
const LAST = 3
const rungs: Readonly<Record<Fault['class'], number>> = {
  record: 0,
  alert: 0,
  restart_runner: 0,
  cordon: 0,
  drain: 0,
  reset: RESET,
  reboot: REBOOT,
  escalate: LAST,
}

/** Chooses the remedy for a node out of service. */
export function chooseRemedy(node: NodeRecord, at: number, policy: NodePolicy): Choice {
  const open = node.faults.filter(({ state }) => state === 'open')
  let fault = open.reduce<Fault | null>(
    (worst, next) => (worst === null || rungs[next.class] > rungs[worst.class] ? next : worst),
    null,
  )
  let rung = fault === null ? 0 : rungs[fault.class]
  const ordered = fault?.by != null
  // A fault that comes back on a device whose remedy was just tried is the same failure; a person who asks once more means what they say.
  const again =
    fault !== null && !ordered && rung > 0 && rung <= node.rung && triedBefore(node, fault)
  if (node.refuted || again) {
    rung = Math.max(rung, node.rung + 1)
    fault ??= node.faults.find(({ state }) => state === 'tried') ?? null
  }
  const device = rung === REBOOT ? null : (fault?.device ?? node.context.device)
  const compared: Compared[] = []
  if (rung > 0 && rung < LAST && !ordered && isSpent(node, fault, at, policy, compared)) rung = LAST
  if ((rung === RESET && !node.canReset) || (rung === REBOOT && !node.canReboot)) {
    compared.push({
      name: rung === RESET ? 'canReset' : 'canReboot',
      value: 0,
      op: '>=',
      threshold: 1,
      option: null,
    })
    rung = LAST
  }
  if (rung > 0) {
    const remedy = rung === RESET ? 'reset' : rung === REBOOT ? 'reboot' : 'escalate'
    return { remedy, device, clear: tenantsOf(node, device).length === 0, fault, compared }
  }
  return mildest(node, open, compared)
}

function mildest(node: NodeRecord, open: readonly Fault[], compared: readonly Compared[]): Choice {
  if (node.emptied) {
    const clear = tenantsOf(node, null).length === 0
    return { remedy: 'hold', device: null, clear, fault: open[0] ?? null, compared }
  }
  const drains = open.filter((fault) => fault.class === 'drain')
  const waits = drains.find(({ level }) => level)
  const fault = waits ?? drains[0] ?? null
  const device = fault?.device ?? null
  const clear = drains.every((each) => tenantsOf(node, each.device).length === 0)
  if (waits !== undefined) return { remedy: 'wait', device, clear, fault, compared }
  // Whoever cordoned it, a person or a rule that only cordons, wanted nobody sent away; it proves itself when a person uncordons it.
  if (node.context.held || open.length > drains.length)
    return { remedy: 'keep', device, clear, fault: fault ?? open[0] ?? null, compared }
  if (fault !== null) return { remedy: 'check', device, clear, fault, compared }
  // Every fault was released while its runners left: what remains is the proof.
  return { remedy: 'check', device: remediedDevice(node), clear: true, fault: null, compared }
}

/** The only device that remedies were for: its check must not disturb the runners of the others. Null: several, or the whole node. */
function remediedDevice(node: NodeRecord): string | null {
  if (node.rung >= REBOOT) return null
  const tried = node.faults.filter(({ state }) => state === 'tried').map(({ device }) => device)
  const [first = null] = tried
  return tried.every((device) => device === first) ? first : null
}

function triedBefore(node: NodeRecord, { device }: Fault): boolean {
  return node.faults.some(
    (other) => other.state === 'tried' && (other.device === device || other.device === null),
  )
}

/** Do the counts say that another remedy would not help? Notes what was counted. */
function isSpent(
  node: NodeRecord,
  fault: Fault | null,
  at: number,
  policy: NodePolicy,
  compared: Compared[],
): boolean {
  const device = fault?.device ?? node.context.device
  const of = node.history.filter(
    (entry) => device === null || entry.device === device || entry.device === null,
  )
  const count = (
    name: string,
    list: readonly unknown[],
    threshold: number,
    option: string,
  ): boolean => {
    compared.push({ name, value: list.length, op: '>=', threshold, option })
    return list.length >= threshold
  }
  const failed = of.filter(
    ({ kind, passed, at: when }) =>
      kind === 'reset' && passed === false && at - when <= policy.nodeResetFailuresMs,
  )
  const reboots = node.history.filter(
    ({ kind, signature, at: when }) =>
      kind === 'reboot' && signature === fault?.signature && at - when <= policy.nodeRemediationsMs,
  )
  const all = of.filter(({ at: when }) => at - when <= policy.nodeRemediationsMs)
  return (
    count('failedResets', failed, policy.nodeResetFailures, 'nodeResetFailures') ||
    count(
      'rebootsOfSignature',
      reboots,
      policy.nodeRebootsPerSignature,
      'nodeRebootsPerSignature',
    ) ||
    count('remediations', all, policy.nodeRemediations, 'nodeRemediations')
  )
}
