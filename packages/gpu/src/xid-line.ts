/**
 * A line of the kernel's log → what it says about a GPU. The grammar is the driver's own; anything else is not for us. Pure, but
 * for a window of three records: a device that falls off the bus is sometimes reported in three pieces.
 */
import { pciAddress } from './source.ts'

/** What a line says. */
export type KernelSighting =
  | {
      readonly type: 'xid'
      readonly device: string
      readonly xid: number
      readonly text: string
      readonly pid?: number
    }
  | { readonly type: 'lost'; readonly device: string; readonly text: string }

const XID =
  /NVRM: Xid \((?:PCI:)?([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-9a-f])?)(?: GPU-I:\d+)?(?: GPU-CI:\d+)?\): (\d{1,4})(?:, pid=('<unknown>'|<unknown>|\d+))?(?:, name=([^,]*))?(?:,? (.*))?$/i
const GPU_AT =
  /NVRM: (?:The NVIDIA )?GPU (?:at PCI:)?([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-9a-f])?)/i
const FALLEN = /NVRM:.*fallen off the bus/i
const RECORDS = 3

/** Reads lines one after the other. */
export class XidReader {
  /** Address that the driver spoke of lately, and how many lines ago. */
  #address: string | null = null
  #age = 0

  /** What this line says; null for all others. */
  read(line: string): KernelSighting | null {
    if (!line.includes('NVRM')) {
      this.#pass()
      return null
    }
    const xid = XID.exec(line)
    if (xid !== null) return this.#xid(xid)
    const at = GPU_AT.exec(line)
    if (at !== null) {
      this.#address = pciAddress(at[1]!)
      this.#age = 0
    } else this.#pass()
    if (!FALLEN.test(line) || this.#address === null) return null
    const device = `pci:${this.#address}`
    this.#address = null
    return { type: 'lost', device, text: 'the kernel says that it has fallen off the bus' }
  }

  #pass(): void {
    this.#age++
    if (this.#age >= RECORDS) this.#address = null
  }

  #xid([, address, number, pid, , text = '']: RegExpExecArray): KernelSighting | null {
    const pci = pciAddress(address!)
    if (pci === null) return null
    const process = pid !== undefined && /^\d+$/.test(pid) ? { pid: Number(pid) } : {}
    return {
      type: 'xid',
      device: `pci:${pci}`,
      xid: Number(number),
      text: text.slice(0, 1000),
      ...process,
    }
  }
}
