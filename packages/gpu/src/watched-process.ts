/**
 * A process that must keep talking: started again when it ends, ended when it falls silent, SIGTERM first so that a driver's
 * client can let go. One that outlives SIGKILL hangs inside the driver: then no second one is ever started beside it.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import type { Cancel, Clock } from '@health/core'
import { leave } from './leftover.ts'
import { LineReader } from './line-reader.ts'
import { brief } from './source.ts'
import { toolEnvironment } from './tool-environment.ts'

const TERM_MS = 5_000
/** Still there so long after SIGKILL: that is the driver. */
const KILL_MS = 30_000
/** Time for what it said last to arrive. */
const LAST_WORDS_MS = 500
const BACKOFF_MS = 1_000
const BACKOFF_MAX_MS = 30_000

/** What it is and whom it tells. */
export interface WatchedProcessOptions {
  readonly clock: Clock
  readonly program: string
  /** Asked at each start, since what it is asked may change. */
  readonly args: () => readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Silence allowed between two signs of life ({@link WatchedProcess.fed}), and before the first. */
  readonly silenceMs: number
  readonly line: (line: string) => void
  readonly errorLine: (line: string) => void
  readonly failed: (why: 'exited' | 'hung' | 'unkillable', detail: string) => void
  readonly recovered: () => void
  /** How a signal is sent; default to the process's group. */
  readonly kill?: (child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL') => void
}

/** Keeps one process running and talking. */
export class WatchedProcess {
  readonly #options: WatchedProcessOptions
  #child: ChildProcess | null = null
  #wanted = false
  #failing = false
  #backoff = BACKOFF_MS
  #timer: Cancel = () => {}
  #ending: Promise<void> | null = null
  #lastError = ''
  /** The one that we ended ourselves. */
  #ended: ChildProcess | null = null

  constructor(options: WatchedProcessOptions) {
    this.#options = options
  }

  /** Pid of the process; null when none runs. */
  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  start(): void {
    if (this.#wanted) return
    this.#wanted = true
    if (this.#child === null) this.#spawn()
  }

  /** It said something useful: the watch begins anew, a failure is over. */
  fed(): void {
    if (!this.#wanted) return
    this.#backoff = BACKOFF_MS
    this.#watch()
    if (!this.#failing) return
    this.#failing = false
    this.#options.recovered()
  }

  /** Ends it. True when it is gone; false when it turned out that it cannot be ended. */
  async stop(): Promise<boolean> {
    this.#wanted = false
    this.#timer()
    const child = this.#child
    await this.#end()
    // What is gone makes room at once; one that cannot be ended keeps its place, so that no second one is started.
    if (child !== null && this.#child === child && hasEnded(child)) this.#child = null
    return this.#child === null
  }

  #spawn(): void {
    const { program, args, env } = this.#options
    this.#lastError = ''
    const child: ChildProcess = spawn(program, [...args()], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // Its own group: a Ctrl-C at the terminal is ours to answer, not its.
      detached: true,
      env: toolEnvironment(env),
    })
    this.#child = child
    const { line, errorLine } = this.#options
    const lines = new LineReader(line, () => errorLine('a line that does not end was dropped'))
    const errors = new LineReader(
      (text) => {
        this.#lastError = text.trim() === '' ? this.#lastError : text
        errorLine(text)
      },
      () => {},
    )
    // Where no descriptor is left there is no stream either, and the error tells why.
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => lines.push(chunk))
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => errors.push(chunk))
    // A child that closes its input early is no failure of ours.
    child.stdin?.on('error', () => {})
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) this.#gone(child, `${program}: ${error.code ?? error.message}`)
    })
    child.once('exit', (code, name) => {
      const how = name === null ? `exit ${code}` : name
      const end = (): void => {
        late()
        child.off('close', end)
        leave(child)
        if (lines.rest !== '') errorLine(`ended in the middle of a line: ${brief(lines.rest)}`)
        this.#gone(child, this.#lastError === '' ? how : `${how}: ${brief(this.#lastError)}`)
      }
      // Its last words may still be under way; somebody else may hold its output open for ever.
      const late = this.#options.clock.after(LAST_WORDS_MS, end)
      child.once('close', end)
    })
    this.#watch()
  }

  #watch(): void {
    this.#timer()
    const { clock, silenceMs } = this.#options
    this.#timer = clock.after(silenceMs, () => {
      if (!this.#wanted || this.#child === null) return
      this.#fail('hung', `no sample for ${silenceMs / 1000} s`)
      void this.#end()
    })
  }

  #gone(child: ChildProcess, how: string): void {
    if (this.#child !== child) return
    this.#child = null
    this.#timer()
    if (!this.#wanted) return
    // One that we ended was reported already, or wanted.
    if (this.#ended !== child) this.#fail('exited', how)
    const wait = this.#backoff
    this.#backoff = Math.min(this.#backoff * 2, BACKOFF_MAX_MS)
    this.#timer = this.#options.clock.after(wait, () => {
      if (this.#wanted && this.#child === null) this.#spawn()
    })
  }

  #fail(why: 'exited' | 'hung' | 'unkillable', detail: string): void {
    // Once per episode; that it cannot be killed is news in any case.
    if (this.#failing && why !== 'unkillable') return
    this.#failing = true
    this.#options.failed(why, detail)
  }

  #end(): Promise<void> {
    const child = this.#child
    if (child === null) return Promise.resolve()
    this.#ending ??= this.#terminate(child).finally(() => {
      this.#ending = null
    })
    return this.#ending
  }

  async #terminate(child: ChildProcess): Promise<void> {
    if (child.pid === undefined || hasEnded(child)) return
    this.#ended = child
    const { kill = toGroup } = this.#options
    const closed = new Promise<'gone'>((resolve) => {
      child.once('exit', () => resolve('gone'))
    })
    kill(child, 'SIGTERM')
    if ((await this.#within(closed, TERM_MS)) === 'gone') return
    kill(child, 'SIGKILL')
    if ((await this.#within(closed, KILL_MS)) === 'gone') return
    leave(child)
    this.#fail('unkillable', `pid ${child.pid} is there ${KILL_MS / 1000} s after SIGKILL`)
  }

  #within(closed: Promise<'gone'>, ms: number): Promise<'gone' | 'late'> {
    let cancel: Cancel = () => {}
    const late = new Promise<'late'>((resolve) => {
      cancel = this.#options.clock.after(ms, () => resolve('late'))
    })
    return Promise.race([closed, late]).finally(() => cancel())
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

function toGroup(child: ChildProcess, name: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, name)
  } catch {
    // The group is gone already, or never was one: the process itself, if it is still there.
    child.kill(name)
  }
}
