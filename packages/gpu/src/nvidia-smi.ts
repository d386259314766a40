/**
 * `nvidia-smi` as a source: one long-lived process that prints a row per device and interval. It tells no Xids (the tool has
 * none); the kernel log goes with it for those.
 */
import { execFile } from 'node:child_process'
import type { Cancel, DeviceSample } from '@health/core'
import { Latest } from './latest.ts'
import { fieldsToAsk, knownFields, readRow } from './nvidia-smi-row.ts'
import { brief, HELD, pciAddress, type Source, type SourceOptions, type Tell } from './source.ts'
import { toolEnvironment } from './tool-environment.ts'
import { WatchedProcess } from './watched-process.ts'

/** Rows of one sample come together; this much silence ends one. */
const QUIET_MS = 200

/** `program`: default `nvidia-smi`; `args` go before ours. */
export interface NvidiaSmiOptions extends SourceOptions {
  readonly program?: string
  readonly args?: readonly string[]
  /** Silence after which the process counts as hanging; default three intervals and fifteen seconds. */
  readonly silenceMs?: number
}

/** Asks the tool what it can be asked; empty when it cannot say. Never rejects. */
export function queryHelp(
  options: NvidiaSmiOptions,
): Promise<{ help: string; error: string | null }> {
  const { program = 'nvidia-smi', args = [] } = options
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...args, '--help-query-gpu'],
      { maxBuffer: 4 * 1024 * 1024, killSignal: 'SIGKILL', env: toolEnvironment() },
      (error, stdout) => {
        cancel()
        resolve({ help: stdout, error: error === null ? null : brief(error.message) })
      },
    )
    const cancel = options.clock.after(10_000, () => {
      child.kill('SIGKILL')
      // One that cannot be killed never calls back.
      resolve({ help: '', error: 'no answer for 10 s' })
    })
  })
}

/** The tool as a {@link Source}. */
export class NvidiaSmi implements Source {
  readonly name = 'nvidia-smi'
  readonly #options: NvidiaSmiOptions
  readonly #process: WatchedProcess
  readonly #refused = new Set<string>()
  #known: ReadonlySet<string> = new Set()
  #fields: readonly string[] = []
  #tell: Tell = () => {}
  #batch: DeviceSample[] = []
  #lastIndex = -1
  #quiet: Cancel = () => {}
  #closed = false
  #suspended = false
  #beginning: Promise<void> = Promise.resolve()
  /** UUIDs by index, so that a row that has lost its name can be given one. */
  readonly #uuids = new Map<number, string>()
  #expected = 0
  readonly #samples = new Latest<DeviceSample[]>((devices) =>
    this.#tell({ type: 'sampled', devices }),
  )

  constructor(options: NvidiaSmiOptions) {
    this.#options = options
    const { clock, intervalMs, program = 'nvidia-smi', args = [] } = options
    const { silenceMs = 3 * intervalMs + 15_000 } = options
    this.#process = new WatchedProcess({
      clock,
      program,
      args: () => {
        this.#fields = fieldsToAsk(this.#known, this.#refused)
        return [
          ...args,
          `--query-gpu=${this.#fields.join(',')}`,
          '--format=csv,noheader,nounits',
          `-lms=${Math.max(100, Math.round(intervalMs))}`,
        ]
      },
      silenceMs,
      line: (line) => this.#line(line),
      errorLine: (line) => this.#line(line),
      failed: (why, detail) => this.#tell({ type: 'failed', why, detail }),
      recovered: () => this.#tell({ type: 'recovered', detail: 'rows again' }),
    })
  }

  start(tell: Tell): void {
    this.#tell = tell
    this.#beginning = this.#begin()
  }

  async #begin(): Promise<void> {
    const { help, error } = await queryHelp(this.#options)
    if (this.#closed) return
    this.#known = knownFields(help)
    if (this.#known.size === 0)
      this.#tell({
        type: 'problem',
        text: `nvidia-smi --help-query-gpu: ${error ?? 'nothing that can be asked'}; asking for the basic fields`,
      })
    if (!this.#suspended) this.#process.start()
  }

  async suspend(): Promise<void> {
    this.#suspended = true
    // A reset may be ordered as soon as we start: what asks for the fields is a client of the driver too.
    await this.#beginning
    this.#flush()
    this.#samples.flush()
    if (!(await this.#process.stop())) throw new Error(HELD)
  }

  resume(): void {
    this.#suspended = false
    if (!this.#closed) this.#process.start()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#quiet()
    this.#tell = () => {}
    await this.#process.stop()
  }

  #line(line: string): void {
    if (line.trim() === '') return
    const unknown = /Field "([^"]+)" is not a valid field/i.exec(line)
    if (unknown !== null) {
      // One unknown name fails the whole query: the next start goes without it.
      this.#refused.add(unknown[1]!)
      this.#tell({ type: 'problem', text: brief(line) })
      return
    }
    if (this.#isMessage(line)) return
    const row = readRow(line, this.#fields)
    const uuid = row.device?.uuid ?? (row.index === null ? undefined : this.#uuids.get(row.index))
    for (const problem of row.problems)
      this.#tell({ type: 'problem', text: `${uuid ?? 'a row without a device'}: ${problem}` })
    if (row.lost && uuid !== undefined) this.#lost(uuid, 'nvidia-smi prints [GPU is lost]')
    if (row.device === null || row.lost) return
    const index = row.index ?? this.#lastIndex + 1
    if (index <= this.#lastIndex) this.#flush()
    this.#lastIndex = index
    this.#uuids.set(index, row.device.uuid)
    this.#batch.push(row.device)
    this.#quiet()
    if (this.#batch.length >= 64 || this.#batch.length === this.#expected) this.#flush()
    else this.#quiet = this.#options.clock.after(QUIET_MS, () => this.#flush())
  }

  /** A sample that came before must not be told behind it: the device would seem to be back. */
  #lost(device: string, detail: string): void {
    this.#samples.flush()
    this.#tell({ type: 'lost', device, detail })
  }

  /** Sentences between rows. Only the one that names a lost device is more than a remark. */
  #isMessage(line: string): boolean {
    const handle = /Unable to determine the device handle for GPU ?([0-9a-f:.]+): (.*)/i.exec(line)
    if (handle !== null) {
      const pci = pciAddress(handle[1]!)
      if (pci !== null && /GPU is lost/i.test(handle[2]!)) this.#lost(`pci:${pci}`, brief(line))
      else this.#tell({ type: 'problem', text: brief(line) })
      return true
    }
    if (line.includes(', ')) return false
    this.#tell({ type: 'problem', text: brief(line) })
    return true
  }

  #flush(): void {
    this.#quiet()
    this.#lastIndex = -1
    if (this.#batch.length === 0) return
    const devices = this.#batch
    this.#batch = []
    this.#expected = Math.max(this.#expected, devices.length)
    this.#process.fed()
    this.#samples.put(devices)
  }
}
