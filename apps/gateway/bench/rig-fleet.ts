/**
 * Many small servers in one process, of which some can be told to misbehave: `node rig-fleet.ts COUNT`. It tells its ports, and
 * counts how often and how long bad ones still got work (`…/work`); what asks for their health does not count.
 */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** How a server misbehaves. `503, health 200`: its health check still passes. */
export type Fault = '503' | '503, health 200' | '500' | 'hang' | 'reset' | 'gone'

/** What a bad server saw. */
export interface Hits {
  readonly count: number
  /** From the first to the last, in ms. */
  readonly spanMs: number
}

/** An order to the process. */
export type FleetOrder =
  | { readonly fault: Fault; readonly servers: readonly number[] }
  | { readonly report: true }

interface Member {
  server: Server
  readonly port: number
  fault: Fault | null
  hits: number
  first: number
  last: number
  readonly sockets: Set<Socket>
}

const OK = '{"status":"healthy"}'

function answer(member: Member, url: string, response: ServerResponse): void {
  const { fault } = member
  const checked = url.startsWith('/health')
  if (fault !== null && url.includes('/work')) {
    member.last = performance.now()
    if (member.hits++ === 0) member.first = member.last
  }
  const status =
    fault === '503' || (fault === '503, health 200' && !checked)
      ? 503
      : fault === '500' && !checked
        ? 500
        : 200
  switch (fault) {
    case 'hang':
      return
    case 'reset':
      return void response.socket?.resetAndDestroy()
    default:
      response.writeHead(status, {
        'content-type': 'application/json',
        'content-length': OK.length,
      })
      response.end(OK)
  }
}

async function member(): Promise<Member> {
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    request.resume()
    answer(made, request.url ?? '', response)
  })
  server.keepAliveTimeout = 60_000
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const made: Member = { server, port, fault: null, hits: 0, first: 0, last: 0, sockets }
  return made
}

if (process.argv[1]?.endsWith('rig-fleet.ts')) {
  const members: Member[] = []
  for (let i = 0; i < Number(process.argv[2]); i++) members.push(await member())
  process.on('disconnect', () => process.exit())
  process.on('message', (order: FleetOrder) => {
    if ('report' in order) {
      const bad = members.filter(({ fault }) => fault !== null)
      process.send!(
        bad.map(({ hits, first, last }): Hits => ({ count: hits, spanMs: last - first })),
      )
      return
    }
    for (const at of order.servers) {
      const one = members[at]!
      one.fault = order.fault
      if (order.fault !== 'gone') continue
      one.server.close()
      for (const socket of one.sockets) socket.resetAndDestroy()
    }
    process.send!('bad')
  })
  process.send!(members.map(({ port }) => port))
}
