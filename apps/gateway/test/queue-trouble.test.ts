import { HealthError } from '@health/core'
import { ManualClock } from '@health/testkit'
import { expect, test } from 'vitest'
import { createLanes } from '../src/lane.ts'
import { createQueueTrouble, type QueueTrouble } from '../src/queue-trouble.ts'

function scene(): {
  trouble: QueueTrouble
  lines: Readonly<Record<string, unknown>>[]
  pass: (ms: number) => void
} {
  const clock = new ManualClock()
  const lines: Readonly<Record<string, unknown>>[] = []
  const trouble = createQueueTrouble({
    clock,
    lanes: createLanes(clock),
    log: (line) => void lines.push(line),
  })
  return { trouble, lines, pass: (ms) => clock.advance(ms) }
}
const full = new HealthError('HEALTH_STORAGE_FULL')
const events = (lines: readonly Readonly<Record<string, unknown>>[]): unknown[] =>
  lines.map(({ event }) => event)

test('a full disk is told once when it begins and once when it ends, with what was refused meanwhile', () => {
  const { trouble, lines, pass } = scene()
  for (let n = 0; n < 100; n++) {
    trouble.failed('submit', full, { app: 'demo/echo' })
    trouble.failed('lease', full)
    trouble.worked('lease')
    pass(1_000)
  }
  expect(lines).toEqual([
    {
      level: 'error',
      event: 'queue.failed',
      doing: 'submit',
      code: 'HEALTH_STORAGE_FULL',
      error: full.message,
      app: 'demo/echo',
    },
  ])
  trouble.worked('submit')
  pass(10_000)
  expect(lines.slice(1)).toEqual([
    { level: 'info', event: 'queue.recovered', refused: 200, after: 99_000 },
  ])
  trouble.failed('end', new Error('odd'))
  expect(lines[2]).toMatchObject({ event: 'queue.failed', doing: 'end', error: 'odd' })
})

test('it is not over while new requests are refused, whatever else works, nor while small ones pass and large ones do not', () => {
  const { trouble, lines, pass } = scene()
  trouble.failed('submit', full)
  for (let n = 0; n < 20; n++) {
    trouble.worked('complete')
    pass(1_000)
  }
  for (let n = 0; n < 20; n++) {
    trouble.worked('submit')
    pass(2_000)
    trouble.failed('submit', full)
    pass(2_000)
  }
  expect(events(lines)).toEqual(['queue.failed'])
  trouble.worked('submit')
  pass(10_000)
  expect(events(lines)).toEqual(['queue.failed', 'queue.recovered'])
})

test('a queue that has its full length, or knows the request, is in no trouble', () => {
  const { trouble, lines } = scene()
  trouble.failed('submit', new HealthError('HEALTH_QUEUE_FULL'))
  trouble.failed('submit', new HealthError('HEALTH_QUEUE_DUPLICATE'))
  expect(lines).toEqual([])
})
