/**
 * The driver's own recovery action, which has the last word over every table. Drivers change their mind within a second, so an
 * action counts once it has settled; it never judges readings.
 */
import { change, isRaised, type DeviceMemory, type Verdict } from './gpu-memory.ts'
import type { NodePolicy } from './node-policy.ts'
import { recoveryActions, recoveryClasses, type RecoveryAction } from './xid.ts'

/**
 * The driver announced its recovery action, by a sample or by Xid 154. A new one begins to settle; `none` releases at once.
 * A word we do not know is `other`.
 */
export function announce(memory: DeviceMemory, word: string, at: number): Verdict | null {
  const action = (recoveryActions as readonly string[]).includes(word)
    ? (word as RecoveryAction)
    : 'other'
  if (action === memory.recovery) return null
  memory.recovery = action
  memory.recoveryAt = at
  memory.recoveryTold = action === 'none'
  if (action !== 'none' || !isRaised(memory, 'recovery')) return null
  return change(memory, 'recovery', false, [
    { name: 'recoveryAction', value: 0, op: '<', threshold: 1, option: null },
  ])
}

/** When an announced action will have settled; Infinity when none is pending. */
export function settlesAt(memory: DeviceMemory, policy: NodePolicy): number {
  return memory.recoveryTold ? Infinity : memory.recoveryAt + policy.recoverySettleMs
}

/** Tells an action that has settled, once; null otherwise. */
export function settle(memory: DeviceMemory, at: number, policy: NodePolicy): Verdict | null {
  if (at < settlesAt(memory, policy)) return null
  memory.recoveryTold = true
  const code = recoveryActions.indexOf(memory.recovery)
  const verdict = change(memory, 'recovery', true, [
    { name: 'recoveryAction', value: code, op: '>=', threshold: 1, option: null },
    {
      name: 'settledMs',
      value: at - memory.recoveryAt,
      op: '>=',
      threshold: policy.recoverySettleMs,
      option: 'recoverySettleSeconds',
    },
  ])
  return {
    ...verdict,
    class: recoveryClasses[memory.recovery],
    text: `the driver asks for "${memory.recovery}"`,
  }
}
