/**
 * The binary `health`: finds the command, runs it and turns what went wrong into one line and an exit code. A command's code is loaded
 * only when it is called, so that a health check in a container starts quickly.
 */
import { HealthError, nearest } from '@health/core'
import { exitOf, exits, type Command, type Terminal } from './command.ts'
import { NotFound } from './gateway-client.ts'
import { version } from './version.ts'

/** Every command by name, in the order of the help. */
export const commands: Readonly<
  Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>
> = {
  start: { summary: 'runs the gateway', load: async () => (await import('./start.ts')).start },
  check: {
    summary: 'one health check of an address, for CI and Docker',
    load: async () => (await import('./check.ts')).check,
  },
  runners: {
    summary: 'lists, shows, stops and kills runners, and reads their output',
    load: async () => (await import('./runners.ts')).runners,
  },
  nodes: {
    summary: 'lists nodes and gives them orders',
    load: async () => (await import('./nodes.ts')).nodes,
  },
  queue: {
    summary: 'how long a queue is, and how to empty it',
    load: async () => (await import('./queue.ts')).queue,
  },
  requests: {
    summary: 'shows a request with all its attempts',
    load: async () => (await import('./requests.ts')).requests,
  },
  explain: {
    summary: 'why a runner, request or node was treated as it was',
    load: async () => (await import('./explain.ts')).explain,
  },
  replay: {
    summary: 'what another policy would have done with a recorded journal',
    load: async () => (await import('./replay.ts')).replay,
  },
  inspect: {
    summary: 'the page that shows machines as they move',
    load: async () => (await import('./inspect.ts')).inspect,
  },
  validate: {
    summary: 'checks a configuration file',
    load: async () => (await import('./validate.ts')).validate,
  },
}

/** Commands that the documentation knows and this version does not have. */
const later = ['inspect', 'ca', 'advise']

const help = (): string => `health: software that keeps GPU runners healthy

usage: health COMMAND [arguments]
       health --version

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
  .join('\n')}

Each command has --help. HEALTH_URL and HEALTH_KEY say which gateway to talk to.
Exit codes: 0 ok; 1 usage or invalid configuration; 2 cannot connect or listen; 3 data directory; 4 unhealthy; 5 not found.
`

/** Runs one command line and answers the exit code. Never throws for what a person did wrong. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    terminal.out(help())
    return name === undefined ? exits.usage : exits.ok
  }
  if (name === '--version' || name === '-v') {
    terminal.out(`${version()}\n`)
    return exits.ok
  }
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (found === undefined) {
    terminal.err(
      later.includes(name)
        ? `health ${name} is not in this version.`
        : `health ${name} is not a command; the nearest is ${nearest(name, Object.keys(commands))}. Try --help.`,
    )
    return exits.usage
  }
  try {
    const command = await found.load()
    const end = rest.indexOf('--')
    if ((end === -1 ? rest : rest.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')) {
      terminal.out(command.help)
      return exits.ok
    }
    return await command.run(rest, terminal)
  } catch (error) {
    if (error instanceof NotFound) {
      terminal.err(error.message)
      return exits.unknown
    }
    if (!(error instanceof HealthError)) throw error
    terminal.err(`${error.code}: ${error.message}`)
    return exitOf(error)
  }
}
