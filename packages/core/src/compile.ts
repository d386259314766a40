/**
 * A machine as a table: every way through it is known at load, so deciding is a lookup and some guards, and performing is a list of
 * closures. xstate runs only while the table is built; `interpret.ts` is the same door on xstate itself, for comparison.
 */
import type { AnyStateMachine, AnyTransitionDefinition, ContextFrom, EventFrom } from 'xstate'
import { lookedAt, mapChoice, type Choice } from './choice.ts'
import { noEffects, standStill, verdictOf } from './plan.ts'
import { survey, type Act, type Crossing, type Way } from './survey.ts'
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

/** What guards, actions, params and delays are called with; one object for all calls, since none of them may keep it. */
interface Args {
  context: Context
  event: Event
}

type Callback = (args: Args, params?: unknown) => unknown
type Assignment = Callback | Context
type Deed = (on: Performance<Context, Event>, args: Args) => void

/** The bodies of the names in a machine, of the shapes that `refuse` has let through. */
interface Implementations {
  readonly guards: Readonly<Record<string, Callback>>
  readonly actions: Readonly<Record<string, { readonly assignment?: Assignment }>>
  readonly delays: Readonly<Record<string, number | Callback>>
}

interface CompiledPlan extends Plan {
  readonly deeds: readonly Deed[]
}

interface Candidate {
  /** Null: always. */
  readonly guard: Callback | null
  readonly params: unknown
}

interface Fork {
  readonly choice: Choice<Candidate>
  /** By outcome; null where nothing would change. */
  readonly plans: readonly (CompiledPlan | null)[]
}

/**
 * The machine as a table. Only the context's own keys are written, in place. Throws HEALTH_COMPILE for what a table cannot have:
 * see `refusal.ts`. About 10 ms for a machine of twenty configurations.
 */
export function compile<M extends AnyStateMachine>(
  machine: M,
): Table<ContextFrom<M>, EventFrom<M> | Expired> {
  return new CompiledTable(machine) as Table<Context, Event> as Table<
    ContextFrom<M>,
    EventFrom<M> | Expired
  >
}

class CompiledTable implements Table<Context, Event> {
  readonly configurations: readonly Configuration[]
  readonly find: (word: string) => Configuration
  readonly #forks: readonly ReadonlyMap<string, Fork>[]
  readonly #start: CompiledPlan
  readonly #context: (input: unknown) => Context
  readonly #args: Args = { context: {}, event: { type: '' } }

  constructor(machine: AnyStateMachine) {
    const { places, start, crossings } = survey(machine)
    const builder = new Builder(machine)
    this.configurations = places.all
    this.find = (word) => places.find(word)
    this.#start = builder.plan(start, [])
    this.#forks = crossings.map(
      (events, from) =>
        new Map(
          Array.from(events, ([type, crossing]) => [
            type,
            builder.fork(places.all[from]!, crossing),
          ]),
        ),
    )
    const { context } = machine.config
    this.#context = fitted((input) =>
      typeof context === 'function' ? context({ input }) : context,
    )
  }

  start(input: unknown): Start<Context> {
    const event = { type: 'xstate.init', input }
    const on = { context: this.#context(input), event, effects: [], delay: NaN, cleared: false }
    this.perform(this.#start, on)
    const { context, effects, delay } = on
    return { configuration: this.#start.next, context, effects, delay }
  }

  decide(configuration: Configuration, context: Context, event: Event): Plan | null {
    const fork = this.#forks[configuration.index]!.get(event.type)
    if (fork === undefined) return null
    const args = this.#args
    args.context = context
    args.event = event
    return fork.plans[outcomeOf(fork.choice, args)]!
  }

  perform(plan: Plan, on: Performance<Context, Event>): void {
    // Every plan that this table hands out is one of its own.
    const { deeds } = plan as CompiledPlan
    const args = this.#args
    args.context = on.context
    args.event = on.event
    if (on.effects.length > 0) on.effects.length = 0
    on.delay = NaN
    on.cleared = false
    for (let i = 0; i < deeds.length; i++) deeds[i]!(on, args)
  }

  step(configuration: Configuration, context: Context, event: Event): Step<Context> {
    const plan = this.decide(configuration, context, event)
    if (plan === null) return standStill({ configuration, context })
    const on = {
      context: plan.assigns ? { ...context } : context,
      event,
      effects: [],
      delay: NaN,
      cleared: false,
    }
    this.perform(plan, on)
    return {
      configuration: plan.next,
      context: on.context,
      effects: on.effects.length === 0 ? noEffects : on.effects,
      delay: on.delay,
      cleared: on.cleared,
      plan,
    }
  }
}

/** How the competition ends; see {@link Choice} for the number. Allocates nothing. */
function outcomeOf(choice: Choice<Candidate>, args: Args): number {
  const { regions, own } = choice
  if (regions.length > 0) {
    let outcome = 0
    let weight = 1
    for (let i = 0; i < regions.length; i++) {
      const region = regions[i]!
      outcome += outcomeOf(region, args) * weight
      weight *= region.outcomes
    }
    if (outcome > 0) return outcome
  }
  for (let i = 0; i < own.length; i++) {
    const { guard, params } = own[i]!
    if (guard === null || guard(args, params)) return choice.combinations + i
  }
  return 0
}

/** Turns what the survey found into plans and closures. */
class Builder {
  readonly #implementations: Implementations

  constructor(machine: AnyStateMachine) {
    this.#implementations = machine.implementations as Implementations
  }

  fork(from: Configuration, { choice, ways }: Crossing): Fork {
    return {
      choice: mapChoice(choice, (transition) => this.#candidate(transition)),
      plans: ways.map((way, outcome) => {
        if (way === null) return null
        const plan = this.plan(way, lookedAt(choice, outcome))
        return plan.next === from && plan.deeds.length === 0 && plan.rule === null ? null : plan
      }),
    }
  }

  plan({ next, acts, taken }: Way, looked: readonly string[]): CompiledPlan {
    const assigns = acts.some((act) => act.kind === 'action' && this.#assignment(act.type) !== null)
    const deeds = acts.map((act) => this.#deed(act))
    return { next, ...verdictOf(taken), looked, assigns, deeds }
  }

  #candidate({ guard }: AnyTransitionDefinition): Candidate {
    if (guard === undefined || typeof guard === 'function')
      return { guard: null, params: undefined }
    if (typeof guard === 'string') return { guard: this.#guard(guard), params: undefined }
    const predicate = this.#guard(guard.type)
    const params: unknown = guard.params
    if (!isCallback(params)) return { guard: predicate, params }
    return { guard: (args) => predicate(args, params(args)), params: undefined }
  }

  #guard(name: string): Callback {
    return this.#implementations.guards[name]!
  }

  #deed(act: Act): Deed {
    if (act.kind === 'arm') return armDeed(this.#delay(act.delay))
    if (act.kind === 'clear') return clearDeed
    const assignment = this.#assignment(act.type)
    return assignment === null
      ? effectDeed(act.type, act.params)
      : assignDeed(assignment, act.params)
  }

  #delay(delay: string | number): number | Callback {
    return typeof delay === 'number' ? delay : this.#implementations.delays[delay]!
  }

  /** What an assign writes: a value or function for every key, or one function for all. Null for an action that is no assign. */
  #assignment(type: string): Assignment | null {
    return this.#implementations.actions[type]!.assignment ?? null
  }
}

/**
 * A copy, even of what was computed: it is written in place from now on. Its fields lie side by side: what a machine builds from
 * its input piece by piece may have them in two places, which costs a hundred thousand contexts a cache line each.
 */
function fitted(compute: (input: unknown) => Context): (input: unknown) => Context {
  let keys: readonly string[] = []
  let layout: Context = {}
  return (input) => {
    const computed = compute(input)
    const wanted = Object.keys(computed)
    if (wanted.length !== keys.length || wanted.some((key, i) => key !== keys[i])) {
      keys = wanted
      // What is parsed is laid out for all of its keys at once, and its copies are as it is.
      layout = JSON.parse(
        `{${wanted.map((key) => `${JSON.stringify(key)}:null`).join()}}`,
      ) as Context
    }
    return Object.assign({ ...layout }, computed)
  }
}

function isCallback(value: unknown): value is Callback {
  return typeof value === 'function'
}

function clearDeed(on: Performance<Context, Event>): void {
  on.cleared = true
  on.delay = NaN
}

function armDeed(delay: number | Callback): Deed {
  if (!isCallback(delay)) return (on) => void (on.delay = delay)
  return (on, args) => void (on.delay = Number(delay(args)))
}

function effectDeed(type: string, params: unknown): Deed {
  if (isCallback(params)) return (on, args) => void on.effects.push({ type, params: params(args) })
  const effect: Effect = Object.freeze({ type, params })
  return (on) => void on.effects.push(effect)
}

function assignDeed(assignment: Assignment, params: unknown): Deed {
  const write = writer(assignment)
  if (isCallback(params)) return (on, args) => write(on.context, args, params(args))
  return (on, args) => write(on.context, args, params)
}

/** Writes an assignment into a context. All of it is computed from the old context before the first key is written. */
function writer(assignment: Assignment): (context: Context, args: Args, params: unknown) => void {
  if (isCallback(assignment)) {
    return (context, args, params) => void Object.assign(context, assignment(args, params))
  }
  const keys = Object.keys(assignment)
  const values = Object.values(assignment)
  const [key] = keys
  const [value] = values
  if (keys.length === 1 && key !== undefined) {
    if (!isCallback(value)) return (context) => void (context[key] = value)
    return (context, args, params) => void (context[key] = value(args, params))
  }
  const results: unknown[] = [...values]
  return (context, args, params) => {
    for (let i = 0; i < values.length; i++) {
      const each = values[i]
      if (isCallback(each)) results[i] = each(args, params)
    }
    for (let i = 0; i < keys.length; i++) context[keys[i]!] = results[i]
  }
}
