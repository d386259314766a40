/** The runner's chart on xstate itself and on the compiled table: the same on every edge that was walked. */
import { expect, test } from 'vitest'
import { compile, runnerMachine } from '../src/index.ts'
import { equal } from './equality.ts'
import { policies, verdicts } from './runner-verdict.ts'

test('every edge of the runner is the same on the table and on xstate', { timeout: 60_000 }, () => {
  const walk = equal(
    runnerMachine,
    policies.map((policy) => ({ policy })),
    verdicts as never,
    450,
  )
  expect(walk.edges).toBeGreaterThan(10_000)
  const words = compile(runnerMachine).configurations.map(({ word }) => word)
  expect([...walk.words].toSorted()).toEqual(words.toSorted())
  console.log(
    `${walk.states} states, ${walk.edges} edges, ${walk.moved} of them change something, ${walk.rules.size} rules${walk.cut ? ', cut at the limit' : ''}`,
  )
})
