/** The global tunables as the configuration has them: what it no longer names has its default again, and what people ordered stays. */
import { expect, test } from 'vitest'
import {
  createFleet,
  globalPolicyOf,
  policyOf,
  restore,
  snapshot,
  step,
  type PolicyOptions,
} from '../src/index.ts'

const APP = 'a/b'

function fleetOf(policy: PolicyOptions, own: PolicyOptions = {}) {
  const fleet = createFleet(policy, { seed: 1 })
  step(fleet, { type: 'app.configured', at: 0, app: APP, options: {}, policy: own, revision: 'r' })
  return fleet
}

test('a name that is gone has its default again, for all apps, new ones and nodes', () => {
  const fleet = fleetOf({ capPercent: 50, tempHighC: 60 }, { maxAttempts: 4 })
  step(fleet, { type: 'policy.configured', at: 1, policy: { capMin: 2 } })
  expect(policyOf(fleet, APP)).toMatchObject({ capPercent: 20, capMin: 2, maxAttempts: 4 })
  expect(globalPolicyOf(fleet)).toMatchObject({ capPercent: 20, capMin: 2 })
  expect(fleet.nodePolicy.tempHighC).toBe(85)
})

test('overrides stay, and a restored fleet judges the same', () => {
  const fleet = fleetOf({ capPercent: 50 })
  const change = { capPercent: 70 }
  step(fleet, { type: 'policy.changed', at: 1, app: null, change, by: 'me' })
  step(fleet, { type: 'policy.configured', at: 2, policy: { capMin: 2 } })
  const back = restore(JSON.parse(JSON.stringify(snapshot(fleet))))
  for (const one of [fleet, back])
    expect(policyOf(one, APP)).toMatchObject({ capPercent: 70, capMin: 2 })
})

test.for([
  ['an impossible value', { capPercent: 900 }, 'policy.capPercent'],
  ['an unknown name', { capPercnt: 9 }, 'capPercent'],
  ['a node number', { tempHighC: -300 }, 'tempHighC'],
] as const)('%s is refused, and nothing moves', ([, policy, said]) => {
  const fleet = fleetOf({})
  const before = JSON.stringify(snapshot(fleet))
  expect(() =>
    step(fleet, { type: 'policy.configured', at: 1, policy: policy as PolicyOptions }),
  ).toThrow(said)
  expect(JSON.stringify(snapshot(fleet))).toBe(before)
})

test.for([
  ['an unknown rule', { dryRun: ['nope'] }],
  ['a rule that acts at once', { dryRun: ['outcome.server_error'] }],
] as const)('a change to %s is refused at its own field, apps or none', ([, change]) => {
  for (const fleet of [fleetOf({}), createFleet({}, { seed: 1 })])
    expect(() =>
      step(fleet, { type: 'policy.changed', at: 1, app: null, change, by: 'me' }),
    ).toThrow(expect.objectContaining({ code: 'HEALTH_POLICY_INVALID', path: 'dryRun' }) as Error)
})
