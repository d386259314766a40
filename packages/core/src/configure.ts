/**
 * What configuration means for the fleet: apps come, change and go, tunables are overridden. Everything is resolved and checked
 * before anything moves; how many runners follow is the pool's.
 */
import { HealthError } from './error.ts'
import type { HealthEvent } from './event.ts'
import { nodeOptions, nodePolicyOf, resolveNodes } from './node-bond.ts'
import { type AppOptions } from './app-option.ts'
import { checkOptions } from './option.ts'
import { resolvePolicy, type Policy } from './policy.ts'
import { tunables, type PolicyOptions } from './tunable.ts'
import { limitProbes, watchRare } from './probe.ts'
import { AppRecord, Fleet, type RunnerRecord, takeSlot } from './state.ts'
import { nameFor } from './successor.ts'
import { cancelProbe, touch } from './give.ts'
import { watchPanic } from './passage.ts'
import { spareHeld, tell } from './tell.ts'
import { tryAgain } from './verdict.ts'
import { traits } from './word.ts'

/** Resolves and checks what a fact carries, before anything moves. */
export function prepare(
  fleet: Fleet,
  event: HealthEvent,
): readonly (readonly [AppRecord | null, Policy])[] {
  if (event.type === 'app.configured') {
    const app = fleet.apps.get(event.app) ?? null
    return [
      [
        app,
        resolve(
          fleet.globalPolicy,
          event.options,
          event.policy,
          app?.overrides ?? {},
          fleet.globalOverrides,
        ),
      ],
    ]
  }
  if (event.type === 'node.configured' && event.policy !== undefined)
    nodePolicyOf({ ...event.policy, ...fleet.globalOverrides })
  if (event.type === 'policy.configured') {
    const { policy } = event
    checkOptions('policy', { ...tunables, ...nodeOptions }, { ...policy })
    resolveNodes(fleet, fleet.globalOverrides, policy)
    resolve(policy, {}, {}, {}, fleet.globalOverrides)
    return [...fleet.apps.values()].map(
      (app) =>
        [
          app,
          resolve(policy, app.options, app.configured, app.overrides, fleet.globalOverrides),
        ] as const,
    )
  }
  if (event.type !== 'policy.changed') return []
  const change: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(event.change)) if (value !== null) change[name] = value
  checkOptions('', { ...tunables, ...nodeOptions }, change)
  for (const name of Object.keys(event.change))
    checkOptions('', { ...tunables, ...nodeOptions }, { [name]: undefined })
  if (event.app !== null && !fleet.apps.has(event.app))
    throw new HealthError('HEALTH_EVENT_INVALID', `There is no app ${event.app}.`, 'app')
  const global =
    event.app === null ? merged(fleet.globalOverrides, event.change) : fleet.globalOverrides
  resolveNodes(fleet, global)
  // Also where there is no app to refuse it for.
  if (event.app === null) resolve(fleet.globalPolicy, {}, {}, {}, global, '')
  return [...fleet.apps.values()]
    .filter((app) => event.app === null || app.id === event.app)
    .map(
      (app) =>
        [
          app,
          resolve(
            fleet.globalPolicy,
            app.options,
            app.configured,
            event.app === null ? app.overrides : merged(app.overrides, event.change),
            global,
            // What is named is a field of the change, not one of a file.
            '',
          ),
        ] as const,
    )
}

export const merged = (
  old: Readonly<Record<string, unknown>>,
  change: Readonly<Record<string, unknown>>,
): Record<string, unknown> =>
  Object.fromEntries(Object.entries({ ...old, ...change }).filter(([, value]) => value !== null))

/**
 * Throws HEALTH_POLICY_INVALID when what people have overridden does not go with an app's configuration, which is valid by itself.
 * `policy`: everything that is configured for it, global tunables included. Nothing moves.
 */
export function checkOverridden(
  fleet: Fleet,
  app: string,
  options: AppOptions,
  policy: PolicyOptions,
): void {
  try {
    resolve(policy, options, {}, fleet.apps.get(app)?.overrides ?? {}, fleet.globalOverrides)
  } catch (error) {
    if (!(error instanceof HealthError)) throw error
    throw new HealthError(
      error.code,
      `${app}: ${error.message} An override says otherwise than the configuration: take it back with null (PUT /v1/policy) before the configuration changes.`,
      error.path,
    )
  }
}

function resolve(
  base: PolicyOptions,
  options: AppOptions,
  configured: PolicyOptions,
  own: Readonly<Record<string, unknown>>,
  global: Readonly<Record<string, unknown>>,
  tunablesAt?: string,
): Policy {
  return resolvePolicy(
    options,
    {
      ...base,
      ...configured,
      ...global,
      ...own,
    } as PolicyOptions,
    nodeOptions,
    '',
    tunablesAt,
  )
}

export function drainAll(
  fleet: Fleet,
  app: AppRecord,
  reason: 'app_removed' | 'shutdown',
  rule: string,
): void {
  fleet.dirty.add(app)
  for (const runner of app.runners) {
    const inFlight = traits(runner.configuration).serving ? -1 : 0
    tell(fleet, runner, {
      type: 'drain.ordered',
      reason,
      rule,
      inFlight,
      at: fleet.now,
      seq: fleet.seq,
    })
  }
}

export function configure(
  fleet: Fleet,
  event: Extract<HealthEvent, { type: 'app.configured' }>,
  policy: Policy,
): void {
  let app = fleet.apps.get(event.app)
  if (app === undefined) {
    const slot = takeSlot(fleet)
    app = new AppRecord(event.app, slot, event.options, event.policy, policy, event.revision)
    fleet.owners[slot] = app
    const former = fleet.former.get(event.app)
    fleet.former.delete(event.app)
    app.name = former?.name ?? nameFor(fleet, event.app)
    fleet.apps.set(event.app, app)
    if (former !== undefined) {
      app.placeCount = former.placeCount
      app.runnerCount = former.runnerCount
      app.gone.push(...former.gone)
    }
  }
  if (app.revision !== event.revision) {
    app.rolling = true
    tryAgain(fleet, app)
  }
  app.removed = false
  app.options = event.options
  app.configured = event.policy
  app.revision = event.revision
  app.urls = event.urls ?? null
  app.urlsStale = true
  adopt(fleet, app, policy)
}

/** Regular checks are made no more: one in flight is called back, and what they counted is void. */
function endChecks(fleet: Fleet, runner: RunnerRecord): void {
  if (runner.flying > 0 && runner.flyingKind === 'regular') {
    cancelProbe(fleet, runner)
    // A check that waited for its answer need wait no more.
    if (runner.wanted !== null) fleet.asked.push(runner)
  }
  const { signal, strikes } = runner.context
  if (strikes.length > 0 && (signal === 'probe' || runner.app.policy.heartbeatTtlMs === null))
    tell(fleet, runner, { type: 'checks.ended', at: fleet.now, seq: fleet.seq })
}

/** New numbers judge from the next event on; counters stay, armed deadlines keep their time. */
export function adopt(fleet: Fleet, app: AppRecord, policy: Policy): void {
  app.policy = policy
  limitProbes(fleet)
  for (const runner of app.runners) {
    touch(fleet, runner)
    ;(runner.context as { policy: Policy }).policy = policy
    const { serving, stage } = traits(runner.configuration)
    if (!policy.hasCheck || !(policy.callRegularly || stage === 'starting'))
      endChecks(fleet, runner)
    // Its port is open, and no pass is needed any more.
    if (stage === 'starting' && runner.context.opened && !policy.readyAfterFirstPass)
      tell(fleet, runner, { type: 'port.opened', at: fleet.now, seq: fleet.seq })
    if (
      serving &&
      policy.hasCheck &&
      policy.callRegularly &&
      Number.isNaN(fleet.probes.due(runner.slot))
    )
      fleet.probes.set(runner.slot, fleet.now)
    // Heartbeats and checks between requests may be what was switched on.
    if (serving) watchRare(fleet, runner, false)
  }
  app.seatsStale = true
  spareHeld(fleet, app)
  watchPanic(fleet, app)
  fleet.dirty.add(app)
}

/** What an app without options of its own would be judged by: the global tunables, overrides included. */
export function globalPolicyOf(fleet: Fleet): Policy {
  return resolve(fleet.globalPolicy, {}, {}, {}, fleet.globalOverrides)
}
