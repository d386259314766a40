/** Every ending of every world is explained; every counterfactual is proved: with it the decision flips, one step short of it it stands. */
import {
  type Decision,
  explain,
  type Explanation,
  type Recording,
  stands,
  whatIf,
} from '@health/core'
import { expect, test } from 'vitest'
import { live } from '../src/world.ts'
import type { WorldRun } from '../src/world-options.ts'
import { climates } from './climate.ts'

const worlds = ['mixed', 'storm', 'cautious', 'adopted', 'restarted'].flatMap((climate) =>
  [1, 2, 3, 6].map((seed) => ({ climate, seed })),
)
const over = /^(stopping|killing|gone)/
const endings = ({ decisions }: WorldRun): readonly Decision[] =>
  decisions.filter(
    ({ subject, from, to }) => subject.kind === 'runner' && over.test(to) && !over.test(from),
  )
/** Ended by a count of failures that guards were asked about; all else is a fact, an order, or a TCP check that timed out. */
const counted = ({ rule, compared }: Decision): boolean =>
  rule === 'health.threshold' && compared.some(({ name }) => name === 'out')

function record(climate: string, seed: number): { run: WorldRun; recording: Recording } {
  const options = climates[climate]!(seed)
  const run = live(options)
  return {
    run,
    recording: { start: null, policy: options.policy ?? {}, seed, events: run.journal },
  }
}

/** The explanation as it was at a decision: nothing later is known. */
function explainAt(run: WorldRun, recording: Recording, decision: Decision): Explanation {
  return explain(
    {
      decisions: run.decisions.filter(({ seq }) => seq <= decision.seq),
      events: run.journal,
      recording,
    },
    decision.subject as { kind: 'runner'; id: string },
  )!
}

/** What is wrong with the counterfactual of an ending; null when it is proved. */
function disprove(
  recording: Recording,
  decision: Decision,
  found: Explanation['counterfactual'],
): string | null {
  if (found === null) return 'there is none'
  const { option, needed, actual } = found
  const step = (option.endsWith('Seconds') ? 0.001 : 1) * Math.sign(needed - actual)
  if (stands(recording, decision, { [option]: needed })) return 'with it the decision stands'
  if (!stands(recording, decision, { [option]: needed - step })) return 'less would do'
  // Asked of all lives at once, beside the real fleet, it flips this one too.
  const { lives } = whatIf(recording, { [option]: needed })
  const { id, incarnation } = decision.subject
  const life = lives.find((each) => each.runner === id && each.incarnation === incarnation)!
  return life.other?.at === decision.at && life.other.rule === decision.rule
    ? 'the shadow ends all the same'
    : null
}

test.for(worlds)(
  '$climate, seed $seed: every ending by a count has a nearest policy',
  ({ climate, seed }) => {
    const { run, recording } = record(climate, seed)
    const wrong = endings(run)
      .filter(counted)
      .map((decision) => ({
        id: decision.subject.id,
        at: decision.at,
        wrong: disprove(recording, decision, explainAt(run, recording, decision).counterfactual),
      }))
      .filter((each) => each.wrong !== null)
    expect(wrong).toEqual([])
  },
)

test.for(worlds)(
  '$climate, seed $seed: every other ending says that no number would have changed it',
  ({ climate, seed }) => {
    const { run, recording } = record(climate, seed)
    const others = endings(run).filter((decision) => !counted(decision))
    for (const decision of others) {
      const explained = explainAt(run, recording, decision)
      expect(explained.decision).toBe(decision)
      expect(explained.counterfactual).toBeNull()
      expect(explained.chain.at(-1)!.text).toMatch(/^no policy number would have changed this/)
    }
  },
)

test('the worlds hold what is to be explained: endings by a count in calm, in storms and under guards', () => {
  const all = worlds.flatMap(({ climate, seed }) => record(climate, seed).run.decisions)
  expect(all.filter(counted).filter(({ to }) => over.test(to)).length).toBeGreaterThan(40)
  expect(all.filter(({ rule }) => rule === 'outcome.crashed').length).toBeGreaterThan(20)
  expect([...new Set(all.map(({ because }) => because))]).toEqual(
    expect.arrayContaining(['guard.cap', 'guard.panic', 'guard.self']),
  )
})

const words: Readonly<Record<string, RegExp>> = {
  'guard.cap': /\d+ places? of the app would be out and \d+ may be \(capPercent/,
  'guard.panic': /\d+ runners are doubted at once and \d+ are a panic/,
  'guard.rate': /too fast \(doubtPerSecond/,
  'guard.self': /our own checker is unwell/,
  'guard.dry_run': /only observes \(dryRun\)/,
}

test.for(worlds)(
  '$climate, seed $seed: what a guard withheld is said in plain words',
  ({ climate, seed }) => {
    const { run, recording } = record(climate, seed)
    const first = new Map<string, Decision>()
    for (const decision of run.decisions)
      if (decision.because?.startsWith('guard.') === true && !first.has(decision.because))
        first.set(decision.because, decision)
    for (const [because, decision] of first) {
      const { chain } = explainAt(run, recording, decision)
      const { text } = chain.findLast(
        ({ type, text: said }) => type === decision.rule && said.includes('is not enforced'),
      )!
      expect(text).toMatch(words[because]!)
    }
  },
)
