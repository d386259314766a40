/** A whole gateway for tests: real processes, real sockets, the durable queue and journal in a folder of its own, on a free port of loopback. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { view, type Clock, type Prober, type Queue, type RunnerView } from '@health/core'
import { createHost } from '@health/host'
import { createProber } from '@health/prober'
import { createSqliteQueue } from '@health/queue'
import { startSupervisor, type Supervisor } from '@health/supervisor'
import type { ManualClock } from '@health/testkit'
import { resolveConfig, type Config } from '../src/config.ts'
import { createServer, type Server } from '../src/server.ts'

export const RUNNER = fileURLToPath(new URL('./runner.mjs', import.meta.url))

export interface RunningGateway {
  readonly url: string
  readonly server: Server
  readonly supervisor: Supervisor
  readonly queue: Queue
  readonly config: Config
  readonly lines: readonly Readonly<Record<string, unknown>>[]
  /** Runner objects of an app, live ones first. */
  runner(id: string): RunnerView | null
  /** Resolves when `seen` first answers something but null. */
  until<T>(seen: () => T | null): Promise<T>
  close(): Promise<void>
}

/** Starts a gateway with this configuration; `apps` as in the file. */
export async function startGateway(
  raw: Record<string, unknown>,
  time: { readonly clock?: ManualClock; readonly prober?: (clock: Clock) => Prober } = {},
): Promise<RunningGateway> {
  const dir = mkdtempSync(join(tmpdir(), 'gateway-'))
  const config = resolveConfig(
    { listen: { host: '127.0.0.1', port: 0 }, dataDir: dir, ...raw },
    join(dir, 'health.config.json'),
    {},
    { env: {}, cwd: dir, caller: dir },
  )
  const lines: Readonly<Record<string, unknown>>[] = []
  const log = (line: Readonly<Record<string, unknown>>): void => void lines.push(line)
  const supervisor = await startSupervisor({
    dataDir: dir,
    policy: config.policy,
    host: (clock) => createHost({ clock, logDir: join(dir, 'logs') }),
    prober: time.prober ?? ((clock) => createProber({ clock })),
    ...(time.clock !== undefined && { clock: time.clock }),
    launchOf: (app) => config.apps.get(app)?.launch ?? null,
    log,
  })
  const queue = await createSqliteQueue({
    dir: join(dir, 'queue'),
    maxLength: config.limits.queueLength,
  })
  const server = await createServer({
    config: () => config,
    supervisor,
    queue,
    log,
    version: '0.0.0',
  })
  for (const app of config.apps.values()) {
    supervisor.tell({
      type: 'app.configured',
      app: app.id,
      options: app.options,
      policy: app.policy,
      revision: app.revision,
      ...(app.urls !== null && { urls: app.urls }),
    })
  }
  const url = await server.listen()
  return {
    url,
    server,
    supervisor,
    queue,
    config,
    lines,
    runner: (id) => view(supervisor.fleet, id),
    until: async (seen) => {
      for (;;) {
        const found = seen()
        if (found !== null) return found
        // The queue tells nobody what it did, so its answers are looked at again and again.
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async close() {
      await ticking(time.clock, server.close(2000))
      await ticking(time.clock, supervisor.stop({ keepRunners: false, graceMs: 2000 }))
      await queue.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Waits for an end that may itself wait for a clock that only tests move. */
async function ticking(clock: ManualClock | undefined, end: Promise<unknown>): Promise<void> {
  let over = false
  void end.finally(() => (over = true))
  while (clock !== undefined && !over) await clock.pass(100)
  await end
}
