/**
 * What a node must show before it serves again, and whether it has shown it. It begins no remedy and finds no fault.
 */
import { createMemory, isRaised } from './gpu-memory.ts'
import { REBOOT } from './node-ladder.ts'
import type { DeviceRecord, NodeRecord } from './node-record.ts'
import { stateOf, type Turn } from './node-turn.ts'

/** The node must prove itself: everything that was believed of its devices is forgotten. */
export function beginProof(turn: Turn, node: NodeRecord): void {
  const remedied = node.faults.filter(({ state }) => state === 'tried')
  for (const fault of node.faults) if (fault.state === 'open') fault.state = 'tried'
  node.checked = null
  node.provingFrom = turn.at
  node.warnings = []
  for (const device of node.devices.values()) {
    const { recovery, recoveryAt, recoveryTold } = device.memory
    device.memory = createMemory()
    device.absent = 0
    // What the driver has just asked for about a device that no remedy was for still counts; its deadline stands.
    if (
      recoveryTold ||
      node.rung >= REBOOT ||
      remedied.some((fault) => fault.device === device.uuid)
    )
      continue
    Object.assign(device.memory, { recovery, recoveryAt, recoveryTold })
  }
  prove(turn, node)
}

/** Looks whether everything is shown that a healthy node shows. */
export function prove(turn: Turn, node: NodeRecord): void {
  if (stateOf(node) !== 'validating') return
  const complete = isProved(node)
  turn.send(node, { type: complete ? 'proof.complete' : 'proof.broken', at: turn.at })
}

/** A skipped or unanswered check is not a pass; nor is silence of a source that once spoke. */
function isProved(node: NodeRecord): boolean {
  if (node.canValidate && node.checked !== true) return false
  if (node.faults.some(({ state }) => state === 'open')) return false
  if (node.sampledAt < 0) return true
  if (node.sampledAt < node.provingFrom || node.unknownAt !== null) return false
  const present = [...node.devices.values()].filter(({ absent, sample }) => sample && absent === 0)
  if (present.length < (node.expects.length || node.count)) return false
  return present.every((device) => isSound(device) && isHealed(node, device))
}

/** A reset clears the count of memory errors: one that is still there was not reset. */
function isHealed(node: NodeRecord, { uuid, sample }: DeviceRecord): boolean {
  const hurt = node.faults.some(({ rule, device }) => rule === 'ecc.uncorrected' && device === uuid)
  return !hurt || (sample?.eccVolatileUncorrected ?? 0) === 0
}

function isSound({ memory, sample }: DeviceRecord): boolean {
  if (memory.recovery !== 'none' || sample?.rowRemapPending || sample?.retiredPagesPending)
    return false
  return !isRaised(memory, 'ecc.uncorrected') && !isRaised(memory, 'temp.critical')
}
