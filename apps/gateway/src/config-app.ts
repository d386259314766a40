/**
 * Reads the apps of a configuration: how each one is started or reached, what it is judged by, and a revision that changes when its
 * runners must be replaced. It checks everything that can be checked without starting anything.
 */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import {
  HealthError,
  appOptions,
  healthCheckOptions,
  policyWarnings,
  resolvePolicy,
  nodeTunables,
  type AppOptions,
  type HealthCheckOptions,
  type Launch,
  type PolicyOptions,
} from '@health/core'
import type { AppConfig } from './config.ts'
import { convertFields, invalid, knownName, objectAt } from './config-field.ts'
import { policyFields } from './config-table.ts'
import { parseTarget } from './target.ts'

/** `owner/alias`, as callers write it in a path. */
export const appName: RegExp = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** Options of an app that are the host's, beside those of the core. */
const hostNames = ['command', 'urls', 'cwd', 'env', 'policy']
/** Variables that the gateway sets itself. */
const ownVariables = ['PORT', 'HEALTH_RUNNER_ID', 'HEALTH_APP', 'HEALTH_HEARTBEAT_URL']
const MAX_APPS = 10_000

/** All apps by id. `base` is the folder that relative paths start at. Warnings are appended. */
export function readApps(
  raw: Readonly<Record<string, unknown>>,
  policy: PolicyOptions,
  base: string,
  fromEnvironment: ReadonlySet<string>,
  warnings: string[],
): ReadonlyMap<string, AppConfig> {
  const names = Object.keys(raw)
  if (names.length === 0) warnings.push('apps: none; every call will be answered 404.')
  if (names.length > MAX_APPS) invalid('apps', names.length, `at most ${MAX_APPS} apps`)
  const apps = new Map<string, AppConfig>()
  const owners = new Map<string, string>()
  for (const id of names) {
    const app = readApp(id, raw[id], policy, base, fromEnvironment, warnings)
    for (const url of app.urls ?? []) {
      const other = owners.get(url)
      // Two apps would count the slots of one server twice.
      if (other !== undefined)
        invalid(`apps.${id}.urls`, url, `a server of no other app; ${other} has it`)
      owners.set(url, id)
    }
    apps.set(id, app)
  }
  return apps
}

function readApp(
  id: string,
  raw: unknown,
  policy: PolicyOptions,
  base: string,
  fromEnvironment: ReadonlySet<string>,
  warnings: string[],
): AppConfig {
  const path = `apps.${id}`
  if (!appName.test(id))
    invalid(
      'apps',
      id,
      'owner/alias, each of letters, digits, "-", "_" and "." and at most 64 long',
    )
  // `workflows` and `comfy` come before an owner in an address: no call would ever mean this app.
  if (parseTarget(id) === null)
    invalid('apps', id, 'an owner that is not a namespace of the protocol (workflows, comfy)')
  const given = objectAt(path, raw)
  for (const name of Object.keys(given))
    knownName(path, name, [...Object.keys(appOptions), ...hostNames])
  const {
    command,
    urls,
    cwd,
    env,
    policy: ownPolicy,
    healthCheck,
    ...rest
  } = convertFields(path, appOptions, given, fromEnvironment)
  const check = readHealthCheck(`${path}.healthCheck`, healthCheck, fromEnvironment)
  const options = { ...rest, ...(check !== undefined && { healthCheck: check }) } as AppOptions
  const own = convertFields(
    `${path}.policy`,
    policyFields,
    objectAt(`${path}.policy`, ownPolicy ?? {}),
    fromEnvironment,
  )
  const merged = { ...policy, ...own } as PolicyOptions
  resolvePolicy(options, merged, nodeTunables, path)
  warnings.push(...policyWarnings(options, path))
  const addresses = readUrls(`${path}.urls`, urls)
  if (addresses === null && command === undefined)
    invalid(
      `${path}.command`,
      undefined,
      'a list of program and arguments (or urls of servers that already run)',
    )
  if (addresses !== null) {
    for (const name of ['command', 'cwd', 'env'] as const) {
      if (given[name] !== undefined)
        invalid(
          `${path}.${name}`,
          'given beside urls',
          'one of both: a command starts runners, urls adopt them',
        )
    }
  }
  const launch = addresses === null ? readLaunch(path, { command, cwd, env }, base) : null
  return {
    id,
    options,
    policy: merged,
    launch,
    urls: addresses,
    revision: revisionOf(launch, addresses),
  }
}

function readHealthCheck(
  path: string,
  raw: unknown,
  fromEnvironment: ReadonlySet<string>,
): HealthCheckOptions | undefined {
  if (raw === undefined || raw === null) return undefined
  if (Array.isArray(raw)) {
    const paths = raw.map((check: unknown) =>
      typeof check === 'object' && check !== null && 'path' in check
        ? String(check.path)
        : JSON.stringify(check),
    )
    throw new HealthError(
      'HEALTH_CHECK_DUPLICATE',
      `${path} has ${raw.length} health checks (${paths.join(' and ')}); an app has one. Keep one, not in a list.`,
      path,
    )
  }
  return convertFields(
    path,
    healthCheckOptions,
    objectAt(path, raw),
    fromEnvironment,
  ) as unknown as HealthCheckOptions
}

function readLaunch(
  path: string,
  raw: { readonly command: unknown; readonly cwd: unknown; readonly env: unknown },
  base: string,
): Launch {
  const { command, cwd = '.', env = {} } = raw
  if (
    !Array.isArray(command) ||
    command.length === 0 ||
    command.some((part) => typeof part !== 'string' || part.includes('\0')) ||
    command[0] === ''
  ) {
    // An argument may be a secret, so it is not shown.
    throw new HealthError(
      'HEALTH_POLICY_INVALID',
      `${path}.command is not a command (not shown); allowed is a list of texts: the program, then its arguments; there is no shell.`,
      `${path}.command`,
    )
  }
  if (typeof cwd !== 'string' || cwd === '' || cwd.includes('\0'))
    return invalid(`${path}.cwd`, cwd, 'a folder')
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(objectAt(`${path}.env`, env))) {
    const at = `${path}.env.${name}`
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      invalid(`${path}.env`, name, 'names of letters, digits and "_"')
    if (ownVariables.includes(name))
      throw new HealthError(
        'HEALTH_POLICY_INVALID',
        `${at} is set by the gateway; leave it out.`,
        at,
      )
    const text = textOf(value)
    // The value is not shown: variables are where secrets live.
    if (text === null)
      throw new HealthError(
        'HEALTH_POLICY_INVALID',
        `${at} is not a text (its value is not shown); allowed is a text, a number or a truth value.`,
        at,
      )
    variables[name] = text
  }
  const [program, ...args] = command as [string, ...string[]]
  // Only a program with a slash is a path; one without is looked up in PATH.
  return {
    command: [program.includes('/') ? resolve(base, program) : program, ...args],
    cwd: resolve(base, cwd),
    env: variables,
  }
}

function readUrls(path: string, raw: unknown): readonly string[] | null {
  if (raw === undefined) return null
  if (!Array.isArray(raw) || raw.length === 0)
    return invalid(path, raw, 'a list of addresses such as http://127.0.0.1:9001')
  const urls = raw.map((text: unknown, index) => {
    const at = `${path}[${index}]`
    const url = typeof text === 'string' ? URL.parse(text) : null
    if (url?.protocol === 'https:')
      throw new HealthError(
        'HEALTH_NOT_IN_VERSION',
        `${at}: an https address is not in this version; allowed is http.`,
        at,
      )
    if (
      url?.protocol !== 'http:' ||
      url.username !== '' ||
      url.password !== '' ||
      url.search !== '' ||
      url.hash !== '' ||
      url.pathname !== '/'
    ) {
      // An address may carry a password, so it is not shown.
      throw new HealthError(
        'HEALTH_POLICY_INVALID',
        `${at} is not an address (not shown); allowed is http://HOST:PORT, without path, query or user.`,
        at,
      )
    }
    return url.origin
  })
  const twice = urls.find((url, index) => urls.indexOf(url) !== index)
  if (twice !== undefined) invalid(path, twice, 'each address once')
  return urls
}

/** A digest, because a launch may hold secrets and the journal holds the revision. */
function revisionOf(launch: Launch | null, urls: readonly string[] | null): string {
  const env =
    launch === null ? null : Object.entries(launch.env).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([launch?.command, launch?.cwd, env, urls]))
    .digest('hex')
    .slice(0, 12)
}

/** A plain value as the text of a variable; null for anything else. */
function textOf(value: unknown): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return `${value}`
  return typeof value === 'string' && !value.includes('\0') ? value : null
}
