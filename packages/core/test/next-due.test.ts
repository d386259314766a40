/** When a fleet wants to be woken: on time for its deadlines, a little late for regular probes if its owner asks for that. */
import { expect, test } from 'vitest'
import { createFleet, nextDue, step, type Fleet } from '../src/index.ts'

/** One runner that is asked now and then, and one that is awaited for a minute. */
function fleetOfTwo(): Fleet {
  const fleet = createFleet({}, { seed: 1 })
  const options = {
    minConcurrency: 2,
    maxConcurrency: 2,
    startupTimeoutSeconds: 60,
    healthCheck: { path: '/health' },
  }
  const app = { app: 'test/app', revision: 'r1', options, policy: {} }
  step(fleet, { type: 'app.configured', at: 0, ...app })
  const [ready = '', awaited = ''] = [...fleet.runners].map(([runner]) => runner)
  const life = { incarnation: 1, at: 1_000 }
  const started = { type: 'process.started', ...life, pid: 1, url: 'http://127.0.0.1:1' } as const
  step(fleet, { ...started, runner: ready })
  step(fleet, { ...started, runner: awaited })
  step(fleet, { type: 'port.opened', ...life, runner: ready, latencyMs: 1 })
  return fleet
}

const fleet = fleetOfTwo()
const probe = fleet.probes.nextDue()
const other = nextDue(fleet, Number.POSITIVE_INFINITY)

test.for([
  { name: 'a probe is due at its time', probesFrom: undefined, expected: probe },
  { name: 'from before', probesFrom: probe - 1, expected: probe },
  { name: 'from its time', probesFrom: probe, expected: probe },
  { name: 'from later on', probesFrom: probe + 8, expected: probe + 8 },
  { name: 'a deadline does not wait with it', probesFrom: other + 1, expected: other },
])('$name', ({ probesFrom, expected }) => {
  expect(nextDue(fleet, probesFrom)).toBe(expected)
})

test('the fleet has both', () => {
  expect(probe).toBeGreaterThan(fleet.now)
  expect(probe + 8).toBeLessThan(other)
  expect(other).toBeLessThan(Number.POSITIVE_INFINITY)
})
