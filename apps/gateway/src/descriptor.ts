/** How many files and sockets the system lets this process hold open, and which share of them callers may take. It raises no limit. */
import { readFileSync } from 'node:fs'

/** Descriptors this process may have (`ulimit -n`); null where the system does not say, or sets no limit. */
export function mostDescriptors(): number | null {
  let limits: string
  try {
    limits = readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return null
  }
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
  return soft === undefined ? null : Number(soft)
}

/**
 * How many of `configured` connections the process can hold. Callers get two thirds of the descriptors: calls that run need
 * a second one each, to their runner, and checks, the journal and new runners need theirs however many callers come.
 */
export function affordable(configured: number, descriptors: number | null): number {
  return descriptors === null
    ? configured
    : Math.min(configured, Math.max(1, Math.floor((descriptors * 2) / 3)))
}
