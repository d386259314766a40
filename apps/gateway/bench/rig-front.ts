/**
 * A fleet of small servers behind, and what may stand in front of it: our gateway, HAProxy and nginx, all with a health check each
 * second that may take one, and three failures. It measures nothing.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Fault, FleetOrder, Seen } from './rig-fleet.ts'
import {
  endWithUs,
  fromSource,
  gateway,
  haproxy,
  nginx,
  versionOf,
  type GatewayServer,
  type Server,
} from './rig-server.ts'

/** The servers behind, in a process of their own. */
export interface Fleet {
  readonly ports: readonly number[]
  /** Makes servers bad, or well again. */
  turn(fault: Fault | null, servers: readonly number[]): Promise<void>
  report(servers: readonly number[]): Promise<readonly Seen[]>
  close(): void
}

/** Starts `count` servers that are well. */
export async function startFleet(count: number): Promise<Fleet> {
  const child = endWithUs(
    fork(fileURLToPath(new URL('rig-fleet.ts', import.meta.url)), [String(count)], {
      execArgv: fromSource,
    }),
  )
  const said = async <T>(order?: FleetOrder): Promise<T> => {
    if (order !== undefined) child.send(order)
    const [told] = (await once(child, 'message')) as [T]
    return told
  }
  return {
    ports: await said<readonly number[]>(),
    turn: (fault, servers) => said<void>({ fault, servers }),
    report: (servers) => said<readonly Seen[]>({ report: servers }),
    close: () => void child.kill('SIGKILL'),
  }
}

/** Requests may take so long that only a health check finds a server that hangs, in s. */
const REQUEST_SECONDS = 30
/** The others know no start period: ours is over before the first server turns bad, in s. */
const START_SECONDS = 2
const healthCheck = {
  path: '/health',
  intervalSeconds: 1,
  timeoutSeconds: 1,
  failureThreshold: 3,
  startPeriodSeconds: START_SECONDS,
}

/** Starts something in front of the servers at these ports. */
export type Front = (ports: readonly number[]) => Promise<Server>

/** Our gateway with an app of all servers, and one of a single server where `alone` is its port. */
export function ours(
  ports: readonly number[],
  {
    alone = null,
    policy = {},
  }: { readonly alone?: number | null; readonly policy?: Readonly<Record<string, number>> } = {},
): Promise<GatewayServer> {
  const app = (of: readonly number[]): object => ({
    urls: of.map((port) => `http://127.0.0.1:${port}`),
    maxMultiplexing: 8,
    requestTimeoutSeconds: REQUEST_SECONDS,
    startupTimeoutSeconds: START_SECONDS,
    healthCheck,
  })
  return gateway('gateway', {
    apps: { 'bench/app': app(ports), ...(alone !== null && { 'bench/alone': app([alone]) }) },
    policy,
  })
}

const proxied =
  (observe: boolean): Front =>
  (ports) =>
    haproxy(
      'haproxy',
      `frontend front
  bind 127.0.0.1:PORT
  default_backend behind
backend behind
  option httpchk GET /health
  timeout check 1s
  timeout server ${REQUEST_SECONDS}s
  balance roundrobin
  default-server check inter 1s fall 3${observe ? ' observe layer7 error-limit 1 on-error mark-down' : ''}
${ports.map((port, i) => `  server s${i} 127.0.0.1:${port}`).join('\n')}`,
    )

/** Others in front; null where they are not installed. */
export const peers: Readonly<Record<string, Front | null>> = {
  'haproxy, active checks': versionOf('haproxy') === null ? null : proxied(false),
  'haproxy, observe layer7': versionOf('haproxy') === null ? null : proxied(true),
  'nginx, max_fails=1':
    versionOf('nginx') === null
      ? null
      : (ports) =>
          nginx(
            'nginx',
            `upstream behind { ${ports.map((port) => `server 127.0.0.1:${port} max_fails=1 fail_timeout=10s;`).join(' ')} keepalive 200; }
             server { listen 127.0.0.1:PORT; location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout ${REQUEST_SECONDS}s; proxy_next_upstream error timeout http_500 http_503 non_idempotent; } }`,
          ),
}
