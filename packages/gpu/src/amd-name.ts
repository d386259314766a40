/**
 * Names of AMD devices as their runtime knows them: by the number that is burnt in, else by the place in the kernel's compute topology,
 * which is the order in which the runtime counts. The tools count in an order of their own, so devices are matched by PCI address.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DeviceSample } from '@health/core'

const TOPOLOGY = '/sys/class/kfd/kfd/topology/nodes'
const MAX_NODES = 128

/** `GPU-79ccd55167a2124a` from the number as files and tools print it; null when the device has none. */
export function amdName(unique: string | undefined): string | null {
  const match = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(unique?.trim() ?? '')
  if (match === null || /^0+$/.test(match[1]!)) return null
  return `GPU-${match[1]!.toLowerCase().padStart(16, '0')}`
}

/** Names by PCI address (`0000:c5:00`); empty where the compute driver is not loaded. */
export async function amdNames(root = TOPOLOGY): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  const nodes = (await readdir(root).catch(() => []))
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b))
    .slice(0, MAX_NODES)
  let place = 0
  for (const node of nodes) {
    const text = await readFile(join(root, node, 'properties'), 'utf8').catch(() => '')
    const value = (name: string): bigint => {
      const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(text)
      return found === null ? 0n : BigInt(found[1]!)
    }
    // A node without these units is a processor's.
    if (value('simd_count') === 0n) continue
    const location = Number(value('location_id'))
    const hex = (number: number, digits: number): string =>
      number.toString(16).padStart(digits, '0')
    const pci = `${hex(Number(value('domain')), 4)}:${hex(location >> 8, 2)}:${hex((location >> 3) & 0x1f, 2)}`
    names.set(pci, amdName(value('unique_id').toString(16)) ?? `amd-${place}`)
    place++
  }
  return names
}

/** The same samples under the runtime's names, where these are known. */
export function renamed(
  devices: readonly DeviceSample[],
  names: ReadonlyMap<string, string>,
): DeviceSample[] {
  return devices.map((device) => {
    const name = device.pci === undefined ? undefined : names.get(device.pci)
    return name === undefined ? device : { ...device, uuid: name }
  })
}
