/** `health nodes`: lists the machines with their devices and passes orders on to the gateway, which judges whether they may be given. */
import { HealthError } from '@health/core'
import {
  exits,
  painter,
  printJson,
  readArguments,
  refuseOthers,
  required,
  type Command,
} from './command.ts'
import { allPages, connectGateway } from './gateway-client.ts'
import { plain, textTable } from './text-table.ts'

const orders = ['cordon', 'uncordon', 'drain', 'reset', 'reboot', 'escalate', 'retire']

/** The command. */
export const nodes: Command = {
  help: `usage: health nodes [list] [--json]
       health nodes ${orders.join('|')} ID [--json]
       health nodes reset ID [--device UUID] [--json]

  --device  that device alone, as GET /v1/nodes names it; the runners on the others stay
`,
  async run(args, terminal) {
    const given = readArguments(args, { json: { type: 'boolean' }, device: { type: 'string' } }, 2)
    const { values, positionals } = given
    const [verb = 'list', id] = positionals
    const { device } = values
    if (device !== undefined && verb !== 'reset')
      throw new HealthError(
        'HEALTH_USAGE',
        `--device goes with health nodes reset, not with ${plain(verb)}: every other order is about the whole node.`,
      )
    if (verb === 'list') refuseOthers(verb, given, { options: ['json'], argument: false })
    const client = connectGateway(terminal)
    if (verb === 'list') {
      const all = await allPages(client, '/v1/nodes', 'nodes')
      if (values.json === true) printJson(terminal, all)
      else {
        const paint = painter(terminal)
        const count = (value: unknown): string => String(Array.isArray(value) ? value.length : 0)
        terminal.out(
          textTable(
            ['Node', 'State', 'Since', 'Cordoned By', 'Runners', 'Devices'],
            all.items.map((node) => [
              plain(node['id']),
              paint(node['state'] === 'healthy' ? 'green' : 'yellow', plain(node['state'])),
              plain(node['since']),
              plain(node['cordonedBy']) || '-',
              count(node['runners']),
              count(node['devices']),
            ]),
          ),
        )
      }
      return exits.ok
    }
    if (!orders.includes(verb))
      throw new HealthError(
        'HEALTH_USAGE',
        `health nodes has no ${plain(verb)}; allowed is list, ${orders.join(', ')}.`,
      )
    const answer = await client.send(
      'POST',
      `/v1/nodes/${encodeURIComponent(required(id, 'ID'))}/${verb}`,
      device === undefined ? {} : { device },
    )
    if (values.json === true) printJson(terminal, answer)
    else terminal.out(`${plain(answer['id'] ?? id)} is ${plain(answer['state'])}\n`)
    return exits.ok
  },
}
