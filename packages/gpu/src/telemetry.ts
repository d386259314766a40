/**
 * The GPUs of one node as facts: chosen sources in, `gpu.*` and `source.*` facts out, with node and observed time. It judges
 * nothing; what could not be read goes to the log, each sentence once in a while.
 */
import type { Clock, HealthEvent, NodeEvent, Telemetry } from '@health/core'
import {
  chooseSources,
  type Choice,
  type Look,
  type SourceName,
  type SourceSettings,
} from './choice.ts'
import type { Sighting, Source } from './source.ts'
import { XidFlood } from './xid-flood.ts'

/** How GPUs are watched; `source` default `auto`, `intervalSeconds` default 10. */
export interface TelemetryOptions extends Omit<SourceSettings, 'clock' | 'intervalMs'> {
  readonly clock: Clock
  /** Node that the devices belong to. */
  readonly node: string
  readonly source?: SourceName
  readonly intervalSeconds?: number
  /** Gets sentences about what could not be read. */
  readonly warn?: (text: string) => void
}

/** {@link Telemetry} that can let go of its devices, and says how it was chosen. */
export interface GpuTelemetry extends Telemetry {
  /** Names of the sources in use; `none` when there is none. */
  readonly names: readonly string[]
  /** Everything that was looked at, and why it was taken or not. */
  readonly looks: readonly Look[]
  /** Lets go of all devices, so that one can be reset. Resolves when nothing of ours holds one; rejects with a sentence when something does. */
  suspend(): Promise<void>
  resume(): void
}

/** A sentence is repeated in the log at most this often. */
const REPEAT_MS = 600_000
const MAX_SENTENCES = 200

/** Chooses sources for a node. They begin with `listen`. Rejects with HEALTH_POLICY_INVALID for a source that does not exist. */
export async function createTelemetry(options: TelemetryOptions): Promise<GpuTelemetry> {
  const { source = 'auto', intervalSeconds = 10, ...rest } = options
  const choice = await chooseSources(source, { ...rest, intervalMs: intervalSeconds * 1000 })
  return new Hub(choice, options)
}

class Hub implements GpuTelemetry {
  readonly names: readonly string[]
  readonly looks: readonly Look[]
  readonly #sources: readonly Source[]
  readonly #options: TelemetryOptions
  readonly #said = new Map<string, number>()
  readonly #flood = new XidFlood()
  #report: ((fact: HealthEvent) => void) | null = null
  #closed = false
  /** With the kernel log beside it, Xids of another source would be told twice. */
  readonly #xidsFrom: string | null

  constructor({ sources, names, looks }: Choice, options: TelemetryOptions) {
    this.#sources = sources
    this.#options = options
    this.names = names
    this.looks = looks
    this.#xidsFrom = names.includes('kernel-log') ? 'kernel-log' : null
  }

  listen(report: (fact: HealthEvent) => void): void {
    if (this.#report !== null || this.#closed) return
    this.#report = report
    for (const source of this.#sources)
      source.start((sighting) => this.#tell(source.name, sighting))
  }

  async suspend(): Promise<void> {
    const ends = await Promise.allSettled(this.#sources.map((source) => source.suspend()))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  resume(): void {
    if (!this.#closed) for (const source of this.#sources) source.resume()
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#sources.map((source) => source.close()))
  }

  #tell(source: string, sighting: Sighting): void {
    if (this.#closed) return
    const { node, clock } = this.#options
    if (sighting.type === 'problem') {
      this.#warn(`${source}: ${sighting.text}`)
      return
    }
    if (sighting.type === 'xid') {
      if (this.#xidsFrom !== null && this.#xidsFrom !== source) return
      const { device, xid } = sighting
      const { passes, held } = this.#flood.admit(sighting, clock.now())
      if (held > 0)
        this.#warn(`${source}: Xid ${xid} of ${device} came ${held} times more than were told`)
      if (!passes) return
    }
    this.#report?.(toFact(node, clock.now(), source, sighting))
  }

  #warn(text: string): void {
    const now = this.#options.clock.now()
    const before = this.#said.get(text)
    if (before !== undefined && now - before < REPEAT_MS) return
    if (this.#said.size >= MAX_SENTENCES) this.#said.clear()
    this.#said.set(text, now)
    this.#options.warn?.(text)
  }
}

function toFact(
  node: string,
  at: number,
  source: string,
  sighting: Exclude<Sighting, { type: 'problem' }>,
): NodeEvent {
  switch (sighting.type) {
    case 'sampled':
      return { type: 'gpu.sampled', at, node, devices: sighting.devices }
    case 'xid':
      return { ...sighting, type: 'gpu.xid', at, node }
    case 'lost':
      return { ...sighting, type: 'gpu.lost', at, node }
    case 'failed':
      return { ...sighting, type: 'source.failed', at, node, source }
    case 'recovered':
      return {
        type: 'source.recovered',
        at,
        node,
        source,
        why: 'recovered',
        detail: sighting.detail,
      }
    default:
      return sighting satisfies never
  }
}
