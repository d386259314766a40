/**
 * Finds every configuration of a machine and where every set of transitions leads, by asking xstate itself, once, on a copy whose
 * actions are marks. Exit and entry order, defaults and conflicts are never re-implemented here; xstate's internals are read only here
 * and in `interpret.ts`.
 */
import {
  StateMachine,
  createActor,
  createMachine,
  type AnyActorScope,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  type AnyTransitionDefinition,
  type UnknownAction,
} from 'xstate'
import { choiceOf, transitionsOf, type Choice } from './choice.ts'
import { Places } from './place.ts'
import { refusal, refuse } from './refusal.ts'
import { lineOf, list, statesOf } from './state-tree.ts'
import type { Configuration } from './table.ts'

/** One thing done on a way: a named action, arming the deadline of a state, or forgetting it. */
export type Act =
  | { readonly kind: 'action'; readonly type: string; readonly params: unknown }
  | { readonly kind: 'arm'; readonly delay: string | number }
  | { readonly kind: 'clear' }

/** Where a set of transitions leads. */
export interface Way {
  readonly next: Configuration
  /** In the order in which xstate carries them out. */
  readonly acts: readonly Act[]
  /** The transitions that were really taken: of two that conflict, xstate drops one. */
  readonly taken: readonly AnyTransitionDefinition[]
}

/** One event in one configuration: who competes, and the way of every outcome; null where the outcome is impossible. */
export interface Crossing {
  readonly choice: Choice
  readonly ways: readonly (Way | null)[]
}

/** All that can happen in a machine, whatever its guards say. */
export interface Survey {
  readonly places: Places
  readonly start: Way
  /** By configuration index, then by event type. */
  readonly crossings: readonly ReadonlyMap<string, Crossing>[]
}

type Mark =
  | Act
  | { readonly kind: 'leave'; readonly node: AnyStateNode }
  | { readonly kind: 'take'; readonly transition: AnyTransitionDefinition }

/** Walks the whole machine. Throws HEALTH_COMPILE when it uses what a table cannot have. */
export function survey(machine: AnyStateMachine): Survey {
  refuse(machine)
  const scout = new Scout(machine)
  const start = scout.start()
  const crossings: ReadonlyMap<string, Crossing>[] = []
  // `all` grows while it is walked: breadth first, events and outcomes in document order, so the indices are stable.
  for (const configuration of scout.places.all) crossings.push(cross(scout, configuration))
  return { places: scout.places, start, crossings }
}

/** An actor scope in which nothing runs: actions are handed to `record` and the actor in it is never started. */
export function inertScope(record: AnyActorScope['actionExecutor']): AnyActorScope {
  const self = createActor(createMachine({}))
  const nothing = (): void => {}
  return {
    self,
    system: self.system,
    id: '',
    sessionId: '',
    logger: nothing,
    defer: nothing,
    emit: nothing,
    stopChild: nothing,
    actionExecutor: record,
  }
}

function cross(scout: Scout, configuration: Configuration): ReadonlyMap<string, Crossing> {
  const crossings = new Map<string, Crossing>()
  if (configuration.final) return crossings
  const nodes = scout.places.nodesOf(configuration)
  const active = new Set(nodes)
  for (const type of new Set(nodes.flatMap((node) => [...node.transitions.keys()]))) {
    const choice = choiceOf(scout.root, active, type)
    if (choice === null) continue
    const ways = Array.from({ length: choice.outcomes }, (_, outcome) => {
      const transitions = transitionsOf(choice, outcome)
      if (transitions === null || transitions.length === 0) return null
      refuseRivals(scout, configuration, transitions)
      return scout.follow(configuration, transitions)
    })
    crossings.set(type, { choice, ways })
  }
  return crossings
}

/** Of two regions that both leave, xstate would silently let the one written first win: a verdict would be lost. */
function refuseRivals(
  scout: Scout,
  from: Configuration,
  transitions: readonly AnyTransitionDefinition[],
): void {
  if (transitions.length < 2) return
  const leaving = transitions.map((transition) => scout.leaving(from, transition))
  for (const [i, one] of transitions.entries()) {
    for (const [j, other] of transitions.entries()) {
      if (j <= i) continue
      const [above, mine, theirs] = fork(one.source, other.source)
      if (!leaving[i]!.has(mine) || !leaving[j]!.has(theirs)) continue
      const feature = `'${one.eventType}' in '${from.word}', where regions '${mine.key}' and '${theirs.key}' both leave,`
      throw refusal(feature, above.id, 'give the two ways out different events.')
    }
  }
}

/** The parallel state around two sources, and the region of each. */
function fork(one: AnyStateNode, other: AnyStateNode): [AnyStateNode, AnyStateNode, AnyStateNode] {
  const a = lineOf(one)
  const b = lineOf(other)
  const i = a.findIndex((node, depth) => node !== b[depth])
  return [a[i - 1]!, a[i]!, b[i]!]
}

/** The copy of the machine that is sent ahead: told which transitions to take, it reports what it passes. */
class Scout {
  readonly places: Places
  readonly root: AnyStateNode
  readonly #machine: AnyStateMachine
  readonly #marks: Mark[] = []
  readonly #scope = inertScope(({ type }) => this.#passed.push(this.#marks[Number(type)]!))
  // Kept, since a machine is surveyed at every start: many ways lead from one configuration.
  readonly #snapshots = new Map<Configuration, AnyMachineSnapshot>()
  readonly #left = new Map<Configuration, Map<AnyTransitionDefinition, ReadonlySet<AnyStateNode>>>()
  #passed: Mark[] = []
  #told: AnyTransitionDefinition[] = []

  constructor(machine: AnyStateMachine) {
    // Neither the context nor the output is computed: no input exists at load.
    const { context: _context, output: _output, ...config } = machine.config
    this.#machine = new StateMachine({ ...config, context: {} })
    this.#machine.getTransitionData = () => {
      const told = this.#told
      this.#told = []
      return told
    }
    this.root = this.#machine.root
    this.places = new Places()
    for (const node of statesOf(this.root)) this.#markNode(node)
  }

  start(): Way {
    this.#passed = []
    const snapshot = this.#machine.getInitialSnapshot(this.#scope)
    if (snapshot.status === 'error') throw snapshot.error
    return this.#report(snapshot)
  }

  follow(from: Configuration, transitions: readonly AnyTransitionDefinition[]): Way {
    return this.#report(this.#walk(from, transitions))
  }

  /** The states that one transition alone would leave. Where it leads is no discovery: it may never be taken alone. */
  leaving(from: Configuration, transition: AnyTransitionDefinition): ReadonlySet<AnyStateNode> {
    let known = this.#left.get(from)
    if (known === undefined) this.#left.set(from, (known = new Map()))
    let left = known.get(transition)
    if (left === undefined) {
      this.#walk(from, [transition])
      left = new Set(this.#passed.flatMap((mark) => (mark.kind === 'leave' ? [mark.node] : [])))
      known.set(transition, left)
    }
    return left
  }

  #walk(from: Configuration, transitions: readonly AnyTransitionDefinition[]): AnyMachineSnapshot {
    this.#passed = []
    this.#told = [...transitions]
    let snapshot = this.#snapshots.get(from)
    if (snapshot === undefined) {
      snapshot = this.#machine.resolveState({ value: from.value, context: {} })
      this.#snapshots.set(from, snapshot)
    }
    return this.#machine.transition(snapshot, { type: '' }, this.#scope)
  }

  #report(snapshot: AnyMachineSnapshot): Way {
    const acts: Act[] = []
    const taken: AnyTransitionDefinition[] = []
    for (const mark of this.#passed) {
      if (mark.kind === 'take') taken.push(mark.transition)
      else if (mark.kind !== 'leave') acts.push(mark)
    }
    return { next: this.places.at(snapshot._nodes, snapshot.status === 'done'), acts, taken }
  }

  #markNode(node: AnyStateNode): void {
    // xstate appends one raise to the entry and one cancel to the exit for every key of `after`.
    const delays = Object.keys(node.config.after ?? {}).map((key) =>
      Number.isNaN(Number(key)) ? key : Number(key),
    )
    node.entry = [
      ...list(node.config.entry).map((action) => this.#markAction(action)),
      ...delays.map((delay) => this.#mark({ kind: 'arm', delay })),
    ]
    node.exit = [
      this.#mark({ kind: 'leave', node }),
      ...list(node.config.exit).map((action) => this.#markAction(action)),
      ...delays.map(() => this.#mark({ kind: 'clear' })),
    ]
    node.initial.actions = node.initial.actions.map((action) => this.#markAction(action))
    for (const transition of [...node.transitions.values()].flat()) {
      const actions = transition.actions.map((action) => this.#markAction(action))
      transition.actions = [this.#mark({ kind: 'take', transition }), ...actions]
    }
  }

  #markAction(action: UnknownAction): string {
    // Functions were refused before.
    if (typeof action !== 'object')
      return this.#mark({ kind: 'action', type: String(action), params: undefined })
    return this.#mark({ kind: 'action', type: action.type, params: action.params })
  }

  #mark(mark: Mark): string {
    return String(this.#marks.push(mark) - 1)
  }
}
