/**
 * Which numbers of the policy a decision was compared with, and which way each would have to be turned for its comparison to come out
 * otherwise. It reads one decision and proves nothing; where there is none it says in plain words why.
 */
import type { Compared, Decision } from './decision.ts'
import { signalTable, type SignalLine } from './gpu-signal.ts'
import { nodeTunables } from './node-policy.ts'
import { numberSpec, scaleOf, walk } from './policy-number.ts'
import { type Rule, rules } from './rule.ts'

/** One number that may be turned. */
export interface Turn {
  /** Its name in the configuration. */
  readonly option: string
  readonly up: boolean
  /** The reading that it must reach, in its own unit; null where the limit is derived from it and only trying tells. */
  readonly limit: number | null
  /** It must pass the reading, not only reach it. */
  readonly past: boolean
}

/** Only this rule counts several checks: which of them counted is in its life, not in the decision. */
export const COUNTS = 'health.threshold'

const lives: ReadonlySet<string> = new Set([
  'failureThreshold',
  'successThreshold',
  'startPeriodSeconds',
  'startupTimeoutSeconds',
])

/** The breaker of nodes is a rule with numbers of its own; asked for only where it is what withheld. The last one is made smaller. */
const breaker = [
  'nodeBreakerPercent',
  'nodeBreakerOpenPercent',
  'nodeBreakerOpenMin',
  'nodeBreakerOpenNodes',
  'nodeBreakerWindowSeconds',
] as const satisfies readonly (keyof typeof nodeTunables)[]
const BREAKER = 'node.breaker'

/** Why an ending by this rule is a fact that no number of a policy moves; undefined when it is none. */
export function factOf(rule: string): string | undefined {
  const known = (rules as Readonly<Record<string, Rule>>)[rule]?.fact
  if (known !== undefined) return known
  const signal = (signalTable as Readonly<Record<string, SignalLine>>)[rule]
  // How many samples a device may be missing from is a number; that the driver calls it lost is none.
  return signal?.doubt === false && rule !== 'lost' ? 'the driver states it' : undefined
}

function belongs(decision: Decision, option: string): boolean {
  switch (decision.subject.kind) {
    case 'runner':
      return lives.has(option)
    case 'request':
      return numberSpec(option) !== null
    case 'node':
      return Object.hasOwn(nodeTunables, option) && !option.startsWith('nodeBreaker')
    default:
      return decision.subject.kind satisfies never
  }
}

/** Whether a comparison came out true. */
export const holds = ({ value, op, threshold }: Compared): boolean =>
  op === '<'
    ? value < threshold
    : op === '<='
      ? value <= threshold
      : op === '>'
        ? value > threshold
        : value >= threshold

/** How an option must be turned for a comparison to come out the other way. */
function turned(compared: Compared, option: string): Turn {
  const { op, value } = compared
  const held = holds(compared)
  const small = op === '<' || op === '<='
  // At the limit itself `<` and `>` do not hold, `<=` and `>=` do.
  const past = held ? op === '<=' || op === '>=' : op === '<' || op === '>'
  return { option, up: small !== held, limit: value / scaleOf(option), past }
}

/** Every comparison of a decision that a number of the policy would turn, whatever that number's range. */
function comparisonsOf(decision: Decision): readonly { turn: Turn; actual: number }[] {
  if (factOf(decision.rule) !== undefined) return []
  const { subject, to } = decision
  return decision.compared.flatMap((compared) => {
    const { option, threshold } = compared
    if (option === null || !belongs(decision, option)) return []
    // What speaks for another attempt ends none, and what speaks against it asks for none.
    if (subject.kind === 'request' && holds(compared) !== (to === 'queued')) return []
    return [{ turn: turned(compared, option), actual: threshold / scaleOf(option) }]
  })
}

function reachable(turn: Turn, actual: number): boolean {
  const { steps, stepsTo } = walk(turn.option, actual, turn.up)
  return stepsTo(turn.limit!, turn.past) <= steps
}

/** The numbers that might have decided otherwise; empty: none. Of {@link COUNTS} it is not asked: its life knows. */
export function turnsOf(decision: Decision): readonly Turn[] {
  const turns = comparisonsOf(decision)
    .filter(({ turn, actual }) => reachable(turn, actual))
    .map(({ turn }) => turn)
  if (decision.because !== BREAKER) return turns
  return [
    ...turns,
    ...breaker.map((option) => ({
      option,
      up: !option.endsWith('Seconds'),
      limit: null,
      past: false,
    })),
  ]
}

/** Whether any number might have decided otherwise, so that a replay is worth its time. */
export const mayTurn = (decision: Decision): boolean =>
  decision.rule === COUNTS || turnsOf(decision).length > 0

/** Ends of requests that nobody's policy decides. */
const asked: Readonly<Record<string, string>> = {
  cancel: 'the caller cancelled',
  'retry.deadline': 'the limit came with the request (X-Fal-Request-Timeout)',
  'retry.no_retry': 'the request asked for no retry (X-Fal-No-Retry)',
  'retry.header': 'the runner said so (X-Fal-Needs-Retry)',
  'retry.skip': 'skipRetryConditions is a list of names, no number',
  'retry.config': 'the budget came with the request (X-Fal-Retry-Config)',
  'retry.one_outcome': 'nothing asks for another try after such an end',
}

const NEVER = 'no policy number would have changed this'

/** What an option is and may be. */
function tellRange(option: string, actual: number): string {
  const { min, max } = numberSpec(option)!
  return `${option} is ${actual}, and may be ${max === undefined ? `${min} or more` : `${min} to ${max}`}`
}

/** Why no number of a policy would have decided otherwise, in plain words; null when one might. */
export function whyNone(decision: Decision): string | null {
  if (mayTurn(decision)) return null
  const { from, to, rule, subject } = decision
  if (rule === 'outcome.tcp_check' && isDoubt(decision))
    return `${NEVER}: the TCP check after an error was not answered in time, and one is enough`
  // It drains with work in hand, and only its deadline ends that.
  const drained = from === 'busy+draining' && to === 'stopping' && /^(order|pool)\./.test(rule)
  const limit = drained
    ? 'drainTimeoutSeconds'
    : (rules as Readonly<Record<string, Rule>>)[rule]?.limit
  if (limit !== undefined)
    return `${limit} decided it: with a larger one it would have gone on, and no journal can say how it would have ended`
  if (factOf(rule) !== undefined) return `${NEVER}: it is a fact, not a doubt`
  const [bound] = comparisonsOf(decision)
  if (bound !== undefined) return `${NEVER}: ${tellRange(bound.turn.option, bound.actual)}`
  if (subject.kind === 'request' && asked[rule] !== undefined) return `${NEVER}: ${asked[rule]}`
  if (rule.startsWith('order.')) return `${NEVER}: a person ordered it`
  const signal = (signalTable as Readonly<Record<string, SignalLine>>)[rule]
  const ofNode = signal !== undefined || rule === 'xid' || rule.startsWith('node.')
  if (subject.kind === 'runner' && ofNode)
    return `${NEVER}: its node or device was judged, not the runner; explain the node`
  if (signal !== undefined || rule === 'xid')
    return `${NEVER}: the device reports it, and no number is compared`
  return `${NEVER}: its rule compares no number of its own`
}

/** True for a verdict that fleet guards were asked about: a doubt, not a fact. */
export const isDoubt = ({ compared }: Decision): boolean =>
  compared.some(({ name, option }) => name === 'out' && option === 'capPercent')
