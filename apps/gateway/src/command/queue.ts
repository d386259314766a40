/** `health queue`: how many requests of an app wait, and how to end all of them. */
import { HealthError } from '@health/core'
import { appName } from '../config-app.ts'
import { exits, printJson, readArguments, required, type Command } from './command.ts'
import { connectGateway } from './gateway-client.ts'
import { plain } from './text-table.ts'

/** The command. */
export const queue: Command = {
  help: `usage: health queue size OWNER/ALIAS [--json]
       health queue flush OWNER/ALIAS [--json]    ends every queued request of the app
`,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, { json: { type: 'boolean' } }, 2)
    const verb = required(positionals[0], 'size or flush')
    if (verb !== 'size' && verb !== 'flush')
      throw new HealthError(
        'HEALTH_USAGE',
        `health queue has no ${plain(verb)}; allowed is size or flush.`,
      )
    const app = required(positionals[1], 'OWNER/ALIAS')
    if (!appName.test(app))
      throw new HealthError(
        'HEALTH_USAGE',
        `"${plain(app)}" is not an app; allowed is OWNER/ALIAS.`,
      )
    const client = connectGateway(terminal)
    const path = `/v1/queues/${app}`
    const answer = verb === 'size' ? await client.get(path) : await client.send('DELETE', path)
    if (values.json === true) printJson(terminal, answer)
    else if (verb === 'size') {
      const oldest = answer['size'] === 0 ? null : answer['oldestSeconds']
      terminal.out(
        `Total queue size: ${plain(answer['size'])}${typeof oldest === 'number' ? `, the oldest waits ${oldest} s` : ''}\n`,
      )
    } else terminal.out(`Queue flushed: ${plain(answer['flushed'])}\n`)
    return exits.ok
  },
}
