/**
 * Turns configurations into facts for the fleet: which apps there are, which changed, which are gone. What becomes of their runners is the
 * core's to decide.
 */
import { checkOverridden, type Fleet, type HealthEvent, type PolicyOptions } from '@health/core'
import type { AppConfig, Config } from './config.ts'

type Untimed<E> = E extends unknown ? Omit<E, 'at' | 'seq'> : never
/** A fact about an app, before it has a time. */
export type AppFact = Untimed<Extract<HealthEvent, { type: 'app.configured' | 'app.removed' }>>

/** The fact that an app is configured so. */
export function configured(app: AppConfig): AppFact {
  return {
    type: 'app.configured',
    app: app.id,
    options: app.options,
    policy: app.policy,
    revision: app.revision,
    ...(app.urls !== null && { urls: app.urls }),
  }
}

/** The fact that the global tunables are what the configuration says; none when the fleet judges by them already, as it does after most starts. */
export function policyFacts(
  judged: PolicyOptions,
  { policy }: Config,
): readonly Untimed<Extract<HealthEvent, { type: 'policy.configured' }>>[] {
  return JSON.stringify(judged) === JSON.stringify(policy)
    ? []
    : [{ type: 'policy.configured', policy }]
}

/** Throws HEALTH_POLICY_INVALID when an override of before contradicts the configuration: asked before anything is told, so that nothing is half told. */
export function refuseOverridden(fleet: Fleet, { apps }: Config): void {
  for (const { id, options, policy } of apps.values()) checkOverridden(fleet, id, options, policy)
}

const same = (a: AppConfig, b: AppConfig): boolean =>
  JSON.stringify(configured(a)) === JSON.stringify(configured(b))

/** The facts that lead from what the fleet knows to what the configuration says. `before` is null at a start: then every app is told. */
export function appFacts(
  known: Iterable<string>,
  before: Config | null,
  now: Config,
): readonly AppFact[] {
  const facts: AppFact[] = []
  for (const app of known) if (!now.apps.has(app)) facts.push({ type: 'app.removed', app })
  for (const app of now.apps.values()) {
    const old = before?.apps.get(app.id)
    if (old === undefined || !same(old, app)) facts.push(configured(app))
  }
  return facts
}

/** Sections that are read once, at the start; a change of one is said and acts at the next. */
export const fixed = ['listen', 'dataDir', 'queue', 'journal', 'gpu', 'logs'] as const

/** What a reload cannot change, by name. */
export function needsRestart(before: Config, now: Config): readonly (typeof fixed)[number][] {
  return fixed.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]))
}
