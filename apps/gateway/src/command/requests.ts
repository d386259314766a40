/** `health requests show ID`: a request with all its attempts and its one final outcome. */
import { HealthError } from '@health/core'
import { exits, painter, printJson, readArguments, required, type Command } from './command.ts'
import { connectGateway } from './gateway-client.ts'
import { plain, textTable } from './text-table.ts'

type Item = Record<string, unknown>

/** The command. */
export const requests: Command = {
  help: `usage: health requests show ID [--json]
`,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, { json: { type: 'boolean' } }, 2)
    const verb = required(positionals[0], 'show')
    if (verb !== 'show')
      throw new HealthError(
        'HEALTH_USAGE',
        `health requests has no ${plain(verb)}; allowed is show.`,
      )
    const request = await connectGateway(terminal).get(
      `/v1/requests/${encodeURIComponent(required(positionals[1], 'ID'))}`,
    )
    if (values.json === true) {
      printJson(terminal, request)
      return exits.ok
    }
    const paint = painter(terminal)
    const final = request['final'] as Item | null | undefined
    const position =
      request['position'] === null || request['position'] === undefined
        ? ''
        : `, ${plain(request['position'])} ahead of it`
    terminal.out(
      `${paint('bold', plain(request['id']))}  ${plain(request['app'])}  ${plain(request['mode'])}  ${plain(request['status'])}${position}  since ${plain(request['submittedAt'])}\n`,
    )
    const attempts = Array.isArray(request['attempts']) ? (request['attempts'] as Item[]) : []
    if (attempts.length > 0) {
      terminal.out(
        textTable(
          ['Attempt', 'Runner', 'Started', 'Ended', 'Outcome', 'Status', 'Rule', 'Retried For'],
          attempts.map((one) =>
            ['n', 'runner', 'startedAt', 'endedAt', 'outcome', 'status', 'rule', 'condition'].map(
              (name) => plain(one[name]) || '-',
            ),
          ),
        ),
      )
    }
    if (final)
      terminal.out(
        `final: ${plain(final['status'])}${final['error_type'] ? ` ${plain(final['error_type'])}` : ''} at ${plain(final['at'])}\n`,
      )
    return exits.ok
  },
}
