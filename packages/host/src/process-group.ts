/**
 * One process group that we started or took over: whom a signal may reach, and when nothing of it is left. The leader is known
 * by pid and start time; the group's number is that pid, and the kernel gives it to nobody else while a member lives.
 */
import { isAlive, isDead, type ProcessInfo, type ProcessTable } from './process-table.ts'

/** Signals that a host sends. */
export type GroupSignal = 'SIGTERM' | 'SIGKILL'

/** A group by its leader. */
export class ProcessGroup {
  readonly pid: number
  readonly startTime: string
  readonly #table: ProcessTable
  #seen: ProcessInfo | null = null

  constructor(pid: number, startTime: string, table: ProcessTable) {
    this.pid = pid
    this.startTime = startTime
    this.#table = table
    this.#look()
  }

  /** Whether the leader, and not a later process of the same number, lives and leads its own group. */
  get leads(): boolean {
    const leader = this.#look()
    return isAlive(leader, this.startTime) && leader?.group === this.pid
  }

  /** Whether the number belongs to another process by now: then nothing of this group is left. */
  get reused(): boolean {
    const leader = this.#look()
    return leader !== null && leader.startTime !== this.startTime
  }

  /** The leader as it is. Without the means to look it is what it was a moment ago: our lack of descriptors ends no runner. */
  #look(): ProcessInfo | null {
    try {
      this.#seen = this.#table.find(this.pid)
    } catch {
      // The next look has them again.
    }
    return this.#seen
  }

  /** Whether the kernel knows any member, zombies included; cheap, so asked before the table is read. */
  get known(): boolean {
    try {
      process.kill(-this.pid, 0)
      return true
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM'
    }
  }

  /** The members that live, out of a reading of the table. */
  members(all: readonly ProcessInfo[]): readonly ProcessInfo[] {
    return all.filter((each) => each.group === this.pid && !isDead(each))
  }

  /** Signals all members. A stopped member is woken after SIGTERM, or it would never see it. False when none was there. */
  signal(signal: GroupSignal): boolean {
    if (this.reused) return false
    try {
      process.kill(-this.pid, signal)
      if (signal === 'SIGTERM') process.kill(-this.pid, 'SIGCONT')
      return true
    } catch {
      return false // ESRCH: gone meanwhile; EPERM: not ours to signal
    }
  }
}
