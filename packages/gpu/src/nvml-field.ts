/**
 * Field ids of NVML that are read in one batch, and the layout of the structures that it fills: numbers from NVIDIA's own header,
 * API 13. It calls nothing.
 */

/** `nvmlFieldValue_t`: 40 bytes. */
export const FIELD_SIZE = 40
const VALUE_TYPE = 24
const RETURN = 28
const VALUE = 32

/** What one batch asks for, by our name. */
export const fieldIds = {
  eccVolatileCorrected: 3,
  eccVolatileUncorrected: 4,
  eccAggregateCorrected: 5,
  eccAggregateUncorrected: 6,
  retiredSingle: 29,
  retiredDouble: 30,
  retiredPending: 31,
  nvlinkReplays: 52,
  nvlinkRecoveries: 59,
  nvlinkCrcData: 45,
  powerCapNs: 74,
  memoryTemperature: 82,
  pcieReplays: 94,
  remapPending: 144,
  remapFailed: 145,
  slowdownMargin: 194,
  recoveryAction: 230,
  softThermalNs: 269,
  hardThermalNs: 270,
  powerBrakeNs: 271,
} as const

/** Name of a field of {@link fieldIds}. */
export type FieldName = keyof typeof fieldIds
const names = Object.keys(fieldIds) as FieldName[]

/** A batch, ready to be filled; reused for every device and sample. */
export function createBatch(): Buffer {
  return Buffer.alloc(FIELD_SIZE * names.length)
}

/** How many fields a batch asks for. */
export const fieldCount = names.length

/** Writes what is asked for; the driver writes into the same memory. */
export function ask(batch: Buffer): void {
  batch.fill(0)
  for (const [place, name] of names.entries())
    batch.writeUInt32LE(fieldIds[name], place * FIELD_SIZE)
}

/** The values that came back; a field that the device does not have is absent. */
export function readBatch(batch: Buffer): { [K in FieldName]?: number } {
  const values: { [K in FieldName]?: number } = {}
  for (const [place, name] of names.entries()) {
    const at = place * FIELD_SIZE
    if (batch.readInt32LE(at + RETURN) !== 0) continue
    const value = readValue(batch, at + VALUE, batch.readUInt32LE(at + VALUE_TYPE))
    if (value !== null) values[name] = value
  }
  return values
}

/** The union by its type: double, unsigned int, unsigned long, unsigned and signed long long, signed int, unsigned short. */
function readValue(batch: Buffer, at: number, type: number): number | null {
  switch (type) {
    case 0:
      return batch.readDoubleLE(at)
    case 1:
      return batch.readUInt32LE(at)
    case 2:
    case 3:
      return Number(batch.readBigUInt64LE(at))
    case 4:
      return Number(batch.readBigInt64LE(at))
    case 5:
      return batch.readInt32LE(at)
    case 6:
      return batch.readUInt16LE(at)
    default:
      return null
  }
}

/** Version word of a structure: its size and its version. */
export const versionOf = (size: number, version: number): number => (size | (version << 24)) >>> 0

/** Return codes that mean something to us. */
export const returns = {
  ok: 0,
  notSupported: 3,
  timeout: 10,
  lost: 15,
  resetRequired: 16,
  unknown: 999,
} as const

/** Names of return codes, for messages. */
export const returnNames: Readonly<Record<number, string>> = {
  1: 'not initialised',
  2: 'invalid argument',
  3: 'not supported',
  4: 'no permission',
  8: 'insufficient external power',
  9: 'driver not loaded',
  12: 'library not found',
  13: 'function not found',
  14: 'corrupted inforom',
  15: 'GPU is lost',
  16: 'GPU requires reset',
  17: 'operating system refused',
  18: 'driver and library differ in version: reload the driver',
  999: 'unknown error',
}

/** Event types of the event set. */
export const eventTypes = { xid: 0x8n, doubleBit: 0x2n, recovery: 0x8000n } as const
