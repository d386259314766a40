/** Walks a machine on xstate itself and on the compiled table side by side, and throws at the first edge on which they differ. */
import { deepStrictEqual } from 'node:assert/strict'
import type { AnyStateMachine, EventFrom, InputFrom } from 'xstate'
import { compile } from '../src/compile.ts'
import { interpret } from '../src/interpret.ts'
import type { Configuration, Expired, Performance, Plan, Start, Step, Table } from '../src/table.ts'

/** What was walked, so that a test can say what it must have seen. */
export interface Walk {
  /** Visited (configuration, context) pairs. */
  states: number
  /** Events given; of these, `moved` changed something. */
  edges: number
  moved: number
  readonly words: Set<string>
  readonly rules: Set<string>
  /** Names of guards that were looked at. */
  readonly looked: Set<string>
  /** True when the limit ended the walk, not the machine. */
  cut: boolean
}

/**
 * Compares `compile` with `interpret` on every edge reachable from every input by the events, breadth first: configuration, context
 * (as JSON), effects, delay, cleared, plan; and in place with pure, on both. Deadlines expire too, with the fields of the first event.
 * `limit`: visited states per input.
 */
export function equal<M extends AnyStateMachine>(
  machine: M,
  inputs: readonly InputFrom<M>[],
  events: readonly EventFrom<M>[],
  limit = 2_000,
): Walk {
  const walk: Walk = {
    states: 0,
    edges: 0,
    moved: 0,
    words: new Set(),
    rules: new Set(),
    looked: new Set(),
    cut: false,
  }
  const tables = [compile(machine), interpret(machine)] as const
  const [table, reference] = tables
  deepStrictEqual(table.configurations, reference.configurations)
  for (const [index, configuration] of table.configurations.entries()) {
    deepStrictEqual([configuration.index, table.find(configuration.word)], [index, configuration])
  }
  for (const input of inputs) {
    const begun = same(
      table.start(input),
      reference.start(input),
      show,
      `start ${JSON.stringify(input)}`,
    )
    visit(tables, begun, events, limit, walk)
  }
  return walk
}

type Tables<C, E extends { readonly type: string }> = readonly [Table<C, E>, Table<C, E>]
type State<C> = Pick<Start<C>, 'configuration' | 'context'>

function visit<C, E extends { readonly type: string }>(
  [table, reference]: Tables<C, E | Expired>,
  begun: State<C>,
  events: readonly E[],
  limit: number,
  walk: Walk,
): void {
  const queue: State<C>[] = [begun]
  const seen = new Set([keyOf(begun)])
  for (const { configuration, context } of queue) {
    walk.states++
    walk.words.add(configuration.word)
    for (const event of [...events, ...expiry(configuration, events)]) {
      const where = `${configuration.word} ${JSON.stringify(context)} on ${JSON.stringify(event)}`
      const before = JSON.stringify(context)
      const steps = [table, reference].map((each) => each.step(configuration, context, event))
      const next = same(steps[0]!, steps[1]!, show, where)
      deepStrictEqual(
        JSON.stringify(context),
        before,
        `${where}: step touched the context it was given`,
      )
      walk.edges++
      const decided = table.decide(configuration, context, event)
      deepStrictEqual(showPlan(decided), showPlan(next.plan), `${where}: decide differs from step`)
      if (decided === null) continue
      walk.moved++
      if (decided.rule !== null) walk.rules.add(decided.rule)
      for (const guard of decided.looked) walk.looked.add(guard)
      const inPlace = [table, reference].map((each) => perform(each, configuration, context, event))
      for (const step of inPlace)
        deepStrictEqual(step, show(next), `${where}: in place differs from pure`)
      const key = keyOf(next)
      if (seen.has(key)) continue
      if (seen.size >= limit) walk.cut = true
      else {
        seen.add(key)
        queue.push(next)
      }
    }
  }
}

function expiry<E>({ after }: Configuration, events: readonly E[]): Expired[] {
  return after === null ? [] : [{ ...events[0], type: after }]
}

/** Decide, then perform on a dirty performance: what an earlier plan left there must not shine through. */
function perform<C, E extends { readonly type: string }>(
  table: Table<C, E>,
  from: Configuration,
  context: C,
  event: E,
) {
  const plan = table.decide(from, context, event)
  if (plan === null) throw new Error('decided twice, differently')
  const on: Performance<C, E> = {
    context: { ...context },
    event,
    effects: [{ type: 'stale', params: 1 }],
    delay: 1,
    cleared: true,
  }
  table.perform(plan, on)
  return show({ ...on, configuration: plan.next, plan })
}

function same<T>(given: T, expected: T, shown: (value: T) => unknown, where: string): T {
  deepStrictEqual(shown(given), shown(expected), where)
  return given
}

function show<C>(step: Start<C> | Step<C>) {
  const { configuration, context, effects, delay } = step
  return {
    word: configuration.word,
    context: JSON.stringify(context),
    effects: JSON.stringify(effects),
    delay,
    ...('plan' in step ? { cleared: step.cleared, plan: showPlan(step.plan) } : {}),
  }
}

function showPlan(plan: Plan | null) {
  if (plan === null) return null
  const { next, rule, enforced, looked, assigns } = plan
  return { next: next.word, rule, enforced, looked: [...looked], assigns }
}

function keyOf<C>({ configuration, context }: State<C>): string {
  return `${configuration.word} ${JSON.stringify(context)}`
}
