/** Facts from outside are looked at to their last field before anybody judges them. */
import { describe, expect, test } from 'vitest'
import { checkEvent, NEW_RECORD } from '../src/index.ts'

const ended = {
  type: 'attempt.ended',
  runner: 'app-1-1',
  incarnation: 1,
  app: 'demo/app',
  request: 'q-1',
  attempt: 1,
  mode: 'queue',
  outcome: 'server_error',
  status: 503,
  inFlight: 0,
}
const counted = { type: 'work.counted', runner: 'app-1-1', incarnation: 1, inFlight: 0 }
const exited = { type: 'process.exited', runner: 'app-1-1', incarnation: 1, signal: null }

describe('what is well formed is taken', () => {
  test.for([
    ended,
    { ...ended, record: NEW_RECORD },
    { ...ended, record: { ...NEW_RECORD, spent: { timeout: 2 }, retryConfig: { timeout: 3 } } },
    { ...ended, headers: {} },
    { ...ended, headers: { stop: true, retryAfterMs: 0.5 } },
    { type: 'lease.expired', app: 'a/b', request: 'q', attempt: 1, record: NEW_RECORD },
    counted,
    { ...exited, code: -1 },
    { ...exited, code: null },
  ])('%j', (fact) => {
    expect(checkEvent(fact)).toBe(fact)
  })
})

describe('what is not is refused with the path of the field', () => {
  test.for([null, undefined, 7, 'work.counted', [], [counted]])('%j is no event', (value) => {
    for (const path of ['', '[3]'])
      expect(() => checkEvent(value, path)).toThrow(
        expect.objectContaining({
          code: 'HEALTH_EVENT_INVALID',
          path,
          message: expect.stringContaining('is not an object'),
        }),
      )
  })
  test.for([
    [{ ...ended, record: {} }, 'record.attempts'],
    [{ ...ended, record: { ...NEW_RECORD, spent: { timeout: -1 } } }, 'record.spent'],
    [{ ...ended, record: { ...NEW_RECORD, ended: 'x' } }, 'record.ended'],
    [{ ...ended, record: { ...NEW_RECORD, more: 1 } }, 'record.more'],
    [{ ...ended, record: { ...NEW_RECORD, type: 'attempt.ended' } }, 'record.type'],
    [{ ...ended, headers: { stop: 'yes' } }, 'headers.stop'],
    [{ ...ended, headers: [] }, 'headers'],
    [{ type: 'lease.expired', app: 'a/b', request: 'q', attempt: 1, record: 7 }, 'record'],
    [{ ...counted, inFlight: -5 }, 'inFlight'],
    [{ ...counted, incarnation: 1.5 }, 'incarnation'],
    [{ ...exited, code: 0.5 }, 'code'],
    [{ ...counted, at: 1 }, 'at', 'at is set by the gateway'],
    [{ ...counted, seq: 1 }, 'seq', 'seq is set by the gateway'],
  ] as const)('%j: %s', ([fact, path, says = path]) => {
    expect(() => checkEvent(fact)).toThrow(
      expect.objectContaining({
        code: 'HEALTH_EVENT_INVALID',
        path,
        message: expect.stringContaining(says),
      }),
    )
    expect(() => checkEvent(fact, '[3]')).toThrow(expect.objectContaining({ path: `[3].${path}` }))
  })
})
