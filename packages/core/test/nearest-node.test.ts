/** Every decision about a node has a nearest policy that a replay proves, or says in plain words why it has none. */
import { expect, test } from 'vitest'
import {
  type Decision,
  explain,
  type Explanation,
  mayTurn,
  type Recording,
  stands,
} from '../src/index.ts'
import { numberSpec } from '../src/policy-number.ts'
import { nodeSpell } from './node-weather.ts'

const seeds = Array.from({ length: 10 }, (_, i) => i + 1)

interface Told {
  readonly decision: Decision
  readonly explained: Explanation
}

/** Every decision of a spell with its explanation, as it was then: nothing later is known. */
const told = new Map<number, { readonly recording: Recording; readonly all: readonly Told[] }>()
function spellOf(seed: number): { readonly recording: Recording; readonly all: readonly Told[] } {
  const known = told.get(seed)
  if (known !== undefined) return known
  const { recording, decisions } = nodeSpell(seed)
  const all = decisions.flatMap((decision) => {
    const explained = explainAt(decisions, recording, decision)
    // What only carried out another is explained by that.
    return explained.decision === decision ? [{ decision, explained }] : []
  })
  const spell = { recording, all }
  told.set(seed, spell)
  return spell
}

function explainAt(
  decisions: readonly Decision[],
  recording: Recording,
  decision: Decision,
): Explanation {
  const before = decisions.filter(({ seq }) => seq <= decision.seq)
  const { id } = decision.subject
  return explain({ decisions: before, events: recording.events, recording }, { kind: 'node', id })!
}

/** What is wrong with a counterfactual; null when it is proved. */
function disprove(
  recording: Recording,
  decision: Decision,
  { option, actual, needed }: NonNullable<Explanation['counterfactual']>,
): string | null {
  const spec = numberSpec(option)!
  if (needed < spec.min || needed > (spec.max ?? 1e9)) return 'no such value may be set'
  const small = option.endsWith('Seconds') ? 0.001 : 1
  const less = needed - small * Math.sign(needed - actual)
  if (stands(recording, decision, { [option]: needed })) return 'with it the decision stands'
  return stands(recording, decision, { [option]: less }) ? null : 'less would do'
}

test.for(seeds)('seed %i: with the nearest policy it flips, one step short it stands', (seed) => {
  const { recording, all } = spellOf(seed)
  const wrong = all.flatMap(({ decision, explained: { counterfactual } }) => {
    const why = counterfactual === null ? null : disprove(recording, decision, counterfactual)
    return why === null ? [] : [{ why, counterfactual, decision }]
  })
  expect(wrong).toEqual([])
})

test.for(seeds)('seed %i: a decision that compares no number says so', (seed) => {
  for (const { decision, explained } of spellOf(seed).all) {
    const says = explained.chain.at(-1)!.text.startsWith('no policy number would have changed')
    const { counterfactual } = explained
    expect([decision, says]).toEqual([decision, counterfactual === null && !mayTurn(decision)])
  }
})

test('the spells hold what is to be explained: readings, holds, the ladder, the breaker, facts', () => {
  const all = seeds.flatMap((seed) => spellOf(seed).all)
  const options = new Set(all.map(({ explained }) => explained.counterfactual?.option))
  for (const option of [
    'tempCriticalC',
    'tempHighHoldSeconds',
    'clockLowHoldSeconds',
    'throttleHwWindowSeconds',
    'retiredPagesMax',
    'lostSamples',
    'nodeResetFailures',
    'nodeBreakerPercent',
  ])
    expect([option, options.has(option)]).toEqual([option, true])
  const proved = all.filter(({ explained }) => explained.counterfactual !== null)
  const open = all.filter(
    ({ decision, explained }) => explained.counterfactual === null && mayTurn(decision),
  )
  expect(proved.length).toBeGreaterThan(100)
  // The breaker was open before, or two conditions held at once: no single number would have been enough.
  expect(open.length).toBeLessThan(proved.length / 3)
  expect(all.filter(({ decision }) => decision.because === 'node.breaker').length).toBeGreaterThan(
    20,
  )
})
