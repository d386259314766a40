// How the inspector's page reads a chart, and the pictures of the documentation that are made the same way. `UPDATE_DOCS=1` writes them.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compile, nodeMachine, requestMachine, runnerMachine } from '@health/core'
import { describe, expect, test } from 'vitest'
import { createMachine } from 'xstate'
import { definitionOf, kinds, valueOf } from '../src/inspect-frame.ts'
import { chartModule, pictureOf, tapeModule } from './inspect-picture.ts'

const { readChart, pathsOf, pathsOfWord, takenArrows } = chartModule
const tables = {
  runner: compile(runnerMachine),
  request: compile(requestMachine),
  node: compile(nodeMachine),
}

describe.for(kinds)('the chart of a %s', (kind) => {
  const chart = readChart(definitionOf(kind))

  test('has every state and every way between states that XState has', () => {
    const machine = createMachine(JSON.parse(definitionOf(kind)) as never)
    const ids: string[] = []
    const ways = new Set<string>()
    const walk = (node: typeof machine.root, path: string): void => {
      ids.push(path)
      for (const transitions of node.transitions.values())
        for (const { target } of transitions)
          for (const to of target ?? []) ways.add(`${path}>${to.path.join('.')}`)
      for (const child of Object.values(node.states)) walk(child, child.path.join('.'))
    }
    walk(machine.root, '')
    expect([...chart.states.keys()].toSorted()).toEqual(ids.toSorted())
    expect(chart.arrows.map(({ id }) => id).toSorted()).toEqual([...ways].toSorted())
  })

  test('lights by value and by word exactly what the table says is active', () => {
    for (const { states, value, word } of tables[kind].configurations) {
      const keys = [...pathsOf(chart, value)].map((path) => path.split('.').at(-1)!)
      expect(new Set(keys)).toEqual(states)
      expect(pathsOfWord(chart, word)).toEqual(pathsOf(chart, value))
      expect(valueOf(kind, word)).toEqual(value)
    }
  })

  test('its picture in the documentation is current', async () => {
    const file = fileURLToPath(
      new URL(`../../../docs/reference/machine-${kind}.svg`, import.meta.url),
    )
    const picture = await pictureOf(definitionOf(kind), kind)
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, picture)
    expect(readFileSync(file, 'utf8')).toBe(picture)
  })
})

describe('the arrow that was taken', () => {
  const chart = readChart(definitionOf('runner'))
  const taken = (from: string, to: string, event: { type?: string; rule?: string }): string[] =>
    takenArrows(chart, pathsOfWord(chart, from), pathsOfWord(chart, to), event).map(({ id }) => id)

  test.for([
    [
      'idle',
      'failing',
      { rule: 'health.fail' },
      ['serving.health.ready>serving.health.suspect.failing'],
    ],
    [
      'failing',
      'idle',
      { rule: 'health.recover' },
      ['serving.health.suspect.failing>serving.health.ready'],
    ],
    [
      'idle',
      'stopping',
      { type: 'died', rule: 'outcome.server_error' },
      ['serving>terminated.stopping'],
    ],
    ['stopping', 'gone', { rule: 'stop.exited' }, ['terminated>gone']],
    ['setup', 'idle', { rule: 'start.ready' }, ['starting.setup>serving']],
    ['idle', 'idle', { type: 'probe.passed' }, []],
  ] as const)('%s to %s', ([from, to, event, expected]) => {
    expect(taken(from, to, event)).toEqual(expected)
  })
})

describe('what is no definition', () => {
  test.for(['', 'null', '7', '[]', '"x"', '{"states":{"a":'])('%s', (text) => {
    expect(() => readChart(text)).toThrow('no definition')
  })

  test('too many states', () => {
    const states = Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`s${i}`, {}]))
    expect(() => readChart(JSON.stringify({ states }))).toThrow('too many states')
  })

  test('targets that lead nowhere are left out', () => {
    const definition = { states: { a: { on: { X: '#nobody', Y: 'b.c', Z: '.d', W: 'b' } }, b: {} } }
    expect(readChart(JSON.stringify(definition)).arrows.map(({ id }) => id)).toEqual(['a>b'])
  })
})

describe('the tape', () => {
  test('follows what comes, stands still when one looks back, and goes on', () => {
    const tape = tapeModule.createTape()
    for (const step of ['a', 'b', 'c']) tape.push(step)
    expect(tape.step).toBe('c')
    tape.go(0)
    tape.push('d')
    expect([tape.step, tape.following]).toEqual(['a', false])
    tape.go(-5)
    expect(tape.step).toBe('a')
    tape.go(99)
    expect(tape.step).toBe('d')
    tape.follow()
    tape.push('e')
    expect(tape.step).toBe('e')
  })

  test('the past comes before, and one still looks at the same step', () => {
    const tape = tapeModule.createTape()
    tape.push('c')
    tape.go(0)
    tape.prepend(['a', 'b'])
    expect([tape.steps, tape.step]).toEqual([['a', 'b', 'c'], 'c'])
  })

  test('it is bounded, and what one looks at stays as long as it is there', () => {
    const tape = tapeModule.createTape()
    for (let i = 0; i < 500; i++) tape.push(i)
    tape.go(10)
    for (let i = 500; i < 505; i++) tape.push(i)
    expect([tape.steps.length, tape.step]).toEqual([500, 10])
    tape.prepend([-1])
    expect(tape.steps[0]).toBe(5)
  })
})
