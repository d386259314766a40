/**
 * `health inspect [ID]`: the address of the inspector's page, for a person to open or to have opened. It looks whether the gateway knows
 * the ID first; a key is never part of an address.
 */
import { spawn } from 'node:child_process'
import { exits, readArguments, type Command } from './command.ts'
import { connectGateway, NotFound, type GatewayClient } from './gateway-client.ts'
import { plain } from './text-table.ts'

/** The command. */
export const inspect: Command = {
  help: `usage: health inspect [ID] [--open]

Prints the address of the page that shows machines as they move: the one with this ID (a runner's, a request's or a node's), or all.
--open also opens it in the browser of this machine.
`,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, { open: { type: 'boolean' } }, 1)
    const client = connectGateway(terminal)
    const [id] = positionals
    const url = new URL('inspect', client.url)
    if (id === undefined) await client.get('/v1/nodes')
    else url.hash = `${await kindOf(client, id)}/${encodeURIComponent(id)}`
    terminal.out(`${url.href}\n`)
    if (values.open === true && !(await openPage(url.href)))
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

/** Opens an address in the desktop's browser; false when there is none. The address is one argument of a program, never of a shell. */
function openPage(url: string): Promise<boolean> {
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open'
  return new Promise((resolve) => {
    const child = spawn(program, [url], { stdio: 'ignore', detached: true })
    child.once('error', () => resolve(false))
    child.once('spawn', () => {
      child.unref()
      resolve(true)
    })
  })
}
