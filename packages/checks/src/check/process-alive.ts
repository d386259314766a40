/**
 * Process: one that this service depends on lives: a child, a pid, or the pid in a file. A zombie is not alive, and nothing is
 * sent to it.
 */
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { CheckFailure } from '../failure.ts'
import { complete, split } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

export interface ProcessOptions {
  /** One of `child`, `pid`, `pidFile`. */
  readonly child?: Pick<ChildProcess, 'pid' | 'exitCode' | 'signalCode'>
  readonly pid?: number
  readonly pidFile?: string
}

const known = { child: true, pid: true, pidFile: true } as const satisfies Record<
  keyof ProcessOptions,
  true
>

/** A check that a process lives. */
export function processAlive(options: ProcessOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<ProcessOptions>('processAlive', options, known)
  const { child, pid, pidFile } = own
  if ([child, pid, pidFile].filter((given) => given !== undefined).length !== 1)
    throw invalid('process', 'needs one of `child`, `pid` and `pidFile`')
  return complete(settings, async () => {
    if (child !== undefined && (child.exitCode !== null || child.signalCode !== null))
      throw new CheckFailure('not_running')
    const number = child?.pid ?? pid ?? Number((await readFile(pidFile as string, 'utf8')).trim())
    // 0 and negative numbers mean groups of processes; they must not be asked for.
    if (!Number.isInteger(number) || number <= 0) throw new CheckFailure('not_found')
    if (!exists(number) || (await isZombie(number))) throw new CheckFailure('not_running')
  })
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // It is there and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function isZombie(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The state follows the name, which may hold anything but ends at the last parenthesis.
    return /^\s*Z/.test(stat.slice(stat.lastIndexOf(')') + 1))
  } catch {
    // No /proc on this system: what exists is taken to live.
    return false
  }
}
