/**
 * Why a decision was taken: the causal chain in plain words, and the nearest policy under which it would not have been, proved by a
 * replay. It reads the record; it never guesses.
 */
import type { Decision } from './decision.ts'
import { describe, tellDecision } from './describe.ts'
import type { HealthEvent } from './event.ts'
import { type Counterfactual, nearestPolicy } from './nearest-policy.ts'
import type { Recording } from './replay.ts'
import { whyNone } from './tunable-number.ts'

/** What is known about a subject: its decisions, the events they cite, and, for the proof, a recording that covers its life. */
export interface History {
  readonly decisions: readonly Decision[]
  readonly events: readonly HealthEvent[]
  readonly recording?: Recording | null
  /** Events that no decision cites: those near the decision are shown beside it, as an Xid beside the 503 of its runner. */
  readonly beside?: readonly HealthEvent[]
}

/** Each number was tried, and the decision stood or its like took its place. */
const NOT_ONE =
  'no single policy number would have changed this: a replay tried each that was compared'

/** How far apart two accounts of one moment may be, in ms: a runner answers at once, a driver's word may come by the next sample. */
const SAME_MOMENT_MS = 30_000

/** One link of the chain. `type`: the event's type, or the rule of a decision. */
export interface Link {
  readonly seq: number
  readonly at: number
  readonly type: string
  readonly text: string
}

/** Why, and what if. */
export interface Explanation {
  readonly kind: 'runner' | 'request' | 'node'
  readonly id: string
  readonly decision: Decision
  readonly chain: readonly Link[]
  /** null: no policy number would have changed it (a fact of death), or none could be proved. */
  readonly counterfactual: Counterfactual | null
}

/** Decisions that only carry out an earlier one. */
const consequences: ReadonlySet<string> = new Set([
  'stop.exited',
  'stop.grace',
  'start.begun',
  'start.granted',
  'node.drain',
])

/** Decisions that one chain shows at most, the newest; and of those that followed, the oldest. */
const LINKS = 50
const AFTER = 3

/**
 * The decisions that led to one. Of a runner: the same life, resting on the same events, and why it drained. Of a request: all its attempts. Of a node:
 * since it was last healthy.
 */
function chainOf(history: History, decision: Decision): readonly Decision[] {
  const cited = new Set(decision.events)
  const { kind, id, incarnation } = decision.subject
  const before = history.decisions.filter(
    ({ subject, seq }) => subject.kind === kind && subject.id === id && seq <= decision.seq,
  )
  if (kind === 'request') return before.slice(-LINKS)
  if (kind === 'node') {
    const well = before.findLastIndex(({ to, seq }) => to === 'healthy' && seq < decision.seq)
    return before.slice(well + 1).slice(-LINKS)
  }
  const life = before.filter(({ subject }) => subject.incarnation === incarnation)
  const drained = drains(decision.from)
    ? life.findLast(({ from, to }) => drains(to) && !drains(from))
    : undefined
  return life
    .filter((each) => {
      if (each === decision || each === drained) return true
      return each.events.some((event) => cited.has(event))
    })
    .slice(-LINKS)
}

/** Another runner's fact says whose it is. An attempt of a request says so itself. */
function whoseOf(event: HealthEvent, { kind, id }: { kind: string; id: string }): string {
  if (!('runner' in event) || event.runner === '' || event.runner === id) return ''
  return kind === 'request' && event.type === 'attempt.ended' ? '' : `runner ${event.runner}: `
}

const drains = (word: string): boolean => word.endsWith('+draining')

/** Explains the last verdict about a subject; null when nothing is known of it. */
export function explain(
  history: History,
  subject: { readonly kind: 'runner' | 'request' | 'node'; readonly id: string },
): Explanation | null {
  const mine = history.decisions.filter(
    (each) => each.subject.kind === subject.kind && each.subject.id === subject.id,
  )
  const decision = mine.findLast((each) => !consequences.has(each.rule)) ?? mine.at(-1)
  if (decision === undefined) return null
  const told = [
    ...chainOf(history, decision),
    // What only carried it out is the end of the story.
    ...mine.filter(({ seq }) => seq > decision.seq).slice(0, AFTER),
  ]
  const cited = new Set(told.flatMap((each) => each.events))
  // An order that waited for a successor was carried out by the successor's facts: who gave it is in none of them.
  const order = history.events.findLast(
    ({ type, at }) => type === decision.rule && at <= decision.at,
  )
  if (order?.seq !== undefined) cited.add(order.seq)
  const links: (Link & { readonly order: number })[] = []
  const add = (event: HealthEvent, before = ''): void => {
    const { seq = 0, at, type } = event
    const text = `${before}${whoseOf(event, subject)}${describe(event, subject.kind)}`
    links.push({ seq, at, type, text, order: 0 })
  }
  for (const event of history.beside ?? [])
    if (!cited.has(event.seq ?? 0) && Math.abs(event.at - decision.at) <= SAME_MOMENT_MS)
      add(event, 'at the same moment: ')
  for (const event of history.events)
    if (event.seq !== undefined && cited.has(event.seq)) add(event)
  for (const each of told)
    links.push({
      seq: each.events.at(-1) ?? 0,
      at: each.at,
      type: each.rule,
      text: tellDecision(each),
      order: each.seq,
    })
  links.sort((a, b) => a.at - b.at || a.seq - b.seq || a.order - b.order)
  const chain: Link[] = links.map(({ order: _, ...link }) => link)
  const explanation: Explanation = { ...subject, decision, chain, counterfactual: null }
  const { recording } = history
  return recording === undefined || recording === null
    ? conclude(explanation, null, false)
    : conclude(explanation, nearestPolicy(recording, decision), true)
}

/**
 * The end of an explanation: the nearest policy that a search found, or in plain words why there is none. `searched`: a recording was
 * there to search in.
 */
export function conclude(
  explanation: Explanation,
  counterfactual: Counterfactual | null,
  searched: boolean,
): Explanation {
  const { decision, chain } = explanation
  if (counterfactual !== null) return { ...explanation, counterfactual }
  const text = whyNone(decision) ?? (searched ? NOT_ONE : null)
  if (text === null) return explanation
  const { at, rule: type, events } = decision
  return { ...explanation, chain: [...chain, { seq: events.at(-1) ?? 0, at, type, text }] }
}
