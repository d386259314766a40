/**
 * Runners as processes of this machine: started without a shell in a group of their own, writing to a file, found again by pid
 * and start time. It carries out orders and reports what became true; graces, retries and reasons are the core's.
 */
import type { Cancel, Clock, Host, HostFact, ProcessRecord, ProvisionOrder } from '@health/core'
import { prepare, type Inherited } from './launch.ts'
import { startLeader } from './leader.ts'
import { LogShelf, type LogOptions } from './log-shelf.ts'
import { PortPool } from './port-pool.ts'
import { ProcessGroup } from './process-group.ts'
import { processTable, type ProcessTable } from './process-table.ts'
import { RunnerProcess, type LeaderEnd, type Surroundings } from './runner-process.ts'
import type { Refusal } from './start-failure.ts'

/** Options of {@link createProcessHost}. */
export interface ProcessHostOptions extends LogOptions {
  /** Ports for runners, inclusive. Default 20000 to 29999: below those of outgoing connections. */
  readonly portRange?: readonly [first: number, last: number]
  /** Between SIGTERM and SIGKILL for processes that outlive the leader of their group, ms. Default 2000. */
  readonly leftoverGraceMs?: number
  /** How often an adopted process is looked at, ms. Default 1000. */
  readonly watchMs?: number
  /** What runners inherit. Default: PATH and HOME of this process. */
  readonly inherit?: Inherited
  /** Default: the table of this platform; null refuses every start by the platform's name. */
  readonly table?: ProcessTable | null
}

/** The next turn of the event loop. */
const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

type Refuse = (why: Refusal, detail: string) => void

type Life = {
  readonly runner: string
  readonly incarnation: number
  process: RunnerProcess | null
  /** An order that came while the process was being started. */
  wanted: 'stop' | 'kill' | null
  port: number | null
  readonly adopted: boolean
}

/** How long `close` waits for processes that it killed. */
const CLOSE_MS = 5_000

/** A {@link Host} for `command` apps. Refuses by name on a platform whose processes it cannot tell apart. */
export function createProcessHost(options: ProcessHostOptions): Host {
  return new ProcessHost(options)
}

class ProcessHost implements Host {
  readonly #clock: Clock
  readonly #options: ProcessHostOptions
  readonly #table: ProcessTable | null
  readonly #ports: PortPool
  readonly #logs: LogShelf
  readonly #lives = new Map<string, Life>()
  readonly #early: HostFact[] = []
  #report: ((fact: HostFact) => void) | null = null
  #closed = false
  /** The start before: to make a process blocks, so they go one by one, and others are heard in between. */
  #before: Promise<void> = Promise.resolve()
  #watching: Cancel | null = null
  #emptied: (() => void) | null = null

  constructor(options: ProcessHostOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#table = options.table === undefined ? processTable() : options.table
    this.#ports = new PortPool(options.portRange)
    this.#logs = new LogShelf(options)
  }

  listen(report: (fact: HostFact) => void): void {
    this.#report = report
    for (const fact of this.#early.splice(0)) report(fact)
  }

  provision(order: ProvisionOrder): void {
    // An order repeated after a crash is the same order: it has its answer, or is about to get it.
    if (this.#closed || this.#lives.has(keyOf(order))) return
    const life = newLife(order, false)
    this.#lives.set(keyOf(order), life)
    const { runner, incarnation } = order
    const refuse: Refuse = (why, detail) => {
      this.#drop(life)
      this.#tell({ type: 'provision.refused', runner, incarnation, why, detail })
    }
    this.#start(order, life, refuse).catch((error: unknown) => {
      if (life.process) throw error // what the listener threw is not ours to answer
      refuse('bad_config', (error as Error).message)
    })
  }

  stop(runner: string, incarnation: number): void {
    const life = this.#lives.get(keyOf({ runner, incarnation }))
    if (life?.process) life.process.stop()
    else if (life) life.wanted ??= 'stop'
  }

  kill(runner: string, incarnation: number): void {
    const life = this.#lives.get(keyOf({ runner, incarnation }))
    if (life?.process) life.process.kill()
    else if (life) life.wanted = 'kill'
  }

  adopt(record: ProcessRecord): Promise<boolean> {
    const key = keyOf(record)
    if (this.#closed || !this.#table || record.pid === null || record.startTime === null)
      return Promise.resolve(false)
    if (this.#lives.has(key)) return Promise.resolve(true)
    const group = new ProcessGroup(record.pid, record.startTime, this.#table)
    if (!group.leads) return Promise.resolve(false)
    const life = newLife(record, true)
    this.#lives.set(key, life)
    life.port = Number(URL.parse(record.url)?.port ?? 0)
    this.#ports.hold(life.port)
    this.#attend(life, group)
    this.#watch()
    return Promise.resolve(true)
  }

  async close({ keep }: { readonly keep: boolean }): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#watching?.()
    this.#watching = null
    if (!keep) await this.#end()
    for (const life of this.#lives.values()) life.process?.abandon()
    this.#lives.clear()
    this.#ports.close()
    await this.#logs.close()
  }

  async #start(order: ProvisionOrder, life: Life, refuse: Refuse): Promise<void> {
    const { runner, incarnation } = order
    const table = this.#table
    if (!table)
      return refuse(
        'bad_config',
        `Runners cannot be started on ${process.platform}: use \`urls\` for servers that already run.`,
      )
    const port = await this.#ports.take()
    if (port === null) return refuse('no_capacity', 'No port is free in the range for runners.')
    life.port = port
    const inherited = this.#options.inherit ?? {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
    }
    const prepared = await prepare(order, port, inherited)
    await (this.#before = this.#before.then(nextTurn))
    if (this.#closed) return this.#drop(life)
    if (typeof prepared === 'string') return refuse('bad_config', prepared)
    startLeader(prepared, this.#logs.open(runner), table, {
      refused: refuse,
      started: (group) => {
        const attended = this.#attend(life, group)
        const { pid, startTime } = group
        this.#tell({
          type: 'process.started',
          runner,
          incarnation,
          pid,
          url: `http://127.0.0.1:${port}`,
          startTime,
        })
        if (life.wanted) attended[life.wanted]()
      },
      ended: (end) => life.process?.leaderEnded(end),
    })
  }

  #attend(life: Life, group: ProcessGroup): RunnerProcess {
    const around: Surroundings = {
      clock: this.#clock,
      table: this.#table as ProcessTable,
      leftoverGraceMs: this.#options.leftoverGraceMs ?? 2_000,
    }
    life.process = new RunnerProcess(group, around, (end) => this.#gone(life, end))
    this.#logs.bound(life.runner)
    return life.process
  }

  #gone(life: Life, { code, signal }: LeaderEnd): void {
    const { runner, incarnation } = life
    this.#drop(life)
    this.#tell({ type: 'process.exited', runner, incarnation, code, signal })
    void this.#logs.put(runner)
  }

  #drop(life: Life): void {
    this.#lives.delete(keyOf(life))
    if (life.port !== null) this.#ports.release(life.port)
    if (this.#lives.size === 0) this.#emptied?.()
  }

  /** Looks at adopted processes: nobody tells us when a process ends that is not our child. */
  #watch(): void {
    this.#watching ??= this.#clock.after(this.#options.watchMs ?? 1_000, () => {
      this.#watching = null
      let more = false
      for (const life of this.#lives.values()) {
        if (!life.adopted || !life.process || life.process.leaving) continue
        if (life.process.group.leads) more = true
        else life.process.leaderEnded({ code: null, signal: null })
      }
      if (more && !this.#closed) this.#watch()
    })
  }

  /** Kills everything and waits, not for ever: a process that the kernel holds back does not hold us. */
  async #end(): Promise<void> {
    for (const life of this.#lives.values()) this.kill(life.runner, life.incarnation)
    if (this.#lives.size === 0) return
    const adopted = [...this.#lives.values()].filter((life) => life.adopted)
    await new Promise<void>((resolve) => {
      const giveUp = this.#clock.after(CLOSE_MS, resolve)
      this.#emptied = () => {
        giveUp()
        resolve()
      }
      for (const life of adopted) this.#awaitKilled(life)
    })
  }

  #awaitKilled(life: Life): void {
    if (!life.process?.group.leads) life.process?.leaderEnded({ code: null, signal: null })
    else this.#clock.after(20, () => this.#awaitKilled(life))
  }

  #tell(fact: HostFact): void {
    if (this.#report) this.#report(fact)
    else this.#early.push(fact)
  }
}

type Name = Pick<ProcessRecord, 'runner' | 'incarnation'>

function newLife({ runner, incarnation }: Name, adopted: boolean): Life {
  return { runner, incarnation, process: null, wanted: null, port: null, adopted }
}

function keyOf({ runner, incarnation }: Name): string {
  return `${incarnation} ${runner}`
}
