/**
 * What telemetry and remediation report about a node → faults, warnings, blame. It reads facts and tells `node-care.ts`; silence
 * of a source is a fact about the source, and nothing is concluded about a device that did not report.
 */
import { assess, type Verdict } from './gpu.ts'
import { forget } from './gpu-memory.ts'
import { announce, settle, settlesAt } from './gpu-recovery.ts'
import { signalTable, type SignalLine } from './gpu-signal.ts'
import { calm, checked, enforce, found, over, remedied } from './node-care.ts'
import { prove } from './node-proof.ts'
import type { DeviceSample, NodeEvent } from './node-event.ts'
import {
  deviceOf,
  keep,
  limits,
  tenantsOf,
  type DeviceRecord,
  type NodeRecord,
} from './node-record.ts'
import { deadlineKey, inService, stateOf, type Turn } from './node-turn.ts'
import { culprits, isNew, otherVictim } from './node-xid.ts'
import { announcedRecovery, classifyXid, RECOVERY_XID } from './xid.ts'

type Of<T extends NodeEvent['type']> = Extract<NodeEvent, { type: T }>

/** A sample of all devices of a node. */
export function sampled(turn: Turn, node: NodeRecord, devices: readonly DeviceSample[]): void {
  const { at } = turn
  node.sampledAt = at
  node.unknownAt = null
  // While a reset or reboot is under way devices come and go: nothing is judged.
  const judging = !isRemedied(node)
  if (judging) watch(turn, node)
  const present = new Set<string>()
  let fresh = false
  for (const sample of devices) {
    const device = deviceOf(node, sample.uuid)
    // A device that is named twice is one: else it would stand for another that is missing, and be judged twice as fast.
    if (device === null || present.has(device.uuid)) continue
    present.add(device.uuid)
    if (device.sample === null) {
      fresh = true
      if (sample.pci !== undefined) recognise(node, device, sample.pci)
    }
    device.sample = sample
    device.absent = 0
    device.lost = false
    if (!judging) continue
    for (const verdict of assess(device.memory, sample, at, turn.policy))
      told(turn, node, device, verdict)
    if (!device.memory.recoveryTold) armRecovery(turn, node)
  }
  if (present.size > node.count) node.count = present.size
  // Starts may wait for a device that nobody knew of.
  if (fresh && inService(node)) turn.effects.push({ type: 'node.grew', node: node.id })
  if (!judging) return
  if (present.size < node.devices.size) missed(turn, node, present)
  enforce(turn, node)
  prove(turn, node)
}

/** The next sample must come in time. */
export function watch(turn: Turn, node: NodeRecord): void {
  turn.deadlines.set(
    deadlineKey(node.slot, 'telemetry'),
    turn.at + turn.policy.telemetryStalledMs + 1,
  )
}

function isRemedied(node: NodeRecord): boolean {
  const state = stateOf(node)
  return state === 'resetting' || state === 'rebooting'
}

/** The kernel spoke of it by its address before its name was known: what was said is its own. */
function recognise(node: NodeRecord, device: DeviceRecord, pci: string): void {
  const stranger = node.devices.get(`pci:${pci}`)
  if (stranger === undefined) return
  node.devices.delete(stranger.uuid)
  device.lastXid = stranger.lastXid
  device.memory = stranger.memory
  device.xids.push(...stranger.xids)
}

/** A device says all kinds of things while it is being reset. */
function isTarget(node: NodeRecord, { uuid }: DeviceRecord): boolean {
  return isRemedied(node) && (node.context.device === null || node.context.device === uuid)
}

/** Devices that a sample does not name: replaced ones are forgotten, others are lost when it goes on. */
function missed(turn: Turn, node: NodeRecord, present: ReadonlySet<string>): void {
  for (const device of node.devices.values()) {
    const expected = node.expects.includes(device.uuid)
    if (present.has(device.uuid) || (device.sample === null && !expected)) continue
    device.absent++
    const whole = present.size >= (node.expects.length || node.count)
    if (whole && !expected && tenantsOf(node, device.uuid).length === 0) {
      node.devices.delete(device.uuid)
      continue
    }
    if (device.absent === turn.policy.lostSamples)
      lost(turn, node, device, `missing in ${device.absent} samples`, [
        {
          name: 'absent',
          value: device.absent,
          op: '>=',
          threshold: turn.policy.lostSamples,
          option: 'lostSamples',
        },
      ])
  }
}

function told(turn: Turn, node: NodeRecord, device: DeviceRecord, verdict: Verdict): void {
  const { rule, raised, compared, text, doubt } = verdict
  const { uuid } = device
  const warning = `${rule} ${uuid}`
  if (!raised) {
    node.warnings = node.warnings.filter((other) => other !== warning)
    over(turn, node, uuid, rule)
    calm(turn, node, rule)
    return
  }
  if (verdict.class === 'alert') {
    warn(turn, node, warning, verdict)
    return
  }
  const line: SignalLine = signalTable[rule]
  // The driver wants this device's work to stop now; anything else may end in peace.
  if (rule === 'recovery' && device.memory.recovery === 'reset')
    blame(turn, node, uuid, doubt, rule)
  found(turn, node, {
    device: uuid,
    rule,
    signature: rule === 'recovery' ? `recovery.${device.memory.recovery}` : rule,
    class: verdict.class,
    doubt,
    text,
    compared,
    level: line.cure === 'level',
    idleUntil: line.idle === true ? turn.at + turn.policy.remapPendingWaitMs : null,
  })
}

/** A level that only alerts. */
function warn(turn: Turn, node: NodeRecord, warning: string, verdict: Verdict): void {
  const { rule, compared, text } = verdict
  if (turn.policy.dryRun.includes(rule)) {
    const state = stateOf(node)
    turn.decide(node, state, state, rule, { compared, because: 'guard.dry_run' })
    return
  }
  if (!node.warnings.includes(warning)) node.warnings.push(warning)
  turn.send(node, { type: 'doubt.raised', at: turn.at }, { rule, compared })
  turn.alert(node, 'node.suspect', `node ${node.id}, ${warning}: ${text}`, warning)
}

/** The runners on a device are judged: their device failed them. */
function blame(turn: Turn, node: NodeRecord, device: string, doubt: boolean, rule: string): void {
  for (const { runner } of tenantsOf(node, device))
    turn.effects.push({ type: 'device.fault', node: node.id, device, runner, doubt, rule })
}

/** The driver says so, or it was missing for long enough. */
export function lost(
  turn: Turn,
  node: NodeRecord,
  device: DeviceRecord,
  text: string,
  compared: Verdict['compared'] = [],
): void {
  if (device.lost || isRemedied(node)) return
  device.lost = true
  blame(turn, node, device.uuid, false, 'lost')
  found(turn, node, {
    device: device.uuid,
    rule: 'lost',
    class: signalTable.lost.class,
    doubt: false,
    text,
    compared,
  })
}

/** An Xid. Answers why it changes nothing, or null. */
export function xidSeen(turn: Turn, node: NodeRecord, event: Of<'gpu.xid'>): string | null {
  if (!isNew(node, event)) return 'this Xid was told before'
  const device = deviceOf(node, event.device)
  if (device === null) return `node ${node.id} has ${limits.devices} devices already`
  device.lastXid = event.xid
  if (!isRemedied(node)) enforce(turn, node)
  if (event.xid === RECOVERY_XID) {
    recoveryAnnounced(turn, node, device, event.text)
    return null
  }
  const runners = culprits(turn, node, device, event)
  const verdict = classifyXid(event.xid, event.text, turn.policy.xid)
  const app = verdict.class === 'restart_runner'
  const equal = device.xids.findLast(
    ({ xid, runners: others }) => xid === event.xid && (!app || others.join() === runners.join()),
  )
  // What was seen before the last remedy is another story: after it the same error is a new one.
  const sameBurst = equal !== undefined && equal.at > remediedAt(node, device)
  if (sameBurst && turn.at - equal.at < turn.policy.faultBurstMs) {
    equal.at = turn.at
    return null
  }
  const other = app ? otherVictim(turn, device, event.xid, runners) : undefined
  const repeated = other !== undefined
  device.xids.push({ xid: event.xid, at: turn.at, runners, seq: turn.seq })
  keep(device.xids, limits.xids)
  if (isTarget(node, device) || verdict.class === 'record') return null
  const text = `Xid ${event.xid}, ${verdict.meaning}`
  if (verdict.class === 'alert') {
    turn.alert(
      node,
      'node.suspect',
      `node ${node.id}, device ${device.uuid}: ${text}`,
      `xid.${event.xid} ${device.uuid}`,
    )
    return null
  }
  if (app)
    for (const runner of runners)
      turn.effects.push({
        type: 'device.fault',
        node: node.id,
        device: device.uuid,
        runner,
        doubt: false,
        rule: 'xid',
      })
  if (app && !repeated) return null
  found(turn, node, {
    device: device.uuid,
    rule: 'xid',
    signature: `xid.${event.xid}`,
    class: repeated ? 'drain' : verdict.class,
    doubt: false,
    text: repeated ? `${text}, under two different runners` : text,
    ...(repeated && {
      compared: [
        {
          name: 'sinceOther',
          value: turn.at - other.at,
          op: '<=',
          threshold: turn.policy.xidRepeatMs,
          option: 'xidRepeatSeconds',
        },
      ],
    }),
  })
  return null
}

/** Since when the last remedy for this device, or its proof, is another story than what was seen before. */
function remediedAt(node: NodeRecord, { uuid }: DeviceRecord): number {
  const last = node.history.findLast(
    ({ device, passed }) => passed !== null && (device === null || device === uuid),
  )
  return Math.max(node.provingFrom, last?.at ?? -1)
}

function recoveryAnnounced(turn: Turn, node: NodeRecord, device: DeviceRecord, text: string): void {
  const action = announcedRecovery(text)
  if (action === null) {
    turn.alert(
      node,
      'node.suspect',
      `node ${node.id}, device ${device.uuid}: Xid 154, recovery action changed, to what is not readable`,
      `xid.${RECOVERY_XID} ${device.uuid}`,
    )
    return
  }
  const released = announce(device.memory, action, turn.at)
  if (released !== null) told(turn, node, device, released)
  armRecovery(turn, node)
  prove(turn, node)
}

function armRecovery(turn: Turn, node: NodeRecord): void {
  let due = Infinity
  for (const { memory } of node.devices.values())
    due = Math.min(due, settlesAt(memory, turn.policy))
  const key = deadlineKey(node.slot, 'recovery')
  if (due === Infinity) turn.deadlines.clear(key)
  else turn.deadlines.set(key, due)
}

/** Recovery actions that have settled by now. */
export function settled(turn: Turn, node: NodeRecord): void {
  for (const device of node.devices.values()) {
    const verdict = settle(device.memory, turn.at, turn.policy)
    if (verdict !== null && !isTarget(node, device)) told(turn, node, device, verdict)
  }
  armRecovery(turn, node)
}

/** Its devices are unknown from now on: people are told, nothing is judged. */
export function unknown(turn: Turn, node: NodeRecord, text: string): void {
  if (isRemedied(node)) return
  if (node.unknownAt === null) {
    node.unknownAt = turn.at
    for (const { memory } of node.devices.values()) forget(memory, turn.at)
  }
  turn.alert(node, 'telemetry.unknown', `node ${node.id}: ${text}`)
  prove(turn, node)
}

/** A source failed or came back. */
export function sourceChanged(
  turn: Turn,
  node: NodeRecord,
  event: Of<'source.failed' | 'source.recovered'>,
): void {
  if (event.type === 'source.recovered') {
    // Devices that were read are known again by their next sample: it may be another source that failed, and fails still.
    if (node.sampledAt < 0) node.unknownAt = null
    prove(turn, node)
    return
  }
  unknown(turn, node, `telemetry source ${event.source} ${event.why}: ${event.detail}`)
  if (event.why === 'unkillable' && !isRemedied(node))
    found(turn, node, {
      device: null,
      rule: 'driver.hung',
      class: signalTable['driver.hung'].class,
      doubt: false,
      text: `a process of ${event.source} does not end: ${event.detail}`,
    })
}

/** What the node has, and what may be done to it. */
export function configured(turn: Turn, node: NodeRecord, event: Of<'node.configured'>): void {
  node.configured = true
  node.expects = event.devices.slice(0, limits.devices)
  for (const uuid of node.expects) deviceOf(node, uuid)
  node.canReset = event.canReset
  node.canReboot = event.canReboot
  node.canValidate = event.canValidate
  const rebooted = node.boot !== null && event.boot !== undefined && event.boot !== node.boot
  node.boot = event.boot ?? node.boot
  if (!rebooted) return
  if (stateOf(node) === 'rebooting') remedied(turn, node, true)
  else over(turn, node, null, 'driver.hung')
}

/** An order was carried out. Answers why the fact is stale, or null. */
export function ended(
  turn: Turn,
  node: NodeRecord,
  event: Of<'node.reset.ended' | 'node.reboot.ended' | 'node.validate.ended'>,
): string | null {
  const expected = {
    'node.reset.ended': 'resetting',
    'node.reboot.ended': 'rebooting',
    'node.validate.ended': 'validating',
  } as const
  const state = stateOf(node)
  if (expected[event.type] !== state) return `node ${node.id} is ${state}: the answer is stale`
  if (event.answers !== undefined && event.answers !== node.pending)
    return `the answer is to ${event.answers}, which nobody waits for`
  if (state === 'validating') checked(turn, node, event.passed)
  else remedied(turn, node, event.passed)
  return null
}
