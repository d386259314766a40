/**
 * Commands that an earlier supervisor began and that outlived it, found by a mark in their environment: two resets of one device must
 * not run beside each other. What such a command left in the background is none.
 */
import { readdir, readFile } from 'node:fs/promises'
import type { Clock } from '@health/core'

/** The variable that says whose a command is. */
export const OWNER = 'HEALTH_SUPERVISOR'
const LOOK_MS = 100

/** Process ids of an owner's commands: each leads a group. None where there is no /proc, or it is not ours to read. */
export async function commandsOf(owner: string): Promise<readonly number[]> {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map((pid) => isCommandOf(owner, pid)))
  return pids.filter((_pid, index) => found[index])
}

/** Waits until they have ended, at most until we end; past `limitMs` they are ended by force. */
export async function outlast(
  owner: string,
  pids: readonly number[],
  { clock, limitMs, signal }: { clock: Clock; limitMs: number; signal: AbortSignal | undefined },
): Promise<void> {
  const until = clock.now() + limitMs
  for (const pid of pids) {
    while (await isCommandOf(owner, pid)) {
      if (signal?.aborted === true) return
      if (clock.now() >= until) endGroup(pid)
      await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve))
    }
  }
}

async function isCommandOf(owner: string, pid: number): Promise<boolean> {
  try {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
    if (!environment.split('\0').includes(`${OWNER}=${owner}`)) return false
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // Behind the name, which may hold anything: state, parent, group.
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state !== 'Z' && Number(group) === pid
  } catch {
    // It has ended, or is not ours.
    return false
  }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended meanwhile, which the next look finds out.
  }
}
