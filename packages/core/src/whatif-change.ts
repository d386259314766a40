/**
 * A change of policy that a recording is asked about: which options it names, what each of them moves, and the policy of an app under
 * it. Whatever changes what would have been observed is refused by name: a journal holds answers, not the questions nobody asked.
 */
import { type AppOptions, appOptions } from './app-option.ts'
import { HealthError } from './error.ts'
import { type HealthCheckOptions, healthCheckOptions } from './health-check-option.ts'
import { nodeOptions, resolveNodes } from './node-bond.ts'
import { checkOption, nearest, type OptionSpec } from './option.ts'
import { type Policy, resolvePolicy } from './policy.ts'
import { rules } from './rule.ts'
import type { AppRecord, Fleet } from './state.ts'
import { type PolicyOptions, tunables } from './tunable.ts'

/** What an option moves, and so whether a journal can say what another value would have done. */
export type Moves = 'judges' | 'lowered' | 'observes' | 'pool' | 'requests' | 'ends'

/** Every option of an app, its health check and the policy. `lowered`: answerable downwards, because latencies are recorded. */
export const moves = {
  failureThreshold: 'judges',
  successThreshold: 'judges',
  startPeriodSeconds: 'judges',
  readyAfterFirstPass: 'judges',
  startupTimeoutSeconds: 'judges',
  capPercent: 'judges',
  capMin: 'judges',
  panicPercent: 'judges',
  panicMin: 'judges',
  panicCooldownSeconds: 'judges',
  doubtPerSecond: 'judges',
  doubtBurst: 'judges',
  selfPercent: 'judges',
  dryRun: 'judges',
  allowUnsafe: 'judges',
  drainTimeoutSeconds: 'judges',
  timeoutSeconds: 'lowered',
  tcpCheckTimeoutSeconds: 'lowered',
  path: 'observes',
  method: 'observes',
  callRegularly: 'observes',
  intervalSeconds: 'observes',
  suspectIntervalSeconds: 'observes',
  exclusive: 'observes',
  exclusiveWaitSeconds: 'observes',
  betweenRequestsSeconds: 'observes',
  progressTimeoutSeconds: 'observes',
  heartbeat: 'observes',
  maxConcurrentProbes: 'observes',
  probeJitterPercent: 'observes',
  requestTimeoutSeconds: 'observes',
  healthCheck: 'observes',
  minConcurrency: 'pool',
  maxConcurrency: 'pool',
  concurrencyBuffer: 'pool',
  concurrencyBufferPercent: 'pool',
  scalingDelaySeconds: 'pool',
  maxMultiplexing: 'pool',
  devices: 'pool',
  keepAliveSeconds: 'pool',
  directWaitSeconds: 'requests',
  backoffStepSeconds: 'pool',
  backoffMaxSeconds: 'pool',
  stableSeconds: 'pool',
  noCapacitySeconds: 'pool',
  startsPerSecond: 'pool',
  giveUpStarts: 'pool',
  giveUpWindowSeconds: 'pool',
  healthyDelaySeconds: 'pool',
  hardCancelAfterSeconds: 'requests',
  realtimeIdleSeconds: 'requests',
  skipRetryConditions: 'requests',
  retryConfig: 'requests',
  maxAttempts: 'requests',
  retryBaseSeconds: 'requests',
  retryMaxSeconds: 'requests',
  retryRunner429: 'requests',
  needsRetryScope: 'requests',
  poisonThreshold: 'requests',
  poisonQuarantine: 'requests',
  resultRetentionSeconds: 'requests',
  terminationGraceSeconds: 'ends',
} as const satisfies Readonly<Record<string, Moves>>

const why: Readonly<Record<Exclude<Moves, 'judges'>, string>> = {
  lowered: 'raised, it would have let answers come that the journal does not hold',
  observes: 'it changes what would have been observed',
  pool: 'it changes which runners there would have been',
  requests: 'it decides about requests, and what another attempt had answered is not recorded',
  ends: 'it changes how an end is carried out, never whether there is one',
}

type Values = Readonly<Record<string, unknown>>

/** A change: options by their configuration names, for every app and for single ones. */
export interface Change {
  readonly every: Values
  readonly apps: Readonly<Record<string, Values>>
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const specs: Readonly<Record<string, OptionSpec>> = {
  ...healthCheckOptions,
  ...appOptions,
  ...tunables,
  ...nodeOptions,
}

/** `inside`: of a section, in which there is no other one. */
function flat(json: unknown, path: string, inside = false): Values {
  const under = (name: string): string => (path === '' ? name : `${path}.${name}`)
  if (!isObject(json))
    throw new HealthError(
      'HEALTH_POLICY_INVALID',
      `${path || 'The change'} is no object of options.`,
      path,
    )
  const out: Record<string, unknown> = {}
  const put = (name: string, value: unknown, at: string): void => {
    if (Object.hasOwn(out, name) && JSON.stringify(out[name]) !== JSON.stringify(value))
      throw new HealthError('HEALTH_POLICY_INVALID', `${at} is said twice, with other values.`, at)
    out[name] = value
  }
  for (const [name, value] of Object.entries(json)) {
    if (!inside && (name === 'policy' || name === 'healthCheck')) {
      for (const [option, each] of Object.entries(flat(value, under(name), true)))
        put(option, each, `${under(name)}.${option}`)
      continue
    }
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
    if (spec === undefined)
      throw new HealthError(
        'HEALTH_POLICY_UNKNOWN',
        `${under(name)} is not an option; the nearest is ${nearest(name, Object.keys(specs))}.`,
        under(name),
      )
    checkOption(under(name), spec, value)
    put(name, value, under(name))
  }
  return out
}

/**
 * Reads a change: `{ failureThreshold: 5, apps: { "me/app": { startPeriodSeconds: 60 } } }`; options may also stand under `policy` and
 * `healthCheck`, as they do in a configuration. Throws HEALTH_POLICY_UNKNOWN and HEALTH_POLICY_INVALID with the path.
 */
export function readChange(json: unknown): Change {
  if (!isObject(json)) return { every: flat(json, ''), apps: {} }
  const { apps = {}, ...every } = json
  if (!isObject(apps))
    throw new HealthError('HEALTH_POLICY_INVALID', 'apps is no object of apps.', 'apps')
  return {
    every: flat(every, ''),
    apps: Object.fromEntries(
      Object.entries(apps).map(([app, options]) => [app, flat(options, `apps.${app}`)]),
    ),
  }
}

const resolvedName = (option: string): string =>
  option === 'heartbeat'
    ? 'heartbeatTtlMs'
    : option.endsWith('Seconds')
      ? `${option.slice(0, -7)}Ms`
      : option

/** Whether an option of a change has another value than the recording had; refuses what no journal can answer. */
function compare(option: string, was: Policy, is: Policy, app: string): boolean {
  const name = resolvedName(option) as keyof Policy
  if (JSON.stringify(was[name]) === JSON.stringify(is[name])) return false
  const ofNodes =
    option === 'dryRun' &&
    [...was.dryRun, ...is.dryRun].some(
      (rule) =>
        !Object.hasOwn(rules, rule) && was.dryRun.includes(rule) !== is.dryRun.includes(rule),
    )
  const moved: Moves | undefined = ofNodes
    ? undefined
    : Object.hasOwn(moves, option)
      ? moves[option as keyof typeof moves]
      : undefined
  if (moved === 'judges' || (moved === 'lowered' && Number(is[name]) < Number(was[name])))
    return true
  throw new HealthError(
    'HEALTH_REPLAY_REFUSED',
    `${option} cannot be asked of a journal (${app}): ${moved === undefined ? 'it judges nodes, not runners' : why[moved]}. Leave it out: only a fleet that runs with it can tell.`,
    option,
  )
}

/** The policy of an app under a change, and which options then differ. Throws HEALTH_REPLAY_REFUSED by the option's name. */
export function policyUnder(
  fleet: Fleet,
  app: AppRecord,
  change: Change,
): { readonly policy: Policy; readonly differs: readonly string[] } {
  const values: Values = { ...change.every, ...change.apps[app.id] }
  const check: Record<string, unknown> = {}
  const options: Record<string, unknown> = {}
  const policy: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(values)) {
    if (Object.hasOwn(healthCheckOptions, name)) check[name] = value
    else if (Object.hasOwn(appOptions, name)) options[name] = value
    else {
      if (Object.hasOwn(nodeOptions, name))
        compare(
          name,
          fleet.nodePolicy as unknown as Policy,
          resolveNodes(fleet, { ...fleet.globalOverrides, [name]: value }) as unknown as Policy,
          app.id,
        )
      policy[name] = value
    }
  }
  const { healthCheck } = app.options
  // An app without a health check has nothing that these options could judge.
  const merged: AppOptions = {
    ...app.options,
    ...options,
    ...(healthCheck !== undefined && {
      healthCheck: { ...healthCheck, ...check } as HealthCheckOptions,
    }),
  }
  const resolved = resolvePolicy(
    merged,
    {
      ...fleet.globalPolicy,
      ...app.configured,
      ...fleet.globalOverrides,
      ...app.overrides,
      ...policy,
    } as PolicyOptions,
    nodeOptions,
  )
  const asked = Object.keys(values).filter(
    (name) => healthCheck !== undefined || !Object.hasOwn(healthCheckOptions, name),
  )
  return {
    policy: resolved,
    differs: asked.filter((name) => compare(name, app.policy, resolved, app.id)),
  }
}
