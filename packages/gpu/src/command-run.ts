/**
 * Runs a program to its end or to a limit of time: no shell, little of our environment, and when it takes too long it is ended with
 * everything it started. It knows what came out, not what it means.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import type { Cancel, Clock } from '@health/core'
import { leave } from './leftover.ts'
import { toolEnvironment } from './tool-environment.ts'

/** A program and its arguments. */
export type CommandLine = readonly [string, ...string[]]

/** How a program is run. */
export interface RunOptions {
  readonly clock: Clock
  /** Then it is ended. */
  readonly limitMs: number
  /** Time between SIGTERM and SIGKILL when it took too long. Default 5 s, and always that when we end ourselves. */
  readonly graceMs?: number
  /** Ends it as the limit would. */
  readonly signal?: AbortSignal | undefined
  /** Variables beside the few that it gets of ours. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Of what it prints the last so many characters are kept, of each stream. Default 2 000. */
  readonly keep?: number
}

/** How a program ended. */
export type RunEnd =
  | {
      readonly kind: 'ended'
      /** Null when a signal ended it. */
      readonly code: number | null
      readonly signal: string | null
      readonly stdout: string
      readonly stderr: string
      /** True: more came than is kept. */
      readonly cut: boolean
      /** Its last line on either stream, as they came. */
      readonly words: string
    }
  /** It could not be started; one sentence. */
  | { readonly kind: 'absent'; readonly detail: string }
  /** We ended it, or could not; one sentence. */
  | { readonly kind: 'late'; readonly detail: string }

/** What is said of a program that we ended because we end. */
export const ENDING = 'ended because we end'
const KILL_MS = 5_000
const KEEP = 2_000

/** Runs it. Never rejects. */
export function runCommand([program, ...args]: CommandLine, options: RunOptions): Promise<RunEnd> {
  const { clock, limitMs, graceMs = KILL_MS, signal, env, keep = KEEP } = options
  if (signal?.aborted === true) return Promise.resolve({ kind: 'late', detail: ENDING })
  return new Promise((resolve) => {
    const child: ChildProcess = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: toolEnvironment(env),
    })
    const kept = { stdout: '', stderr: '', both: '', cut: false }
    for (const name of ['stdout', 'stderr'] as const)
      // Where no descriptor is left there is no stream either, and the error tells why.
      child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
        const all = kept[name] + chunk
        kept.cut ||= all.length > keep
        kept[name] = all.slice(-keep)
        kept.both = (kept.both + chunk).slice(-KEEP)
      })
    let late: string | null = null
    let timer: Cancel = () => {}
    const cut = (why: string, patienceMs: number): void => {
      if (late !== null) return
      late = why
      timer()
      end(child, 'SIGTERM')
      timer = clock.after(patienceMs, () => {
        end(child, 'SIGKILL')
        // One that survives even that must not be waited for.
        timer = clock.after(KILL_MS, () => done({ kind: 'late', detail: 'it cannot be ended' }))
      })
    }
    const stop = (): void => cut(ENDING, KILL_MS)
    timer = clock.after(limitMs, () => cut(`ended after ${limitMs / 1000} s`, graceMs))
    signal?.addEventListener('abort', stop)
    const done = (outcome: RunEnd): void => {
      timer()
      signal?.removeEventListener('abort', stop)
      leave(child)
      resolve(outcome)
    }
    child.once('error', (error: NodeJS.ErrnoException) =>
      done({ kind: 'absent', detail: `${program}: ${error.code ?? error.message}` }),
    )
    child.once('exit', (code, name) => {
      // What it started goes with it, also what ignores a polite request.
      if (late !== null) end(child, 'SIGKILL')
      const tell = (): void => {
        finish()
        child.off('close', tell)
        const { both, ...streams } = kept
        const words = both.trim().split('\n').at(-1) ?? ''
        done(
          late === null
            ? { kind: 'ended', code, signal: name, words, ...streams }
            : { kind: 'late', detail: late },
        )
      }
      // Its last words are worth a moment; whoever else holds its output is not waited for.
      const finish = clock.after(LAST_WORDS_MS, tell)
      child.once('close', tell)
    })
  })
}

/** Time for the rest of the output to arrive after the end. */
const LAST_WORDS_MS = 500

function end(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    child.kill(signal)
  }
}
