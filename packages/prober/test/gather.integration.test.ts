/** When probes begin: regular ones that come close together wait for each other, all others begin at once. */
import type { ProbeKind } from '@health/core'
import { ManualClock } from '@health/testkit'
import { expect, test } from 'vitest'
import { open, orderOf, serve } from './stage.ts'

type Asked = readonly [at: number, kind: ProbeKind, many: number]

const rows: { name: string; asked: readonly Asked[]; expected: Record<number, number> }[] = [
  { name: 'one begins at once', asked: [[0, 'regular', 1]], expected: { 0: 1 } },
  {
    name: 'what is asked in one go begins in one go',
    asked: [[3, 'regular', 5]],
    expected: { 3: 5 },
  },
  {
    name: 'what comes soon after waits for company',
    asked: [
      [0, 'regular', 2],
      [1, 'regular', 1],
      [7, 'regular', 3],
    ],
    expected: { 0: 2, 8: 4 },
  },
  {
    name: 'the wait begins anew with each beginning',
    asked: [
      [0, 'regular', 1],
      [7, 'regular', 1],
      [10, 'regular', 1],
      [30, 'regular', 1],
    ],
    expected: { 0: 1, 8: 1, 16: 1, 30: 1 },
  },
  {
    name: 'others never wait',
    asked: [
      [0, 'regular', 1],
      [1, 'manual', 1],
      [2, 'exclusive', 1],
      [3, 'tcp', 1],
    ],
    expected: { 0: 1, 1: 1, 2: 1, 3: 1 },
  },
]

test.for(rows)('$name', async ({ asked, expected }) => {
  const clock = new ManualClock()
  const prober = open(clock)
  const url = await serve(() => undefined)
  const began: Record<number, number> = {}
  for (let at = 0; at < 40; at++) {
    const before = prober.flying
    clock.advance(at === 0 ? 0 : 1)
    for (const [when, kind, many] of asked) {
      if (when !== at) continue
      for (let count = 0; count < many; count++)
        prober.probe(orderOf(url, { kind }), () => undefined)
    }
    if (prober.flying > before) began[at] = prober.flying - before
    // The caller returns.
    await Promise.resolve()
  }
  expect(began).toEqual(expected)
})
