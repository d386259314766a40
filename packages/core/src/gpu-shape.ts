/** The fields of a device's sample as data, so that samples from outside can be checked; what they mean is decided in `gpu.ts`. */
import { HealthError } from './error.ts'
import type { DeviceSample } from './node-event.ts'
import { nearest } from './option.ts'
import { quote } from './quote.ts'
import { recoveryActions } from './xid.ts'

type Kind = 'text' | 'number' | 'flag' | 'numbers' | 'recovery'

/** Every field of {@link DeviceSample} and its kind. */
export const deviceFields = {
  uuid: 'text',
  index: 'number',
  name: 'text',
  pci: 'text',
  temperatureC: 'number',
  memoryTemperatureC: 'number',
  marginC: 'number',
  slowdownC: 'number',
  slowdownMarginC: 'number',
  maxOperatingC: 'number',
  memoryMaxC: 'number',
  shutdownC: 'number',
  smClockMHz: 'number',
  maxSmClockMHz: 'number',
  memoryClockMHz: 'number',
  throttle: 'number',
  throttleMs: 'numbers',
  powerW: 'number',
  powerLimitW: 'number',
  eccVolatileUncorrected: 'number',
  eccVolatileCorrected: 'number',
  eccAggregateUncorrected: 'number',
  eccAggregateCorrected: 'number',
  rowRemapPending: 'flag',
  rowRemapFailed: 'flag',
  sramThresholdExceeded: 'flag',
  retiredPagesPending: 'flag',
  retiredPages: 'number',
  recoveryAction: 'recovery',
  pcieGen: 'number',
  pcieMaxGen: 'number',
  pcieWidth: 'number',
  pcieMaxWidth: 'number',
  pcieReplays: 'number',
  nvlinkErrors: 'number',
  utilisationPercent: 'number',
  memoryUsedMiB: 'number',
  memoryTotalMiB: 'number',
} as const satisfies Record<keyof DeviceSample, Kind>

/** Most devices that one sample may name. */
const MAX_DEVICES = 64
const MAX_TEXT = 200
const MAX_COUNTERS = 16

const allowed: Readonly<Record<Kind, string>> = {
  text: `a text of 1 to ${MAX_TEXT} characters`,
  number: 'a number',
  flag: 'true or false',
  numbers: `an object of at most ${MAX_COUNTERS} numbers`,
  recovery: recoveryActions.map((word) => `"${word}"`).join(' or '),
}

/** Checks the devices of a sample from outside. Throws HEALTH_EVENT_INVALID with the path of the field. */
export function checkDevices(devices: readonly unknown[], path: string): void {
  if (devices.length > MAX_DEVICES)
    refuse(path, `${path} names ${devices.length} devices; allowed are ${MAX_DEVICES}.`)
  const named = new Set<unknown>()
  for (const [index, device] of devices.entries()) {
    const under = (name: string): string => `${path}.${index}.${name}`
    const fields = device as Readonly<Record<string, unknown>>
    if (fields.uuid === undefined) refuse(under('uuid'), `${under('uuid')} is absent.`)
    for (const [name, value] of Object.entries(fields)) {
      if (!Object.hasOwn(deviceFields, name))
        refuse(
          under(name),
          `${under(name)} is not a field of a device; the nearest is ${nearest(name, Object.keys(deviceFields))}.`,
        )
      const kind = deviceFields[name as keyof DeviceSample]
      if (!matches(kind, value))
        refuse(
          under(name),
          `${under(name)} is ${value === undefined ? 'absent' : quote(value)}; allowed is ${allowed[kind]}.`,
        )
    }
    if (named.has(fields.uuid))
      refuse(under('uuid'), `${under('uuid')} is ${quote(fields.uuid)}, which is named twice.`)
    named.add(fields.uuid)
  }
}

function matches(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT
    case 'number':
      return typeof value === 'number' && Number.isFinite(value)
    case 'flag':
      return typeof value === 'boolean'
    case 'recovery':
      return (recoveryActions as readonly unknown[]).includes(value)
    case 'numbers': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
      const all = Object.values(value)
      return all.length <= MAX_COUNTERS && all.every((item) => Number.isFinite(item))
    }
    default:
      return kind satisfies never
  }
}

function refuse(path: string, message: string): never {
  throw new HealthError('HEALTH_EVENT_INVALID', message, path)
}
