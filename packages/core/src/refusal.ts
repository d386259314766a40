/**
 * What a machine may not use if it is to become a table: everything whose outcome is not known at load. It names the feature and the
 * state, and never repairs. What only whole configurations show (two delays, two regions leaving) is refused by `survey.ts`.
 */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition, UnknownAction } from 'xstate'
import { HealthError } from './error.ts'
import { list, statesOf } from './state-tree.ts'

/** A HEALTH_COMPILE error: which feature, in which state, and what to write instead. */
export function refusal(feature: string, state: string, advice: string): HealthError {
  return new HealthError(
    'HEALTH_COMPILE',
    `${feature} in state '${state}' cannot become a table: ${advice}`,
    state,
  )
}

/** Throws HEALTH_COMPILE for the first feature that a table cannot have: those of states, then those of transitions, in document order. */
export function refuse(machine: AnyStateMachine): void {
  const nodes = statesOf(machine.root)
  // First, since xstate hangs a route of an inner state on the root as a transition.
  for (const node of nodes) refuseNode(node)
  for (const node of nodes) {
    refuseDelays(node)
    const { entry, exit } = node.config
    for (const action of [...list(entry), ...list(exit), ...node.initial.actions])
      refuseAction(action, node)
    for (const transitions of node.transitions.values()) {
      for (const transition of transitions) {
        refuseGuard(transition.guard, node)
        for (const action of transition.actions) refuseAction(action, node)
      }
    }
  }
}

const nodeFeatures = {
  invoke: 'start it outside and send what it answers as an event.',
  always: 'put the choice into the transitions that lead here.',
  onDone: 'let the event that finishes the last child leave this state itself.',
  history: 'name the state to return to.',
  route: 'write the transition.',
} as const

function refuseNode(node: AnyStateNode): void {
  for (const [feature, advice] of Object.entries(nodeFeatures)) {
    if (Reflect.get(node.config, feature) !== undefined) throw refusal(feature, node.id, advice)
  }
  if (node.type === 'history') throw refusal('history', node.id, nodeFeatures.history)
  if (node.config.output !== undefined && node !== node.machine.root) {
    throw refusal('output', node.id, 'keep what matters in the context.')
  }
  for (const type of Object.keys(node.config.on ?? {})) {
    if (type.includes('*')) throw refusal(`wildcard event '${type}'`, node.id, 'list the events.')
    if (type.startsWith('xstate.'))
      throw refusal(`event '${type}'`, node.id, 'xstate keeps these names for itself.')
  }
}

function refuseDelays(node: AnyStateNode): void {
  for (const key of Object.keys(node.config.after ?? {})) {
    if (node.machine.implementations.delays[key] !== undefined) continue
    // xstate would take the delay as absent and fire at once.
    if (!(Number(key) >= 0))
      throw refusal(`after '${key}'`, node.id, 'it is neither a named delay nor milliseconds.')
  }
}

function refuseGuard(guard: AnyTransitionDefinition['guard'], node: AnyStateNode): void {
  if (guard === undefined) return
  if (typeof guard === 'function') {
    throw 'check' in guard
      ? combined(node)
      : refusal('inline guard', node.id, 'name it in setup({ guards }).')
  }
  const name = typeof guard === 'string' ? guard : guard.type
  const predicate: unknown = node.machine.implementations.guards[name]
  if (predicate === undefined) throw refusal(`guard '${name}'`, node.id, 'it is not implemented.')
  if (typeof predicate !== 'function' || 'check' in predicate) throw combined(node, name)
}

function combined(node: AnyStateNode, name?: string): HealthError {
  const which = name === undefined ? 'combined guard' : `combined guard '${name}'`
  return refusal(`${which} (and, or, not, stateIn)`, node.id, 'write one named function.')
}

function refuseAction(action: UnknownAction, node: AnyStateNode): void {
  if (typeof action === 'function') {
    if (!('type' in action))
      throw refusal('inline action', node.id, 'name it in setup({ actions }).')
    throw refusal(`inline ${builtin(action.type)}`, node.id, 'name it in setup({ actions }).')
  }
  const name = typeof action === 'string' ? action : action.type
  const body: unknown = node.machine.implementations.actions[name]
  if (typeof body !== 'function')
    throw refusal(`action '${name}'`, node.id, 'it is not implemented.')
  // Only xstate's own actions have `resolve`; of these only assign neither sends nor schedules anything.
  if ('resolve' in body && !('assignment' in body)) {
    const kind = 'type' in body ? builtin(body.type) : 'built-in action'
    throw refusal(
      `${kind} ('${name}')`,
      node.id,
      'write a named action that does nothing, and carry it out outside.',
    )
  }
}

function builtin(type: unknown): string {
  return String(type).replace('xstate.', '')
}
