/**
 * The driver's error numbers (Xids) as data: what each means, what it asks for, and where the line comes from. It decides nothing;
 * `xid.ts` reads it.
 */
import type { ActionClass } from './xid.ts'

/** One line of the table: some Xids, what they mean, what they ask for. */
export interface XidLine {
  readonly xids: readonly number[]
  readonly meaning: string
  readonly class: ActionClass
  /** The class when the text calls the error fatal, where that makes a difference. */
  readonly fatal?: ActionClass
  readonly source: string
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Every Xid with an entry. One that is not here alerts, nothing more. */
export const xidTable: readonly XidLine[] = [
  {
    xids: [8],
    meaning: 'channel idle timeout',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP',
  },
  {
    xids: [11, 25, 32, 69],
    meaning: 'bad method, illegal notification, corrupted push buffer, class error',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP, check the application',
  },
  {
    xids: [13],
    meaning: 'graphics engine exception: bad address or instruction of a kernel',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP; device plugins ignore it',
  },
  {
    xids: [31],
    meaning: 'memory page fault of an application',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP; device plugins ignore it',
  },
  {
    xids: [37, 38, 44, 66, 67],
    meaning: 'driver firmware notices and illegal accesses by the driver',
    class: 'record',
    source: 'NVIDIA Xid catalogue: IGNORE',
  },
  {
    xids: [39, 40, 41, 70, 71, 72, 75, 76, 77, 85, ...range(126, 135)],
    meaning: 'copy engine errors',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP',
  },
  {
    xids: [43],
    meaning: 'a channel was reset, its application killed',
    class: 'record',
    source: 'NVIDIA Xid catalogue: IGNORE; the process is already dead',
  },
  {
    xids: [45],
    meaning: 'clean-up after another error',
    class: 'record',
    source: 'NVIDIA Xid catalogue: follow-up; monitors that acted on it drained healthy nodes',
  },
  {
    xids: [46],
    meaning: 'the device stopped processing',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU',
  },
  {
    xids: [48],
    meaning: 'double-bit memory error',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU; fatal in every monitor',
  },
  {
    xids: [54],
    meaning: 'auxiliary power is not connected',
    class: 'alert',
    fatal: 'cordon',
    source: 'NVIDIA Xid catalogue: CHECK_MECHANICALS',
  },
  {
    xids: [60],
    meaning: 'video processor exception',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP',
  },
  {
    xids: [62],
    meaning: 'internal micro-controller halted',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU',
  },
  {
    xids: [63],
    meaning: 'a row remap or page retirement was recorded; it acts at the next reset',
    class: 'record',
    source: 'NVIDIA Xid catalogue: IGNORE; telemetry says whether one is pending',
  },
  {
    xids: [64],
    meaning: 'a row remap failed: no reset cures it',
    class: 'escalate',
    source: 'semantics 6 (row-remap failure); NVIDIA Xid catalogue: reset, then support',
  },
  {
    xids: [68, ...range(82, 84), 86, 88, 89, ...range(96, 105), 139],
    meaning: 'video, picture and optical-flow engine errors',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP',
  },
  {
    xids: [74, ...range(144, 150)],
    meaning: 'NVLink error',
    class: 'alert',
    fatal: 'reset',
    source: 'NVIDIA Xid catalogue: decode; most lines are harmless, fatal ones need a reset',
  },
  {
    xids: [78],
    meaning: 'vGPU start error',
    class: 'alert',
    fatal: 'cordon',
    source: 'NVIDIA Xid catalogue: UPDATE_SWFW',
  },
  {
    xids: [79],
    meaning: 'the device has fallen off the bus',
    class: 'reboot',
    source: 'NVIDIA Xid catalogue: RESTART_BM; fatal in every monitor',
  },
  {
    xids: [80],
    meaning: 'corrupted data sent to the device',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP',
  },
  {
    xids: [92],
    meaning: 'high rate of corrected memory errors',
    class: 'record',
    source: 'NVIDIA Xid catalogue: IGNORE',
  },
  {
    xids: [93, 106, 107, 121, 137, 141, 152, 153],
    meaning: 'notices: inforom wear, test messages, corrected links, privileges',
    class: 'record',
    source: 'NVIDIA Xid catalogue: IGNORE',
  },
  {
    xids: [94],
    meaning: 'contained memory error: one application is hurt',
    class: 'restart_runner',
    source: 'NVIDIA Xid catalogue: RESTART_APP',
  },
  {
    xids: [95],
    meaning: 'uncontained memory error',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU; fatal in every monitor',
  },
  {
    xids: [109, 110],
    meaning: 'context switch timeout, security fault',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU',
  },
  {
    xids: [119, 120],
    meaning: 'system processor of the device timed out or failed',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU',
  },
  {
    xids: [136, 155],
    meaning: 'link training failed',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU',
  },
  {
    xids: [140],
    meaning: 'unrecovered memory error',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU',
  },
  {
    xids: [143, 156, 158],
    meaning: 'initialisation error, resource retirement, fatal timeout',
    class: 'reset',
    source: 'NVIDIA Xid catalogue: RESET_GPU',
  },
  {
    xids: [151],
    meaning: 'key rotation error',
    class: 'reboot',
    source: 'NVIDIA Xid catalogue: RESTART_VM',
  },
  {
    xids: [157, 160, 161],
    meaning: 'retirement notices',
    class: 'record',
    source: 'NVIDIA Xid catalogue: IGNORE',
  },
  {
    xids: [168],
    meaning: 'reduced memory capacity',
    class: 'reboot',
    source: 'NVIDIA Xid catalogue: RESTART_VM',
  },
  {
    xids: [142, ...range(162, 165), 167, ...range(169, 172)],
    meaning: 'power smoothing, PCIe timeout, details of other errors',
    class: 'alert',
    fatal: 'cordon',
    source: 'NVIDIA Xid catalogue: none; a person decides',
  },
]
