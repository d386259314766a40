/**
 * AMD devices as a source: `amd-smi` where it is installed, the older `rocm-smi`, or the kernel's files, asked once an interval. A tool that
 * hangs is ended and reported; the files cannot hang the process for they are read beside it.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Cancel, DeviceSample } from '@health/core'
import { amdNames, renamed } from './amd-name.ts'
import { readAmdPlaces, readAmdSmi, readRocmSmi, readSysfs } from './amd-sample.ts'
import { brief, type Source, type SourceOptions, type Tell } from './source.ts'
import { toolEnvironment } from './tool-environment.ts'

const TIMEOUT_MS = 15_000
const FAILURES = 3
const AMD_VENDOR = '0x1002'

/** Ways to ask, best first. */
export const amdWays = ['amd-smi', 'rocm-smi', 'files'] as const
/** One of {@link amdWays}. */
export type AmdWay = (typeof amdWays)[number]

/** `use`: which of the three; `program`: default the tool's name; `sysfs`: default `/sys/class/drm`; `kfd`: default the kernel's. */
export interface AmdOptions extends SourceOptions {
  readonly use: AmdWay
  readonly program?: string
  readonly args?: readonly string[]
  readonly sysfs?: string
  /** Nodes of the compute topology. */
  readonly kfd?: string
}

const files = [
  'unique_id',
  'gpu_busy_percent',
  'mem_info_vram_used',
  'mem_info_vram_total',
  'pcie_replay_count',
  'current_link_speed',
  'current_link_width',
] as const
const sensors = [
  'temp1_input',
  'temp2_input',
  'temp3_input',
  'temp2_crit',
  'temp3_crit',
  'power1_average',
  'power1_input',
  'freq1_input',
] as const

/** Reads all AMD cards from the kernel's files; an empty list when there are none. */
export async function sampleSysfs(root = '/sys/class/drm'): Promise<DeviceSample[]> {
  const cards = (await readdir(root).catch(() => []))
    .filter((name) => /^card\d+$/.test(name))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)))
    .slice(0, 64)
  const devices: DeviceSample[] = []
  for (const card of cards) {
    const folder = join(root, card, 'device')
    if ((await text(join(folder, 'vendor'))) !== AMD_VENDOR) continue
    // Cards of other makers, a board's own graphics say, are not counted.
    devices.push(readSysfs(devices.length, await gather(folder)))
  }
  return devices
}

async function gather(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  const take = async (name: string, path: string): Promise<void> => {
    const value = await text(path)
    if (value !== null) found[name] = value
  }
  for (const name of files) await take(name, join(folder, name))
  const address = await readlink(folder).catch(() => null)
  if (address !== null) found.pci = basename(address)
  for (const monitor of (await readdir(join(folder, 'hwmon')).catch(() => [])).slice(0, 1))
    for (const name of sensors) await take(name, join(folder, 'hwmon', monitor, name))
  for (const name of (await readdir(join(folder, 'ras')).catch(() => [])).slice(0, 64))
    if (name.endsWith('_err_count')) await take(name, join(folder, 'ras', name))
  return found
}

async function text(path: string): Promise<string | null> {
  const content = await readFile(path, 'utf8').catch(() => null)
  return content === null ? null : content.slice(0, 4096).trim()
}

/** Asks the tool. Rejects with one line when it fails or hangs. */
export async function sampleTool(options: AmdOptions): Promise<DeviceSample[]> {
  const rocm = options.use === 'rocm-smi'
  const { stdout, error } = await ask(options, rocm ? ['-a', '--json'] : ['metric', '--json'])
  const devices = rocm ? readRocmSmi(stdout) : readAmdSmi(stdout)
  if (typeof devices !== 'string') return [...devices]
  throw new Error(error ?? devices)
}

/** Runs the tool; rejects when it hangs. `error`: one line, when it failed. */
function ask(
  { use, program = use, args = [], clock }: AmdOptions,
  question: readonly string[],
): Promise<{ readonly stdout: string; readonly error: string | null }> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args, ...question],
      { maxBuffer: 16 * 1024 * 1024, env: toolEnvironment() },
      (error, stdout) => {
        cancel()
        resolve({ stdout, error: error === null ? null : brief(error.message) })
      },
    )
    const cancel: Cancel = clock.after(TIMEOUT_MS, () => {
      child.kill('SIGKILL')
      reject(new Error('timeout'))
    })
  })
}

/** AMD devices as a {@link Source}. */
export class Amd implements Source {
  readonly name = 'amd'
  readonly #options: AmdOptions
  #tell: Tell = () => {}
  #timer: Cancel = () => {}
  #running = false
  #failures = 0
  #asking: Promise<void> = Promise.resolve()
  /** PCI addresses by the tool's index, and names by address: read once, for a device that changed its name would be another one. */
  #known: {
    readonly places: ReadonlyMap<number, string>
    readonly names: ReadonlyMap<string, string>
  } | null = null

  constructor(options: AmdOptions) {
    this.#options = options
  }

  start(tell: Tell): void {
    this.#tell = tell
    this.resume()
  }

  async suspend(): Promise<void> {
    this.#running = false
    this.#timer()
    await this.#asking
  }

  resume(): void {
    if (this.#running) return
    this.#running = true
    this.#asking = this.#ask()
  }

  async close(): Promise<void> {
    this.#tell = () => {}
    await this.suspend()
  }

  async #ask(): Promise<void> {
    try {
      const devices = await this.#sample()
      if (this.#failures >= FAILURES) this.#tell({ type: 'recovered', detail: 'samples again' })
      this.#failures = 0
      if (this.#running) this.#tell({ type: 'sampled', devices })
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      this.#failures++
      if (this.#failures === FAILURES)
        this.#tell({
          type: 'failed',
          why: detail === 'timeout' ? 'hung' : 'invalid',
          detail: brief(detail),
        })
    }
    if (!this.#running) return
    this.#timer = this.#options.clock.after(this.#options.intervalMs, () => {
      if (this.#running) this.#asking = this.#ask()
    })
  }

  /** One sample, under the names by which the runtime of AMD knows the devices. */
  async #sample(): Promise<DeviceSample[]> {
    const { use, sysfs, kfd } = this.#options
    const devices = await (use === 'files' ? sampleSysfs(sysfs) : sampleTool(this.#options))
    this.#known ??= {
      places:
        use === 'amd-smi'
          ? readAmdPlaces((await ask(this.#options, ['list', '--json'])).stdout)
          : new Map<number, string>(),
      names: await amdNames(kfd),
    }
    const { places, names } = this.#known
    const located = devices.map((device) => {
      const pci = places.get(device.index ?? -1)
      return pci === undefined ? device : { ...device, pci }
    })
    return renamed(located, names)
  }
}
