/**
 * Remedies as commands of the operator's choice: a program and its arguments, no shell. `{device}` and `{node}` are replaced in
 * arguments, nothing else is; a command that takes too long is ended with everything it started.
 */
import { access, mkdir, readdir, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock, NodeEvidence } from '@health/core'
import { runCommand, type CommandLine } from './command-run.ts'
import { runDiag, type DiagLevel } from './dcgm-diag.ts'
import { commandsOf, outlast, OWNER } from './earlier-command.ts'
import type { Outcome, RemedyPort } from './remediation.ts'
import { brief } from './source.ts'

export type { CommandLine } from './command-run.ts'

/** Commands and limits; seconds as in the configuration. What is absent cannot be done. */
export interface CommandPortOptions {
  readonly clock: Clock
  readonly resetCommand?: CommandLine
  readonly rebootCommand?: CommandLine
  readonly validateCommand?: CommandLine
  /** DCGM's diagnostic behind `validateCommand`, or by itself. `command`: default `dcgmi`. */
  readonly dcgmDiag?: { readonly level: DiagLevel; readonly command?: CommandLine }
  /** Default 120. */
  readonly resetTimeoutSeconds?: number
  /** Default 1500. */
  readonly rebootTimeoutSeconds?: number
  /** Default 1800; of everything that validates together. */
  readonly validateTimeoutSeconds?: number
  /** Folder of evidence files; absent: none are written. */
  readonly evidenceDir?: string
  /** Ends the command under way, as its time limit would. */
  readonly signal?: AbortSignal
  /**
   * A name that no other supervisor of this machine has, as that of its data directory. A command that an earlier one of this name left
   * running is waited for, half the time that the next one may take and as a part of it, then ended. Absent: none is looked for.
   */
  readonly owner?: string
  /** Variables of the commands beside PATH, HOME, LC_ALL and LD_LIBRARY_PATH. */
  readonly env?: Readonly<Record<string, string>>
}

const FILES_KEPT = 50
/** By convention a check ends so that could not be made; that is not a pass. */
const SKIPPED = 77

/** Remedies by commands on this machine. */
export function createCommandPort(options: CommandPortOptions): RemedyPort {
  const { resetCommand, rebootCommand, validateCommand, dcgmDiag, evidenceDir, owner } = options
  const env = { ...options.env, ...(owner !== undefined && { [OWNER]: owner }) }
  // Looked for before there are any of our own.
  let earlier = owner === undefined ? Promise.resolve([]) : commandsOf(owner)
  /** What is left of the time once nothing of before runs: whoever ordered it counts from the order. */
  const alone = async (limitMs: number): Promise<number> => {
    const pids = await earlier
    if (owner === undefined || pids.length === 0) return limitMs
    const { clock, signal } = options
    const begun = clock.now()
    await outlast(owner, pids, { clock, limitMs: limitMs / 2, signal })
    earlier = Promise.resolve([])
    return limitMs - (clock.now() - begun)
  }
  const run = async (
    what: string,
    command: CommandLine | undefined,
    seconds: number,
    node: string,
    device: string | null,
  ): Promise<Outcome> =>
    command === undefined
      ? { passed: false, detail: `no ${what} command is configured` }
      : alone(seconds * 1000).then((leftMs) =>
          execute({ ...options, env }, fill(command, node, device), leftMs),
        )
  return {
    canReset: resetCommand !== undefined,
    canReboot: rebootCommand !== undefined,
    canValidate: validateCommand !== undefined || dcgmDiag !== undefined,
    // On one machine the supervisor's own placement is the cordon.
    cordon: () => Promise.resolve(),
    uncordon: () => Promise.resolve(),
    retire: () => Promise.resolve(),
    reset: (node, device) =>
      run('reset', resetCommand, options.resetTimeoutSeconds ?? 120, node, device),
    reboot: (node) =>
      run('reboot', rebootCommand, options.rebootTimeoutSeconds ?? 1500, node, null),
    validate: async (node, device) => {
      const { clock, validateTimeoutSeconds: seconds = 1800 } = options
      const begun = clock.now()
      if (dcgmDiag === undefined) return run('validate', validateCommand, seconds, node, device)
      // The quick one first: it spares a broken device the long one.
      const first =
        validateCommand && (await run('validate', validateCommand, seconds, node, device))
      if (first?.passed === false) return first
      const limitMs = await alone(Math.max(1, seconds * 1000 - (clock.now() - begun)))
      const { signal } = options
      const diag = await runDiag(device, { clock, limitMs, signal, env, ...dcgmDiag })
      if (first === undefined || !diag.passed) return diag
      return { passed: true, detail: brief(`${diag.detail}; ${first.detail}`) }
    },
    escalate: (node, evidence) =>
      evidenceDir === undefined || evidence === null
        ? Promise.resolve()
        : writeEvidence(evidenceDir, node, options.clock.wall(), evidence),
  }
}

/** `{device}` is `all` where the whole node is meant. */
function fill([program, ...args]: CommandLine, node: string, device: string | null): CommandLine {
  const values: Readonly<Record<string, string>> = { device: device ?? 'all', node }
  const filled = args.map((part) =>
    part.replace(/\{(device|node)\}/g, (_whole, name: string) => values[name]!),
  )
  return [program, ...filled]
}

async function execute(
  options: CommandPortOptions,
  command: CommandLine,
  limitMs: number,
): Promise<Outcome> {
  const { clock, signal, env } = options
  const end = await runCommand(command, { clock, limitMs, signal, env })
  if (end.kind !== 'ended') return { passed: false, detail: brief(end.detail) }
  const words = brief(end.words)
  if (end.code === 0) return { passed: true, detail: words }
  if (end.code === SKIPPED) return { passed: false, detail: `skipped: ${words}` }
  const how = end.signal ?? `exit ${end.code}`
  return { passed: false, detail: words === '' ? how : `${how}: ${words}` }
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
  await createFolder(folder)
  const text = JSON.stringify({ writtenAt: new Date(wall).toISOString(), ...evidence }, null, 2)
  await writeFile(join(folder, `escalation-${stamp}-${name}.json`), `${text}\n`, { mode: 0o600 })
  const files = (await readdir(folder)).filter((file) => /^escalation-.*\.json$/.test(file)).sort()
  await Promise.all(files.slice(0, -FILES_KEPT).map((file) => unlink(join(folder, file))))
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** Makes a folder with its parents. Not `recursive: true`: below a file system that answers ENOENT to every mkdir that never ends. */
async function createFolder(path: string): Promise<void> {
  if (await exists(path)) return
  const parent = dirname(path)
  if (parent !== path) await createFolder(parent)
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    // Another process may have been quicker.
    if (!(await exists(path))) throw error
  }
}
