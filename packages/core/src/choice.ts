/**
 * Which transitions compete for an event in one configuration, and a number for every way the competition can end. It holds the order
 * in which xstate asks (inner before outer, regions each for themselves); it evaluates no guard.
 */
import type { AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { refusal } from './refusal.ts'
import { childrenOf } from './state-tree.ts'

/**
 * A competition. First every region decides for itself; when none takes part, the first of `own` that holds is taken.
 * Outcome 0: nobody. Below `combinations`: the regions' outcomes as the digits of one number. From there on: `own`, in order.
 */
export interface Choice<T = AnyTransitionDefinition> {
  readonly regions: readonly Choice<T>[]
  readonly own: readonly T[]
  readonly combinations: number
  readonly outcomes: number
}

/** Outcomes of one event in one configuration end here; three regions with fifteen transitions each still fit. */
const OUTCOME_LIMIT = 4_096

/** The competition for an event among the active states, null when nobody there knows the event. Throws HEALTH_COMPILE over 4,096 outcomes. */
export function choiceOf(
  node: AnyStateNode,
  active: ReadonlySet<AnyStateNode>,
  type: string,
): Choice | null {
  const own = reachable(node.transitions.get(type) ?? [])
  const children = childrenOf(node)
    .filter((child) => active.has(child))
    .map((child) => choiceOf(child, active, type))
    .filter((choice) => choice !== null)
  const [first, second] = children
  if (first === undefined) return own.length === 0 ? null : choice(node, [], own)
  // One inner competitor and the node around it are one line of candidates.
  if (second === undefined) {
    return choice(node, first.regions, isCertain(first) ? first.own : [...first.own, ...own])
  }
  return choice(node, children, children.some(isCertain) ? [] : own)
}

/** The transitions of an outcome, regions in document order; null when the outcome is impossible, since an unguarded transition stands in its way. */
export function transitionsOf(choice: Choice, outcome: number): AnyTransitionDefinition[] | null {
  if (outcome >= choice.combinations) return [choice.own[outcome - choice.combinations]!]
  if (outcome === 0) return isCertain(choice) ? null : []
  const all: AnyTransitionDefinition[] = []
  for (const [region, digit] of digits(choice, outcome)) {
    const transitions = transitionsOf(region, digit)
    if (transitions === null) return null
    all.push(...transitions)
  }
  return all
}

/** The guards asked on the way to an outcome, in order: refusals within whatever was taken, then what held. Regions that stayed out are left out. */
export function lookedAt(choice: Choice, outcome: number): string[] {
  if (outcome < choice.combinations) {
    return digits(choice, outcome).flatMap(([region, digit]) => lookedAt(region, digit))
  }
  const asked = choice.own.slice(0, outcome - choice.combinations + 1)
  return [...choice.regions.flatMap(candidates), ...asked].flatMap(guardOf)
}

/** The same competition among other candidates. */
export function mapChoice<T, U>(choice: Choice<T>, change: (candidate: T) => U): Choice<U> {
  return {
    ...choice,
    regions: choice.regions.map((region) => mapChoice(region, change)),
    own: choice.own.map(change),
  }
}

function choice(
  node: AnyStateNode,
  regions: readonly Choice[],
  own: readonly AnyTransitionDefinition[],
): Choice {
  const combinations = regions.reduce((product, region) => product * region.outcomes, 1)
  const outcomes = combinations + own.length
  if (outcomes > OUTCOME_LIMIT)
    throw refusal(`${outcomes} outcomes of one event`, node.id, `${OUTCOME_LIMIT} is the limit.`)
  return { regions, own, combinations, outcomes }
}

/** What comes after an unguarded transition is never asked. */
function reachable(
  transitions: readonly AnyTransitionDefinition[],
): readonly AnyTransitionDefinition[] {
  const open = transitions.findIndex((transition) => transition.guard === undefined)
  return open < 0 ? transitions : transitions.slice(0, open + 1)
}

/** True when somebody always takes part. */
function isCertain(choice: Choice): boolean {
  const last = choice.own.at(-1)
  return (last !== undefined && last.guard === undefined) || choice.regions.some(isCertain)
}

function digits(choice: Choice, outcome: number): [Choice, number][] {
  let rest = outcome
  return choice.regions.map((region) => {
    const digit = rest % region.outcomes
    rest = (rest - digit) / region.outcomes
    return [region, digit]
  })
}

function candidates(choice: Choice): AnyTransitionDefinition[] {
  return [...choice.regions.flatMap(candidates), ...choice.own]
}

function guardOf({ guard }: AnyTransitionDefinition): string[] {
  // Functions without a name were refused before.
  if (guard === undefined || typeof guard === 'function') return []
  return [typeof guard === 'string' ? guard : guard.type]
}
