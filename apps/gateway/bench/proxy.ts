/**
 * What a call through the gateway costs: CPU time of the gateway process per request, judging, journal and metrics on, beside bare
 * Fastify with undici, `@fastify/reply-from`, `http-proxy`, nginx and HAProxy in one run. Servers take turns in short rounds, so that
 * a noisy neighbour hits all alike; the ratios count, the absolute numbers are this machine's. The server behind answers from memory, so
 * that what stands in front is the only bottleneck.
 *
 *   node --conditions=@health/source bench/proxy.ts [--rounds 5] [--seconds 2] [--only 'NAME;NAME'] [--kinds GET] [--connections 64] [--paced] [--soak]
 */
import { parseArgs } from 'node:util'
import { load, generator, type Ask, type Served } from './rig-load.ts'
import { pace, type Paced } from './rig-pace.ts'
import {
  gateway,
  haproxy,
  keepCompiled,
  nginx,
  nodeServer,
  gatewayFlags,
  versionOf,
  type Server,
} from './rig-server.ts'
import { cpuMicros, median, memory, table, tell, watchForeign, type Row } from './rig.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '64' },
    only: { type: 'string' },
    kinds: { type: 'string' },
    paced: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const connections = Number(values.connections)

const asks: Readonly<Record<string, Ask>> = {
  GET: { method: 'GET', path: '/run/bench/app/', body: '' },
  'POST 1 KB': { method: 'POST', path: '/run/bench/app/', body: JSON.stringify('a'.repeat(1022)) },
  '32 KiB answer': { method: 'GET', path: '/run/bench/app/big', body: '' },
}
const kinds = Object.entries(asks).filter(
  ([kind]) => values.kinds?.split(',').includes(kind) ?? true,
)

const [nginxVersion, haproxyVersion] = [versionOf('nginx'), versionOf('haproxy')]
const all: Server[] = []
keepCompiled()
const behind =
  nginxVersion === null
    ? await nodeServer('runner')
    : await nginx(
        'runner',
        'server { listen 127.0.0.1:PORT backlog=1024; location / { return 200 "ok"; } location = /big { root DIR; } }',
      )
const url = `http://127.0.0.1:${behind.port}`
const ours = (name: string, client: string, flags?: readonly string[]): Promise<Server> =>
  gateway(
    name,
    { apps: { 'bench/app': { urls: [url], maxMultiplexing: 1000 } } },
    { HEALTH_UPSTREAM: client },
    flags,
  )
const starts: Readonly<Record<string, (() => Promise<Server>) | null>> = {
  gateway: () => ours('gateway', ''),
  'gateway, undici': () => ours('gateway, undici', 'undici'),
  "gateway, V8's heap": () => ours("gateway, V8's heap", '', []),
  'fastify + undici': () => nodeServer('dispatch', url, 'fastify + undici'),
  'reply-from': () => nodeServer('reply-from', url),
  'reply-from, our heap': () => nodeServer('reply-from', url, 'reply-from, our heap', gatewayFlags),
  'http-proxy': () => nodeServer('http-proxy', url),
  nginx:
    nginxVersion === null
      ? null
      : () =>
          nginx(
            'nginx',
            `upstream behind { server 127.0.0.1:${behind.port}; keepalive 256; keepalive_requests 1000000000; }
             server { listen 127.0.0.1:PORT backlog=1024; location /run/bench/app/ { proxy_pass http://behind/; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
          ),
  haproxy:
    haproxyVersion === null
      ? null
      : () =>
          haproxy(
            'haproxy',
            `frontend front\n  bind 127.0.0.1:PORT\n  http-request replace-path /run/bench/app/(.*) /\\1\n  default_backend behind\nbackend behind\n  server a 127.0.0.1:${behind.port}`,
          ),
}

/** What a heap is worth, and what the least gateway costs, is much the same for every kind of call. */
const forGetOnly: ReadonlySet<string> = new Set([
  "gateway, V8's heap",
  'reply-from, our heap',
  'fastify + undici',
])
/** Fastify's and http-proxy's cost is three times as much at first, and steady from here on; each kind has some code of its own. */
const WARM_REQUESTS = { first: 50_000, next: 15_000 }
const MOST_WARM_ROUNDS = 20

interface Round extends Served {
  readonly cpu: number
  readonly foreign: number
}

async function round(server: Server, ask: Ask, span: number): Promise<Round> {
  for (let tries = 0; ; tries++) {
    const foreign = watchForeign([server.pid, behind.pid])
    const before = cpuMicros(server.pid)
    const served = await load(server.port, connections, span, ask)
    const spent = cpuMicros(server.pid) - before
    if (spent < 0 || before === 0) throw new Error(`${server.name} is gone`)
    // On a machine that is very busy a round may pass without a single answer.
    if (served.requests > 0) return { ...served, cpu: spent / served.requests, foreign: foreign() }
    if (tries > 5) throw new Error(`${server.name} serves nothing`)
  }
}

/** Waits for the first 2xx: a gateway that adopts servers probes them first. */
async function ready(server: Server): Promise<void> {
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://127.0.0.1:${server.port}/run/bench/app/`).catch(() => null)
    await answer?.arrayBuffer()
    if (answer?.ok === true) return
    if (tries > 200) throw new Error(`${server.name} does not serve: ${answer?.status}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Goals for what a request costs: ours, by kind, beside others. */
const costGoals: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  GET: { 'fastify + undici': '≤ 1.10', 'reply-from': '≤ 0.55', nginx: '≤ 2.70' },
  'POST 1 KB': { 'reply-from': '≤ 0.60', nginx: '≤ 2.40' },
  '32 KiB answer': { 'reply-from': '≤ 0.70', nginx: '≤ 2.20' },
}
/** For GETs: what the gateway may cost with undici as its client, and how many requests a second it serves. */
const undiciGoals = { 'reply-from': '≤ 0.75', 'http-proxy': '≤ 0.55' }
const rateGoals = { 'reply-from': '≥ 1.80', 'http-proxy': '≥ 2.40', nginx: '≥ 0.37' }

async function measure(kind: string, ask: Ask, enough: number): Promise<void> {
  const servers = all.filter(({ name }) => kind === 'GET' || !forGetOnly.has(name))
  const seen = new Map<Server, Round[]>(servers.map((server) => [server, []]))
  for (const server of servers)
    for (let served = 0, tries = 0; served < enough && tries < MOST_WARM_ROUNDS; tries++)
      served += (await round(server, ask, 1)).requests
  for (let n = 0; n < rounds; n++) {
    // Each round begins with another server, so that none always follows the same one.
    for (const [at] of servers.entries()) {
      const server = servers[(at + n) % servers.length]!
      seen.get(server)!.push(await round(server, ask, seconds))
    }
  }
  const of = (server: Server, pick: (one: Round) => number): number =>
    median(seen.get(server)!.map(pick))
  const [mine] = servers
  const cost = of(mine!, (one) => one.cpu)
  console.log(`\n${kind}, ${connections} connections`)
  console.log(
    table(
      [
        'server',
        'CPU µs/request',
        'gateway ÷ it',
        'requests/s',
        'p50 ms',
        'p99 ms',
        'errors',
        'PSS MiB',
        'foreign cores',
      ],
      servers.map((server) => [
        server.name,
        of(server, (one) => one.cpu).toFixed(1),
        (cost / of(server, (one) => one.cpu)).toFixed(2),
        of(server, (one) => one.perSecond).toFixed(0),
        of(server, (one) => one.p50Ms).toFixed(2),
        of(server, (one) => one.p99Ms).toFixed(2),
        String(seen.get(server)!.reduce((sum, one) => sum + one.errors, 0)),
        memory(server.pid).pss.toFixed(0),
        of(server, (one) => one.foreign).toFixed(2),
      ]),
    ),
  )
  const rows = (
    name: string,
    pick: (one: Round) => number,
    unit: string,
    beside: readonly (readonly [string, string | null])[],
  ): Row[] => {
    const me = servers.find((server) => server.name === name)
    return beside.flatMap(([other, goal]) => {
      const it = servers.find((server) => server.name === other)
      return me === undefined || it === undefined
        ? []
        : [
            {
              what: `${name.replace('gateway, undici', 'gateway with undici')}: direct call, ${kind}`,
              ours: of(me, pick),
              unit,
              beside: other,
              theirs: of(it, pick),
              goal,
            },
          ]
    })
  }
  const spent = (one: Round): number => one.cpu
  tell(
    rows(
      'gateway',
      spent,
      'CPU µs/request',
      servers.slice(1).map(({ name }) => [name, costGoals[kind]?.[name] ?? null]),
    ),
  )
  if (kind !== 'GET') return
  tell(rows('gateway', (one) => one.perSecond, 'requests/s', Object.entries(rateGoals)))
  tell(rows('gateway, undici', spent, 'CPU µs/request', Object.entries(undiciGoals)))
}

const PACE = { connections: 64, perSecond: 2000, seconds: 2 }
const pacedBeside = ['gateway', 'reply-from', 'nginx']

/** What servers add to a call at a rate that keeps nobody busy, beside the same call without them. */
async function addedLatency(): Promise<void> {
  const direct: Paced[] = []
  const paced = all.filter(({ name }) => pacedBeside.includes(name))
  const seen = new Map<Server, Paced[]>(paced.map((server) => [server, []]))
  // Round 0 warms the callers.
  for (let n = 0; n <= rounds; n++) {
    const bare = await pace(behind.port, '/', PACE)
    if (n > 0) direct.push(bare)
    for (const [at] of paced.entries()) {
      const server = paced[(at + n) % paced.length]!
      const one = await pace(server.port, asks['GET']!.path, PACE)
      if (n > 0) seen.get(server)!.push(one)
    }
  }
  // Beside the direct calls of the same round: the callers' own noise is in both.
  const added = (server: Server, which: 'p50Ms' | 'p99Ms'): number =>
    median(seen.get(server)!.map((one, n) => one[which] - direct[n]![which]))
  const failed = (server: Server): number =>
    seen.get(server)!.reduce((sum, one) => sum + one.failed, 0)
  const spread = (which: 'p50Ms' | 'p99Ms'): string => {
    const all = direct.map((one) => one[which])
    return `${Math.min(...all).toFixed(3)} to ${Math.max(...all).toFixed(3)}`
  }
  console.log(
    `\n${PACE.perSecond} calls a second over ${PACE.connections} connections; direct: p50 ${spread('p50Ms')} ms, p99 ${spread('p99Ms')} ms`,
  )
  console.log(
    table(
      ['server', 'added p50 ms', 'added p99 ms', 'errors'],
      paced.map((server) => [
        server.name,
        added(server, 'p50Ms').toFixed(3),
        added(server, 'p99Ms').toFixed(3),
        String(failed(server)),
      ]),
    ),
  )
  const named = (name: string): Server | undefined => paced.find((server) => server.name === name)
  const [mine, from, front] = pacedBeside.map(named)
  if (mine === undefined) return
  const alone = (what: string, ms: number, goal: string): Row => ({
    what: `gateway: ${what} at ${PACE.perSecond}/s`,
    ours: ms,
    unit: 'ms',
    beside: null,
    theirs: null,
    goal,
  })
  tell([
    alone('added p50', added(mine, 'p50Ms'), '≤ 0.15'),
    ...(from === undefined
      ? []
      : [
          {
            ...alone('added p50', added(mine, 'p50Ms'), '≤ 0.60'),
            beside: from.name,
            theirs: added(from, 'p50Ms'),
          },
        ]),
    ...(front === undefined
      ? []
      : [
          alone(
            `added p99, less that of nginx,`,
            added(mine, 'p99Ms') - added(front, 'p99Ms'),
            '≤ 1',
          ),
        ]),
  ])
}

/** Memory after 60 s beside after 300 s under load. */
async function soak(server: Server): Promise<void> {
  const at: number[] = []
  for (const span of [60, 240]) {
    await load(server.port, 256, span, asks['GET']!)
    at.push(memory(server.pid).rss)
  }
  console.log(
    `\nRSS of the gateway at 256 connections: ${at[0]!.toFixed(0)} MiB after 60 s, ${at[1]!.toFixed(0)} after 300 s`,
  )
  tell([
    {
      what: 'gateway: memory after 300 s at 256 connections',
      ours: at[1]!,
      unit: 'MiB',
      beside: 'after 60 s',
      theirs: at[0]!,
      goal: '≤ 1.05',
    },
  ])
}

try {
  const wanted = values.only?.split(';')
  // The memory of a gateway is that of any start but the very first.
  if (wanted?.includes('gateway') ?? true) await (await ours('gateway', '')).close()
  for (const [name, start] of Object.entries(starts)) {
    if (wanted !== undefined && !wanted.includes(name)) continue
    if (start === null) console.log(`left out: ${name} is not installed`)
    else all.push(await start())
  }
  for (const server of all) await ready(server)
  console.log(
    `${rounds} rounds of ${seconds} s in turns, medians; load by ${generator}; behind: ${nginxVersion === null ? 'node:http' : `nginx ${nginxVersion}`}; node ${process.version}; of the Node servers only the gateways have \`npm start\`'s flags (\`.ci/node-flags.mjs\`), where not said otherwise`,
  )
  for (const [i, [kind, ask]] of kinds.entries())
    await measure(kind, ask, i === 0 ? WARM_REQUESTS.first : WARM_REQUESTS.next)
  if (values.paced) await addedLatency()
  const [first] = all
  if (first?.name === 'gateway')
    tell([
      {
        what: 'gateway: memory after all these calls',
        ours: memory(first.pid).pss,
        unit: 'MiB (PSS)',
        beside: null,
        theirs: null,
        goal: '≤ 80',
      },
    ])
  if (values.soak) await soak(all[0]!)
} finally {
  for (const server of [...all, behind]) await server.close()
}
