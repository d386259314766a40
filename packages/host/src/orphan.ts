/**
 * Finds processes of an earlier supervisor that nobody watches any more, for the start of the next one: those that it started
 * just before it was killed, and what a dead runner left behind. A process counts as ours when two of three marks name the same
 * runner: its environment, its output file, its group. It is then ended one by one, by pid and start time.
 */
import { readFileSync, readlinkSync, realpathSync } from 'node:fs'
import type { Clock, ProcessRecord } from '@health/core'
import { logPath } from './output-log.ts'
import { isAlive, isDead, linuxTable, type ProcessInfo } from './process-table.ts'

/** Where to look, and what to leave alone. */
export interface OrphanSearch {
  /** The folder of the runners' output, as the host has it. */
  readonly logDir: string
  /** Processes that the journal knows, adopted or not. */
  readonly records: readonly Pick<ProcessRecord, 'runner' | 'pid'>[]
  /** Runners that were adopted: their processes stay. */
  readonly keep: ReadonlySet<string>
}

/** A process without a supervisor. */
export interface Orphan {
  readonly runner: string
  readonly pid: number
  readonly startTime: string
}

/** How {@link endOrphans} goes about it. */
export interface OrphanEnding extends OrphanSearch {
  readonly clock: Clock
  /** Between SIGTERM and SIGKILL, ms. Default 2000. */
  readonly graceMs?: number
  /** After this the rest is given up, ms (the kernel holds them). Default 10 000. */
  readonly giveUpMs?: number
}

const LOOK_MS = 50

/** The orphans of this machine, oldest pid first. Empty where there is no /proc: then only recorded processes can be adopted. */
export async function findOrphans(search: OrphanSearch): Promise<readonly Orphan[]> {
  if (process.platform !== 'linux') return []
  const byGroup = new Map(
    search.records.flatMap(({ runner, pid }) => (pid === null ? [] : [[pid, runner] as const])),
  )
  const logDir = realOf(search.logDir)
  const orphans: Orphan[] = []
  for (const info of await linuxTable().all()) {
    if (info.pid === process.pid || isDead(info)) continue
    const runner = ownerOf(info, logDir, byGroup.get(info.group))
    if (runner === null || search.keep.has(runner)) continue
    orphans.push({ runner, pid: info.pid, startTime: info.startTime })
  }
  return orphans
}

/** Ends the orphans: SIGTERM, then SIGKILL, looking again for what they started meanwhile. Answers all that were found. */
export async function endOrphans(ending: OrphanEnding): Promise<readonly Orphan[]> {
  const { clock, graceMs = 2_000, giveUpMs = 10_000 } = ending
  const table = linuxTable()
  const found = new Map<string, Orphan>()
  const began = clock.now()
  for (;;) {
    // A leader that was found here names its group from now on, also when it has ended: its children may bear one mark only.
    const records = [...ending.records, ...found.values()]
    const left = await findOrphans({ ...ending, records })
    if (left.length === 0 || clock.now() - began >= giveUpMs) return [...found.values()]
    const late = clock.now() - began >= graceMs
    for (const orphan of left) {
      const key = `${orphan.pid} ${orphan.startTime}`
      // Told once, then left its grace.
      if (!late && found.has(key)) continue
      found.set(key, orphan)
      if (isAlive(table.find(orphan.pid), orphan.startTime)) send(orphan.pid, late)
    }
    await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve))
  }
}

/** The runner that two of the three marks agree on. The cheap ones are read first; most processes have none. */
function ownerOf(info: ProcessInfo, logDir: string, recorded: string | undefined): string | null {
  const outputs = [1, 2]
    .map((fd) => linkOf(`/proc/${info.pid}/fd/${fd}`))
    .filter((path) => path.startsWith(`${logDir}/`))
  if (outputs.length === 0 && recorded === undefined) return null
  const writesTo = (runner: string): boolean => outputs.includes(logPath(logDir, runner))
  if (recorded !== undefined && writesTo(recorded)) return recorded
  const named = nameOf(info.pid)
  return named !== null && (named === recorded || writesTo(named)) ? named : null
}

function send(pid: number, late: boolean): void {
  try {
    process.kill(pid, late ? 'SIGKILL' : 'SIGTERM')
    if (!late) process.kill(pid, 'SIGCONT')
  } catch {
    // ESRCH: it ended by itself meanwhile, which the next look finds out
  }
}

/** HEALTH_RUNNER_ID of a process; null when there is none or it is not ours to read. */
function nameOf(pid: number): string | null {
  try {
    const prefix = 'HEALTH_RUNNER_ID='
    const found = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .find((each) => each.startsWith(prefix))
    return found?.slice(prefix.length) ?? null
  } catch {
    return null
  }
}

/** Where a descriptor points; a file that was deleted meanwhile still names its place. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path).replace(/ \(deleted\)$/, '')
  } catch {
    return ''
  }
}

function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
