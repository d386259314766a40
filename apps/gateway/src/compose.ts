/**
 * Puts the gateway together: the only file that knows all adapters. It starts them in order, ends them in the reverse order, and decides
 * nothing that has a name in the semantics.
 */
import { join } from 'node:path'
import { apps, processes, type Queue, view } from '@health/core'
import { createHost, endOrphans } from '@health/host'
import { createControl, createProber } from '@health/prober'
import { createMemoryQueue, createSqliteQueue } from '@health/queue'
import { ensureDataDirectory, startSupervisor, type Supervisor } from '@health/supervisor'
import { createAlerts } from './alert.ts'
import { refuseOpen, type Config } from './config.ts'
import { serveConsole } from './console.ts'
import { watchDeclarations, type Declarations } from './declaration.ts'
import { affordable, mostDescriptors } from './descriptor.ts'
import { appFacts, fixed, needsRestart, policyFacts, refuseOverridden } from './fleet-config.ts'
import type { Log } from './gateway.ts'
import { watchGpus } from './gpu-watch.ts'
import { heartbeatUrl, openHeartbeatTokens } from './heartbeat-token.ts'
import { decisionLine } from './log.ts'
import { watchMisuse } from './misuse.ts'
import { checkPort, listenError } from './port.ts'
import { createServer, type Server } from './server.ts'

/** A gateway that serves. */
export interface RunningGateway {
  readonly url: string
  readonly supervisor: Supervisor
  /**
   * Reads the configuration again and answers the changed sections that act at the next start. Rejects with HealthError when it is
   * invalid, and changes nothing then.
   */
  reload(): Promise<readonly string[]>
  /** Kills every runner and waits for nothing, unless runners are to stay: the process is about to end. */
  killRunners(): void
  /** `/ready` turns, the delay passes, in-flight calls end or are cut, leases are handed back, runners stop or stay, all is flushed. */
  stop(): Promise<void>
}

/** What a gateway is started with. */
export interface ComposeOptions {
  readonly config: Config
  /** Reads the configuration again, for a reload. */
  readonly read: () => Promise<Config>
  readonly log: Log
  readonly version: string
}

/** Starts everything, in order. Rejects with HealthError, having ended again whatever had begun. */
export async function composeGateway(options: ComposeOptions): Promise<RunningGateway> {
  const { log } = options
  const { host } = options.config.listen
  const free = await checkPort(host, options.config.listen.port)
  // A runner that sends heartbeats is told where before we listen; without one, any free port is chosen by listening on it.
  const told = options.config.listen.port !== 0 || sendsHeartbeats(options.config)
  let config: Config = { ...options.config, listen: { host, port: told ? free : 0 } }
  let { port } = config.listen
  /** The queue until it is there. */
  let opening: Promise<Queue> | null = null
  /** What has begun, to be ended in reverse. */
  const begun: (() => Promise<void>)[] = []
  const endAll = async (): Promise<void> => {
    const failed: unknown[] = []
    for (const end of begun.splice(0).toReversed())
      await end().catch((error: unknown) => failed.push(error))
    // Everything was tried; the first failure is the one to tell.
    if (failed.length > 0) throw failed[0]
  }
  try {
    ensureDataDirectory(config.dataDir)
    const heartbeats = await openHeartbeatTokens(config.dataDir)
    const runnerEnv = (runner: string, app: string): Readonly<Record<string, string>> =>
      config.apps.get(app)?.options.healthCheck?.heartbeat === undefined
        ? {}
        : { HEALTH_HEARTBEAT_URL: heartbeatUrl(host, port, runner, heartbeats.of(runner)) }
    // Its thread starts while the journal is read here; whose folder this is, is the supervisor's to say first.
    opening = openQueue(config, () => config.limits.queueLength)
    opening.catch(() => undefined)
    const supervisor = await startFleet(() => config, runnerEnv, log, options.version)
    begun.push(() =>
      supervisor.stop({
        keepRunners: config.shutdown.keepRunners,
        graceMs: config.shutdown.graceSeconds * 1000,
      }),
    )
    refuseOverridden(supervisor.fleet, config)
    const gpus = await watchGpus(supervisor, config, log)
    begun.push(() => gpus.close(config.shutdown.graceSeconds * 1000))
    const declarations = watchDeclarations(supervisor, () => config, log)
    begun.push(async () => declarations.close())
    const queue = await opening
    opening = null
    begun.push(() => queue.close())
    let reloading: Promise<unknown> = Promise.resolve()
    const reload = (): Promise<readonly string[]> => {
      // One after the other: two readings at once would both be compared with the same one before.
      const turn = reloading.then(async () => {
        const next = await options.read()
        const before = config
        const restart = needsRestart(options.config, next)
        const kept = {
          ...next,
          ...Object.fromEntries(fixed.map((name) => [name, before[name]])),
        } as Config
        // The new keys are for the address that we listen on, whatever the file says of it now.
        refuseOpen(kept)
        refuseOverridden(supervisor.fleet, kept)
        config = kept
        sayWarnings(next, log)
        if (restart.length > 0)
          log({ level: 'warn', event: 'config.restart_needed', sections: restart })
        gpus.configure(config)
        configure(supervisor, declarations, before, config)
        server.reloaded()
        log({ level: 'info', event: 'config.reloaded', file: config.file, apps: config.apps.size })
        return restart
      })
      reloading = turn.catch(() => undefined)
      return turn
    }
    const server = await createServer({
      config: () => config,
      supervisor,
      queue,
      log,
      version: options.version,
      reload,
      heartbeats,
      pages: serveConsole,
    })
    begun.push(() => closeServer(server, () => config))
    sayWarnings(config, log)
    configure(supervisor, declarations, null, config)
    const url = await server.listen().catch((error: NodeJS.ErrnoException) => {
      throw listenError(host, port, error)
    })
    port = Number(URL.parse(url)?.port)
    log({
      level: 'info',
      event: 'gateway.listening',
      url,
      file: config.file,
      dataDir: config.dataDir,
      apps: config.apps.size,
    })
    return {
      url,
      supervisor,
      reload,
      killRunners: () => {
        if (!config.shutdown.keepRunners) killGroups(supervisor)
      },
      stop: endAll,
    }
  } catch (error) {
    // What went wrong first is what a person must know.
    await endAll().catch(() => undefined)
    await opening?.then((queue) => queue.close()).catch(() => undefined)
    throw error
  }
}

/** Kills the process group of every runner. */
function killGroups({ fleet }: Supervisor): void {
  for (const { pid } of processes(fleet)) {
    if (pid === null) continue
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // It ended by itself: that is what was wanted.
    }
  }
}

/** The supervisor with its adapters; listens to it for the log. */
async function startFleet(
  config: () => Config,
  runnerEnv: (runner: string, app: string) => Readonly<Record<string, string>>,
  log: Log,
  version: string,
): Promise<Supervisor> {
  const first = config()
  const logDir = join(first.dataDir, 'logs')
  const supervisor = await startSupervisor({
    dataDir: first.dataDir,
    policy: first.policy,
    prober: (clock) => createProber({ clock }),
    host: (clock) =>
      createHost({
        clock,
        logDir,
        runnerLogBytes: first.logs.runnerBytes,
        warn: (text) => log({ level: 'warn', event: 'host.warning', text }),
      }),
    control: (clock, prober) => createControl({ clock, prober }),
    sweep: async (clock, records, keep) => {
      const orphans = await endOrphans({ clock, logDir, records, keep })
      for (const { runner, pid } of orphans)
        log({ level: 'warn', event: 'orphan.ended', runner, pid })
    },
    launchOf: (app) => config().apps.get(app)?.launch ?? null,
    runnerEnv,
    journal: first.journal,
    version,
    log,
  })
  const lint = watchMisuse(supervisor.fleet, log)
  const { fleet } = supervisor
  const appOf = (runner: string): string | null =>
    fleet.runners.get(runner)?.app.id ?? view(fleet, runner)?.app ?? null
  supervisor.observe((observation) => {
    lint(observation.decisions)
    for (const decision of observation.decisions) log(decisionLine(decision, observation, appOf))
  })
  supervisor.onAlert(
    createAlerts(
      () => supervisor.clock.now(),
      () => config().alerts.repeatSeconds * 1000,
      (alert) => {
        if (config().alerts.log)
          log({
            level: 'warn',
            event: 'alert',
            name: alert.name,
            [alert.subject.kind]: alert.subject.id,
            text: alert.text,
          })
      },
    ),
  )
  return supervisor
}

function sendsHeartbeats(config: Config): boolean {
  return [...config.apps.values()].some((app) => app.options.healthCheck?.heartbeat !== undefined)
}

async function openQueue(config: Config, maxLength: () => number): Promise<Queue> {
  const limits = { maxLength }
  return config.queue.backend === 'memory'
    ? createMemoryQueue(limits)
    : createSqliteQueue({ dir: join(config.dataDir, 'queue'), ...limits, whenUsed: true })
}

/** Tells the fleet what is configured: everything at a start, what changed at a reload. */
function configure(
  supervisor: Supervisor,
  declarations: Declarations,
  before: Config | null,
  now: Config,
): void {
  for (const fact of policyFacts(supervisor.fleet.globalPolicy, now)) supervisor.tell(fact)
  for (const fact of appFacts([...apps(supervisor.fleet)], before, now))
    supervisor.tell(declarations.complete(fact))
}

async function closeServer(server: Server, config: () => Config): Promise<void> {
  const { delaySeconds, graceSeconds } = config().shutdown
  server.beginShutdown()
  if (delaySeconds > 0) await new Promise((resolve) => setTimeout(resolve, delaySeconds * 1000))
  await server.close(graceSeconds * 1000)
}

function sayWarnings(config: Config, log: Log): void {
  for (const text of config.warnings) log({ level: 'warn', event: 'config.warning', text })
  const { connections } = config.limits
  const descriptors = mostDescriptors()
  const held = affordable(connections, descriptors)
  if (held < connections)
    log({
      level: 'warn',
      event: 'config.warning',
      text: `limits.connections is ${connections}, but this process may have ${descriptors} files and sockets open (ulimit -n), and callers get two thirds of them: ${held}.`,
    })
}
