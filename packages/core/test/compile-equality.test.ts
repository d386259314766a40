/** The table against xstate itself, on a machine that uses every feature a table can have. */
import { expect, test } from 'vitest'
import { compile } from '../src/compile.ts'
import { equal } from './equality.ts'
import { kilnEvents, kilnMachine } from './sample-machine.ts'

test('every reachable edge of the sample machine is the same on the table and on xstate', () => {
  const walk = equal(kilnMachine, [{ limit: 3 }, { limit: 7 }], kilnEvents, 3_000)
  expect(walk.cut).toBe(false)
  expect(walk.edges).toBeGreaterThan(5_000)
  // What was never visited was never compared.
  const words = compile(kilnMachine).configurations.map(({ word }) => word)
  expect([...walk.words].toSorted()).toEqual(words.toSorted())
  expect([...walk.looked].toSorted()).toEqual(['atLeast', 'heavy', 'hot', 'never'])
  expect([...walk.rules].toSorted()).toEqual([
    'burning.cooled',
    'cold.bored',
    'cold.noted',
    'cold.warm',
    'door.hot',
    'door.stuck',
    'fire.ended',
    'fire.fed',
    'fire.high',
    'kiln.broken',
    'spent.over',
  ])
})
