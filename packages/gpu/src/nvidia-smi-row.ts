/**
 * A row of `nvidia-smi --query-gpu` → a sample. The words that stand for no value leave the field out; a value that cannot be
 * read leaves it out and is reported. Pure: text in, sample out.
 */
import { recoveryAction, type DeviceSample } from '@health/core'
import { pciAddress } from './source.ts'

type Draft = { -readonly [K in keyof DeviceSample]?: DeviceSample[K] }
type Read = (draft: Draft, text: string) => boolean

/** A column: its names, oldest first where a new one was added, and how its cells are read. */
interface Column {
  readonly names: readonly string[]
  readonly read: Read
}

const text =
  (field: 'uuid' | 'name'): Read =>
  (draft, cell) => {
    draft[field] = cell
    return true
  }

type NumberField = {
  [K in keyof DeviceSample]-?: DeviceSample[K] extends number | undefined ? K : never
}[keyof DeviceSample]

/** A number, with or without its unit. */
function numeric(cell: string): number | null {
  const match = /^(-?\d+(?:\.\d+)?)(?: (?:W|MHz|%|us|MiB|C))?$/.exec(cell)
  return match === null ? null : Number(match[1])
}

const number =
  (field: NumberField): Read =>
  (draft, cell) => {
    const value = numeric(cell)
    if (value === null) return false
    draft[field] = value
    return true
  }

const mask: Read = (draft, cell) => {
  if (!/^0x[0-9a-f]{1,16}$/i.test(cell)) return false
  // The low word holds every reason that is defined.
  draft.throttle = Number(BigInt(cell) & 0xffff_ffffn)
  return true
}

const counter =
  (name: string): Read =>
  (draft, cell) => {
    const micros = numeric(cell)
    if (micros === null) return false
    draft.throttleMs = { ...draft.throttleMs, [name]: micros / 1000 }
    return true
  }

const flag =
  (
    field: 'rowRemapPending' | 'rowRemapFailed' | 'retiredPagesPending' | 'sramThresholdExceeded',
  ): Read =>
  (draft, cell) => {
    // Older drivers print 0 and 1.
    if (!/^(?:yes|no|0|1)$/i.test(cell)) return false
    draft[field] = /^(?:yes|1)$/i.test(cell)
    return true
  }

const pages: Read = (draft, cell) => {
  const value = numeric(cell)
  if (value === null) return false
  draft.retiredPages = (draft.retiredPages ?? 0) + value
  return true
}

/** Everything that is asked for, as far as the installed version knows it. `name` is last: it may hold a comma. */
export const columns: readonly Column[] = [
  { names: ['index'], read: number('index') },
  { names: ['uuid'], read: text('uuid') },
  {
    names: ['pci.bus_id'],
    read: (draft, cell) => {
      const pci = pciAddress(cell)
      if (pci === null) return false
      draft.pci = pci
      return true
    },
  },
  { names: ['temperature.gpu'], read: number('temperatureC') },
  { names: ['temperature.gpu.tlimit'], read: number('marginC') },
  { names: ['temperature.memory'], read: number('memoryTemperatureC') },
  { names: ['clocks.sm', 'clocks.current.sm'], read: number('smClockMHz') },
  { names: ['clocks.mem', 'clocks.current.memory'], read: number('memoryClockMHz') },
  { names: ['clocks.max.sm'], read: number('maxSmClockMHz') },
  // The old name is the one that every version takes.
  { names: ['clocks_throttle_reasons.active', 'clocks_event_reasons.active'], read: mask },
  ...['sw_power_cap', 'sw_thermal_slowdown', 'hw_thermal_slowdown', 'hw_power_brake_slowdown'].map(
    (reason): Column => ({
      names: [`clocks_event_reasons_counters.${reason}`],
      read: counter(reason),
    }),
  ),
  { names: ['power.draw'], read: number('powerW') },
  { names: ['enforced.power.limit', 'power.limit'], read: number('powerLimitW') },
  { names: ['utilization.gpu'], read: number('utilisationPercent') },
  { names: ['memory.used'], read: number('memoryUsedMiB') },
  { names: ['memory.total'], read: number('memoryTotalMiB') },
  { names: ['ecc.errors.corrected.volatile.total'], read: number('eccVolatileCorrected') },
  { names: ['ecc.errors.uncorrected.volatile.total'], read: number('eccVolatileUncorrected') },
  { names: ['ecc.errors.corrected.aggregate.total'], read: number('eccAggregateCorrected') },
  { names: ['ecc.errors.uncorrected.aggregate.total'], read: number('eccAggregateUncorrected') },
  {
    names: ['ecc.errors.uncorrected.aggregate.sram.thresholdExceeded'],
    read: flag('sramThresholdExceeded'),
  },
  { names: ['remapped_rows.pending'], read: flag('rowRemapPending') },
  { names: ['remapped_rows.failure'], read: flag('rowRemapFailed') },
  { names: ['retired_pages.sbe', 'retired_pages.single_bit_ecc.count'], read: pages },
  { names: ['retired_pages.dbe', 'retired_pages.double_bit.count'], read: pages },
  { names: ['retired_pages.pending'], read: flag('retiredPagesPending') },
  {
    names: ['gpu_recovery_action'],
    read: (draft, cell) => {
      draft.recoveryAction = recoveryAction(cell)
      return true
    },
  },
  { names: ['pcie.link.gen.gpucurrent', 'pcie.link.gen.current'], read: number('pcieGen') },
  { names: ['pcie.link.gen.max'], read: number('pcieMaxGen') },
  { names: ['pcie.link.width.current'], read: number('pcieWidth') },
  { names: ['pcie.link.width.max'], read: number('pcieMaxWidth') },
  { names: ['name'], read: text('name') },
]

/** What the installed version can be asked, from the output of `--help-query-gpu`. */
export function knownFields(help: string): ReadonlySet<string> {
  const names = new Set<string>()
  for (const line of help.split('\n'))
    if (line.startsWith('"')) for (const [, name] of line.matchAll(/"([^"]+)"/g)) names.add(name!)
  return names
}

/** The fields to ask for: of each column the first name that is known. Without a list of known ones, the safest. */
export function fieldsToAsk(known: ReadonlySet<string>, without: ReadonlySet<string>): string[] {
  const basic = new Set([
    'index',
    'uuid',
    'pci.bus_id',
    'temperature.gpu',
    'clocks.sm',
    'clocks.max.sm',
    'clocks_throttle_reasons.active',
    'power.draw',
    'utilization.gpu',
    'memory.used',
    'memory.total',
    'name',
  ])
  const usable = known.size > 0 ? known : basic
  return columns.flatMap(({ names }) => {
    const name = names.find((candidate) => usable.has(candidate) && !without.has(candidate))
    return name === undefined ? [] : [name]
  })
}

/** The fields of a header row: `clocks.current.sm [MHz]` → `clocks.current.sm`. */
export function headerFields(header: string): string[] {
  return header.split(', ').map((cell) => cell.replace(/ \[[^\]]*\]$/, '').trim())
}

/** What a cell without a value says. */
type Silence = 'absent' | 'error' | 'lost' | 'reset'

function silence(cell: string): Silence | null {
  if (cell === '' || /^\[?(?:N\/A|Not Supported|Insufficient Permissions)\]?$/i.test(cell))
    return 'absent'
  if (/^\[Requested functionality has been deprecated\]$/i.test(cell)) return 'absent'
  if (/^\[GPU is lost\]$/i.test(cell)) return 'lost'
  if (/^\[GPU requires reset\]$/i.test(cell)) return 'reset'
  if (/^(?:\[Unknown Error\]|ERR!)$/i.test(cell)) return 'error'
  return null
}

/** A row that was read. */
export interface Row {
  /** Without a `uuid` nobody knows whose row it is. */
  readonly device: DeviceSample | null
  readonly index: number | null
  /** The driver says that the device is lost. */
  readonly lost: boolean
  /** What could not be read, for the log. */
  readonly problems: readonly string[]
}

/** Reads a row. A row that was cut loses its last cell, which may be half of one; a row with too many cells is not read at all. */
export function readRow(line: string, fields: readonly string[]): Row {
  const cells = line.split(', ')
  const problems: string[] = []
  if (cells.length > fields.length) {
    // Only a name may hold the separator.
    if (fields.at(-1) === 'name') cells.push(cells.splice(fields.length - 1).join(', '))
    else return { device: null, index: null, lost: false, problems: ['more cells than fields'] }
  } else if (cells.length < fields.length) {
    problems.push(`cut after ${cells.length} of ${fields.length} cells`)
    cells.pop()
  }
  const draft: Draft = {}
  let lost = false
  let errors = 0
  for (const [place, raw] of cells.entries()) {
    const field = fields[place]!
    const column = columns.find(({ names }) => names.includes(field))
    if (column === undefined) continue
    const cell = raw.trim()
    const silent = silence(cell)
    if (silent === 'lost') lost = true
    else if (silent === 'reset') draft.recoveryAction = 'reset'
    else if (silent === 'error') errors++
    else if (silent === null && !column.read(draft, cell))
      problems.push(`${field} is "${cell.slice(0, 40)}"`)
  }
  if (errors > 0) problems.push(`${errors} cells say that the driver failed`)
  const { uuid, index = null } = draft
  return { device: uuid === undefined ? null : { ...draft, uuid }, index, lost, problems }
}
