/**
 * Many small servers in one process, of which some can be told to misbehave: `node rig-fleet.ts COUNT`. It tells its ports, and what
 * bad ones still saw of work (`…/work`) and of connections that asked nothing; requests for their health do not count.
 */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** How a server misbehaves. `503, health 200`: its health check still passes. */
export type Fault = '503' | '503, health 200' | '500' | 'hang' | 'reset' | 'gone'

/** What a server saw since it was told to be bad; times in ms since then. */
export interface Seen {
  readonly requests: number
  /** When the first request came, by the clock of the machine (Unix ms); 0 without one. */
  readonly firstWall: number
  readonly lastMs: number
  /** Requests that it never answered and that nobody took back. */
  readonly held: number
  /** When the last one that it never answered was taken back, now while one is held; 0 when there was none. */
  readonly heldMs: number
  /** Connections that ended without a request: TCP checks. */
  readonly checks: number
  /** From the first 500 after half a second without one to the end of the check that it led to. */
  readonly verdictMs: readonly number[]
}

/** An order to the process: `fault: null` heals, `gone` ones apart. */
export type FleetOrder =
  | { readonly fault: Fault | null; readonly servers: readonly number[] }
  | { readonly report: readonly number[] }

interface Member {
  server: Server
  readonly port: number
  readonly sockets: Set<Socket>
  fault: Fault | null
  badAt: number
  requests: number
  firstWall: number
  lastAt: number
  held: number
  heldAt: number
  checks: number
  failedAt: number
  quietAt: number
  verdictMs: number[]
}

const OK = '{"status":"healthy"}'
/** 500s that follow each other closer than this are one burst. */
const BURST_MS = 500

function answer(member: Member, url: string, response: ServerResponse): void {
  const { fault } = member
  const checked = url.startsWith('/health')
  if (fault !== null && url.includes('/work')) count(member, response)
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

function count(member: Member, response: ServerResponse): void {
  const now = performance.now()
  if (member.requests++ === 0) member.firstWall = performance.timeOrigin + now
  member.lastAt = now
  if (member.fault === '500') {
    if (now - member.quietAt > BURST_MS) member.failedAt = now
    member.quietAt = now
  }
  if (member.fault !== 'hang') return
  const { badAt } = member
  member.held++
  response.once('close', () => {
    if (badAt !== member.badAt) return
    member.held--
    member.heldAt = performance.now()
  })
}

/** A connection that ends without a request was a check of the port. */
function checked(member: Member): void {
  if (member.fault === null) return
  member.checks++
  if (member.failedAt > 0) member.verdictMs.push(performance.now() - member.failedAt)
  member.failedAt = 0
}

const fresh = () => ({
  requests: 0,
  firstWall: 0,
  lastAt: 0,
  held: 0,
  heldAt: 0,
  checks: 0,
  failedAt: 0,
  quietAt: 0,
  verdictMs: [],
})

async function member(): Promise<Member> {
  const sockets = new Set<Socket>()
  const asked = new WeakSet<Socket>()
  const server = createServer((request, response) => {
    asked.add(request.socket)
    request.resume()
    answer(made, request.url ?? '', response)
  })
  server.keepAliveTimeout = 60_000
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => {
      sockets.delete(socket)
      if (!asked.has(socket)) checked(made)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const made: Member = { server, port, sockets, fault: null, badAt: 0, ...fresh() }
  return made
}

function seen(one: Member): Seen {
  const since = (at: number): number => (at === 0 ? 0 : at - one.badAt)
  return {
    requests: one.requests,
    firstWall: one.firstWall,
    lastMs: since(one.lastAt),
    held: one.held,
    heldMs: since(one.held > 0 ? performance.now() : one.heldAt),
    checks: one.checks,
    verdictMs: one.verdictMs,
  }
}

if (process.argv[1]?.endsWith('rig-fleet.ts')) {
  const members: Member[] = []
  for (let i = 0; i < Number(process.argv[2]); i++) members.push(await member())
  process.on('disconnect', () => process.exit())
  process.on('message', (order: FleetOrder) => {
    if ('report' in order) {
      process.send!(order.report.map((at) => seen(members[at]!)))
      return
    }
    for (const at of order.servers) {
      const one = members[at]!
      Object.assign(one, fresh(), { fault: order.fault, badAt: performance.now() })
      if (order.fault !== 'gone') continue
      one.server.close()
      for (const socket of one.sockets) socket.resetAndDestroy()
    }
    process.send!('done')
  })
  process.send!(members.map(({ port }) => port))
}
