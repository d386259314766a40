/**
 * What telemetry can say about a device, as one table: when a signal is raised, when it is released, what it asks for, and where
 * the rule comes from. The reference page is made of it; `gpu.ts` carries it out.
 */
import type { NodeTunable } from './node-policy.ts'
import type { ActionClass } from './xid.ts'

/** One line of the table. */
export interface SignalLine {
  /** When it is raised; option names stand for their values. */
  readonly raised: string
  readonly released: string
  readonly class: ActionClass
  /** True: a reading, so a verdict by it is doubt; false: a fact that the driver states. */
  readonly doubt: boolean
  /** What ends the fault: its own level, a reset, or neither. */
  readonly cure: 'level' | 'reset' | 'none'
  /** True: no hurry; the remedy waits for an idle device. */
  readonly idle?: true
  readonly options: readonly NodeTunable[]
  readonly source: string
}

/** Every signal of telemetry, by the name of its rule. */
export const signalTable = {
  'temp.high': {
    raised:
      'margin ≤ tempHighMarginC; without a margin, temperature ≥ the lower of tempHighC and the highest operating temperature that the device reports; for tempHighHoldSeconds',
    released:
      'margin ≥ tempHighReleaseMarginC, or temperature ≤ the limit − tempReleaseC, for tempHighReleaseSeconds',
    class: 'alert',
    doubt: true,
    cure: 'level',
    options: [
      'tempHighMarginC',
      'tempHighC',
      'tempHighHoldSeconds',
      'tempHighReleaseMarginC',
      'tempReleaseC',
      'tempHighReleaseSeconds',
    ],
    source:
      'public alert rules of exporters (85 °C, minutes of hold); margins as NVML defines them',
  },
  'temp.critical': {
    raised:
      'margin < the slowdown margin that the device reports (else tempCriticalMarginC); without a margin, temperature ≥ its slowdown limit (else tempCriticalC); or memory ≥ its own limit; in tempCriticalSamples samples in a row',
    released:
      'tempReleaseC on the good side of that limit, in tempCriticalSamples samples in a row',
    class: 'drain',
    doubt: true,
    cure: 'level',
    options: ['tempCriticalMarginC', 'tempCriticalC', 'tempCriticalSamples', 'tempReleaseC'],
    source:
      'slowdown limits as NVML defines them; 88 °C as published by an operator of 20 000 GPUs',
  },
  'throttle.hw': {
    raised:
      'bits 0x40, 0x80 or 0x8 of the clocks-event reasons, or a growing counter of thermal or power-brake slowdown, in ≥ throttleHwPercent of the samples of throttleHwWindowSeconds',
    released: 'in < throttleHwReleasePercent of the samples of throttleHwWindowSeconds',
    class: 'drain',
    doubt: true,
    cure: 'level',
    options: [
      'throttleHwWindowSeconds',
      'throttleHwPercent',
      'throttleHwReleasePercent',
      'throttleHwWaitSeconds',
    ],
    source:
      'clocks-event reasons as NVML defines them; 6 of 10 minutes as public node agents judge',
  },
  'throttle.sw': {
    raised:
      'bit 0x20 of the clocks-event reasons for throttleSwSeconds; bit 0x4 (power cap) never counts',
    released: 'the first sample without it',
    class: 'alert',
    doubt: true,
    cure: 'level',
    options: ['throttleSwSeconds'],
    source: 'clocks-event reasons as NVML defines them; half an hour as public alert rules judge',
  },
  'clock.low': {
    raised:
      'utilisation ≥ clockLowUsePercent and SM clock < clockLowPercent of its maximum, without bits 0x2 and 0x4, for clockLowHoldSeconds',
    released: 'the first sample where that is not so',
    class: 'alert',
    doubt: true,
    cure: 'level',
    options: ['clockLowUsePercent', 'clockLowPercent', 'clockLowHoldSeconds'],
    source: 'derived: a device that is used and not capped runs near its maximum',
  },
  'ecc.uncorrected': {
    raised: 'the volatile count of uncorrected errors grew',
    released:
      'the count fell back (the driver was reloaded or the device reset); a node proves itself only with a count of 0',
    class: 'reset',
    doubt: true,
    cure: 'reset',
    options: [],
    source: 'NVIDIA GPU memory error management; fatal in DCGM and exporters',
  },
  'remap.pending': {
    raised: 'a row remap is pending',
    released: 'no remap is pending any more',
    class: 'reset',
    doubt: true,
    cure: 'reset',
    idle: true,
    options: ['remapPendingWaitSeconds'],
    source: 'NVIDIA row remapping: applied at the next reset, other work is unaffected',
  },
  'remap.failed': {
    raised: 'a row remap failed',
    released: 'never',
    class: 'escalate',
    doubt: true,
    cure: 'none',
    options: [],
    source: 'NVIDIA row remapping: the device qualifies for replacement',
  },
  'sram.threshold': {
    raised:
      'the driver says that the threshold of uncorrectable errors in on-chip memory is exceeded',
    released: 'never',
    class: 'escalate',
    doubt: true,
    cure: 'none',
    options: [],
    source: 'NVML: SRAM threshold exceeded; the device qualifies for replacement',
  },
  'retired.pending': {
    raised: 'a page retirement is pending (devices before row remapping)',
    released: 'no retirement is pending any more',
    class: 'reset',
    doubt: true,
    cure: 'reset',
    idle: true,
    options: ['remapPendingWaitSeconds'],
    source: 'NVIDIA dynamic page retirement: applied at the next reset',
  },
  'retired.pages': {
    raised: 'retired pages ≥ retiredPagesMax',
    released: 'never',
    class: 'escalate',
    doubt: true,
    cure: 'none',
    options: ['retiredPagesMax'],
    source: 'NVIDIA dynamic page retirement; DCGM fails at 63',
  },
  recovery: {
    raised:
      "the driver's recovery action is not none and did not change for recoverySettleSeconds: reset and drain_reset → reset, reboot → reboot, drain → alert, others → escalate",
    released: 'the action is none',
    class: 'reset',
    doubt: false,
    cure: 'reset',
    options: ['recoverySettleSeconds'],
    source: 'NVML field 230 and Xid 154: the driver has the last word',
  },
  lost: {
    raised:
      'the driver says that the device is lost, or it is missing in lostSamples samples in a row',
    released: 'the device answers again and the node was validated',
    class: 'reboot',
    doubt: false,
    cure: 'reset',
    options: ['lostSamples'],
    source: 'NVML return code 15; device plugins; Xid 79',
  },
  'pcie.replay.rate': {
    raised:
      'replays per minute > ⌈rate of the link generation × width⌉ in pcieReplayWindows minutes in a row',
    released: 'pcieReplayReleaseSeconds below it',
    class: 'alert',
    doubt: true,
    cure: 'level',
    options: ['pcieReplayWindows', 'pcieReplayReleaseSeconds'],
    source:
      'DCGM health watches: 0.15, 0.3, 0.48, 0.96, 1.92, 3.84 per lane and minute for generation 1 to 6',
  },
  'pcie.degraded': {
    raised:
      'the link is narrower or slower than its maximum while the device is used, for pcieDegradedHoldSeconds',
    released: 'the first sample at full width and speed',
    class: 'alert',
    doubt: true,
    cure: 'level',
    options: ['pcieDegradedHoldSeconds'],
    source: 'NVML link generation and width; an idle link may train down',
  },
  'nvlink.errors': {
    raised: 'NVLink errors per minute ≥ nvlinkErrorsPerMinute',
    released: 'pcieReplayReleaseSeconds without',
    class: 'alert',
    doubt: true,
    cure: 'level',
    options: ['nvlinkErrorsPerMinute', 'pcieReplayReleaseSeconds'],
    source: 'DCGM health watches: one replay or recovery per minute; fatal errors come as Xid 74',
  },
  'driver.hung': {
    raised: 'a process of a telemetry source is still there 30 s after SIGKILL',
    released: 'the node has booted again',
    class: 'reboot',
    doubt: false,
    cure: 'reset',
    options: [],
    source: 'a process in uninterruptible sleep inside the driver ends by a reboot only',
  },
} as const satisfies Record<string, SignalLine>

/** Name of a signal's rule. */
export type SignalRule = keyof typeof signalTable

/** All rules, in the order of the table; the place is the bit in a device's memory. */
export const signalRules = Object.keys(signalTable) as readonly SignalRule[]

/** Bits of the clocks-event reasons, as the driver names them. */
export const throttleBits = [
  [0x1, 'gpu_idle'],
  [0x2, 'applications_clocks_setting'],
  [0x4, 'sw_power_cap'],
  [0x8, 'hw_slowdown'],
  [0x10, 'sync_boost'],
  [0x20, 'sw_thermal_slowdown'],
  [0x40, 'hw_thermal_slowdown'],
  [0x80, 'hw_power_brake_slowdown'],
  [0x100, 'display_clock_setting'],
] as const

/** Names of the reasons in a mask. A bit without a name is left out. */
export function throttleReasons(mask: number): string[] {
  return throttleBits.filter(([bit]) => (mask & bit) !== 0).map(([, name]) => name)
}
