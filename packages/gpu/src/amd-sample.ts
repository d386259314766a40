/**
 * What AMD's tools and the kernel's files say → samples. Layouts differ by version: leaves are numbers, `{ value, unit }` or
 * `"N/A"`, and warnings may come before the JSON. AMD's throttle flags are not NVIDIA's bits and are left out. Pure.
 */
import type { DeviceSample } from '@health/core'
import { amdName } from './amd-name.ts'
import { pciAddress } from './source.ts'

type Json = Readonly<Record<string, unknown>>

/** The devices of `amd-smi metric --json`, named by the tool's index, or why the text cannot be read. */
export function readAmdSmi(text: string): readonly DeviceSample[] | string {
  const list = readList(text)
  return typeof list === 'string'
    ? list
    : list.flatMap((entry) => {
        const sample = readDevice(entry)
        return sample === null ? [] : [sample]
      })
}

/** Where each device of `amd-smi list --json` sits: PCI address by the tool's index. Empty when the text cannot be read. */
export function readAmdPlaces(text: string): ReadonlyMap<number, string> {
  const list = readList(text)
  const places = new Map<number, string>()
  for (const { gpu, bdf } of typeof list === 'string' ? [] : list) {
    const index = number(gpu)
    const pci = typeof bdf === 'string' ? pciAddress(bdf) : null
    if (index !== undefined && pci !== null) places.set(index, pci)
  }
  return places
}

/** The entries of the tool's answer: a list, or one under `gpu_data`. */
function readList(text: string): Json[] | string {
  // Lines of warnings may come first.
  const begin = text.search(/^[[{]/m)
  if (begin < 0) return 'no JSON in the answer'
  let root: unknown
  try {
    root = JSON.parse(text.slice(begin))
  } catch {
    return 'the JSON in the answer is cut or broken'
  }
  const list = Array.isArray(root) ? root : (root as Json).gpu_data
  return Array.isArray(list) ? list.filter(isObject) : 'the JSON has no list of devices'
}

function readDevice(entry: Json): DeviceSample | null {
  const index = number(entry.gpu)
  if (index === undefined) return null
  const at = (...path: string[]): number | undefined =>
    number(path.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), entry))
  return compact({
    uuid: `amd-${index}`,
    index,
    // The hotspot is what the device slows down by; some report only the edge.
    temperatureC: at('temperature', 'hotspot') ?? at('temperature', 'edge'),
    memoryTemperatureC: at('temperature', 'mem'),
    smClockMHz: at('clock', 'gfx_0', 'clk'),
    maxSmClockMHz: at('clock', 'gfx_0', 'max_clk'),
    powerW: at('power', 'socket_power'),
    utilisationPercent: at('usage', 'gfx_activity'),
    eccVolatileUncorrected: at('ecc', 'total_uncorrectable_count'),
    eccVolatileCorrected: at('ecc', 'total_correctable_count'),
    pcieReplays: at('pcie', 'replay_count'),
    pcieWidth: at('pcie', 'width'),
    memoryUsedMiB: at('mem_usage', 'used_vram'),
    memoryTotalMiB: at('mem_usage', 'total_vram'),
  })
}

/** The devices of the older `rocm-smi --json`: all texts, keys that vary by version. */
export function readRocmSmi(text: string): readonly DeviceSample[] | string {
  let root: unknown
  try {
    root = JSON.parse(text.slice(Math.max(0, text.search(/^\{/m))))
  } catch {
    return 'the JSON in the answer is cut or broken'
  }
  if (!isObject(root)) return 'the JSON has no devices'
  return Object.entries(root).flatMap(([key, value]) => {
    const match = /^card(\d+)$/.exec(key)
    return match === null || !isObject(value) ? [] : [readCard(Number(match[1]), value)]
  })
}

function readCard(index: number, card: Json): DeviceSample {
  const find = (pattern: RegExp): string | undefined => {
    const key = Object.keys(card).find((name) => pattern.test(name))
    return key === undefined || typeof card[key] !== 'string' ? undefined : card[key]
  }
  const bytes = (pattern: RegExp): number | undefined => {
    const value = number(find(pattern))
    return value === undefined ? undefined : Math.round(value / 1_048_576)
  }
  const clock = /\((\d+)Mhz\)/i.exec(find(/^sclk clock speed/) ?? '')
  return compact({
    uuid: amdName(find(/^Unique ID$/)) ?? `amd-${index}`,
    index,
    name: find(/^Card series$/i),
    pci: pciAddress(find(/^PCI Bus$/) ?? '') ?? undefined,
    temperatureC:
      number(find(/^Temperature \(Sensor junction\)/)) ??
      number(find(/^Temperature \(Sensor edge\)/)),
    memoryTemperatureC: number(find(/^Temperature \(Sensor memory\)/)),
    smClockMHz: clock === null ? undefined : Number(clock[1]),
    powerW: number(find(/^(?:Average|Current Socket) Graphics Package Power/)),
    powerLimitW: number(find(/^Max Graphics Package Power/)),
    utilisationPercent: number(find(/^GPU use \(%\)$/)),
    pcieReplays: number(find(/^PCIe Replay Count$/)),
    memoryUsedMiB: bytes(/^VRAM Total Used Memory/),
    memoryTotalMiB: bytes(/^VRAM Total Memory/),
  })
}

/** The kernel's files of one card, by name; a file that is not there is not in the record. */
export function readSysfs(index: number, files: Readonly<Record<string, string>>): DeviceSample {
  const value = (name: string, scale = 1): number | undefined => {
    const read = number(files[name]?.trim())
    return read === undefined ? undefined : read / scale
  }
  const link = /([\d.]+) GT\/s/.exec(files.current_link_speed ?? '')
  const generation = link === null ? undefined : generations[link[1]!]
  return compact({
    uuid: amdName(files.unique_id) ?? `amd-${index}`,
    index,
    pci: pciAddress(files.pci ?? '') ?? undefined,
    temperatureC: value('temp2_input', 1000) ?? value('temp1_input', 1000),
    slowdownC: value('temp2_crit', 1000),
    memoryTemperatureC: value('temp3_input', 1000),
    memoryMaxC: value('temp3_crit', 1000),
    powerW: value('power1_average', 1e6) ?? value('power1_input', 1e6),
    smClockMHz: value('freq1_input', 1e6),
    utilisationPercent: value('gpu_busy_percent'),
    memoryUsedMiB: value('mem_info_vram_used', 1_048_576),
    memoryTotalMiB: value('mem_info_vram_total', 1_048_576),
    pcieReplays: value('pcie_replay_count'),
    pcieGen: generation,
    pcieWidth: value('current_link_width'),
    eccVolatileUncorrected: uncorrected(files),
  })
}

const generations: Readonly<Record<string, number>> = {
  '2.5': 1,
  '5.0': 2,
  '5': 2,
  '8.0': 3,
  '8': 3,
  '16.0': 4,
  '16': 4,
  '32.0': 5,
  '32': 5,
  '64.0': 6,
  '64': 6,
}

/** `ras/*_err_count` hold `ue: 0` and `ce: 0`, one file per block. */
function uncorrected(files: Readonly<Record<string, string>>): number | undefined {
  let sum: number | undefined
  for (const [name, text] of Object.entries(files)) {
    const match = name.endsWith('_err_count') ? /ue:\s*(\d+)/.exec(text) : null
    if (match !== null) sum = (sum ?? 0) + Number(match[1])
  }
  return sum
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A number, a text that is one, or `{ value }`; `"N/A"` is none. */
function number(value: unknown): number | undefined {
  if (isObject(value)) return number(value.value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  return typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : undefined
}

function compact(draft: Record<string, unknown>): DeviceSample {
  return Object.fromEntries(
    Object.entries(draft).filter(([, value]) => value !== undefined),
  ) as unknown as DeviceSample
}
