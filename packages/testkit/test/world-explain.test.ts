/** Every ending of every world is explained; every counterfactual is proved: with it the decision flips, one step short of it it stands. */
import {
  type AppOptions,
  type Decision,
  type Explanation,
  type PolicyOptions,
  stands,
  whatIf,
  type WhatIfResult,
} from '@health/core'
import { expect, test } from 'vitest'
import type { WorldOptions } from '../src/world-options.ts'
import { climates } from './climate.ts'
import { explainAt, type Recorded, recorded } from './recorded.ts'

const worlds = ['mixed', 'storm', 'cautious', 'adopted', 'restarted'].flatMap((climate) =>
  [1, 2, 3, 6].map((seed) => ({ climate, seed })),
)
const worldOf = (climate: string, seed: number): Recorded =>
  recorded(`${climate} ${seed}`, () => climates[climate]!(seed))
const over = /^(stopping|killing|gone)/
const endings = ({ run }: Recorded): readonly Decision[] =>
  run.decisions.filter(
    ({ subject, from, to }) => subject.kind === 'runner' && over.test(to) && !over.test(from),
  )
/** Ended by a count of failures that guards were asked about; all else is a fact, an order, or a TCP check that timed out. */
const counted = ({ rule, compared }: Decision): boolean =>
  rule === 'health.threshold' && compared.some(({ name }) => name === 'out')

/** What is wrong with a counterfactual; null when it is proved. */
function disprove(
  { recording }: Recorded,
  decision: Decision,
  { option, needed, actual }: NonNullable<Explanation['counterfactual']>,
): string | null {
  const step = (option.endsWith('Seconds') ? 0.001 : 1) * Math.sign(needed - actual)
  if (stands(recording, decision, { [option]: needed })) return 'with it the decision stands'
  return stands(recording, decision, { [option]: needed - step }) ? null : 'less would do'
}

/** Asked of all lives at once, beside the real fleet. */
const asked = new Map<string, WhatIfResult>()
function shadowEnds(world: Recorded, decision: Decision, option: string, needed: number): boolean {
  const { id, incarnation } = decision.subject
  const key = `${world.options.seed} ${world.run.journal.length} ${option} ${needed}`
  const result = asked.get(key) ?? whatIf(world.recording, { [option]: needed })
  asked.set(key, result)
  const life = result.lives.find((each) => each.runner === id && each.incarnation === incarnation)!
  return life.other?.at === decision.at && life.other.rule === decision.rule
}

test.for(worlds)(
  '$climate, seed $seed: every ending by a count has a nearest policy',
  ({ climate, seed }) => {
    const world = worldOf(climate, seed)
    const wrong = endings(world)
      .filter(counted)
      .flatMap((decision) => {
        const found = explainAt(world, decision).counterfactual
        const why = found === null ? 'there is none' : disprove(world, decision, found)
        if (why === null && !shadowEnds(world, decision, found!.option, found!.needed)) return []
        const { subject, at } = decision
        return [{ id: subject.id, at, why: why ?? 'the shadow ends all the same' }]
      })
    expect(wrong).toEqual([])
  },
)

test.for(worlds)(
  '$climate, seed $seed: every other ending says that no number would have changed it, or which limit it came to',
  ({ climate, seed }) => {
    const world = worldOf(climate, seed)
    for (const decision of endings(world).filter((each) => !counted(each))) {
      const explained = explainAt(world, decision)
      expect(explained.decision).toBe(decision)
      expect(explained.counterfactual).toBeNull()
      expect(explained.chain.at(-1)!.text).toMatch(
        /^no policy number would have changed this|^(startupTimeoutSeconds|requestTimeoutSeconds|keepAliveSeconds|maxConcurrency|drainTimeoutSeconds) decided it/,
      )
    }
  },
)

test('the worlds hold what is to be explained: endings by a count in calm, in storms and under guards', () => {
  const all = worlds.flatMap(({ climate, seed }) => worldOf(climate, seed).run.decisions)
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
  '$climate, seed $seed: what a guard withheld is said in plain words, and what would have spared it is proved',
  ({ climate, seed }) => {
    const world = worldOf(climate, seed)
    const first = new Map<string, Decision>()
    for (const decision of world.run.decisions)
      if (decision.because?.startsWith('guard.') === true && !first.has(decision.because))
        first.set(decision.because, decision)
    for (const [because, decision] of first) {
      const { chain, counterfactual } = explainAt(world, decision)
      const { text } = chain.findLast(
        ({ type, text: said }) => type === decision.rule && said.includes('is not enforced'),
      )!
      // Few are doubted, but the panic of many a moment ago is not over.
      const doubted = decision.compared.find(({ name }) => name === 'doubted')!
      const calm = because === 'guard.panic' && doubted.value < doubted.threshold
      expect(text).toMatch(calm ? /a panic is over only when fewer than \d+/ : words[because]!)
      const proved = counterfactual !== null && disprove(world, decision, counterfactual) === null
      expect([decision, proved]).toEqual([decision, decision.rule === 'health.threshold'])
    }
  },
)

/** Few attempts, much trouble: requests run into the ceiling, into quarantine and through their budgets. */
const pressed = {
  ceiling: { policy: { maxAttempts: 3 } },
  budget: { options: { retryConfig: { server_error: { retries: 1 } } } },
  quarantine: { policy: { poisonQuarantine: true, poisonThreshold: 2 } },
} as const
const hard = (kind: keyof typeof pressed): WorldOptions => {
  const { apps, ...weather } = climates['mixed']!(1)
  const { options = {}, policy = {} }: { options?: AppOptions; policy?: PolicyOptions } =
    pressed[kind]
  return {
    ...weather,
    until: 40_000,
    badAnswers: 0.6,
    apps: [{ id: 'a/one', options: { ...apps[0]!.options, ...options }, policy }],
  }
}
const kinds = Object.keys(pressed) as (keyof typeof pressed)[]

interface Settled {
  readonly decision: Decision
  readonly explained: Explanation
}

/** What became of the requests of a hard world, each with its explanation. */
const settled = new Map<string, readonly Settled[]>()
function settledIn(kind: keyof typeof pressed): readonly Settled[] {
  const world = recorded(kind, () => hard(kind))
  const all =
    settled.get(kind) ??
    world.run.decisions
      .filter(({ subject }) => subject.kind === 'request')
      .map((decision) => ({ decision, explained: explainAt(world, decision) }))
  settled.set(kind, all)
  return all
}

test.for(kinds)(
  'under %s: what became of a request has a nearest policy that is proved, or says why it has none',
  (kind) => {
    const world = recorded(kind, () => hard(kind))
    const wrong = settledIn(kind).flatMap(({ decision, explained }) => {
      const { chain, counterfactual } = explained
      const says = /^no (single )?policy number would have changed this: /.test(chain.at(-1)!.text)
      const silent = says ? null : 'it does not say why there is none'
      const why = counterfactual === null ? silent : disprove(world, decision, counterfactual)
      return why === null ? [] : [{ decision, counterfactual, why }]
    })
    expect(wrong).toEqual([])
  },
)

test('the hard worlds hold what is to be explained: the ceiling, quarantine, budgets and headers', () => {
  const found = (kind: keyof typeof pressed, rule: string, to: string) =>
    settledIn(kind)
      .filter(({ decision }) => decision.rule === rule && decision.to === to)
      .map(({ explained }) => explained.counterfactual?.option ?? null)
  expect(found('ceiling', 'retry.ceiling', 'delivered')).toContain('maxAttempts')
  expect(found('ceiling', 'retry.table', 'queued')).toContain('maxAttempts')
  expect(found('quarantine', 'retry.poison', 'rejected')).toContain('poisonThreshold')
  expect(found('budget', 'retry.config', 'delivered')).toContain('retryConfig.server_error.retries')
  expect(kinds.flatMap((kind) => found(kind, 'retry.header', 'delivered'))).toContain(null)
})
