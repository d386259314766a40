/** A delay that xstate cannot resolve fires at once: every `after` key must be a number or a named delay. */
import type { AnyStateMachine } from 'xstate'
import { expect, test } from 'vitest'
import { requestMachine, runnerMachine } from '../src/index.ts'
import { statesOf } from '../src/state-tree.ts'

const keys = (machine: AnyStateMachine): readonly string[] =>
  [...statesOf(machine.root)].flatMap((node) => Object.keys(node.config.after ?? {}))

test.for([
  ['runner', runnerMachine, ['drain', 'exclusiveWait', 'grace', 'startup']],
  ['request', requestMachine, []],
] as const)('every delay of the %s machine is a number or is named', ([, machine, expected]) => {
  const delays = Object.keys((machine as AnyStateMachine).implementations.delays)
  const used = keys(machine as AnyStateMachine)
  expect(used.filter((key) => !delays.includes(key) && !(Number(key) >= 0))).toEqual([])
  expect([...new Set(used)].toSorted()).toEqual(expected)
})
