/**
 * NVML as a source: a child process makes the calls, since a call into a driver that hangs never returns and no thread of ours
 * could be ended in it. It tells samples, Xids and lost devices; what they mean is the core's.
 */
import { fileURLToPath } from 'node:url'
import { recoveryAction, type DeviceSample } from '@health/core'
import { bootId } from './kernel-log.ts'
import { Latest } from './latest.ts'
import type { ProbeLine } from './nvml-probe.ts'
import { brief, HELD, type Source, type SourceOptions, type Tell } from './source.ts'
import { WatchedProcess } from './watched-process.ts'

/** The name that the driver installs; the one without a number is the developer's stub. */
export const NVML_LIBRARY = 'libnvidia-ml.so.1'

/** `library`: default {@link NVML_LIBRARY}; `env`: further variables of the child, for tests. */
export interface NvmlOptions extends SourceOptions {
  readonly library?: string
  readonly env?: Readonly<Record<string, string>>
  /** Silence after which the child counts as hanging; default three intervals and ten seconds. */
  readonly silenceMs?: number
}

/** The child's program: TypeScript beside the sources, JavaScript beside what is published. */
function probeFile(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return fileURLToPath(new URL(`./nvml-probe.${extension}`, import.meta.url))
}

/** NVML as a {@link Source}. */
export class Nvml implements Source {
  readonly name = 'nvml'
  readonly #process: WatchedProcess
  /** Its events have no numbers of their own: ours, in a name that no other process of ours ever had. */
  readonly #boot: string
  #sequence = 0
  #tell: Tell = () => {}
  #closed = false
  readonly #silent = new Set<string>()
  readonly #samples = new Latest<DeviceSample[]>((devices) =>
    this.#tell({ type: 'sampled', devices }),
  )

  constructor(options: NvmlOptions) {
    const { clock, intervalMs, library = NVML_LIBRARY, env = {} } = options
    const { silenceMs = 3 * intervalMs + 10_000 } = options
    this.#boot = `${bootId()}/nvml.${process.pid}.${clock.wall()}`
    this.#process = new WatchedProcess({
      clock,
      program: process.execPath,
      args: () => [probeFile(), library, String(Math.max(10, Math.round(intervalMs)))],
      env,
      silenceMs,
      line: (line) => this.#line(line),
      errorLine: (line) => {
        if (line.trim() !== '') this.#tell({ type: 'problem', text: brief(line) })
      },
      failed: (why, detail) => this.#tell({ type: 'failed', why, detail: this.#detail ?? detail }),
      recovered: () => this.#tell({ type: 'recovered', detail: 'samples again' }),
    })
  }

  /** What the child said before it ended; more useful than its exit code. */
  #detail: string | null = null

  start(tell: Tell): void {
    this.#tell = tell
    this.#process.start()
  }

  /** Pid of the child; null when none runs. */
  get pid(): number | null {
    return this.#process.pid
  }

  async suspend(): Promise<void> {
    if (!(await this.#process.stop())) throw new Error(HELD)
  }

  resume(): void {
    if (!this.#closed) this.#process.start()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#tell = () => {}
    await this.#process.stop()
  }

  #line(text: string): void {
    const line = read(text)
    if (line === null) {
      // A driver's library may print whatever it likes between our lines.
      this.#tell({ type: 'problem', text: `not a line of the probe: ${brief(text)}` })
      return
    }
    // Nothing may overtake a sample that came before it: a lost device would seem to be back.
    if (line.type !== 'sample') this.#samples.flush()
    switch (line.type) {
      case 'hello':
        this.#detail = null
        return
      case 'sample':
        this.#process.fed()
        this.#samples.put(line.devices.map(toSample))
        return
      case 'xid':
        if (line.uuid === null) {
          this.#tell({
            type: 'problem',
            text: `Xid ${line.xid} of a device that NVML does not name`,
          })
          return
        }
        this.#tell({
          type: 'xid',
          device: line.uuid,
          xid: line.xid,
          text: '',
          boot: this.#boot,
          sequence: ++this.#sequence,
        })
        return
      case 'lost':
        this.#tell({ type: 'lost', device: line.uuid, detail: 'NVML: GPU is lost' })
        return
      case 'silent':
        // Told once per device: the core sees that it is missing.
        if (!this.#silent.has(line.uuid))
          this.#tell({ type: 'problem', text: `${line.uuid} does not answer: ${line.detail}` })
        this.#silent.add(line.uuid)
        return
      case 'unread':
        this.#tell({
          type: 'problem',
          text: `device ${line.index} is there and does not answer: ${line.detail}`,
        })
        return
      case 'failed':
        this.#detail = brief(line.detail)
        return
      default:
        line satisfies never
    }
  }
}

const lineTypes: ReadonlySet<unknown> = new Set<ProbeLine['type']>([
  'hello',
  'sample',
  'xid',
  'lost',
  'silent',
  'unread',
  'failed',
])

/** A line of the child; null for anything else. */
function read(text: string): ProbeLine | null {
  try {
    const line = JSON.parse(text) as Partial<ProbeLine> | null
    if (!lineTypes.has(line?.type)) return null
    if (line?.type === 'sample' && !Array.isArray(line.devices)) return null
    return line as ProbeLine
  } catch {
    return null
  }
}

/** The child knows numbers; their names are the core's. */
function toSample({ recoveryCode, ...rest }: Record<string, unknown>): DeviceSample {
  const sample = rest as unknown as DeviceSample
  return typeof recoveryCode === 'number' && sample.recoveryAction === undefined
    ? { ...sample, recoveryAction: recoveryAction(recoveryCode) }
    : sample
}
