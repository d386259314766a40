/**
 * A host without processes: it starts, refuses, crashes and ends runners as a test wrote it down, on the test's clock.
 * It keeps the contract of the port and has no randomness.
 */
import type { Clock, Host, HostFact, Millis, ProcessRecord, ProvisionOrder } from '@health/core'

/** How runners behave; each can be given for one runner, one app or all, the nearest counts. */
export interface FakeLife {
  /** From the order to process.started. Default 0: still after `provision` has returned. */
  readonly startAfterMs?: Millis
  /** Refuse the start with this. */
  readonly refuse?: { readonly why: 'no_capacity' | 'bad_config'; readonly detail: string }
  /** Ends by itself so long after its start. */
  readonly crashAfterMs?: Millis
  /** Exit code of that end. Default 1. */
  readonly crashCode?: number
  /** From SIGTERM to its end; null: deaf. Default 0. */
  readonly stopAfterMs?: Millis | null
}

/** One order that a {@link FakeHost} got. */
export type HostOrder =
  | { readonly type: 'provision'; readonly at: Millis; readonly order: ProvisionOrder }
  | {
      readonly type: 'stop' | 'kill'
      readonly at: Millis
      readonly runner: string
      readonly incarnation: number
    }

interface FakeProcess {
  readonly runner: string
  readonly incarnation: number
  readonly app: string
  started: boolean
  ended: boolean
  /** An end that was ordered before the start: it waits for it, as a real host's does. */
  early: { readonly ms: Millis; readonly signal: string } | null
}

/** A scripted {@link Host}. Pids count from 1001, ports from 10001. */
export class FakeHost implements Host {
  /** Every order, in order. */
  readonly orders: HostOrder[] = []
  readonly #clock: Clock
  readonly #scripts = new Map<string, FakeLife>()
  readonly #processes = new Map<string, FakeProcess>()
  readonly #early: HostFact[] = []
  #report: ((fact: HostFact) => void) | null = null
  #count = 0
  #closed = false

  constructor(clock: Clock, life: FakeLife = {}) {
    this.#clock = clock
    this.#scripts.set('*', life)
  }

  /** How the runner or app of this name, or `*`, behaves from its next order on. */
  script(name: string, life: FakeLife): this {
    this.#scripts.set(name, life)
    return this
  }

  /** Runners whose process lives. */
  get live(): readonly string[] {
    return [...this.#processes.values()].filter((each) => each.started).map((each) => each.runner)
  }

  /** Ends a live runner by itself, now. False when there is none. */
  crash(
    runner: string,
    end: { readonly code?: number | null; readonly signal?: string | null } = {},
  ): boolean {
    const found = [...this.#processes.values()].find(
      (each) => each.runner === runner && each.started,
    )
    if (found) this.#end(found, end.code === undefined ? 1 : end.code, end.signal ?? null)
    return found !== undefined
  }

  listen(report: (fact: HostFact) => void): void {
    this.#report = report
    for (const fact of this.#early.splice(0)) report(fact)
  }

  provision(order: ProvisionOrder): void {
    this.orders.push({ type: 'provision', at: this.#clock.now(), order })
    const { runner, incarnation, app, url } = order
    if (this.#closed || this.#processes.has(keyOf(runner, incarnation))) return
    const found: FakeProcess = {
      runner,
      incarnation,
      app,
      started: false,
      ended: false,
      early: null,
    }
    this.#processes.set(keyOf(runner, incarnation), found)
    const life = this.#life(found)
    this.#clock.after(life.startAfterMs ?? 0, () => {
      if (this.#closed) return
      if (life.refuse) {
        this.#processes.delete(keyOf(runner, incarnation))
        this.#tell({ type: 'provision.refused', runner, incarnation, ...life.refuse })
        return
      }
      found.started = true
      const n = ++this.#count
      const [pid, startTime] = url === null ? [1_000 + n, String(n)] : [null, null]
      this.#tell({
        type: 'process.started',
        runner,
        incarnation,
        pid,
        url: url ?? `http://127.0.0.1:${10_000 + n}`,
        startTime,
      })
      if (found.early) this.#endLater(found, found.early.ms, found.early.signal)
      if (life.crashAfterMs !== undefined)
        this.#clock.after(life.crashAfterMs, () => this.#end(found, life.crashCode ?? 1, null))
    })
  }

  stop(runner: string, incarnation: number): void {
    this.orders.push({ type: 'stop', at: this.#clock.now(), runner, incarnation })
    const found = this.#processes.get(keyOf(runner, incarnation))
    const { stopAfterMs = 0 } = found ? this.#life(found) : {}
    if (found && stopAfterMs !== null) this.#endLater(found, stopAfterMs, 'SIGTERM')
  }

  kill(runner: string, incarnation: number): void {
    this.orders.push({ type: 'kill', at: this.#clock.now(), runner, incarnation })
    const found = this.#processes.get(keyOf(runner, incarnation))
    if (found) this.#endLater(found, 0, 'SIGKILL')
  }

  /** Takes over what {@link FakeHost.survive} announced, or any `url` runner. */
  adopt({ runner, incarnation, app, pid, startTime }: ProcessRecord): Promise<boolean> {
    const known = pid === null || this.#survivors.has(`${pid} ${startTime}`)
    if (known)
      this.#processes.set(keyOf(runner, incarnation), {
        runner,
        incarnation,
        app,
        started: true,
        ended: false,
        early: null,
      })
    return Promise.resolve(known)
  }

  readonly #survivors = new Set<string>()

  /** Says that this process of an earlier supervisor still lives, so that it can be adopted. */
  survive({ pid, startTime }: Pick<ProcessRecord, 'pid' | 'startTime'>): this {
    this.#survivors.add(`${pid} ${startTime}`)
    return this
  }

  close(): Promise<void> {
    this.#closed = true
    this.#processes.clear()
    return Promise.resolve()
  }

  #life({ runner, app }: FakeProcess): FakeLife {
    return this.#scripts.get(runner) ?? this.#scripts.get(app) ?? this.#scripts.get('*') ?? {}
  }

  #endLater(found: FakeProcess, ms: Millis, signal: string): void {
    if (found.started) this.#clock.after(ms, () => this.#end(found, null, signal))
    else found.early = { ms, signal }
  }

  #end(found: FakeProcess, code: number | null, signal: string | null): void {
    if (found.ended || this.#closed) return
    found.ended = true
    const { runner, incarnation } = found
    this.#processes.delete(keyOf(runner, incarnation))
    this.#tell({ type: 'process.exited', runner, incarnation, code, signal })
  }

  #tell(fact: HostFact): void {
    if (this.#report) this.#report(fact)
    else this.#early.push(fact)
  }
}

function keyOf(runner: string, incarnation: number): string {
  return `${incarnation} ${runner}`
}
