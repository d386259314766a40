/**
 * What every source of telemetry has in common: what it may tell, and how it is made to let go. A source reports what it reads
 * and nothing else; it says of itself when it hangs or dies.
 */
import type { Clock, DeviceSample } from '@health/core'

/** What a source tells; the hub in `telemetry.ts` adds the node and the time. */
export type Sighting =
  | { readonly type: 'sampled'; readonly devices: readonly DeviceSample[] }
  | {
      readonly type: 'xid'
      /** UUID, or `pci:0000:1a:00` where only the address is known. */
      readonly device: string
      readonly xid: number
      readonly text: string
      readonly boot: string
      readonly sequence: number
      readonly pid?: number
      /** Processes above it, when it could be looked at. */
      readonly lineage?: readonly number[]
    }
  | { readonly type: 'lost'; readonly device: string; readonly detail: string }
  | {
      readonly type: 'failed'
      readonly why: 'exited' | 'hung' | 'unkillable' | 'invalid'
      readonly detail: string
    }
  | { readonly type: 'recovered'; readonly detail: string }
  /** Something could not be read: for the log, never a verdict. */
  | { readonly type: 'problem'; readonly text: string }

/** Takes what a source tells. */
export type Tell = (sighting: Sighting) => void

/** One way to read GPUs. `start` is called once; after `close` nothing is told any more. */
export interface Source {
  /** Name in configuration and alerts. */
  readonly name: string
  start(tell: Tell): void
  /**
   * Lets go of the devices; resolves when nothing of ours holds one. Its silence is then no failure. Rejects with a sentence when a process of
   * ours cannot be ended.
   */
  suspend(): Promise<void>
  resume(): void
  close(): Promise<void>
}

/** Why a source does not let go. */
export const HELD = 'our own telemetry holds the device: its process cannot be ended'

/** What every source needs. */
export interface SourceOptions {
  readonly clock: Clock
  readonly intervalMs: number
}

/** No line, cell or detail that we keep is longer. */
export const MAX_DETAIL = 200

/** One line of text for an alert or a log: control characters gone, bounded. */
export function brief(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, MAX_DETAIL)
}

/**
 * A PCI address as the kernel prints it: lower case, four digits of domain, no function.
 *
 * ```ts
 * pciAddress('00000000:1A:00.0') // => '0000:1a:00'
 * ```
 */
export function pciAddress(text: string): string | null {
  const match = /^([0-9a-f]{1,8}):([0-9a-f]{2}):([0-9a-f]{2})(?:\.[0-9a-f])?$/i.exec(text.trim())
  if (match === null) return null
  const domain = Number.parseInt(match[1]!, 16).toString(16).padStart(4, '0')
  return `${domain}:${match[2]!.toLowerCase()}:${match[3]!.toLowerCase()}`
}
