/**
 * What the DCGM exporter prints → samples. Old and new names of its fields, and the numbers by which it says "no value"; what a
 * device does not have stays absent. Pure.
 */
import { recoveryAction, type DeviceSample } from '@health/core'
import type { Metric } from './prometheus.ts'
import { pciAddress } from './source.ts'

type Draft = Record<string, unknown>
type Put = (draft: Draft, value: number) => void

const as =
  (field: keyof DeviceSample, scale = 1): Put =>
  (draft, value) => {
    draft[field] = value * scale
  }
const flag =
  (field: keyof DeviceSample): Put =>
  (draft, value) => {
    draft[field] = value !== 0
  }
const add =
  (field: keyof DeviceSample): Put =>
  (draft, value) => {
    draft[field] = ((draft[field] as number | undefined) ?? 0) + value
  }
const slowed =
  (name: string): Put =>
  (draft, value) => {
    draft.throttleMs = { ...(draft.throttleMs as object | undefined), [name]: value / 1e6 }
  }

/** Our reading of each field, by the exporter's name without its prefix. */
const fields: Readonly<Record<string, Put>> = {
  GPU_TEMP: as('temperatureC'),
  GPU_TEMP_CELSIUS: as('temperatureC'),
  GPU_TEMP_LIMIT: as('marginC'),
  GPU_TEMP_MARGIN_CELSIUS: as('marginC'),
  // Zero stands for "no sensor" on virtual devices.
  MEMORY_TEMP: (draft, value) => void (value > 0 && (draft.memoryTemperatureC = value)),
  MEMORY_TEMP_CELSIUS: (draft, value) => void (value > 0 && (draft.memoryTemperatureC = value)),
  SLOWDOWN_TEMP: as('slowdownC'),
  SHUTDOWN_TEMP: as('shutdownC'),
  GPU_MAX_OP_TEMP: as('maxOperatingC'),
  MEM_MAX_OP_TEMP: as('memoryMaxC'),
  SM_CLOCK: as('smClockMHz'),
  MEM_CLOCK: as('memoryClockMHz'),
  MAX_SM_CLOCK: as('maxSmClockMHz'),
  CLOCKS_EVENT_REASONS: as('throttle'),
  CLOCK_THROTTLE_REASONS: as('throttle'),
  POWER_USAGE: as('powerW'),
  ENFORCED_POWER_LIMIT: as('powerLimitW'),
  POWER_MGMT_LIMIT: as('powerLimitW'),
  GPU_UTIL: as('utilisationPercent'),
  FB_USED: as('memoryUsedMiB'),
  FB_TOTAL: as('memoryTotalMiB'),
  ECC_SBE_VOL_TOTAL: as('eccVolatileCorrected'),
  ECC_DBE_VOL_TOTAL: as('eccVolatileUncorrected'),
  ECC_SBE_AGG_TOTAL: as('eccAggregateCorrected'),
  ECC_DBE_AGG_TOTAL: as('eccAggregateUncorrected'),
  ROW_REMAP_PENDING: flag('rowRemapPending'),
  ROW_REMAP_FAILURE: flag('rowRemapFailed'),
  RETIRED_SBE: add('retiredPages'),
  RETIRED_DBE: add('retiredPages'),
  RETIRED_PENDING: flag('retiredPagesPending'),
  GET_GPU_RECOVERY_ACTION: (draft, value) => {
    draft.recoveryAction = recoveryAction(value)
  },
  PCIE_REPLAY_COUNTER: as('pcieReplays'),
  PCIE_LINK_GEN: as('pcieGen'),
  PCIE_MAX_LINK_GEN: as('pcieMaxGen'),
  PCIE_LINK_WIDTH: as('pcieWidth'),
  PCIE_MAX_LINK_WIDTH: as('pcieMaxWidth'),
  NVLINK_CRC_DATA_ERROR_COUNT_TOTAL: add('nvlinkErrors'),
  NVLINK_REPLAY_ERROR_COUNT_TOTAL: add('nvlinkErrors'),
  NVLINK_RECOVERY_ERROR_COUNT_TOTAL: add('nvlinkErrors'),
  // Which slowdown it was, these counters do not say: kept, never judged as hardware.
  THERMAL_VIOLATION: slowed('thermal_violation'),
  POWER_VIOLATION: slowed('power_violation'),
}

const PREFIX = 'DCGM_FI_DEV_'
const XID = `${PREFIX}XID_ERRORS`

/** Is this one of the exporter's fields that we read? */
export function isWanted(name: string): boolean {
  return (
    name === XID || (name.startsWith(PREFIX) && Object.hasOwn(fields, name.slice(PREFIX.length)))
  )
}

/** The numbers by which it says "no value": the ends of its integers, and a double. */
function isBlank(value: number): boolean {
  return (
    !Number.isFinite(value) ||
    value >= 9.2e18 ||
    (value >= 2_147_483_632 && value <= 2_147_483_635) ||
    (value >= 140_737_488_355_328 && value <= 140_737_488_355_331)
  )
}

/** One scrape. */
export interface DcgmScrape {
  readonly devices: readonly DeviceSample[]
  /** The last Xid of each device that has one; it stays until the exporter restarts. */
  readonly xids: ReadonlyMap<string, number>
}

/** Metrics → samples. Rows of MIG instances are left out: they repeat their device's. */
export function readDcgm(metrics: readonly Metric[]): DcgmScrape {
  const drafts = new Map<string, Draft>()
  const xids = new Map<string, number>()
  for (const { name, labels, value } of metrics) {
    const uuid = labels.UUID ?? labels.uuid ?? labels.gpu_uuid
    if (uuid === undefined || (labels.GPU_I_ID ?? '') !== '') continue
    let draft = drafts.get(uuid)
    if (draft === undefined) drafts.set(uuid, (draft = identity(uuid, labels)))
    if (isBlank(value)) continue
    if (name === XID) xids.set(uuid, value)
    else fields[name.slice(PREFIX.length)]?.(draft, value)
  }
  return { devices: [...drafts.values()] as unknown as DeviceSample[], xids }
}

function identity(uuid: string, labels: Readonly<Record<string, string>>): Draft {
  const draft: Draft = { uuid }
  const index = Number(labels.gpu ?? NaN)
  if (Number.isInteger(index)) draft.index = index
  if (labels.modelName !== undefined) draft.name = labels.modelName
  const pci = labels.pci_bus_id === undefined ? null : pciAddress(labels.pci_bus_id)
  if (pci !== null) draft.pci = pci
  return draft
}
