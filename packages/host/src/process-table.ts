/**
 * What the kernel says about processes: state, group, session and start time. It only reads; whom to signal is decided
 * elsewhere, and never by a bare pid: pids are used again, a pid together with its start time is not.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'

/** One process as the kernel shows it. */
export interface ProcessInfo {
  readonly pid: number
  /** One letter as `ps` writes it; `Z` and `X` are dead. */
  readonly state: string
  /** Process group. */
  readonly group: number
  /** Opaque, equal for the same process only, across restarts of the machine too. */
  readonly startTime: string
}

/** The processes of this machine. */
export interface ProcessTable {
  /** The process with this pid, zombies included; null when there is none. Throws when we lack the means to look: nothing is known then. */
  find(pid: number): ProcessInfo | null
  /** Every process, read in slices so that a long list does not hold the event loop. */
  all(): Promise<readonly ProcessInfo[]>
}

/** How many entries are read before other work gets its turn: about 1 ms. */
const SLICE = 64

/** The table of this platform; null where there is none (the caller refuses by name). */
export function processTable(platform: NodeJS.Platform = process.platform): ProcessTable | null {
  if (platform === 'linux') return linuxTable()
  return platform === 'darwin' || platform === 'freebsd' ? psTable() : null
}

/** True for a process that can still do something: there, not a zombie, and the one we mean. */
export function isAlive(info: ProcessInfo | null, startTime: string): boolean {
  return info !== null && info.startTime === startTime && !isDead(info)
}

/** True for a zombie: it holds its pid, nothing else. */
export function isDead(info: ProcessInfo): boolean {
  return info.state.startsWith('Z') || info.state.startsWith('X')
}

/** Reads /proc. Start times carry the boot id, since ticks since boot come again after a restart of the machine. */
export function linuxTable(proc = '/proc'): ProcessTable {
  const boot = (readText(`${proc}/sys/kernel/random/boot_id`) ?? '').slice(0, 8)
  const find = (pid: number): ProcessInfo | null => {
    const text = readText(`${proc}/${pid}/stat`)
    return text === null ? null : parseStat(text, boot)
  }
  return {
    find,
    async all() {
      const found: ProcessInfo[] = []
      let read = 0
      for (const name of readdirSync(proc)) {
        const pid = Number(name)
        if (!Number.isInteger(pid)) continue
        const info = find(pid)
        if (info) found.push(info)
        if (++read % SLICE === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      return found
    },
  }
}

/** Reads one line of /proc/PID/stat. The name stands in parentheses and may itself hold any of `) (` and spaces. */
export function parseStat(text: string, boot: string): ProcessInfo | null {
  const close = text.lastIndexOf(')')
  const fields = text.slice(close + 2).split(' ')
  const [state, group, start] = [fields[0], fields[2], fields[19]]
  if (close < 0 || state === undefined || group === undefined || start === undefined) return null
  return {
    pid: Number.parseInt(text, 10),
    state,
    group: Number(group),
    startTime: `${start}-${boot}`,
  }
}

/** Asks `ps`, where there is no /proc. Start times have a resolution of one second there. */
export function psTable(ps = '/bin/ps'): ProcessTable {
  const ask = (which: readonly string[]): ProcessInfo[] => {
    try {
      const text = execFileSync(ps, [...which, '-o', 'pid=,pgid=,stat=,lstart='], {
        encoding: 'utf8',
        env: { LC_ALL: 'C', TZ: 'UTC' },
        stdio: ['ignore', 'pipe', 'ignore'],
        maxBuffer: 16 * 1024 * 1024,
      })
      return text.split('\n').flatMap(parsePs)
    } catch (error) {
      if (LACKS.has((error as NodeJS.ErrnoException).code)) throw error
      return [] // `ps -p` exits 1 when there is no such process
    }
  }
  return {
    find: (pid) => ask(['-p', String(pid)])[0] ?? null,
    all: async () => ask(['-ax']),
  }
}

function parsePs(line: string): ProcessInfo[] {
  const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/.exec(line)
  if (!match) return []
  const [, pid, group, state, start] = match
  return [
    {
      pid: Number(pid),
      group: Number(group),
      state: state ?? '',
      startTime: (start ?? '').replaceAll(/\s+/g, ' '),
    },
  ]
}

/** What we lack when we cannot look: a descriptor or memory. */
const LACKS: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOMEM'])

/** The file's text, null when the process ended meanwhile (ENOENT, ESRCH) or is hidden from us. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (LACKS.has((error as NodeJS.ErrnoException).code)) throw error
    return null
  }
}
