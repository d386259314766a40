/**
 * The nearest policy that would have decided otherwise: the smallest relative change of one number by which the subject was judged, found
 * by trying, each try proved by a replay. Guards' readings and derived limits are never blamed: they only delay.
 */
import { comparisons } from './comparison.ts'
import type { Decision } from './decision.ts'
import { walk } from './policy-number.ts'
import { beginProof, type Numbers, type Proof } from './proof.ts'
import type { Recording } from './replay.ts'
import { COUNTS, mayTurn, type Turn, turnsOf } from './tunable-number.ts'

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

/** A replay, in as many turns as it takes; each turn is told how many events it may use. */
type Tried = Generator<void, { readonly proof: Proof; readonly stands: boolean }, number>

const far = ({ actual, needed }: Counterfactual): number =>
  Math.abs(needed - actual) / Math.max(Math.abs(actual), 1e-9)

/** What might have spared a life that ended by a count of failures: by option, nearest first. */
function sparing(life: Proof): readonly (readonly Counterfactual[])[] {
  const ages = life.failures
  const failureThreshold = life.valueOf('failureThreshold')!
  const counts: Counterfactual[] = []
  for (let n = failureThreshold; n <= ages.length; n++)
    counts.push({
      option: 'failureThreshold',
      actual: failureThreshold,
      needed: comparisons.lastStrike.turned(n),
    })
  // The larger one is in force.
  const startPeriod = life.valueOf('startPeriodSeconds')!
  const startup = life.valueOf('startupTimeoutSeconds')!
  const actual = Math.max(startPeriod, startup)
  const option = startPeriod >= startup ? 'startPeriodSeconds' : 'startupTimeoutSeconds'
  const graces = [...new Set(ages.filter((each) => each >= actual * 1000))].map((age) => ({
    option,
    actual,
    needed: comparisons.inGrace.turned(age),
  }))
  const successThreshold = life.valueOf('successThreshold')!
  const passes: Counterfactual[] = []
  for (let n = successThreshold - 1; n >= 1; n--)
    passes.push({
      option: 'successThreshold',
      actual: successThreshold,
      needed: comparisons.provenWell.turned(n),
    })
  return [counts, graces, passes]
    .filter((each) => each.length > 0)
    .toSorted((a, b) => far(a[0]!) - far(b[0]!))
}

/** Tries one number after the other, nearest first. */
class Trial {
  readonly #recording: Recording
  readonly #decision: Decision

  constructor(recording: Recording, decision: Decision) {
    this.#recording = recording
    this.#decision = decision
  }

  *search(): Generator<void, Counterfactual | null, number> {
    // Without a decision that stands in a replay at all nothing could be proved.
    const { proof: real, stands } = yield* this.#try({}, 0)
    if (!stands) return null
    if (this.#decision.rule === COUNTS) return yield* this.#first(sparing(real), real)
    return yield* this.#nearest(turnsOf(this.#decision), real)
  }

  *#try(numbers: Numbers, since: number): Tried {
    const proof = beginProof(this.#recording, this.#decision, numbers, since)
    for (;;) {
      const stands = proof.advance(yield)
      if (stands !== null) return { proof, stands }
    }
  }

  *#flips(option: string, value: number, real: Proof): Generator<void, boolean, number> {
    const { proof, stands } = yield* this.#try({ [option]: value }, real.since)
    // The same, only earlier, is not otherwise, and neither is another end in its place.
    return !stands && !proof.endedElsewise && proof.moments.every((at) => real.moments.includes(at))
  }

  /** Of each option the first that flips it: what is turned further spares as well, so halving finds it. */
  *#first(
    lists: readonly (readonly Counterfactual[])[],
    real: Proof,
  ): Generator<void, Counterfactual | null, number> {
    let best: Counterfactual | null = null
    for (const all of lists) {
      const list: readonly Counterfactual[] =
        best === null ? all : all.filter((each) => far(each) < far(best!))
      let same = -1
      let otherwise = list.length
      for (let next = 0; otherwise - same > 1;) {
        const { option, needed } = list[next]!
        if (yield* this.#flips(option, needed, real)) otherwise = next
        else same = next
        // Mostly the first one does; where the last one does not, none does.
        next = same === 0 && otherwise === list.length ? list.length - 1 : (same + otherwise) >> 1
      }
      best = list[otherwise] ?? best
    }
    return best
  }

  *#nearest(turns: readonly Turn[], real: Proof): Generator<void, Counterfactual | null, number> {
    const ways = turns.flatMap((turn) => {
      const actual = real.valueOf(turn.option)
      if (actual === null) return []
      const way = walk(turn.option, actual, turn.up)
      const most =
        turn.limit === null ? way.steps : Math.min(way.steps, way.stepsTo(turn.limit, turn.past))
      const at = (n: number): Counterfactual => ({
        option: turn.option,
        actual,
        needed: way.value(n),
      })
      return most < 1 ? [] : [{ most, at }]
    })
    let best: Counterfactual | null = null
    for (const { most, at } of ways.toSorted((a, b) => far(a.at(a.most)) - far(b.at(b.most)))) {
      let otherwise = most
      // Only what is nearer than the best so far is worth a replay.
      if (best !== null) otherwise = lastBelow(most, (n) => far(at(n)) < far(best!))
      if (otherwise < 1) continue
      const { option } = at(1)
      if (!(yield* this.#flips(option, at(otherwise).needed, real))) continue
      let same = 0
      // Mostly the comparison at this moment is all there is to it, and one step less decides as before.
      let next = otherwise - 1
      while (otherwise - same > 1) {
        if (yield* this.#flips(option, at(next).needed, real)) otherwise = next
        else same = next
        next = Math.floor((same + otherwise) / 2)
      }
      best = at(otherwise)
    }
    return best
  }
}

/** The last of 1 to `most` for which it holds, when it holds up to somewhere; 0: for none. */
function lastBelow(most: number, holds: (n: number) => boolean): number {
  let below = 0
  let above = most + 1
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2)
    if (holds(middle)) below = middle
    else above = middle
  }
  return below
}

/** Begins the search. It first sees that the decision stands in a replay at all: without that nothing could be proved. */
export function beginSearch(recording: Recording, decision: Decision): Search {
  let searching: Generator<void, Counterfactual | null, number> | null = null
  return {
    advance(events) {
      if (!mayTurn(decision)) return null
      if (searching === null) {
        searching = new Trial(recording, decision).search()
        searching.next(events)
      }
      const { done, value } = searching.next(events)
      return done === true ? value : undefined
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
