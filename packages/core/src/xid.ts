/**
 * What the driver's error numbers (Xids) mean for us, as data with the source of each line. It classifies one line of text and
 * one number; counting, repeats and remedies are decided in `nodes.ts`.
 */
import { xidTable, type XidLine } from './xid-table.ts'

/** What a fault asks for, from the mildest to the last. `drain` means drain, then prove itself, without a reset. */
export const actionClasses = [
  'record',
  'alert',
  'restart_runner',
  'cordon',
  'drain',
  'reset',
  'reboot',
  'escalate',
] as const
/** One of {@link actionClasses}. */
export type ActionClass = (typeof actionClasses)[number]

/** The driver's own recovery action. `other`: one that only a person can carry out, or one we do not know. */
export const recoveryActions = ['none', 'reset', 'reboot', 'drain', 'drain_reset', 'other'] as const
/** One of {@link recoveryActions}. */
export type RecoveryAction = (typeof recoveryActions)[number]

/** What the driver's recovery action asks for; it has the last word over every table. */
export const recoveryClasses = {
  none: 'record',
  reset: 'reset',
  reboot: 'reboot',
  drain: 'alert',
  drain_reset: 'reset',
  other: 'escalate',
} as const satisfies Record<RecoveryAction, ActionClass>

const byNumber: ReadonlyMap<number, XidLine> = new Map(
  xidTable.flatMap((line) => line.xids.map((xid) => [xid, line] as const)),
)

/** The number of the driver's message that its recovery action changed. */
export const RECOVERY_XID = 154

/** What one Xid asks for. */
export interface XidVerdict {
  readonly class: ActionClass
  readonly meaning: string
  /** True when the table has no line for it. */
  readonly unknown: boolean
}

/**
 * Classifies an Xid: an override first, then the table; the text decides where only fatal errors act. An unknown one alerts.
 *
 * ```ts
 * classifyXid(79, '') // => { class: 'reboot', meaning: 'the device has fallen off the bus', unknown: false }
 * ```
 */
export function classifyXid(
  xid: number,
  text: string,
  overrides: Readonly<Record<string, ActionClass>> = {},
): XidVerdict {
  const line = byNumber.get(xid) ?? null
  const meaning = line?.meaning ?? 'not in the table'
  const override = overrides[String(xid)]
  if (override !== undefined) return { class: override, meaning, unknown: false }
  if (line === null) return { class: 'alert', meaning, unknown: true }
  return {
    class: line.fatal !== undefined && isFatal(text) ? line.fatal : line.class,
    meaning,
    unknown: false,
  }
}

/** "Fatal" as its own word; "Nonfatal" and "Non-fatal" are the opposite. */
function isFatal(text: string): boolean {
  return /(?<!non[- ]?)\bfatal\b/i.test(text)
}

const byText: Readonly<Record<string, RecoveryAction>> = {
  none: 'none',
  reset: 'reset',
  'gpu reset': 'reset',
  'gpu reset required': 'reset',
  reboot: 'reboot',
  'node reboot': 'reboot',
  'node reboot required': 'reboot',
  'drain p2p': 'drain',
  'drain and reset': 'drain_reset',
}

/** The driver's recovery action by its number (NVML), or by the text that its tools print. Unknown ones are `other`. */
export function recoveryAction(value: number | string): RecoveryAction {
  if (typeof value === 'number') return recoveryActions[value] ?? 'other'
  return byText[value.trim().toLowerCase()] ?? 'other'
}

/** The recovery action that the text of Xid 154 announces; null when it does not say. */
export function announcedRecovery(text: string): RecoveryAction | null {
  const match =
    /recovery action changed from 0x[0-9a-f]+ \([^)]*\) to (0x[0-9a-f]+) \(([^)]*)\)/i.exec(text)
  return match === null ? null : recoveryAction(match[2]!)
}
