/**
 * What is done about a fault: ask the breaker, cordon, send runners away, choose the next remedy, hand a node to people or take
 * it back. It acts through a turn; what counts as a fault is decided where telemetry and orders are read.
 */
import { askBreaker, hasRoom } from './node-breaker.ts'
import { chooseRemedy } from './node-ladder.ts'
import { beginProof, prove } from './node-proof.ts'
import { isStranger, keep, limits, tenantsOf, type Fault, type NodeRecord } from './node-record.ts'
import { deadlineKey, inService, stateOf, type Turn } from './node-turn.ts'
import { gatherEvidence } from './node-view.ts'

/** A fault as it is found; the rest of {@link Fault} is filled in here. */
export type Found = Pick<Fault, 'device' | 'rule' | 'class' | 'doubt' | 'text'> &
  Partial<Pick<Fault, 'signature' | 'level' | 'idleUntil' | 'by' | 'compared'>>

/** A fault that takes something out of service was found. An equal one that is open is the same. */
export function found(turn: Turn, node: NodeRecord, told: Found): void {
  const device = meant(told.device)
  const what =
    device === told.device ? told : { ...told, device, text: `${told.device}: ${told.text}` }
  const fault: Fault = {
    signature: what.rule,
    level: false,
    idleUntil: null,
    by: null,
    compared: [],
    ...what,
    since: turn.at,
    seq: turn.seq,
    state: 'open',
    because: null,
  }
  const same = node.faults.some(
    (other) =>
      other.state !== 'tried' &&
      other.device === fault.device &&
      other.signature === fault.signature,
  )
  if (same || node.faults.length >= limits.faults) return
  node.faults.push(fault)
  if (fault.by === null && turn.policy.dryRun.includes(fault.rule)) {
    withhold(turn, node, fault, 'guard.dry_run', fault.compared)
    return
  }
  demand(turn, node, fault)
}

/** Whoever holds a device that nobody can name cannot be sent away alone: the whole node is meant. */
function meant(device: string | null): string | null {
  return device === null || isStranger(device) ? null : device
}

/** Carries on with one fault: out of service when it is not yet, and then the next remedy. */
export function demand(turn: Turn, node: NodeRecord, fault: Fault): void {
  if (inService(node)) {
    if (waitsForIdle(turn, node, fault)) {
      raiseDoubt(turn, node, fault)
      // One deadline for all that wait: the first of them.
      const waits = node.faults.map(({ idleUntil }) => idleUntil ?? -1)
      const due = Math.min(...waits.filter((until) => until > turn.at))
      turn.deadlines.set(deadlineKey(node.slot, 'idle'), due)
      return
    }
    if (!mayLeave(turn, node, fault)) return
    proceed(turn, node, fault)
    goOn(turn, node)
    return
  }
  proceed(turn, node, fault)
}

/** It is out of service: its runners leave, and then the next remedy. */
function proceed(turn: Turn, node: NodeRecord, fault: Fault): void {
  if (fault.class === 'cordon') return
  const state = stateOf(node)
  if (state === 'retired') return
  if (state === 'escalated') {
    // No remedy is left, but its work must not stay on a broken device.
    sendAway(turn, node, fault.device, fault.rule)
    turn.alert(node, 'node.escalated', `${where(node, fault)}: ${fault.text}`, aboutOf(fault))
    return
  }
  turn.send(
    node,
    { type: 'drain.granted', at: turn.at },
    { seqs: [fault.seq], rule: fault.by === null ? 'node.drain' : fault.rule },
  )
  sendAway(turn, node, fault.class === 'reboot' ? null : fault.device, fault.rule)
  // A remedy under way is never overtaken: two actions on one host at once help nobody.
  if (state !== 'resetting' && state !== 'rebooting') advance(turn, node)
}

function waitsForIdle(turn: Turn, node: NodeRecord, fault: Fault): boolean {
  if (fault.idleUntil === null || turn.at >= fault.idleUntil) return false
  return !node.canReset || tenantsOf(node, fault.device).length > 0
}

/** Nothing leaves service, but people and placement should know. */
function raiseDoubt(turn: Turn, node: NodeRecord, fault: Fault): void {
  const news = turn.send(
    node,
    { type: 'doubt.raised', at: turn.at },
    { rule: fault.rule, compared: fault.compared, seqs: [fault.seq] },
  )
  if (news)
    turn.alert(
      node,
      'node.suspect',
      `${where(node, fault)}: ${fault.rule}, ${fault.text}`,
      aboutOf(fault),
    )
}

/** Asks the breaker for a rule, nobody for a person, and cordons. False: withheld. */
function mayLeave(turn: Turn, node: NodeRecord, fault: Fault): boolean {
  let { compared } = fault
  if (fault.by === null) {
    const { out, nodes } = outOfService(turn, node)
    const answer = askBreaker(turn.breaker, node.id, out, nodes, turn.at, turn.policy)
    compared = [...compared, ...answer.compared]
    if (!answer.granted) {
      withhold(turn, node, fault, 'node.breaker', compared)
      const open = turn.breaker.openedAt === null ? '' : ' and is open until a person closes it'
      turn.alert(
        node,
        'node.cordoned',
        `${where(node, fault)} would be cordoned by ${fault.rule} (${fault.text}); the breaker forbids it${open}`,
        `withheld ${aboutOf(fault)}`,
      )
      return false
    }
  }
  cordon(turn, node, fault, compared)
  return true
}

function cordon(turn: Turn, node: NodeRecord, fault: Fault, compared: Fault['compared']): void {
  const by = fault.by ?? fault.rule
  node.byRule = fault.by === null
  const rule = fault.by === null ? fault.rule : 'order.cordon'
  turn.send(
    node,
    { type: 'cordon.granted', at: turn.at, by, held: false },
    { rule, compared, seqs: [fault.seq] },
  )
  turn.alert(
    node,
    'node.cordoned',
    `${where(node, fault)} was cordoned by ${by}: ${fault.text}`,
    aboutOf(fault),
  )
}

/** Records what a rule would have done, once per episode. */
function withhold(
  turn: Turn,
  node: NodeRecord,
  fault: Fault,
  because: string,
  compared: Fault['compared'],
): void {
  const first = fault.state !== 'withheld'
  fault.state = 'withheld'
  fault.because = because
  if (!first) return
  const why = { rule: fault.rule, compared, seqs: [fault.seq], because }
  const moved =
    because !== 'guard.dry_run' && turn.send(node, { type: 'doubt.raised', at: turn.at }, why)
  if (!moved) turn.decide(node, stateOf(node), stateOf(node), fault.rule, why)
}

/**
 * Rules that are no longer in `dryRun`: what still holds of what they only recorded is acted upon now, what was of a moment is
 * forgotten, so that the next one of its kind counts.
 */
export function enforce(turn: Turn, node: NodeRecord): void {
  for (const fault of node.faults) {
    if (fault.because !== 'guard.dry_run' || turn.policy.dryRun.includes(fault.rule)) continue
    if (!node.faults.includes(fault)) continue
    if (holds(node, fault)) {
      fault.state = 'open'
      fault.because = null
      demand(turn, node, fault)
    } else node.faults = node.faults.filter((other) => other !== fault)
  }
}

/** A level, or what the driver asks for, is taken back when it is over; an error or a hanging source is of its moment. */
function holds(node: NodeRecord, { rule, device }: Fault): boolean {
  if (rule === 'lost') return node.devices.get(device ?? '')?.lost === true
  return rule !== 'xid' && rule !== 'driver.hung'
}

/** Nodes that rules keep out of service besides this one, and all that count. */
function outOfService(turn: Turn, except: NodeRecord): { out: number; nodes: number } {
  let out = 0
  let nodes = 0
  for (const node of turn.nodes.values()) {
    const state = stateOf(node)
    if (state === 'retired') continue
    nodes++
    if (node !== except && node.byRule && state !== 'healthy' && state !== 'suspect') out++
  }
  return { out, nodes }
}

/** A place came back, or a person closed the breaker: faults that were withheld are asked again, oldest first. */
export function reconsider(turn: Turn): void {
  const waiting: { node: NodeRecord; fault: Fault }[] = []
  for (const node of turn.nodes.values())
    for (const fault of node.faults)
      if (fault.state === 'withheld' && fault.because === 'node.breaker')
        waiting.push({ node, fault })
  waiting.sort((a, b) => a.fault.since - b.fault.since || a.node.slot - b.node.slot)
  for (const { node, fault } of waiting) {
    if (fault.state !== 'withheld') continue
    turn.touch(node)
    const { out, nodes } = outOfService(turn, node)
    if (inService(node)) {
      if (!hasRoom(turn.breaker, out, nodes, turn.policy)) return
      cordon(turn, node, fault, fault.compared)
    }
    fault.state = 'open'
    fault.because = null
    demand(turn, node, fault)
  }
}

/** A node that is out of service, whoever took it, has nothing to ask the breaker any more: what was withheld of it goes on. */
export function goOn(turn: Turn, node: NodeRecord): void {
  for (const fault of node.faults) {
    if (fault.because !== 'node.breaker' || inService(node)) continue
    fault.state = 'open'
    fault.because = null
    demand(turn, node, fault)
  }
}

/** Tells runners to leave: those on the device, or all. Each is told once. */
export function sendAway(turn: Turn, node: NodeRecord, device: string | null, rule: string): void {
  for (const { runner } of tenantsOf(node, device)) {
    if (node.leaving.has(runner)) continue
    node.leaving.add(runner)
    turn.effects.push({
      type: 'runner.drain',
      runner,
      replace: true,
      reason: 'node_drained',
      deadlineMs: turn.policy.drainTimeoutMs,
      rule,
    })
  }
}

const remediable: ReadonlySet<string> = new Set([
  'draining',
  'resetting',
  'rebooting',
  'validating',
])

/** Chooses and begins the next remedy of a node that is being drained, was remedied or proves itself. */
export function advance(turn: Turn, node: NodeRecord): void {
  const before = stateOf(node)
  if (!remediable.has(before)) return
  const choice = chooseRemedy(node, turn.at, turn.policy)
  const { remedy, device, clear, fault, compared } = choice
  if (!clear) sendAway(turn, node, device, fault?.rule ?? 'node.drain')
  const seqs = node.faults.map(({ seq }) => seq)
  const verdict = { type: 'remedy.chosen', remedy, clear, device, at: turn.at } as const
  if (!turn.send(node, verdict, { compared, seqs })) return
  const state = stateOf(node)
  if (state === 'draining') return
  node.refuted = false
  if (state === 'resetting' || state === 'rebooting') begin(turn, node, state, device, fault)
  else if (state === 'validating') beginProof(turn, node)
  else if (state === 'escalated') escalated(turn, node)
}

function begin(
  turn: Turn,
  node: NodeRecord,
  state: 'resetting' | 'rebooting',
  device: string | null,
  fault: Fault | null,
): void {
  const kind = state === 'resetting' ? 'reset' : 'reboot'
  node.rung = Math.max(node.rung, kind === 'reset' ? 1 : 2)
  for (const other of node.faults)
    if (kind === 'reboot' || other.device === device)
      if (other.state === 'open') other.state = 'tried'
  const signature = fault?.signature ?? 'node.validate'
  node.history.push({ kind, device, signature, at: turn.at, passed: null })
  keep(node.history, limits.history)
  // Its own work stops here; silence is part of it.
  turn.deadlines.clear(deadlineKey(node.slot, 'telemetry'))
}

/** The answer to a reset or reboot, or that none came. */
export function remedied(turn: Turn, node: NodeRecord, passed: boolean): void {
  const last = node.history.at(-1)
  if (last !== undefined && last.passed === null) last.passed = passed
  node.pending = null
  node.refuted = !passed
  advance(turn, node)
}

/** The answer to the configured check. */
export function checked(turn: Turn, node: NodeRecord, passed: boolean): void {
  node.pending = null
  node.checked = passed
  if (passed) {
    prove(turn, node)
    return
  }
  node.refuted = true
  advance(turn, node)
}

/** It is in service again: nothing is left of why it was not. */
export function returned(turn: Turn, node: NodeRecord): void {
  node.faults = []
  node.rung = 0
  node.refuted = false
  node.byRule = false
  node.emptied = false
  node.pending = null
  for (const device of node.devices.values()) device.lost = false
  turn.effects.push({ type: 'node.returned', node: node.id })
  // A level that only alerts may have gone on all the while.
  if (node.warnings.length > 0) turn.send(node, { type: 'doubt.raised', at: turn.at })
  reconsider(turn)
}

/** Handed to a person, with everything that is known. */
export function escalated(turn: Turn, node: NodeRecord): void {
  node.pending = null
  const order = turn.commands.findLast(({ type }) => type === 'escalate')
  if (order !== undefined)
    turn.effects.push({
      type: 'evidence',
      command: order.id,
      evidence: gatherEvidence(node, turn.at),
    })
  const text = node.faults.map(({ rule, device }) => (device ? `${rule} (${device})` : rule))
  const cause = text.length > 0 ? text.slice(0, 5).join(', ') : (node.context.cordonedBy ?? '')
  turn.alert(
    node,
    'node.escalated',
    `${node.id} needs a person: ${cause}. It stays cordoned until it is retired or uncordoned`,
  )
}

/** A fault is over by itself: its level was released, or the driver took it back. */
export function over(turn: Turn, node: NodeRecord, device: string | null, rule: string): void {
  const before = node.faults.length
  node.faults = node.faults.filter(
    (fault) => fault.device !== meant(device) || fault.rule !== rule || fault.state === 'tried',
  )
  if (before === node.faults.length) return
  calm(turn, node, rule)
  if (stateOf(node) === 'draining') advance(turn, node)
}

/** Suspect no more, when nothing is left to suspect. */
export function calm(turn: Turn, node: NodeRecord, rule: string): void {
  const live = node.faults.some(({ because }) => because !== 'guard.dry_run')
  if (node.warnings.length === 0 && !live)
    turn.send(node, { type: 'doubt.cleared', at: turn.at }, { rule })
}

/** Which trouble of a node an alert is about. */
function aboutOf({ signature, device }: Fault): string {
  return device === null ? signature : `${signature} ${device}`
}

function where(node: NodeRecord, { device }: Fault): string {
  return device === null ? `node ${node.id}` : `node ${node.id}, device ${device}`
}
