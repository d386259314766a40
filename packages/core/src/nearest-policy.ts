/**
 * The nearest policy that would have decided otherwise: the smallest relative change of one number by which the life was judged, found by
 * trying, each try proved by a replay. Guards' readings and derived limits are never blamed: they only delay.
 */
import { comparisons } from './comparison.ts'
import type { Decision } from './decision.ts'
import type { Policy } from './policy.ts'
import { beginProof, type Proof, type Recording } from './replay.ts'

/** The nearest policy that would have decided otherwise. */
export interface Counterfactual {
  /** Name of the option in the configuration. */
  readonly option: string
  /** Its value, in its own unit. */
  readonly actual: number
  readonly needed: number
}

/** The search in pieces, so that nothing waits for a long journal. */
export interface Search {
  /** Replays up to `events` more; undefined while there is more, then the answer. */
  advance(events: number): Counterfactual | null | undefined
}

type Candidate = Counterfactual & { readonly policy: Partial<Policy> }

/** Values tried of one option: past that many failures nobody asks for the exact number. */
const TRIES = 64

/** Only this rule counts against numbers of a policy; what else is doubted (a TCP check, a level of a device) has no such number. */
const COUNTS = 'health.threshold'

/** What might have decided otherwise, nearest first. */
function candidatesOf(policy: Policy, ages: readonly number[]): readonly Candidate[] {
  const { failureThreshold, successThreshold, effectiveStartPeriodMs } = policy
  const candidates: Candidate[] = []
  for (let n = failureThreshold; n <= Math.min(ages.length, failureThreshold + TRIES); n++) {
    const needed = comparisons.lastStrike.turned(n)
    candidates.push({
      option: 'failureThreshold',
      actual: failureThreshold,
      needed,
      policy: { failureThreshold: needed },
    })
  }
  const option =
    policy.startPeriodMs >= policy.startupTimeoutMs ? 'startPeriodSeconds' : 'startupTimeoutSeconds'
  for (const age of new Set(ages.filter((each) => each >= effectiveStartPeriodMs).slice(-TRIES))) {
    const needed = comparisons.inGrace.turned(age)
    candidates.push({
      option,
      actual: effectiveStartPeriodMs / 1000,
      needed,
      policy: { effectiveStartPeriodMs: Math.round(needed * 1000) },
    })
  }
  for (let n = successThreshold - 1; n >= 1; n--) {
    const needed = comparisons.provenWell.turned(n)
    candidates.push({
      option: 'successThreshold',
      actual: successThreshold,
      needed,
      policy: { successThreshold: needed },
    })
  }
  const far = ({ actual, needed }: Candidate): number =>
    Math.abs(needed - actual) / Math.max(Math.abs(actual), 1e-9)
  return candidates.toSorted((a, b) => far(a) - far(b))
}

/** Begins the search. It first sees that the decision stands in a replay at all: without that nothing could be proved. */
export function beginSearch(recording: Recording, decision: Decision): Search {
  let proof: Proof | null = null
  let candidates: Candidate[] | null = null
  return {
    advance(events) {
      if (decision.subject.kind !== 'runner' || decision.rule !== COUNTS) return null
      const candidate = candidates?.[0]
      if (candidates !== null && candidate === undefined) return null
      proof ??= beginProof(recording, decision, candidate?.policy ?? {})
      const stands = proof.advance(events)
      if (stands === null) return undefined
      if (candidate === undefined) {
        if (!stands || proof.policy === null) return null
        candidates = [...candidatesOf(proof.policy, proof.failures)]
      } else if (stands) candidates!.shift()
      else {
        const { policy: _, ...found } = candidate
        return found
      }
      proof = null
      return undefined
    },
  }
}

/** {@link beginSearch}, at once. */
export function nearestPolicy(recording: Recording, decision: Decision): Counterfactual | null {
  const search = beginSearch(recording, decision)
  for (;;) {
    const found = search.advance(Number.POSITIVE_INFINITY)
    if (found !== undefined) return found
  }
}
