/**
 * How soon a bad server is left alone: some of 200 begin to answer 503 (with and without a failing health check), 500, nothing,
 * resets, or are gone; counted is how many requests still reached them, and for how long, beside HAProxy and nginx.
 *
 *   node --conditions=@health/source bench/eject.ts [--servers 200] [--bad 5] [--seconds 7] [--faults 503,hang] [--only gateway]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Fault, FleetOrder, Hits } from './rig-fleet.ts'
import { fromSource, gateway, haproxy, nginx, versionOf, type Server } from './rig-server.ts'
import { table, tell } from './rig.ts'

const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '200' },
    bad: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '7' },
    faults: { type: 'string' },
    only: { type: 'string' },
  },
})
const count = Number(values.servers)
const bad = Array.from({ length: Number(values.bad) }, (_, i) =>
  Math.floor((i + 0.5) * (count / Number(values.bad))),
)
const allFaults: readonly Fault[] = ['503', '503, health 200', '500', 'hang', 'reset', 'gone']
const faults = allFaults.filter((fault) => values.faults?.split(';').includes(fault) ?? true)
const CALLERS = 40
const EVERY_MS = 40
const CALL_MS = 3000
/** How long calls are timed before any server is bad. */
const BEFORE_MS = 3000

const proxied = (observe: boolean) => (ports: readonly number[]) =>
  haproxy(
    'haproxy',
    `frontend front
  bind 127.0.0.1:PORT
  default_backend behind
backend behind
  option httpchk GET /health
  timeout check 1s
  timeout server 3s
  balance roundrobin
  default-server check inter 1s fall 3${observe ? ' observe layer7 error-limit 1 on-error mark-down' : ''}
${ports.map((port, i) => `  server s${i} 127.0.0.1:${port}`).join('\n')}`,
  )
const starts: Readonly<Record<string, ((ports: readonly number[]) => Promise<Server>) | null>> = {
  gateway: (ports) =>
    gateway('gateway', {
      apps: {
        'bench/app': {
          urls: ports.map((port) => `http://127.0.0.1:${port}`),
          maxMultiplexing: 8,
          requestTimeoutSeconds: 3,
          healthCheck: {
            path: '/health',
            intervalSeconds: 1,
            timeoutSeconds: 1,
            failureThreshold: 3,
          },
        },
      },
    }),
  'haproxy, active checks': versionOf('haproxy') === null ? null : proxied(false),
  'haproxy, observe layer7': versionOf('haproxy') === null ? null : proxied(true),
  'nginx, max_fails=1':
    versionOf('nginx') === null
      ? null
      : (ports) =>
          nginx(
            'nginx',
            `upstream behind { ${ports.map((port) => `server 127.0.0.1:${port} max_fails=1 fail_timeout=10s;`).join(' ')} keepalive 200; }
             server { listen 127.0.0.1:PORT; location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 3s; proxy_next_upstream error timeout http_500 http_503 non_idempotent; } }`,
          ),
}

/** One call; true when it was answered with 200 in time. */
function call(agent: Agent, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request(
      { port, host: '127.0.0.1', path: '/run/bench/app/work', agent, timeout: CALL_MS + 1000 },
      (answer) => {
        answer.resume().on('close', () => resolve(answer.statusCode === 200))
      },
    )
    sent.on('timeout', () => sent.destroy())
    sent.on('error', () => resolve(false))
    sent.end()
  })
}

/** What many calls came to; `p99Ms` is that of the good ones. */
interface Calls {
  readonly calls: number
  readonly failed: number
  readonly p99Ms: number
}

/** Calls from `CALLERS` at once, each every `EVERY_MS`; answers how many failed, and what the others took. */
async function callFor(port: number, ms: number): Promise<Calls> {
  const agent = new Agent({ keepAlive: true })
  const until = performance.now() + ms
  let calls = 0
  let failed = 0
  const took: number[] = []
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, (i * EVERY_MS) / CALLERS))
      for (let at = performance.now(); at < until;) {
        calls++
        const began = performance.now()
        if (await call(agent, port)) took.push(performance.now() - began)
        else failed++
        const next = at + EVERY_MS
        at = Math.max(next, performance.now())
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())))
      }
    }),
  )
  agent.destroy()
  took.sort((a, b) => a - b)
  return { calls, failed, p99Ms: took[Math.floor(took.length * 0.99)] ?? Number.NaN }
}

interface Result {
  readonly fault: Fault
  readonly name: string
  readonly hits: readonly Hits[]
  readonly failed: number
  /** Of good answers, before and while some servers were bad, in ms. */
  readonly p99Ms: readonly [before: number, during: number]
}

async function measure(
  fault: Fault,
  name: string,
  start: (ports: readonly number[]) => Promise<Server>,
): Promise<Result> {
  const fleet = fork(fileURLToPath(new URL('rig-fleet.ts', import.meta.url)), [String(count)], {
    execArgv: fromSource,
  })
  const said = async <T>(order?: FleetOrder): Promise<T> => {
    if (order !== undefined) fleet.send(order)
    const [told] = (await once(fleet, 'message')) as [T]
    return told
  }
  const ports = await said<readonly number[]>()
  const server = await start(ports)
  try {
    // Until every server is known to be well.
    await new Promise((resolve) => setTimeout(resolve, 1500))
    for (let tries = 0; !(await call(new Agent(), server.port)); tries++) {
      if (tries > 50) throw new Error(`${name} does not serve`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await callFor(server.port, 1000)
    const before = await callFor(server.port, BEFORE_MS)
    const calling = callFor(server.port, Number(values.seconds) * 1000)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await said({ fault, servers: bad })
    const { failed, p99Ms } = await calling
    const hits = await said<readonly Hits[]>({ report: true })
    return { fault, name, failed, hits, p99Ms: [before.p99Ms, p99Ms] }
  } finally {
    await server.close()
    fleet.kill('SIGKILL')
  }
}

const results: Result[] = []
for (const fault of faults) {
  for (const [name, start] of Object.entries(starts)) {
    if (start === null || !(values.only?.split(',').includes(name) ?? true)) continue
    results.push(await measure(fault, name, start))
  }
}
const sum = ({ hits }: Result): number => hits.reduce((all, { count: one }) => all + one, 0)
const most = ({ hits }: Result): number => Math.max(...hits.map(({ count: one }) => one))
console.log(
  `${bad.length} of ${count} servers turn bad, ${(CALLERS * 1000) / EVERY_MS} calls a second, ${values.seconds} s; checks every 1 s, 1 s each, 3 failures`,
)
console.log(
  table(
    [
      'fault',
      'gateway',
      'requests that reached a bad server',
      'most at one',
      'ms from its first to its last',
      'calls that failed',
      'p99 ms of good ones before, while some are bad',
    ],
    results.map((one) => [
      one.fault,
      one.name,
      String(sum(one)),
      String(most(one)),
      Math.max(...one.hits.map(({ spanMs }) => spanMs)).toFixed(0),
      String(one.failed),
      one.p99Ms.map((ms) => ms.toFixed(2)).join(', '),
    ]),
  ),
)
tell(
  results.flatMap((one) => {
    if (one.name !== 'gateway') return []
    const beside = results.find(
      ({ name, fault }) => name === 'haproxy, observe layer7' && fault === one.fault,
    )
    return [
      {
        what: `gateway: requests that reached ${bad.length} bad servers, ${one.fault}`,
        ours: sum(one),
        unit: 'requests',
        beside: beside === undefined ? null : 'haproxy, observe layer7',
        theirs: beside === undefined ? null : sum(beside),
        goal: null,
      },
      {
        what: `gateway: p99 of good answers while ${bad.length} of ${count} are bad, ${one.fault}`,
        ours: one.p99Ms[1],
        unit: 'ms',
        beside: 'before',
        theirs: one.p99Ms[0],
        goal: '≤ 1.50',
      },
    ]
  }),
)
