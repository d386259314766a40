/**
 * The same door as `compile.ts`, on xstate itself: the reference that the table is compared with, about a hundred times slower.
 * xstate chooses, orders and assigns; here its actions are only written down, in one scope in which no actor ever runs.
 */
import type {
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyTransitionDefinition,
  ContextFrom,
  EventFrom,
  ExecutableActionObject,
} from 'xstate'
import { noEffects, standStill, verdictOf } from './plan.ts'
import type { Places } from './place.ts'
import { lineOf, statesOf } from './state-tree.ts'
import { inertScope, survey } from './survey.ts'
import type {
  Configuration,
  Effect,
  Expired,
  Performance,
  Plan,
  Start,
  Step,
  Table,
} from './table.ts'

type Context = Record<string, unknown>
type Event = { readonly type: string }

/** Sets our names apart from those of any machine. */
const MARK = '\u0000'

interface InterpretedPlan extends Plan {
  readonly from: Configuration
  readonly transitions: readonly AnyTransitionDefinition[]
}

/** What xstate did with one event. */
interface Run {
  readonly snapshot: AnyMachineSnapshot
  readonly plan: InterpretedPlan
  readonly effects: readonly Effect[]
  readonly delay: number
  readonly cleared: boolean
  readonly assigned: boolean
}

/** The machine behind the door of a table, run by xstate. Throws HEALTH_COMPILE for the same features as `compile`. */
export function interpret<M extends AnyStateMachine>(
  machine: M,
): Table<ContextFrom<M>, EventFrom<M> | Expired> {
  return new InterpretedTable(machine) as Table<Context, Event> as Table<
    ContextFrom<M>,
    EventFrom<M> | Expired
  >
}

class InterpretedTable implements Table<Context, Event> {
  readonly configurations: readonly Configuration[]
  readonly #places: Places
  readonly #observed: ObservedMachine

  constructor(machine: AnyStateMachine) {
    this.#places = survey(machine).places
    this.configurations = this.#places.all
    this.#observed = new ObservedMachine(machine)
  }

  find(word: string): Configuration {
    return this.#places.find(word)
  }

  start(input: unknown): Start<Context> {
    const { snapshot, actions } = this.#observed.start(input)
    const { effects, delay } = readActions(actions)
    return {
      configuration: this.#placeOf(snapshot),
      context: { ...snapshot.context },
      effects,
      delay,
    }
  }

  decide(configuration: Configuration, context: Context, event: Event): Plan | null {
    return this.#run(configuration, context, event, null)?.plan ?? null
  }

  perform(plan: Plan, on: Performance<Context, Event>): void {
    // Every plan that this table hands out is one of its own.
    const { from, transitions } = plan as InterpretedPlan
    const run = this.#run(from, on.context, on.event, transitions)
    if (run?.assigned) Object.assign(on.context, run.snapshot.context)
    on.effects.length = 0
    on.effects.push(...(run?.effects ?? noEffects))
    on.delay = run?.delay ?? NaN
    on.cleared = run?.cleared ?? false
  }

  step(configuration: Configuration, context: Context, event: Event): Step<Context> {
    const run = this.#run(configuration, context, event, null)
    if (run === null) return standStill({ configuration, context })
    const { snapshot, plan, effects, delay, cleared } = run
    return { configuration: plan.next, context: snapshot.context, effects, delay, cleared, plan }
  }

  /** Null when nothing changed. `told`: the transitions to take; null to let xstate choose. */
  #run(
    from: Configuration,
    context: Context,
    event: Event,
    told: readonly AnyTransitionDefinition[] | null,
  ): Run | null {
    if (from.final) return null
    const observed = this.#observed.transition(from, context, event, told)
    const { snapshot, actions, chosen, taken, asked } = observed
    const { effects, delay, cleared, silent } = readActions(actions)
    const next = this.#placeOf(snapshot)
    // An assign always makes a new context object.
    const assigned = snapshot.context !== context
    const verdict = verdictOf(taken)
    if (next.index === from.index && silent && !assigned && verdict.rule === null) return null
    const looked = asked
      .filter(({ transition }) => tookPart(transition, chosen))
      .map(({ guard }) => guard)
    const plan = { next, ...verdict, looked, assigns: assigned, from, transitions: chosen }
    return { snapshot, plan, effects, delay, cleared, assigned }
  }

  #placeOf(snapshot: AnyMachineSnapshot): Configuration {
    return this.#places.known(snapshot._nodes)
  }
}

/** A refusal led to what was chosen when it lies within the state that was chosen from; a region that stayed out does not. */
function tookPart(
  asked: AnyTransitionDefinition,
  chosen: readonly AnyTransitionDefinition[],
): boolean {
  const line = lineOf(asked.source)
  return chosen.some((transition) => line.includes(transition.source))
}

function readActions(actions: readonly ExecutableActionObject[]) {
  const effects: Effect[] = []
  let delay = NaN
  let cleared = false
  for (const { type, params } of actions) {
    if (type === 'xstate.raise') delay = Number(Reflect.get(Object(params), 'delay'))
    else if (type === 'xstate.cancel') [cleared, delay] = [true, NaN]
    else effects.push({ type, params })
  }
  return { effects, delay, cleared, silent: actions.length === 0 }
}

/** A copy of the machine that behaves like it and tells which guards were asked and which transitions were taken. */
class ObservedMachine {
  readonly #machine: AnyStateMachine
  readonly #transitions: AnyTransitionDefinition[] = []
  readonly #scope = inertScope((action) => this.#observe(action))
  #actions: ExecutableActionObject[] = []
  #asked: { readonly guard: string; readonly transition: AnyTransitionDefinition }[] = []
  #taken: AnyTransitionDefinition[] = []
  #chosen: readonly AnyTransitionDefinition[] = []
  #told: readonly AnyTransitionDefinition[] | null = null

  constructor(machine: AnyStateMachine) {
    this.#machine = machine.provide({})
    for (const node of statesOf(this.#machine.root)) {
      for (const transition of [...node.transitions.values()].flat()) this.#watch(transition)
    }
    const choose = this.#machine.getTransitionData.bind(this.#machine)
    this.#machine.getTransitionData = (snapshot, event) => {
      // Also called for xstate's own events that end a region; nothing may answer those.
      const transitions = this.#told ?? choose(snapshot, event)
      if (this.#told !== null) this.#told = []
      if (this.#chosen.length === 0) this.#chosen = transitions
      return [...transitions]
    }
  }

  start(input: unknown) {
    this.#reset(null)
    const snapshot = this.#machine.getInitialSnapshot(this.#scope, input)
    if (snapshot.status === 'error') throw snapshot.error
    return { snapshot, actions: this.#actions }
  }

  transition(
    from: Configuration,
    context: Context,
    event: Event,
    told: readonly AnyTransitionDefinition[] | null,
  ) {
    this.#reset(told)
    const before = this.#machine.resolveState({ value: from.value, context })
    const snapshot = this.#machine.transition(before, event, this.#scope)
    return {
      snapshot,
      actions: this.#actions,
      chosen: this.#chosen,
      taken: this.#taken,
      asked: this.#asked,
    }
  }

  #reset(told: readonly AnyTransitionDefinition[] | null): void {
    this.#actions = []
    this.#asked = []
    this.#taken = []
    this.#chosen = []
    this.#told = told
  }

  #observe(action: ExecutableActionObject): void {
    if (action.type.startsWith(MARK))
      this.#taken.push(this.#transitions[Number(action.type.slice(1))]!)
    else this.#actions.push(action)
  }

  #watch(transition: AnyTransitionDefinition): void {
    const mark = `${MARK}${this.#transitions.push(transition) - 1}`
    transition.actions = [mark, ...transition.actions]
    const { guard } = transition
    // Functions without a name were refused before.
    if (guard === undefined || typeof guard === 'function') return
    const name = typeof guard === 'string' ? guard : guard.type
    const { guards } = this.#machine.implementations
    const ask = guards[name]!
    guards[mark] = (args, params) => {
      this.#asked.push({ guard: name, transition })
      return ask(args, params)
    }
    transition.guard = typeof guard === 'string' ? mark : { ...guard, type: mark }
  }
}
