/**
 * What a start costs: from the spawn to the first 200, CPU time until then, and memory when idle, with 200 servers configured,
 * beside one bare Fastify route, HAProxy and nginx. They take turns.
 *
 *   node --conditions=@health/source bench/start.ts [--rounds 7] [--servers 200]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  fromSource,
  gateway,
  haproxy,
  keepCompiled,
  nginx,
  nodeServer,
  versionOf,
  type Server,
} from './rig-server.ts'
import { cpuMicros, median, memory, table, tell } from './rig.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    servers: { type: 'string', default: '200' },
  },
})
const IDLE_MS = 2000
// As `npm start` does for a second start; for all that run on Node alike.
keepCompiled()

const fleet = fork(fileURLToPath(new URL('rig-fleet.ts', import.meta.url)), [values.servers], {
  execArgv: fromSource,
})
const [ports] = (await once(fleet, 'message')) as [readonly number[]]
const urls = ports.map((port) => `http://127.0.0.1:${port}`)

const starts: Readonly<Record<string, (() => Promise<Server>) | null>> = {
  gateway: () => gateway('gateway', { apps: { 'bench/app': { urls, maxMultiplexing: 8 } } }),
  'fastify route': () => nodeServer('route', '', 'fastify route'),
  haproxy:
    versionOf('haproxy') === null
      ? null
      : () =>
          haproxy(
            'haproxy',
            `frontend front\n  bind 127.0.0.1:PORT\n  monitor-uri /live\n  default_backend behind\nbackend behind\n${ports.map((port, i) => `  server s${i} 127.0.0.1:${port} check`).join('\n')}`,
          ),
  nginx:
    versionOf('nginx') === null
      ? null
      : () =>
          nginx(
            'nginx',
            `upstream behind { ${ports.map((port) => `server 127.0.0.1:${port};`).join(' ')} }
             server { listen 127.0.0.1:PORT; location = /live { return 200 "ok"; } location / { proxy_pass http://behind; } }`,
          ),
}

interface Start {
  readonly ms: number
  readonly cpuMs: number
  readonly pss: number
}

async function once200(start: () => Promise<Server>): Promise<Start> {
  const begun = performance.now()
  const server = await start()
  try {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${server.port}/live`).catch(() => null)
      await answer?.arrayBuffer()
      if (answer?.status === 200) break
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const ms = performance.now() - begun
    const cpuMs = cpuMicros(server.pid) / 1000
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
    return { ms, cpuMs, pss: memory(server.pid).pss }
  } finally {
    await server.close()
  }
}

const seen = new Map<string, Start[]>()
try {
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [name, start] of Object.entries(starts)) {
      if (start === null) continue
      const one = await once200(start)
      // The first one fills the compile cache.
      if (round > 0) seen.set(name, [...(seen.get(name) ?? []), one])
    }
  }
} finally {
  fleet.kill('SIGKILL')
}

const of = (name: string, pick: (one: Start) => number): number =>
  median((seen.get(name) ?? []).map(pick))
console.log(
  `start with ${values.servers} servers configured, ${values.rounds} rounds in turns, medians; node ${process.version}`,
)
console.log(
  table(
    ['server', 'ms to the first 200', 'CPU ms until then', `PSS MiB after ${IDLE_MS / 1000} s`],
    [...seen.keys()].map((name) => [
      name,
      of(name, ({ ms }) => ms).toFixed(0),
      of(name, ({ cpuMs }) => cpuMs).toFixed(0),
      of(name, ({ pss }) => pss).toFixed(1),
    ]),
  ),
)
tell(
  (['ms', 'cpuMs', 'pss'] as const).map((what) => ({
    what: `gateway: start with ${values.servers} servers, ${{ ms: 'first 200', cpuMs: 'CPU', pss: 'idle memory' }[what]}`,
    ours: of('gateway', (one) => one[what]),
    unit: what === 'pss' ? 'MiB' : 'ms',
    beside: 'bare Fastify route',
    theirs: of('fastify route', (one) => one[what]),
    goal: { ms: '≤ 1.10', cpuMs: null, pss: '≤ 1.20' }[what],
  })),
)
