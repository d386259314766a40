/**
 * The gateway's configuration: what it holds once it is read, checked and complete, and the order of authority (flag over
 * environment over file over default). It reads files through `config-file.ts` and never starts anything.
 */
import { dirname, resolve } from 'node:path'
import { HealthError, type AppOptions, type Launch, type PolicyOptions } from '@health/core'
import { demoConfig, demoFolder } from './config-demo.ts'
import { readApps } from './config-app.ts'
import { withEnvironment, type EnvironmentTree } from './config-environment.ts'
import { findConfigFile, readConfigFile } from './config-file.ts'
import { readGpu } from './config-gpu.ts'
import { readSections } from './config-section.ts'
import type { Sections } from './config-table.ts'
import { isLoopback } from './loopback.ts'

/** One app, ready for `app.configured` and the host. */
export interface AppConfig {
  /** `owner/alias`. */
  readonly id: string
  /** What the core judges by; seconds as configured. */
  readonly options: AppOptions
  /** Global and own policy, merged. */
  readonly policy: PolicyOptions
  /** How its runners are started; null for servers that already run. */
  readonly launch: Launch | null
  /** Addresses of servers to adopt; null for runners that are started. */
  readonly urls: readonly string[] | null
  /** Changes when runners must be replaced: command, environment, folder or urls. */
  readonly revision: string
}

/** The whole configuration; seconds as configured, paths absolute. */
export interface Config extends Sections {
  /** The file it came from, absolute; null for the built-in demo. */
  readonly file: string | null
  /** Folder of journal, snapshots, logs and queue, absolute. */
  readonly dataDir: string
  /** The global policy alone, for apps that come later. */
  readonly policy: PolicyOptions
  readonly apps: ReadonlyMap<string, AppConfig>
  /** One sentence each, path of the field first. */
  readonly warnings: readonly string[]
}

/** Values from the command line; each wins over everything else. */
export interface ConfigFlags {
  readonly config?: string | undefined
  readonly port?: string | undefined
  readonly host?: string | undefined
  readonly dataDir?: string | undefined
  readonly keepRunners?: boolean | undefined
}

/** Where a configuration is read. */
export interface ConfigPlace {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The process's folder: where `health.config.*` is looked for. */
  readonly cwd: string
  /** The caller's folder, from which relative paths on the command line start (`INIT_CWD` under npm). */
  readonly caller: string
  /** Logs go to a terminal, where they are pretty unless the file says otherwise. */
  readonly terminal?: boolean
}

const portOf = (text: string | undefined, name: string): number | undefined => {
  if (text === undefined || text === '') return undefined
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new HealthError(
      'HEALTH_POLICY_INVALID',
      `${name} is "${text}"; allowed is a whole number from 0 to 65535.`,
      name,
    )
  }
  return port
}

/** Reads the configuration. Throws HealthError with the path, the value and what is allowed. */
export async function loadConfig(flags: ConfigFlags, place: ConfigPlace): Promise<Config> {
  const named = flags.config ?? (place.env['HEALTH_CONFIG'] || undefined)
  const file = named === undefined ? findConfigFile(place.cwd) : resolve(place.caller, named)
  const raw = file === null ? demoConfig : await readConfigFile(file)
  return resolveConfig(raw, file, flags, place)
}

/** Checks and completes what a file holds. `file` is null for the built-in demo, whose relative paths start at the process's folder. */
export function resolveConfig(
  raw: unknown,
  file: string | null,
  flags: ConfigFlags,
  place: ConfigPlace,
): Config {
  const warnings: string[] = []
  const tree = withEnvironment(raw, place.env, warnings)
  try {
    return resolveTree(tree, file, flags, place, warnings)
  } catch (error) {
    throw tree.hide(error)
  }
}

function resolveTree(
  tree: EnvironmentTree,
  file: string | null,
  flags: ConfigFlags,
  place: ConfigPlace,
  warnings: string[],
): Config {
  const base = file === null ? place.cwd : dirname(file)
  const { sections, dataDir, policy, apps: rawApps } = readSections(tree, place.env)
  const apps = readApps(
    rawApps,
    policy,
    file === null ? demoFolder : base,
    tree.fromEnvironment,
    warnings,
  )
  const listen = {
    host: flags.host ?? (place.env['HOST'] || sections.listen.host),
    port: portOf(flags.port, '--port') ?? portOf(place.env['PORT'], 'PORT') ?? sections.listen.port,
  }
  if (listen.host === '' || /[\s/]/.test(listen.host)) {
    throw new HealthError(
      'HEALTH_POLICY_INVALID',
      `listen.host is "${listen.host}"; allowed is a host name or an address.`,
      'listen.host',
    )
  }
  refuseOpen({ listen, auth: sections.auth })
  const atCaller = flags.dataDir ?? (place.env['HEALTH_DATA_DIR'] || undefined)
  return {
    ...sections,
    gpu: readGpu(sections.gpu, base, warnings),
    listen,
    logs: {
      ...sections.logs,
      format: formatOf(tree.value) ?? (place.terminal === true ? 'pretty' : 'json'),
    },
    shutdown: {
      ...sections.shutdown,
      keepRunners: flags.keepRunners ?? sections.shutdown.keepRunners,
    },
    file,
    dataDir: atCaller === undefined ? resolve(base, dataDir) : resolve(place.caller, atCaller),
    policy,
    apps,
    warnings,
  }
}

/** What the file says of the format, already checked; null when it says nothing. */
function formatOf(tree: unknown): Config['logs']['format'] | null {
  return (tree as { logs?: { format?: Config['logs']['format'] } }).logs?.format ?? null
}

/** Throws HEALTH_POLICY_INVALID when anybody on the network could do anything. */
export function refuseOpen({ listen, auth }: Pick<Config, 'listen' | 'auth'>): void {
  const { keys, readKeys, adminKeys } = auth
  if (keys.length + readKeys.length + adminKeys.length > 0 || isLoopback(listen.host)) return
  throw new HealthError(
    'HEALTH_POLICY_INVALID',
    `listen.host is "${listen.host}" and there is no key; without keys only a loopback address (127.0.0.1, ::1, localhost) is allowed. Set auth.keys.`,
    'listen.host',
  )
}
