/**
 * What a command of the binary is: a name, its help, and a function that answers an exit code. Arguments are read strictly, and every
 * failure is one line on stderr. It knows no command by name.
 */
import { parseArgs, styleText, type ParseArgsOptionsConfig } from 'node:util'
import { HealthError } from '@health/core'

/** Exit codes; 130 and 143 are those of a second signal. */
export const exits = { ok: 0, usage: 1, connect: 2, data: 3, unhealthy: 4, unknown: 5 } as const

/** Everything a command may touch, so that it runs in a test as it runs in a terminal. */
export interface Terminal {
  /** Writes to stdout, as it is; false when that failed. */
  out(text: string): boolean | void
  /** Writes one line to stderr. */
  err(line: string): void
  /** A person reads stdout: it is a terminal. */
  readonly interactive: boolean
  /** Colours are wanted: stdout is a terminal and nobody said no. */
  readonly colour: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** The caller's folder: relative paths on the command line start here. */
  readonly caller: string
  /** Aborted by the first signal; only commands that run until they are told to end look at it. */
  readonly ended: AbortSignal
}

/** One command. */
export interface Command {
  /** The whole help text, ending in a newline. */
  readonly help: string
  run(args: readonly string[], terminal: Terminal): Promise<number>
}

type Values<T extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: T; allowPositionals: true; args: string[] }>
>

/** Reads arguments. Throws HEALTH_USAGE for an option that does not exist and for more positionals than `most`. */
export function readArguments<const T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
  most: number,
): Values<T> {
  let parsed: Values<T>
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    const line = (error as Error).message.split(/\. |\n/, 1)[0]!.replace(/\.$/, '')
    throw new HealthError('HEALTH_USAGE', `${line}. Try --help.`)
  }
  const extra = parsed.positionals[most]
  if (extra !== undefined)
    throw new HealthError('HEALTH_USAGE', `"${extra}" is one argument too many. Try --help.`)
  return parsed
}

/** Throws HEALTH_USAGE for options that belong to another verb of a command, and for an argument behind a verb that takes none. */
export function refuseOthers(
  verb: string,
  { values, positionals }: { readonly values: object; readonly positionals: readonly string[] },
  takes: { readonly options: readonly string[]; readonly argument: boolean },
): void {
  const other = Object.keys(values).find((name) => !takes.options.includes(name))
  if (other !== undefined)
    throw new HealthError('HEALTH_USAGE', `--${other} does not go with ${verb}. Try --help.`)
  const extra = takes.argument ? undefined : positionals[1]
  if (extra !== undefined)
    throw new HealthError('HEALTH_USAGE', `"${extra}" is one argument too many. Try --help.`)
}

/** The argument, or HEALTH_USAGE that says which one is missing. */
export function required(value: string | undefined, name: string): string {
  if (value === undefined || value === '')
    throw new HealthError('HEALTH_USAGE', `${name} is missing. Try --help.`)
  return value
}

/** The exit code that a broken contract means. */
export function exitOf(error: HealthError): number {
  const { code } = error
  if (code === 'HEALTH_CONNECT' || code === 'HEALTH_LISTEN') return exits.connect
  return /^HEALTH_(DATA|JOURNAL|SNAPSHOT|QUEUE|STORAGE)_/.test(code) ? exits.data : exits.usage
}

/** Colours for a terminal; plain text otherwise. */
export function painter(
  terminal: Terminal,
): (style: 'red' | 'green' | 'yellow' | 'dim' | 'bold', text: string) => string {
  return (style, text) =>
    terminal.colour ? styleText(style, text, { validateStream: false }) : text
}

/** Prints an object as JSON, for programs. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out(`${JSON.stringify(value, null, 2)}\n`)
}
