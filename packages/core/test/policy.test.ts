/** Semantics 3 and 8: impossible values are refused with the option's path, the value and the range; odd ones are warned of. */
import { expect, test } from 'vitest'
import {
  type AppOptions,
  appOptions,
  healthCheckOptions,
  nearest,
  type OptionSpec,
  type PolicyOptions,
  policyWarnings,
  resolvePolicy,
  tunables,
} from '../src/index.ts'

const check = (more: object): AppOptions => ({ healthCheck: { path: '/h', ...more } })
const refusal = (options: AppOptions, policy: PolicyOptions = {}, path = '') => {
  try {
    resolvePolicy(options, policy, {}, path)
  } catch (error) {
    const { code, message, path: at } = error as { code: string; message: string; path: string }
    return { code, message, at }
  }
  return null
}

test.for([
  [
    check({ intervalSeconds: 0 }),
    {},
    'healthCheck.intervalSeconds',
    '0; allowed is a number ≥ 0.1',
  ],
  [check({ timeoutSeconds: 0 }), {}, 'healthCheck.timeoutSeconds', '0; allowed is a number > 0'],
  [
    check({ failureThreshold: 0 }),
    {},
    'healthCheck.failureThreshold',
    '0; allowed is a whole number ≥ 1',
  ],
  [
    check({ failureThreshold: 1.5 }),
    {},
    'healthCheck.failureThreshold',
    '1.5; allowed is a whole number ≥ 1',
  ],
  [
    check({ startPeriodSeconds: -1 }),
    {},
    'healthCheck.startPeriodSeconds',
    '-1; allowed is a number ≥ 0',
  ],
  [check({ method: 'PUT' }), {}, 'healthCheck.method', '"PUT"; allowed is "GET" or "POST"'],
  [
    check({ path: 'health' }),
    {},
    'healthCheck.path',
    '"health"; allowed is a path that starts with "/"',
  ],
  [check({ path: '/a b' }), {}, 'healthCheck.path', '"/a b"'],
  [
    check({ callRegularly: 'yes' }),
    {},
    'healthCheck.callRegularly',
    '"yes"; allowed is true or false',
  ],
  [
    check({ callRegularly: false, readyAfterFirstPass: true }),
    {},
    'healthCheck.readyAfterFirstPass',
    'no pass would ever come',
  ],
  [check({ heartbeat: {} }), {}, 'healthCheck.heartbeat.ttlSeconds', 'allowed is a number ≥ 0.1'],
  [{ healthCheck: {} } as AppOptions, {}, 'healthCheck.path', 'undefined'],
  [
    { terminationGraceSeconds: 31 },
    {},
    'terminationGraceSeconds',
    '31; allowed is a number ≥ 0 and ≤ 30',
  ],
  [{ maxMultiplexing: 0 }, {}, 'maxMultiplexing', '0; allowed is a whole number ≥ 1'],
  [
    { minConcurrency: 3, maxConcurrency: 2 },
    {},
    'minConcurrency',
    '3; allowed is at most maxConcurrency (2)',
  ],
  [{ requestTimeoutSeconds: Number.NaN }, {}, 'requestTimeoutSeconds', 'null'],
  [
    { keepAliveSeconds: Number.POSITIVE_INFINITY },
    {},
    'keepAliveSeconds',
    'allowed is a number ≥ 0',
  ],
  [{ skipRetryConditions: ['timeouts'] }, {}, 'skipRetryConditions', '"timeouts"'],
  [{ retryConfig: { timeout: { retries: 11 } } }, {}, 'retryConfig.timeout.retries', '11'],
  [{}, { maxAttempts: 11 }, 'policy.maxAttempts', '11; allowed is a whole number ≥ 1 and ≤ 10'],
  [{}, { doubtPerSecond: 0 }, 'policy.doubtPerSecond', '0; allowed is a number > 0'],
  [{}, { needsRetryScope: 'all' as 'any' }, 'policy.needsRetryScope', '"all"'],
  [{}, { dryRun: ['health.treshold'] }, 'policy.dryRun', 'the nearest is health.threshold'],
  [
    {},
    { dryRun: ['outcome.server_error'] },
    'policy.dryRun',
    'no immediate rule unless allowUnsafe is true',
  ],
] as const)('%j %j is refused at %s', ([options, policy, at, says]) => {
  const refused = refusal(options as AppOptions, policy)
  expect(refused).toMatchObject({ code: 'HEALTH_POLICY_INVALID', at })
  expect(refused!.message).toContain(at)
  expect(refused!.message).toContain(says)
})

test.for([
  [check({ intervalSecond: 5 }), {}, 'healthCheck.intervalSecond', 'intervalSeconds'],
  [{ maxConcurency: 5 } as AppOptions, {}, 'maxConcurency', 'maxConcurrency'],
  [{}, { capPercentage: 5 }, 'policy.capPercentage', 'capPercent'],
  [{ retryConfig: { timeouts: { retries: 1 } } }, {}, 'retryConfig.timeouts', 'timeout'],
  [{ toString: 1 } as never, {}, 'toString', ''],
] as const)(
  'an unknown option names the nearest that exists: %j %j',
  ([options, policy, at, near]) => {
    const refused = refusal(options as AppOptions, policy)
    expect(refused).toMatchObject({ code: 'HEALTH_POLICY_UNKNOWN', at })
    expect(refused!.message).toContain(near)
  },
)

test('the path of the app stands before the option', () => {
  expect(refusal({ maxMultiplexing: 0 }, {}, 'apps.demo/app')?.at).toBe(
    'apps.demo/app.maxMultiplexing',
  )
})

test.for([
  [
    {},
    {
      effectiveStartPeriodMs: 600_000,
      startupTimeoutMs: 600_000,
      directWaitMs: 600_000,
      hasCheck: false,
    },
  ],
  [{ ...check({ startPeriodSeconds: 900 }) }, { effectiveStartPeriodMs: 900_000 }],
  [
    { ...check({ startPeriodSeconds: 20 }), startupTimeoutSeconds: 10 },
    { effectiveStartPeriodMs: 20_000 },
  ],
  [
    check({}),
    {
      intervalMs: 15_000,
      suspectIntervalMs: 5_000,
      strikeGapMs: 13_500,
      timeoutMs: 5_000,
      failureThreshold: 3,
      successThreshold: 1,
      exclusive: false,
      method: 'GET',
    },
  ],
  [check({ callRegularly: false }), { exclusive: true }],
  [check({ callRegularly: false, exclusive: false }), { exclusive: false }],
  [check({ intervalSeconds: 0.1 }), { intervalMs: 100, suspectIntervalMs: 100 }],
  [check({ heartbeat: { ttlSeconds: 2.5 } }), { heartbeatTtlMs: 2_500 }],
  [{ hardCancelAfterSeconds: null }, { hardCancelAfterMs: null }],
  [{ directWaitSeconds: 3 }, { directWaitMs: 3_000 }],
] as const)('%j resolves to %j', ([options, expected]) => {
  expect(resolvePolicy(options as AppOptions, {})).toMatchObject(expected)
})

test('the strike gap follows the jitter', () => {
  expect(
    resolvePolicy(check({ intervalSeconds: 10 }), { probeJitterPercent: 50 }).strikeGapMs,
  ).toBe(5_000)
})

test('every default lies within its own range and has a reason', () => {
  const tables: readonly Readonly<Record<string, OptionSpec>>[] = [
    appOptions,
    healthCheckOptions,
    tunables,
  ]
  const odd = tables.flatMap((table) =>
    Object.entries(table).filter(([, spec]) => {
      if (spec.reason.length <= 10) return true
      if (!('min' in spec) || spec.default === null) return false
      return spec.default < spec.min || spec.default > (spec.max ?? Number.POSITIVE_INFINITY)
    }),
  )
  expect(odd).toEqual([])
})

test.for([
  [{}, ['healthCheck: none']],
  [check({ timeoutSeconds: 50 }), ['healthCheck.timeoutSeconds: 50']],
  [check({ callRegularly: false, failureThreshold: 3 }), ['healthCheck.callRegularly: false']],
  [
    check({ startPeriodSeconds: 30 }),
    ['healthCheck.startPeriodSeconds: 30 is below startupTimeoutSeconds; 600 is in force'],
  ],
  [{ ...check({ startPeriodSeconds: 30 }), startupTimeoutSeconds: 20 }, []],
  [check({}), []],
] as const)('%j is allowed, with the warnings %j', ([options, expected]) => {
  const warnings = policyWarnings(options as AppOptions)
  expect(warnings).toHaveLength(expected.length)
  expected.forEach((text, i) => expect(warnings[i]).toContain(text))
})

test.for([
  ['intervalSecnds', ['timeoutSeconds', 'intervalSeconds'], 'intervalSeconds'],
  ['PATH', ['path', 'method'], 'path'],
  ['x', [], ''],
] as const)('the nearest name to %s among %j is "%s"', ([name, names, expected]) => {
  expect(nearest(name, names)).toBe(expected)
})

test.for(['health.threshold', 'temp.critical', 'xid', 'node.breaker'])(
  'a dry run may be of %s, if it is a rule that judges',
  (rule) => {
    expect(refusal({}, { dryRun: [rule] }) === null).toBe(rule !== 'node.breaker')
  },
)
