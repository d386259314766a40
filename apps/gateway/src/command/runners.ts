/**
 * `health runners`: lists and shows runners with the platform's columns, stops and kills them, and reads their output. Orders go to the
 * gateway; output is read from its data directory, because it is kept nowhere else.
 */
import { HealthError } from '@health/core'
import {
  exits,
  painter,
  printJson,
  readArguments,
  refuseOthers,
  required,
  type Command,
  type Terminal,
} from './command.ts'
import { allPages, connectGateway } from './gateway-client.ts'
import { printLog } from './runner-log.ts'
import { plain, textTable } from './text-table.ts'

const help = `usage: health runners [list] [--app OWNER/ALIAS] [--state WORD,...] [--json]
       health runners show ID [--json]
       health runners stop ID [--replace] [--json]
       health runners kill ID [--json]
       health runners logs ID [-f] [--config FILE] [--data-dir FOLDER]

  --state    starting, ready, suspect, terminated, or a finer word: setup, idle, busy, failing, ...
  --replace  start the successor first
  -f         go on with what comes, until interrupted
`

/** What goes with each verb. */
const optionsOf: ReadonlyMap<string, readonly string[]> = new Map([
  ['list', ['json', 'app', 'state']],
  ['show', ['json']],
  ['stop', ['json', 'replace']],
  ['kill', ['json']],
  ['logs', ['follow', 'config', 'data-dir']],
])

/** The command. */
export const runners: Command = {
  help,
  async run(args, terminal) {
    const given = readArguments(
      args,
      {
        json: { type: 'boolean' },
        app: { type: 'string' },
        state: { type: 'string' },
        replace: { type: 'boolean' },
        follow: { type: 'boolean', short: 'f' },
        config: { type: 'string' },
        'data-dir': { type: 'string' },
      },
      2,
    )
    const { values, positionals } = given
    const [verb = 'list', id] = positionals
    const options = optionsOf.get(verb)
    if (options !== undefined) refuseOthers(verb, given, { options, argument: verb !== 'list' })
    switch (verb) {
      case 'list':
        return list(terminal, { app: values.app, state: values.state, json: values.json === true })
      case 'show':
        return show(terminal, required(id, 'ID'), values.json === true)
      case 'stop':
      case 'kill': {
        const path = `/v1/runners/${encodeURIComponent(required(id, 'ID'))}/${verb}`
        const answer = await connectGateway(terminal).send(
          'POST',
          path,
          values.replace === true ? { replace: true } : {},
        )
        if (values.json === true) printJson(terminal, answer)
        else {
          const doing = verb === 'stop' ? 'stopping' : 'killing'
          const is = plain(answer['substate'])
          terminal.out(
            `${doing} ${plain(answer['id'] ?? id)}${is === doing ? '' : `, which is ${is}`}\n`,
          )
        }
        return exits.ok
      }
      case 'logs':
        return printLog(terminal, required(id, 'ID'), {
          follow: values.follow === true,
          config: values.config,
          dataDir: values['data-dir'],
        })
      default:
        throw new HealthError(
          'HEALTH_USAGE',
          `health runners has no ${plain(verb)}; allowed is list, show, stop, kill or logs.`,
        )
    }
  },
}

type Item = Record<string, unknown>

/** `0:01:02 (62s)`, as the platform writes it. */
export function uptime(from: unknown, until: number): string {
  const seconds =
    typeof from === 'string'
      ? Math.max(0, Math.floor((until - Date.parse(from)) / 1000))
      : Number.NaN
  if (!Number.isFinite(seconds)) return 'N/A'
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)} (${seconds}s)`
}

const head = [
  'Alias',
  'Machine Type',
  'Runner ID',
  'In Flight Requests',
  'Expires In',
  'Uptime',
  'Revision',
  'State',
]

function row(terminal: Terminal, runner: Item, now: number): readonly string[] {
  const paint = painter(terminal)
  const state = plain(runner['falState'])
  const over = runner['state'] === 'terminated'
  const word = `${state}${runner['suspect'] === true ? ' (suspect)' : ''}${over && runner['reason'] ? ` (${plain(runner['reason'])})` : ''}`
  const colour =
    over || state === 'CRASH_BACKOFF'
      ? 'red'
      : runner['suspect'] === true || runner['state'] === 'starting'
        ? 'yellow'
        : 'green'
  return [
    plain(runner['app']),
    plain(runner['node']),
    plain(runner['id']),
    plain(runner['inFlight']),
    'N/A',
    uptime(
      runner['startedAt'],
      over && typeof runner['since'] === 'string' ? Date.parse(runner['since']) : now,
    ),
    plain(runner['incarnation']),
    paint(colour, word),
  ]
}

async function list(
  terminal: Terminal,
  filter: { app: string | undefined; state: string | undefined; json: boolean },
): Promise<number> {
  const query = new URLSearchParams()
  if (filter.app !== undefined) query.set('app', filter.app)
  if (filter.state !== undefined) query.set('state', filter.state)
  const all = await allPages(
    connectGateway(terminal),
    `/v1/runners${query.size === 0 ? '' : `?${query.toString()}`}`,
    'runners',
  )
  if (filter.json) {
    printJson(terminal, all)
    return exits.ok
  }
  // Without a wish the ended ones stay out, as the platform has it.
  const shown =
    filter.state === undefined
      ? all.items.filter((runner) => runner['state'] !== 'terminated')
      : all.items
  const now = Date.now()
  const count = (...words: string[]): number =>
    shown.filter((runner) => words.includes(String(runner['falState'] as string))).length
  const paint = painter(terminal)
  const [pending, setup, delayed, over] = [
    count('PENDING'),
    count('SETUP'),
    count('CRASH_BACKOFF'),
    count('TERMINATED'),
  ]
  terminal.out(`Runners: ${shown.length - pending - setup - over}\n`)
  if (pending > 0) terminal.out(`Runners Pending: ${pending}\n`)
  if (setup > 0) terminal.out(`Runners Setting Up: ${setup}\n`)
  if (delayed > 0)
    terminal.out(`${paint('red', `Runners being delayed after startup failure: ${delayed}`)}\n`)
  if (shown.length > 0)
    terminal.out(
      textTable(
        head,
        shown.map((runner) => row(terminal, runner, now)),
      ),
    )
  return exits.ok
}

async function show(terminal: Terminal, id: string, json: boolean): Promise<number> {
  const runner = await connectGateway(terminal).get(`/v1/runners/${encodeURIComponent(id)}`)
  if (json) printJson(terminal, runner)
  else
    terminal.out(
      textTable(
        ['Field', 'Value'],
        Object.entries(runner).map(([name, value]) => [plain(name), plain(value) || '-']),
      ),
    )
  return exits.ok
}
