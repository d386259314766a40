/**
 * How many nodes rules may take out of service: a share at once, and none at all after half of them failed together, until a
 * person looked. It never limits a person and never touches what is cordoned already.
 */
import type { Compared } from './decision.ts'
import type { NodePolicy } from './node-policy.ts'

/** What the breaker remembers. JSON. */
export interface BreakerState {
  /** Since when it is open; null: closed. */
  openedAt: number | null
  /** The last time a rule wanted each node out of service, within the window; at most one entry per node. */
  wanted: [node: string, at: number][]
}

/** What the breaker answers, with everything it read. */
export interface BreakerAnswer {
  readonly granted: boolean
  /** True when this question opened it. */
  readonly opened: boolean
  readonly compared: readonly Compared[]
}

/** A closed breaker. */
export function createBreaker(): BreakerState {
  return { openedAt: null, wanted: [] }
}

/**
 * May a rule take this node out of service? `out`: nodes that rules hold out of service now, without this one; `nodes`: all that
 * are not retired. A question that is refused counts as a failure of its node too: half of the nodes wanting to leave is what
 * the breaker is for, and the share alone would hide it.
 */
export function askBreaker(
  breaker: BreakerState,
  node: string,
  out: number,
  nodes: number,
  at: number,
  policy: NodePolicy,
): BreakerAnswer {
  breaker.wanted = breaker.wanted.filter(
    ([id, when]) => id !== node && at - when < policy.nodeBreakerWindowMs,
  )
  breaker.wanted.push([node, at])
  const failing = breaker.wanted.length
  const crowd = Math.max(
    policy.nodeBreakerOpenMin,
    Math.ceil((nodes * policy.nodeBreakerOpenPercent) / 100),
  )
  const limit = atOnce(nodes, policy)
  const opens =
    breaker.openedAt === null && nodes >= policy.nodeBreakerOpenNodes && failing >= crowd
  if (opens) breaker.openedAt = at
  const compared: Compared[] = [
    {
      name: 'nodesOut',
      value: out + 1,
      op: '<=',
      threshold: limit,
      option: 'nodeBreakerPercent',
    },
    {
      name: 'nodesFailing',
      value: failing,
      op: '<',
      threshold: nodes >= policy.nodeBreakerOpenNodes ? crowd : nodes + 1,
      option: 'nodeBreakerOpenPercent',
    },
  ]
  return { granted: breaker.openedAt === null && out + 1 <= limit, opened: opens, compared }
}

/** Would there be room for one more node? Asked again for nodes that were refused before; it counts nothing. */
export function hasRoom(
  breaker: BreakerState,
  out: number,
  nodes: number,
  policy: NodePolicy,
): boolean {
  return breaker.openedAt === null && out + 1 <= atOnce(nodes, policy)
}

function atOnce(nodes: number, policy: NodePolicy): number {
  return Math.max(1, Math.floor((nodes * policy.nodeBreakerPercent) / 100))
}

/** A person looked: rules may act again. True when it was open. */
export function closeBreaker(breaker: BreakerState): boolean {
  const open = breaker.openedAt !== null
  breaker.openedAt = null
  breaker.wanted = []
  return open
}
