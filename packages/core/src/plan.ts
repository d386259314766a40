/** What a plan says about the transitions that are taken, the same for both implementations of a table. It decides nothing. */
import type { AnyTransitionDefinition } from 'xstate'
import type { Effect, Plan, Start } from './table.ts'

/** The effects of whatever has none. */
export const noEffects: readonly Effect[] = Object.freeze([])

/** Rule and enforcement of a plan, read from the metas of its transitions: the first one that has a rule speaks for all. */
export function verdictOf(
  taken: readonly AnyTransitionDefinition[],
): Pick<Plan, 'rule' | 'enforced'> {
  const speaking = taken.find((transition) => typeof transition.meta?.rule === 'string')
  if (speaking === undefined) return { rule: null, enforced: true }
  return { rule: speaking.meta.rule, enforced: speaking.meta.enforced !== false }
}

/** The step of an event that changes nothing. */
export function standStill<C>(at: Pick<Start<C>, 'configuration' | 'context'>) {
  return { ...at, effects: noEffects, delay: NaN, cleared: false, plan: null }
}
