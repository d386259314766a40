// What is refused is named, whatever its size and depth, and naming it takes no time.
import { describe, expect, test } from 'vitest'
import { checkEvent, checkOptions, createFleet, nearest, type HealthError } from '../src/index.ts'

const deep: unknown = JSON.parse('['.repeat(200_000) + ']'.repeat(200_000))
const long = 'a'.repeat(2_000_000)
const fact = { type: 'heartbeat.received', runner: 'r', incarnation: 1 }
const specs = {
  path: { kind: 'path', default: null, reason: '' },
  list: { kind: 'list', words: ['a', 'b'], default: [], reason: '' },
} as const

function refused(act: () => unknown): HealthError {
  try {
    act()
  } catch (error) {
    return error as HealthError
  }
  throw new Error('it was taken')
}

describe('a wrong value of any size is named and refused', () => {
  test.for([
    ['a deep type', () => checkEvent({ type: deep }), 'HEALTH_EVENT_INVALID', 'type'],
    ['a long type', () => checkEvent({ type: long }), 'HEALTH_EVENT_INVALID', 'type'],
    ['a deep field', () => checkEvent({ ...fact, runner: deep }), 'HEALTH_EVENT_INVALID', 'runner'],
    ['a long field', () => checkEvent({ ...fact, runner: long }), 'HEALTH_EVENT_INVALID', 'runner'],
    [
      'a deep device',
      () => checkEvent({ type: 'gpu.sampled', node: 'n', devices: [{ uuid: deep }] }),
      'HEALTH_EVENT_INVALID',
      'devices.0.uuid',
    ],
    [
      'a deep option',
      () => checkOptions('', specs, { path: deep }),
      'HEALTH_POLICY_INVALID',
      'path',
    ],
    [
      'a list of more names than there are',
      () => checkOptions('', specs, { list: Array(100_000).fill('a') }),
      'HEALTH_POLICY_INVALID',
      'list',
    ],
    [
      'a deep action of an Xid',
      () => createFleet({ xid: { 79: deep } } as never, { seed: 1 }),
      'HEALTH_POLICY_INVALID',
      'gpu.xid.79',
    ],
  ] as const)('%s', ([, act, code, path]) => {
    const error = refused(act)
    expect(error).toMatchObject({ code, path })
    expect(error.message.length).toBeLessThan(1500)
  })
})

test('of a very long name only its beginning is looked at', () => {
  const name = 'probe.passe'.padEnd(1000, 'd')
  expect(nearest(name, ['probe.passed', name.slice(0, 300)])).toBe('probe.passed')
})
