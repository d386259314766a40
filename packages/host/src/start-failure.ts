/**
 * Why the kernel refused to start a process, in one line for the person who wrote the configuration. It tells apart what only a
 * change of the configuration cures from what passes by itself.
 */
import type { HostFact } from '@health/core'

/** What a refused start is put down to. */
export type Refusal = Extract<HostFact, { type: 'provision.refused' }>['why']

/** Starts that fail because this machine has no more of something; any other failure is the configuration's. */
const OURS: ReadonlySet<string> = new Set(['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE', 'ETXTBSY'])

/** The blame and the line for an error of `spawn`. */
export function sayWhy(
  { code = 'unknown error' }: NodeJS.ErrnoException,
  program: string,
): [Refusal, string] {
  if (OURS.has(code)) return ['no_capacity', `No process can be started now (${code}).`]
  if (code === 'ENOENT')
    return [
      'bad_config',
      `Command cannot be started: ${program} is there, the interpreter it names is not.`,
    ]
  if (code === 'E2BIG')
    return ['bad_config', 'Command cannot be started: its arguments and environment are too long.']
  return ['bad_config', `Command cannot be started: ${program} (${code})`]
}
