/** Walks over the states of a machine. It knows how xstate nests them and nothing of what they mean. */
import type { AnyStateNode } from 'xstate'

/** The state and all states within it, in document order. */
export function statesOf(node: AnyStateNode): AnyStateNode[] {
  return [node, ...childrenOf(node).flatMap(statesOf)]
}

/** The states directly within it, in document order. */
export function childrenOf(node: AnyStateNode): AnyStateNode[] {
  return Object.values(node.states)
}

/** The state itself and all that it lies in, outermost first. */
export function lineOf(node: AnyStateNode): AnyStateNode[] {
  return node.parent === undefined ? [node] : [...lineOf(node.parent), node]
}

/** xstate accepts one or many; here it is always many. */
export function list<T>(one: T | readonly T[] | undefined): readonly T[] {
  if (one === undefined) return []
  return Array.isArray(one) ? (one as readonly T[]) : [one as T]
}
