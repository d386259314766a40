/** Facts about nodes and devices, as telemetry sources and operators report them. They carry readings, never verdicts. */

/** One reading of one device. A field the device does not report is absent, never zero. */
export interface DeviceSample {
  readonly uuid: string
  readonly index?: number
  readonly name?: string
  /** PCI address, `0000:1a:00`: lower case, no function; what the kernel log calls the device. */
  readonly pci?: string
  readonly temperatureC?: number
  readonly memoryTemperatureC?: number
  /** Degrees left to the device's own limit. */
  readonly marginC?: number
  readonly slowdownC?: number
  /** Where the device slows down, as a margin (usually negative); devices with margins report this instead of degrees. */
  readonly slowdownMarginC?: number
  /** Highest temperature of normal operation. */
  readonly maxOperatingC?: number
  /** The same for its memory. */
  readonly memoryMaxC?: number
  readonly shutdownC?: number
  readonly smClockMHz?: number
  readonly maxSmClockMHz?: number
  readonly memoryClockMHz?: number
  /** Clocks-event reasons, the driver's bit mask. */
  readonly throttle?: number
  /** Time counters of the throttle reasons, in ms, by the driver's name. */
  readonly throttleMs?: Readonly<Record<string, number>>
  readonly powerW?: number
  readonly powerLimitW?: number
  readonly eccVolatileUncorrected?: number
  readonly eccVolatileCorrected?: number
  readonly eccAggregateUncorrected?: number
  readonly eccAggregateCorrected?: number
  readonly rowRemapPending?: boolean
  readonly rowRemapFailed?: boolean
  /** More uncorrectable errors in on-chip memory than the driver tolerates. */
  readonly sramThresholdExceeded?: boolean
  readonly retiredPagesPending?: boolean
  readonly retiredPages?: number
  /** The driver's own recovery action: none, reset, reboot, drain, drain_reset, other. */
  readonly recoveryAction?: string
  readonly pcieGen?: number
  readonly pcieMaxGen?: number
  readonly pcieWidth?: number
  readonly pcieMaxWidth?: number
  readonly pcieReplays?: number
  /** Replay, recovery and CRC errors of all NVLinks, summed since the driver was loaded. */
  readonly nvlinkErrors?: number
  readonly utilisationPercent?: number
  readonly memoryUsedMiB?: number
  readonly memoryTotalMiB?: number
}

interface NodeFact {
  /** Observed milliseconds, never decreasing. */
  readonly at: number
  /** Journal number, given by `step`. */
  readonly seq?: number
  readonly node: string
}

/** Facts of telemetry, of remediation, and orders about nodes. */
export type NodeEvent =
  | (NodeFact & { readonly type: 'gpu.sampled'; readonly devices: readonly DeviceSample[] })
  | (NodeFact & {
      readonly type: 'gpu.xid'
      readonly device: string
      readonly xid: number
      readonly text: string
      /** Boot id and sequence, so that a restart does not act twice. */
      readonly boot: string
      readonly sequence: number
      /** Process that the driver names, when it does. */
      readonly pid?: number
      /** Processes above it: groups, sessions, parents. Absent when nobody could look; present and none of ours: somebody else's process. */
      readonly lineage?: readonly number[]
    })
  | (NodeFact & { readonly type: 'gpu.lost'; readonly device: string; readonly detail: string })
  | (NodeFact & {
      /** A telemetry source died, hung or came back; a fact about the source, never about a device. */
      readonly type: 'source.failed' | 'source.recovered'
      readonly source: string
      readonly why: 'exited' | 'hung' | 'unkillable' | 'invalid' | 'recovered'
      readonly detail: string
    })
  | (NodeFact & {
      readonly type: 'node.configured'
      readonly devices: readonly string[]
      readonly canReset: boolean
      readonly canReboot: boolean
      readonly canValidate: boolean
      /** Boot id of the node: a new one ends a reboot that was under way. */
      readonly boot?: string
      /** What nodes are judged by from now on: tunables as configured, overrides of Xids as `xid`. Absent: as before. */
      readonly policy?: Readonly<Record<string, unknown>>
    })
  | (NodeFact & {
      readonly type: 'node.reset.ended' | 'node.reboot.ended' | 'node.validate.ended'
      readonly device?: string
      readonly passed: boolean
      readonly detail: string
      readonly answers?: string
    })
  | (NodeFact & {
      readonly type:
        | 'order.cordon'
        | 'order.uncordon'
        | 'order.drain-node'
        | 'order.reset'
        | 'order.reboot'
        | 'order.escalate'
        | 'order.retire'
      readonly device?: string
      readonly by: string
    })
  | {
      readonly at: number
      readonly seq?: number
      readonly type: 'order.close-breaker'
      readonly by: string
    }
