/** Every transition of the runner's chart can be reached by facts; one that cannot is dead and must not be in the picture. */
import type { AnyTransitionDefinition } from 'xstate'
import { expect, test } from 'vitest'
import { compile, requestMachine, runnerMachine } from '../src/index.ts'
import { statesOf } from '../src/state-tree.ts'
import { policies, verdicts } from './runner-verdict.ts'

const rulesOf = (machine: typeof runnerMachine | typeof requestMachine): readonly string[] => {
  const all = [...statesOf(machine.root)].flatMap(
    (node) => [...node.transitions.values()].flat() as AnyTransitionDefinition[],
  )
  return [
    ...new Set(
      all
        .map(({ meta }) => meta?.['rule'])
        .filter((rule): rule is string => typeof rule === 'string'),
    ),
  ].toSorted()
}

test(
  'every rule, every configuration and every verdict of the runner is reached by walking',
  { timeout: 60_000 },
  () => {
    const table = compile(runnerMachine)
    const rules = new Map<string, number>()
    const words = new Set<string>()
    const heard = new Set<string>()
    const pairs = new Set<string>()
    let edges = 0
    for (const policy of policies) {
      const begun = table.start({ policy })
      const queue = [begun]
      const seen = new Set<string>()
      for (const { configuration, context } of queue) {
        words.add(configuration.word)
        const after =
          configuration.after === null ? [] : [{ type: configuration.after, at: 700_000, seq: 1 }]
        for (const event of [...verdicts, ...after]) {
          const step = table.step(configuration, context, event as never)
          if (step.plan === null) continue
          edges++
          heard.add(event.type)
          pairs.add(`${configuration.word} ${event.type} ${step.configuration.word}`)
          if (step.plan.rule !== null)
            rules.set(step.plan.rule, (rules.get(step.plan.rule) ?? 0) + 1)
          const key = `${step.configuration.word} ${JSON.stringify({ ...step.context, policy: 0 })}`
          if (seen.has(key) || seen.size > 4_000) continue
          seen.add(key)
          queue.push(step)
        }
      }
    }
    console.log(
      `${edges} edges, ${pairs.size} ways between ${words.size} words, ${rules.size} rules`,
    )
    expect([...rules.keys()].toSorted()).toEqual(rulesOf(runnerMachine))
    expect([...words].toSorted()).toEqual(table.configurations.map(({ word }) => word).toSorted())
    expect(verdicts.filter(({ type }) => !heard.has(type))).toEqual([])
  },
)

test('no event enables two ways out at once: regions never disagree about the end', () => {
  // When one event ends both regions, the order in which they are written would decide.
  const leaving = (path: readonly string[], type: string): readonly AnyTransitionDefinition[] =>
    [...statesOf(runnerMachine.root)]
      .filter((node) => path.every((key, i) => node.path[i] === key))
      .flatMap((node) => [...(node.transitions.get(type) ?? [])])
      .filter(({ target }) => target?.some(({ path: to }) => to[0] !== 'serving') === true)
  const torn = verdicts.filter(
    ({ type }) =>
      leaving(['serving', 'duty'], type).length > 0 &&
      leaving(['serving', 'health'], type).length > 0,
  )
  expect(torn).toEqual([])
})

test('every rule of the request is reached by walking its order of authority', () => {
  // The rows are in request.test.ts; here only that none is missing from the picture.
  expect(rulesOf(requestMachine)).toEqual([
    'cancel',
    'lease.granted',
    'retry.ceiling',
    'retry.config',
    'retry.deadline',
    'retry.fencing',
    'retry.header',
    'retry.no_retry',
    'retry.one_outcome',
    'retry.poison',
    'retry.skip',
    'retry.table',
  ])
})
