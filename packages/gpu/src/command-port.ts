/**
 * Remedies as commands of the operator's choice: a program and its arguments, no shell. `{device}` and `{node}` are replaced in
 * arguments, nothing else is; a command that takes too long is ended with everything it started.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, readdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cancel, Clock, NodeEvidence } from '@health/core'
import type { Outcome, RemedyPort } from './remediation.ts'
import { brief } from './source.ts'

/** A program and its arguments. */
export type CommandLine = readonly [string, ...string[]]

/** Commands and limits; seconds as in the configuration. What is absent cannot be done. */
export interface CommandPortOptions {
  readonly clock: Clock
  readonly resetCommand?: CommandLine
  readonly rebootCommand?: CommandLine
  readonly validateCommand?: CommandLine
  /** Default 120. */
  readonly resetTimeoutSeconds?: number
  /** Default 1500. */
  readonly rebootTimeoutSeconds?: number
  /** Default 1800. */
  readonly validateTimeoutSeconds?: number
  /** Folder of evidence files; absent: none are written. */
  readonly evidenceDir?: string
  /** Ends the command under way, as its time limit would. */
  readonly signal?: AbortSignal
  /** Variables of the commands beside PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>
}

const TAIL = 2_000
const KILL_MS = 5_000
const FILES_KEPT = 50
const ENDING = 'ended because we end'
/** By convention a check ends so that could not be made; that is not a pass. */
const SKIPPED = 77

/** Remedies by commands on this machine. */
export function createCommandPort(options: CommandPortOptions): RemedyPort {
  const { resetCommand, rebootCommand, validateCommand, evidenceDir } = options
  const run = (
    what: string,
    command: CommandLine | undefined,
    seconds: number,
    node: string,
    device: string | null,
  ): Promise<Outcome> =>
    command === undefined
      ? Promise.resolve({ passed: false, detail: `no ${what} command is configured` })
      : execute(options, fill(command, node, device), seconds * 1000)
  return {
    canReset: resetCommand !== undefined,
    canReboot: rebootCommand !== undefined,
    canValidate: validateCommand !== undefined,
    // On one machine the supervisor's own placement is the cordon.
    cordon: () => Promise.resolve(),
    uncordon: () => Promise.resolve(),
    retire: () => Promise.resolve(),
    reset: (node, device) =>
      run('reset', resetCommand, options.resetTimeoutSeconds ?? 120, node, device),
    reboot: (node) =>
      run('reboot', rebootCommand, options.rebootTimeoutSeconds ?? 1500, node, null),
    validate: (node, device) =>
      run('validate', validateCommand, options.validateTimeoutSeconds ?? 1800, node, device),
    escalate: (node, evidence) =>
      evidenceDir === undefined || evidence === null
        ? Promise.resolve()
        : writeEvidence(evidenceDir, node, options.clock.wall(), evidence),
  }
}

/** `{device}` is `all` where the whole node is meant. */
function fill(command: CommandLine, node: string, device: string | null): string[] {
  const values: Readonly<Record<string, string>> = { device: device ?? 'all', node }
  return command.map((part, place) =>
    place === 0
      ? part
      : part.replace(/\{(device|node)\}/g, (_whole, name: string) => values[name]!),
  )
}

function execute(
  options: CommandPortOptions,
  [program, ...args]: string[],
  limitMs: number,
): Promise<Outcome> {
  if (options.signal?.aborted === true) return Promise.resolve({ passed: false, detail: ENDING })
  return new Promise((resolve) => {
    const { PATH = '', HOME = '' } = process.env
    const child = spawn(program!, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { PATH, HOME, LC_ALL: 'C', ...options.env },
    })
    let tail = ''
    const keep = (chunk: string): void => {
      tail = (tail + chunk).slice(-TAIL)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    let late: string | null = null
    let timer: Cancel = () => {}
    const cut = (why: string): void => {
      if (late !== null) return
      late = why
      timer()
      end(child, 'SIGTERM')
      timer = options.clock.after(KILL_MS, () => {
        end(child, 'SIGKILL')
        // One that survives even that must not be waited for.
        timer = options.clock.after(KILL_MS, () =>
          done({ passed: false, detail: 'it cannot be ended' }),
        )
      })
    }
    const stop = (): void => cut(ENDING)
    timer = options.clock.after(limitMs, () => cut(`ended after ${limitMs / 1000} s`))
    options.signal?.addEventListener('abort', stop)
    const done = (outcome: Outcome): void => {
      timer()
      options.signal?.removeEventListener('abort', stop)
      resolve(outcome)
    }
    child.once('error', (error: NodeJS.ErrnoException) =>
      done({ passed: false, detail: `${program}: ${error.code ?? error.message}` }),
    )
    child.once('exit', (code, signal) => {
      // What it started goes with it, also what ignores a polite request.
      if (late !== null) end(child, 'SIGKILL')
      // Its last words are worth a moment; whoever else holds its output is not waited for.
      setImmediate(() => {
        const words = brief(tail.trim().split('\n').at(-1) ?? '')
        if (late !== null) done({ passed: false, detail: late })
        else if (code === 0) done({ passed: true, detail: words })
        else if (code === SKIPPED) done({ passed: false, detail: `skipped: ${words}` })
        else
          done({
            passed: false,
            detail: `${signal ?? `exit ${code}`}${words === '' ? '' : `: ${words}`}`,
          })
      })
    })
  })
}

function end(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    child.kill(signal)
  }
}

/** One file per escalation, readable by us alone; the oldest go. */
async function writeEvidence(
  folder: string,
  node: string,
  wall: number,
  evidence: NodeEvidence,
): Promise<void> {
  const name = node.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 100)
  const stamp = new Date(wall).toISOString().replace(/[:.]/g, '-')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const text = JSON.stringify({ writtenAt: new Date(wall).toISOString(), ...evidence }, null, 2)
  await writeFile(join(folder, `escalation-${stamp}-${name}.json`), `${text}\n`, { mode: 0o600 })
  const files = (await readdir(folder)).filter((file) => /^escalation-.*\.json$/.test(file)).sort()
  await Promise.all(files.slice(0, -FILES_KEPT).map((file) => unlink(join(folder, file))))
}
