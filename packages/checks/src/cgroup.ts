/**
 * Reads what a container may use: memory and processor time, from the control group of this process (version 2, then 1). It
 * knows no limits of its own; without a control group it says so with null.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the control groups are; tests have a folder of their own. */
export const cgroupRoot = '/sys/fs/cgroup'

/** Memory in bytes; `limit` null when there is none. */
export interface ContainerMemory {
  /** What cannot be given back: the file cache that is idle is not counted, as the kubelet does it. */
  readonly used: number
  readonly limit: number | null
}

/** The control group's memory, or null when there is no control group to read. */
export async function readMemory(root = cgroupRoot): Promise<ContainerMemory | null> {
  const two = await readNumber(join(root, 'memory.current'))
  if (two !== null) {
    const idle = await readField(join(root, 'memory.stat'), 'inactive_file')
    return { used: two - idle, limit: await readNumber(join(root, 'memory.max')) }
  }
  const one = await readNumber(join(root, 'memory/memory.usage_in_bytes'))
  if (one === null) return null
  const idle = await readField(join(root, 'memory/memory.stat'), 'total_inactive_file')
  const limit = await readNumber(join(root, 'memory/memory.limit_in_bytes'))
  // Version 1 writes "no limit" as nearly 2^63.
  return { used: one - idle, limit: limit !== null && limit > 2 ** 60 ? null : limit }
}

/** How many processors the control group may use, as a decimal number, or null when it is not limited. */
export async function readProcessors(root = cgroupRoot): Promise<number | null> {
  const two = await readText(join(root, 'cpu.max'))
  if (two !== null) {
    const [quota, period] = two.split(/\s+/)
    return share(Number(quota), Number(period))
  }
  const quota = await readNumber(join(root, 'cpu/cpu.cfs_quota_us'))
  const period = await readNumber(join(root, 'cpu/cpu.cfs_period_us'))
  return quota === null || period === null ? null : share(quota, period)
}

function share(quota: number, period: number): number | null {
  return quota > 0 && period > 0 ? quota / period : null
}

async function readText(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch {
    // Not there is the usual case: another version, or no control group at all.
    return null
  }
}

async function readNumber(path: string): Promise<number | null> {
  const text = await readText(path)
  return text !== null && /^\d+$/.test(text) ? Number(text) : null
}

async function readField(path: string, name: string): Promise<number> {
  const text = (await readText(path)) ?? ''
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  return line === undefined ? 0 : Number(line.slice(name.length + 1))
}
