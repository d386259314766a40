/**
 * The processes above a process, as the kernel's table shows them: so that an error that the driver blames on a worker finds the runner
 * that started it. It knows no runner.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** The kernel's number of the namespace that it counts processes in itself; its log names processes by that count. */
const INITIAL_NAMESPACE = 'pid:[4026531836]'
const MAX_DEPTH = 32
const CONTAINER = /docker|containerd|kubepods|libpod|crio|lxc/

/** Does the kernel's log name processes by the numbers that we see? In a container it does not. */
export function seesHostProcesses(root = '/proc'): boolean {
  try {
    return readlinkSync(join(root, 'self', 'ns', 'pid')) === INITIAL_NAMESPACE
  } catch {
    return false
  }
}

/**
 * Group, session and parents of a process, and theirs, nearest first, without repeats. Null when it is gone, or in a container of its own:
 * whoever had that started is not above it.
 */
export function lineageOf(pid: number, root = '/proc'): number[] | null {
  const place = read(root, String(pid), 'cgroup')
  if (place !== null && CONTAINER.test(place) && place !== read(root, 'self', 'cgroup')) return null
  const found = new Set<number>()
  let next = pid
  for (let depth = 0; depth < MAX_DEPTH && next > 1; depth++) {
    const stat = readStat(next, root)
    if (stat === null) {
      if (depth === 0) return null
      break
    }
    const { parent, group, session } = stat
    for (const each of [group, session, parent]) if (each > 1 && each !== pid) found.add(each)
    next = parent
  }
  return [...found]
}

/** Parent, group and session. The name before them stands in parentheses and may hold any of `) (` and spaces. */
function readStat(
  pid: number,
  root: string,
): { readonly parent: number; readonly group: number; readonly session: number } | null {
  const text = read(root, String(pid), 'stat') ?? ''
  const [, ...numbers] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  const [parent = NaN, group = NaN, session = NaN] = numbers
  return [parent, group, session].every(Number.isInteger) ? { parent, group, session } : null
}

/** A file of the table; null when the process is gone. */
function read(...path: readonly string[]): string | null {
  try {
    return readFileSync(join(...path), 'utf8')
  } catch {
    return null
  }
}
