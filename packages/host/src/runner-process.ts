/**
 * One runner's process from its start to the last member of its group. It carries out orders and says once how it ended;
 * when to give an order is decided by the core.
 */
import type { Cancel, Clock } from '@health/core'
import type { ProcessGroup } from './process-group.ts'
import type { ProcessTable } from './process-table.ts'

/** How the leader ended; both null for a process that an earlier supervisor started. */
export interface LeaderEnd {
  readonly code: number | null
  readonly signal: string | null
}

/** What a {@link RunnerProcess} needs from its host. */
export interface Surroundings {
  readonly clock: Clock
  readonly table: ProcessTable
  /** Between SIGTERM and SIGKILL for members that outlived their leader, ms. */
  readonly leftoverGraceMs: number
}

/** First look for leftovers; doubles up to {@link LAST_LOOK_MS}. */
const FIRST_LOOK_MS = 10
const LAST_LOOK_MS = 200

export class RunnerProcess {
  readonly group: ProcessGroup
  readonly #around: Surroundings
  readonly #gone: (end: LeaderEnd) => void
  #end: LeaderEnd | null = null
  #killed = false
  #abandoned = false
  #cancel: Cancel = () => undefined

  constructor(group: ProcessGroup, around: Surroundings, gone: (end: LeaderEnd) => void) {
    this.group = group
    this.#around = around
    this.#gone = gone
  }

  /** SIGTERM to the group while its leader lives; afterwards its members have been told already. */
  stop(): void {
    if (this.#end === null && this.group.leads) this.group.signal('SIGTERM')
  }

  /** SIGKILL to the group, also to what its leader left behind. */
  kill(): void {
    this.#killed = true
    if (this.#end !== null || this.group.leads) this.group.signal('SIGKILL')
  }

  /** Whether the leader has ended and members are left. */
  get leaving(): boolean {
    return this.#end !== null
  }

  /** The leader ended. The end is told when no member lives: they get SIGTERM, then SIGKILL. */
  leaderEnded(end: LeaderEnd): void {
    if (this.#end !== null || this.#abandoned) return
    this.#end = end
    if (!this.group.known || this.group.reused) {
      this.#gone(end)
      return
    }
    this.group.signal(this.#killed ? 'SIGKILL' : 'SIGTERM')
    this.#look(FIRST_LOOK_MS, this.#around.clock.now() + this.#around.leftoverGraceMs)
  }

  /** Ends watching; the process lives on and nothing is told any more. */
  abandon(): void {
    this.#abandoned = true
    this.#cancel()
  }

  #look(inMs: number, killAt: number): void {
    this.#cancel = this.#around.clock.after(inMs, () => {
      void this.#sweep(killAt).then((left) => {
        if (this.#abandoned) return
        if (left) this.#look(Math.min(inMs * 2, LAST_LOOK_MS), killAt)
        else this.#gone(this.#end ?? { code: null, signal: null })
      })
    })
  }

  /** Whether a member still lives; past the grace it is killed, again at each look, since a group can grow. */
  async #sweep(killAt: number): Promise<boolean> {
    if (!this.group.known) return false
    const all = await this.#around.table.all().catch(() => null)
    // Without the means to look nobody is known to be gone.
    const none = all !== null && this.group.members(all).length === 0
    if (none || this.group.reused) return false
    if (this.#killed || this.#around.clock.now() >= killAt) this.group.signal('SIGKILL')
    return true
  }
}
