/**
 * `health inspect [ID]`: the inspector's page, opened where somebody sits before a desktop, and its address for everybody. It looks whether
 * the gateway knows the ID first; a key is never part of an address.
 */
import { hasDesktop, openPage } from './browser.ts'
import { exits, readArguments, type Command } from './command.ts'
import { connectGateway, NotFound, type GatewayClient } from './gateway-client.ts'
import { plain } from './text-table.ts'

/** The command. */
export const inspect: Command = {
  help: `usage: health inspect [ID] [--no-open]

Opens the page that shows machines as they move: the one with this ID (a runner's, a request's or a node's), or all. Prints its address.
It opens nothing in CI, when its output is no terminal, or where there is no desktop.

  --no-open      only prints the address
`,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, { 'no-open': { type: 'boolean' } }, 1)
    const client = connectGateway(terminal)
    const [id] = positionals
    const url = new URL('inspect', client.url)
    if (id === undefined) await client.get('/v1/nodes')
    else url.hash = `${await kindOf(client, id)}/${encodeURIComponent(id)}`
    terminal.out(`${url.href}\n`)
    if (values['no-open'] === true || !hasDesktop(terminal)) return exits.ok
    if (!(await openPage(url.href, terminal.env)))
      terminal.err('There is no browser that can be opened from here; open the address yourself.')
    return exits.ok
  },
}

const paths = { runner: 'runners', request: 'requests' } as const

/** What an ID is of. */
async function kindOf(client: GatewayClient, id: string): Promise<string> {
  for (const [kind, path] of Object.entries(paths)) {
    try {
      await client.get(`/v1/${path}/${encodeURIComponent(id)}`)
      return kind
    } catch (error) {
      if (!(error instanceof NotFound)) throw error
    }
  }
  const { nodes } = await client.get('/v1/nodes')
  if (Array.isArray(nodes) && nodes.some((node: { id?: unknown }) => node.id === id)) return 'node'
  throw new NotFound(`There is no runner, request or node "${plain(id)}".`)
}
