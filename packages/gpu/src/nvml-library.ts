/**
 * NVML through FFI: the few functions that a sample needs, bound one by one so that an older driver lacks only what it lacks. It
 * runs in the child process alone: a call into a driver that hangs never returns.
 */
import koffi from 'koffi'
import type { DeviceSample } from '@health/core'
import {
  ask,
  createBatch,
  eventTypes,
  fieldCount,
  readBatch,
  returnNames,
  returns,
  versionOf,
} from './nvml-field.ts'

type Call = (...args: unknown[]) => number

/** A call that failed, with the driver's code. */
export class NvmlError extends Error {
  override readonly name = 'NvmlError'
  readonly code: number

  constructor(name: string, code: number) {
    super(`${name}: ${returnNames[code] ?? `code ${code}`}`)
    this.code = code
  }
}

/** A device as the library knows it. */
export interface NvmlDevice {
  readonly handle: bigint
  readonly uuid: string
  readonly index: number
  /** What never changes, read once. */
  readonly fixed: Partial<DeviceSample>
}

/** An event of the driver. */
export interface NvmlEvent {
  readonly device: NvmlDevice | null
  readonly type: bigint
  readonly data: number
}

/** What one device answered. */
export type Reading =
  | { readonly kind: 'sample'; readonly sample: DeviceSample }
  | { readonly kind: 'lost' }
  /** No call succeeded: nothing is known, and nothing is told. */
  | { readonly kind: 'silent'; readonly code: number }

const MEMORY_V2 = versionOf(40, 2)
const TEMPERATURE_V1 = versionOf(12, 1)
const MARGIN_V1 = versionOf(8, 1)
const SM_CLOCK = 1
const MEMORY_CLOCK = 2
/** Kinds of temperature thresholds. */
const [SHUTDOWN, SLOWDOWN, MEMORY_MAX, GPU_MAX] = [0, 1, 2, 3]

/** The library, loaded and initialised. */
export class NvmlLibrary {
  readonly #library: ReturnType<typeof koffi.load>
  readonly #calls = new Map<string, Call | null>()
  readonly #word = Buffer.alloc(8)
  readonly #text = Buffer.alloc(96)
  readonly #memory = Buffer.alloc(40)
  readonly #pci = Buffer.alloc(68)
  readonly #event = Buffer.alloc(32)
  readonly #batch = createBatch()
  #devices: NvmlDevice[] = []
  #unread: { readonly index: number; readonly code: number }[] = []
  #events: bigint | null = null

  /** Throws when the library cannot be loaded, or the driver says no. */
  constructor(path: string) {
    this.#library = koffi.load(path)
    this.#must('nvmlInit_v2', '', [])
  }

  /** Finds the devices and reads what never changes. A device that does not answer is left out, and named by its place in `unread`. */
  enumerate(): readonly NvmlDevice[] {
    this.#must('nvmlDeviceGetCount_v2', 'void *', [this.#word])
    const count = this.#word.readUInt32LE(0)
    this.#devices = []
    this.#unread = []
    for (let index = 0; index < count; index++) {
      const code = this.#call('nvmlDeviceGetHandleByIndex_v2', 'uint32_t, void *', [
        index,
        this.#word,
      ])
      if (code !== 0) {
        this.#unread.push({ index, code })
        continue
      }
      const handle = this.#word.readBigUInt64LE(0)
      const uuid = this.#string('nvmlDeviceGetUUID', handle)
      if (uuid === null) {
        this.#unread.push({ index, code: returns.unknown })
        continue
      }
      this.#devices.push({ handle, uuid, index, fixed: this.#fixed(handle, index, uuid) })
    }
    return this.#devices
  }

  get devices(): readonly NvmlDevice[] {
    return this.#devices
  }

  /** Devices that the driver counts and that did not answer, with its code. */
  get unread(): readonly { readonly index: number; readonly code: number }[] {
    return this.#unread
  }

  /** Registers for Xids. False when the driver has no events here. */
  listen(): boolean {
    if (this.#events !== null) this.#call('nvmlEventSetFree', 'uint64_t', [this.#events])
    this.#events = null
    if (this.#call('nvmlEventSetCreate', 'void *', [this.#word]) !== 0) return false
    const set = this.#word.readBigUInt64LE(0)
    let any = false
    for (const { handle } of this.#devices) {
      if (
        this.#call('nvmlDeviceGetSupportedEventTypes', 'uint64_t, void *', [handle, this.#word]) !==
        0
      )
        continue
      const wanted =
        this.#word.readBigUInt64LE(0) &
        (eventTypes.xid | eventTypes.doubleBit | eventTypes.recovery)
      if (wanted === 0n) continue
      const code = this.#call('nvmlDeviceRegisterEvents', 'uint64_t, uint64_t, uint64_t', [
        handle,
        wanted,
        set,
      ])
      any ||= code === 0
    }
    if (any) this.#events = set
    return any
  }

  /** Waits for an event, at most so long; null when none came. Blocks. */
  wait(ms: number): NvmlEvent | null {
    if (this.#events === null) return null
    const code = this.#call('nvmlEventSetWait_v2', 'uint64_t, void *, uint32_t', [
      this.#events,
      this.#event,
      ms,
    ])
    if (code !== 0) return null
    const handle = this.#event.readBigUInt64LE(0)
    return {
      device: this.#devices.find((device) => device.handle === handle) ?? null,
      type: this.#event.readBigUInt64LE(8),
      data: Number(this.#event.readBigUInt64LE(16)),
    }
  }

  /** Reads one device: no process list, no fan; those take the driver's lock for milliseconds. */
  read(device: NvmlDevice): Reading {
    const { handle } = device
    const draft: Record<string, unknown> = {
      uuid: device.uuid,
      index: device.index,
      ...device.fixed,
    }
    let answered = false
    let lost = false
    let last = 0
    const took = (code: number): boolean => {
      if (code === returns.ok || code === returns.notSupported) answered = true
      else if (code === returns.lost) lost = true
      else if (code === returns.resetRequired) draft.recoveryAction = 'reset'
      else last = code
      return code === returns.ok
    }
    const uint = (name: string, field: string, scale = 1): void => {
      if (took(this.#call(name, 'uint64_t, void *', [handle, this.#word])))
        draft[field] = this.#word.readUInt32LE(0) / scale
    }
    this.#temperature(handle, draft, took)
    if (lost) return { kind: 'lost' }
    this.#margin(handle, draft)
    this.#clock('nvmlDeviceGetClockInfo', handle, SM_CLOCK, 'smClockMHz', draft)
    this.#clock('nvmlDeviceGetClockInfo', handle, MEMORY_CLOCK, 'memoryClockMHz', draft)
    this.#reasons(handle, draft)
    uint('nvmlDeviceGetPowerUsage', 'powerW', 1000)
    if (took(this.#call('nvmlDeviceGetUtilizationRates', 'uint64_t, void *', [handle, this.#word])))
      draft.utilisationPercent = this.#word.readUInt32LE(0)
    this.#memory.fill(0).writeUInt32LE(MEMORY_V2, 0)
    if (
      took(this.#call('nvmlDeviceGetMemoryInfo_v2', 'uint64_t, void *', [handle, this.#memory]))
    ) {
      draft.memoryTotalMiB = mebi(this.#memory.readBigUInt64LE(8))
      draft.memoryUsedMiB = mebi(this.#memory.readBigUInt64LE(32))
    }
    uint('nvmlDeviceGetCurrPcieLinkGeneration', 'pcieGen')
    uint('nvmlDeviceGetCurrPcieLinkWidth', 'pcieWidth')
    ask(this.#batch)
    if (
      took(
        this.#call('nvmlDeviceGetFieldValues', 'uint64_t, int, void *', [
          handle,
          fieldCount,
          this.#batch,
        ]),
      )
    )
      fromFields(readBatch(this.#batch), draft)
    if (lost) return { kind: 'lost' }
    return answered
      ? { kind: 'sample', sample: draft as unknown as DeviceSample }
      : { kind: 'silent', code: last }
  }

  /** Lets go of the driver. */
  close(): void {
    if (this.#events !== null) this.#call('nvmlEventSetFree', 'uint64_t', [this.#events])
    this.#events = null
    this.#call('nvmlShutdown', '', [])
  }

  #fixed(handle: bigint, index: number, uuid: string): Partial<DeviceSample> {
    const fixed: Record<string, unknown> = { uuid, index }
    const name = this.#string('nvmlDeviceGetName', handle)
    if (name !== null) fixed.name = name
    this.#pci.fill(0)
    if (this.#call('nvmlDeviceGetPciInfo_v3', 'uint64_t, void *', [handle, this.#pci]) === 0) {
      const hex = (at: number, digits: number): string =>
        this.#pci.readUInt32LE(at).toString(16).padStart(digits, '0')
      fixed.pci = `${hex(16, 4)}:${hex(20, 2)}:${hex(24, 2)}`
    }
    this.#clock('nvmlDeviceGetMaxClockInfo', handle, SM_CLOCK, 'maxSmClockMHz', fixed)
    for (const [kind, field] of [
      [SHUTDOWN, 'shutdownC'],
      [SLOWDOWN, 'slowdownC'],
      [MEMORY_MAX, 'memoryMaxC'],
      [GPU_MAX, 'maxOperatingC'],
    ] as const)
      if (
        this.#call('nvmlDeviceGetTemperatureThreshold', 'uint64_t, uint32_t, void *', [
          handle,
          kind,
          this.#word,
        ]) === 0
      )
        fixed[field] = this.#word.readUInt32LE(0)
    for (const [call, field, scale] of [
      ['nvmlDeviceGetMaxPcieLinkGeneration', 'pcieMaxGen', 1],
      ['nvmlDeviceGetMaxPcieLinkWidth', 'pcieMaxWidth', 1],
      ['nvmlDeviceGetEnforcedPowerLimit', 'powerLimitW', 1000],
    ] as const)
      if (this.#call(call, 'uint64_t, void *', [handle, this.#word]) === 0)
        fixed[field] = this.#word.readUInt32LE(0) / scale
    return fixed
  }

  /** The newer call first, the old one where it is missing. */
  #temperature(
    handle: bigint,
    draft: Record<string, unknown>,
    took: (code: number) => boolean,
  ): void {
    const buffer = this.#memory.fill(0)
    buffer.writeUInt32LE(TEMPERATURE_V1, 0)
    const code = this.#call('nvmlDeviceGetTemperatureV', 'uint64_t, void *', [handle, buffer])
    if (code === returns.ok) {
      took(code)
      draft.temperatureC = buffer.readInt32LE(8)
      return
    }
    const old = this.#call('nvmlDeviceGetTemperature', 'uint64_t, uint32_t, void *', [
      handle,
      0,
      this.#word,
    ])
    if (took(old)) draft.temperatureC = this.#word.readUInt32LE(0)
  }

  #margin(handle: bigint, draft: Record<string, unknown>): void {
    const buffer = this.#memory.fill(0)
    buffer.writeUInt32LE(MARGIN_V1, 0)
    if (this.#call('nvmlDeviceGetMarginTemperature', 'uint64_t, void *', [handle, buffer]) === 0)
      draft.marginC = buffer.readInt32LE(4)
  }

  #clock(
    call: string,
    handle: bigint,
    kind: number,
    field: string,
    draft: Record<string, unknown>,
  ): void {
    if (this.#call(call, 'uint64_t, uint32_t, void *', [handle, kind, this.#word]) === 0)
      draft[field] = this.#word.readUInt32LE(0)
  }

  #reasons(handle: bigint, draft: Record<string, unknown>): void {
    for (const name of [
      'nvmlDeviceGetCurrentClocksEventReasons',
      'nvmlDeviceGetCurrentClocksThrottleReasons',
    ])
      if (this.#call(name, 'uint64_t, void *', [handle, this.#word]) === 0) {
        draft.throttle = Number(this.#word.readBigUInt64LE(0) & 0xffff_ffffn)
        return
      }
  }

  #string(call: string, handle: bigint): string | null {
    this.#text.fill(0)
    if (
      this.#call(call, 'uint64_t, void *, uint32_t', [handle, this.#text, this.#text.length]) !== 0
    )
      return null
    const end = this.#text.indexOf(0)
    return this.#text.toString('utf8', 0, end < 0 ? this.#text.length : end)
  }

  #must(name: string, parameters: string, args: readonly unknown[]): void {
    const code = this.#call(name, parameters, args)
    if (code !== 0) throw new NvmlError(name, code)
  }

  /** Calls; a function that this driver does not have answers "function not found". */
  #call(name: string, parameters: string, args: readonly unknown[]): number {
    let call = this.#calls.get(name)
    if (call === undefined) {
      try {
        call = this.#library.func(`int ${name}(${parameters})`) as unknown as Call
      } catch {
        call = null
      }
      this.#calls.set(name, call)
    }
    return call === null ? 13 : call(...args)
  }
}

const mebi = (bytes: bigint): number => Number(bytes / 1_048_576n)

function fromFields(values: ReturnType<typeof readBatch>, draft: Record<string, unknown>): void {
  for (const field of [
    'eccVolatileCorrected',
    'eccVolatileUncorrected',
    'eccAggregateCorrected',
    'eccAggregateUncorrected',
    'pcieReplays',
  ] as const)
    if (values[field] !== undefined) draft[field] = values[field]
  if (values.memoryTemperature !== undefined && values.memoryTemperature > 0)
    draft.memoryTemperatureC = values.memoryTemperature
  if (values.slowdownMargin !== undefined) draft.slowdownMarginC = values.slowdownMargin
  if (values.remapPending !== undefined) draft.rowRemapPending = values.remapPending !== 0
  if (values.remapFailed !== undefined) draft.rowRemapFailed = values.remapFailed !== 0
  if (values.retiredPending !== undefined) draft.retiredPagesPending = values.retiredPending !== 0
  if (values.retiredSingle !== undefined || values.retiredDouble !== undefined)
    draft.retiredPages = (values.retiredSingle ?? 0) + (values.retiredDouble ?? 0)
  const links = [values.nvlinkReplays, values.nvlinkRecoveries, values.nvlinkCrcData].filter(
    (value) => value !== undefined,
  )
  if (links.length > 0) draft.nvlinkErrors = links.reduce((sum, value) => sum + value, 0)
  if (values.recoveryAction !== undefined) draft.recoveryCode = values.recoveryAction
  const slowed: Record<string, number> = {}
  for (const [field, name] of [
    ['powerCapNs', 'sw_power_cap'],
    ['softThermalNs', 'sw_thermal_slowdown'],
    ['hardThermalNs', 'hw_thermal_slowdown'],
    ['powerBrakeNs', 'hw_power_brake_slowdown'],
  ] as const)
    if (values[field] !== undefined) slowed[name] = values[field] / 1e6
  if (Object.keys(slowed).length > 0) draft.throttleMs = slowed
}
