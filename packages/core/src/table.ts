/**
 * The door of the engine: what a machine looks like once it is a table of configurations and plans. It only names shapes;
 * `compile` (fast) and `interpret` (xstate itself, the reference) are its two implementations.
 */
import type { StateValue } from 'xstate'

/** One configuration of a machine: the set of active states, named by one word. */
export interface Configuration {
  /** Dense and stable for one machine version: the order of first discovery, breadth first from the start. */
  readonly index: number
  /** The words of its nodes (`meta.word`), plain words first, then the `+…` ones: `ready`, `failing+draining`. */
  readonly word: string
  /** The same, as xstate writes it. */
  readonly value: StateValue
  /** Keys of all active nodes below the root, for example `serving`, `duty`, `open`, `health`, `ready`. */
  readonly states: ReadonlySet<string>
  /** The metas of the active nodes merged; the inner node wins. */
  readonly meta: Readonly<Record<string, unknown>>
  /** Event type of its one delayed transition (`xstate.after.<key>.<node id>`), null when it has none. */
  readonly after: Expired['type'] | null
  /** True when the machine is done here: nothing is decided any more. */
  readonly final: boolean
}

/** A named action that changes nothing by itself: an order to be carried out elsewhere. */
export interface Effect {
  readonly type: string
  /** What the machine wrote as `params`, computed when it was a function; undefined when there were none. */
  readonly params: unknown
}

/** One verdict's way through the machine: what happens when this set of transitions is taken. */
export interface Plan {
  readonly next: Configuration
  /** `meta.rule` of the first transition taken that has one. */
  readonly rule: string | null
  /** `meta.enforced !== false` of the transition that gave the rule. */
  readonly enforced: boolean
  /** Names of the guards evaluated on the way, in order, for every region that took part: those that refused, then the one that held. */
  readonly looked: readonly string[]
  /** True when the context is written. */
  readonly assigns: boolean
}

/** What performing a plan needs and produces; owned and reused by the caller. `perform` resets everything but `context` and `event`. */
export interface Performance<C, E> {
  /** Mutated in place. */
  context: C
  event: E
  /** Emptied first, then filled in order. */
  effects: Effect[]
  /** Milliseconds of the deadline armed, NaN when none was. */
  delay: number
  /** True when a deadline was left: forget it, then arm `delay` if there is one. */
  cleared: boolean
}

/** The outcome of {@link Table.start}. */
export interface Start<C> {
  readonly configuration: Configuration
  readonly context: C
  readonly effects: readonly Effect[]
  /** Milliseconds of the deadline armed, NaN when none was. */
  readonly delay: number
}

/** The outcome of {@link Table.step}. */
export interface Step<C> extends Start<C> {
  readonly cleared: boolean
  /** Null when the event changed nothing; configuration and context are then the ones given. */
  readonly plan: Plan | null
}

/** The event of an expired deadline, which a machine's own event type does not list. It may carry what the machine's events carry. */
export interface Expired {
  readonly type: `xstate.after.${string}`
  readonly [field: string]: unknown
}

/** A machine as configurations and plans. */
export interface Table<C, E extends { readonly type: string }> {
  /** All that can be reached, found at load. */
  readonly configurations: readonly Configuration[]
  /** The initial configuration with its entry actions performed. */
  start(input: unknown): Start<C>
  /** Which transition would be taken; null when the event changes nothing. Does nothing. */
  decide(configuration: Configuration, context: C, event: E): Plan | null
  /** Carries out a plan that the same table decided, on a context that the caller owns. */
  perform(plan: Plan, on: Performance<C, E>): void
  /** Pure form: a new context, nothing shared is touched. */
  step(configuration: Configuration, context: C, event: E): Step<C>
  /** The configuration of this word. Throws HEALTH_SNAPSHOT_FORMAT naming the word when it does not exist. */
  find(word: string): Configuration
}
