/** Semantics 5: the order of authority. Each rule is set against all weaker ones that would say the contrary. */
import { expect, test } from 'vitest'
import {
  type AppOptions,
  dispose,
  type Ended,
  NEW_RECORD,
  outcomes,
  type OutcomeName,
  type PolicyOptions,
  type RequestRecord,
  resolvePolicy,
} from '../src/index.ts'
import { APP, ready } from './stage.ts'

interface Case {
  readonly record?: Partial<RequestRecord>
  readonly ended?: Partial<Ended & { cut: 'refused' | 'incomplete' }>
  readonly app?: AppOptions
  readonly policy?: PolicyOptions
}
const given = ({ record, ended, app, policy }: Case) =>
  dispose(
    'q-1',
    { ...NEW_RECORD, attempts: 1, ...record },
    { outcome: 'server_error', status: 503, ...ended },
    resolvePolicy(app ?? {}, policy ?? {}),
    1,
  )
const answered = { outcome: 'server_error', status: 503 } as const
const lost = { outcome: 'connection_lost', status: null } as const
const forced = { headers: { needsRetry: true } } as const

// The strongest first: each row keeps every weaker voice that would try again.
const final: readonly (readonly [string, Case, string])[] = [
  [
    'cancelled',
    { record: { cancelled: true, retryConfig: { server_error: 5 } }, ended: forced },
    'cancel',
  ],
  [
    'its start deadline passed',
    { record: { expired: true, retryConfig: { server_error: 5 } }, ended: forced },
    'retry.deadline',
  ],
  [
    'X-Fal-No-Retry',
    { record: { noRetry: true, retryConfig: { server_error: 5 } }, ended: forced },
    'retry.no_retry',
  ],
  [
    'the ceiling',
    { record: { attempts: 10, retryConfig: { server_error: 10 } }, ended: forced },
    'retry.ceiling',
  ],
  [
    'the header forbids',
    { record: { retryConfig: { server_error: 5 } }, ended: { headers: { needsRetry: false } } },
    'retry.header',
  ],
  [
    'its own budget is spent',
    {
      record: { retryConfig: { server_error: 1 }, spent: { server_error: 1 } },
      app: { retryConfig: { server_error: { retries: 5 } } },
    },
    'retry.config',
  ],
  [
    'the budget of the app is spent',
    {
      record: { spent: { server_error: 2 } },
      app: { retryConfig: { server_error: { retries: 2 } } },
    },
    'retry.config',
  ],
  ['the app skips the condition', { app: { skipRetryConditions: ['server_error'] } }, 'retry.skip'],
]
test.for(final)('%s: final, whatever is weaker', ([, row, rule]) => {
  expect(given(row)).toEqual({ do: 'deliver', rule })
  // Without an answer there is nothing to deliver: the table's own.
  const condition =
    row.record?.retryConfig?.['server_error'] === undefined
      ? {}
      : { retryConfig: { connection_error: 1 } }
  const cut = given({
    ...row,
    record: { ...row.record, ...condition, spent: { connection_error: 2 } },
    ended: { ...lost, ...(row.ended?.headers !== undefined && { headers: row.ended.headers }) },
    ...(row.app?.skipRetryConditions && { app: { skipRetryConditions: ['connection_error'] } }),
    ...(row.app?.retryConfig && { app: { retryConfig: { connection_error: { retries: 2 } } } }),
  })
  expect(cut).toMatchObject({ do: 'reject', rule })
})

const again: readonly (readonly [string, Case, string, string])[] = [
  [
    'the header forces',
    {
      app: { skipRetryConditions: ['server_error'] },
      record: { retryConfig: { server_error: 0 } },
      ended: forced,
    },
    'retry.header',
    'server_error',
  ],
  [
    'the header forces on a 200',
    { ended: { outcome: 'healthy', status: 200, ...forced } },
    'retry.header',
    'needs_retry',
  ],
  [
    'the gateway that held it died',
    {
      app: { skipRetryConditions: ['server_error', 'connection_error'] },
      ended: { outcome: 'gateway_lost', status: null },
    },
    'retry.fencing',
    'gateway_lost',
  ],
  [
    'its own budget is left',
    {
      record: { retryConfig: { server_error: 1 } },
      app: { retryConfig: { server_error: { retries: 0 } }, skipRetryConditions: ['server_error'] },
    },
    'retry.config',
    'server_error',
  ],
  [
    'the budget of the app is left',
    {
      app: { retryConfig: { server_error: { retries: 1 } }, skipRetryConditions: ['server_error'] },
    },
    'retry.config',
    'server_error',
  ],
  ['the table says so', {}, 'retry.table', 'server_error'],
]
test.for(again)('%s: tried again', ([, row, rule, condition]) => {
  expect(given(row)).toMatchObject({
    do: 'requeue',
    rule,
    condition,
    record: { spent: { [condition]: 1 } },
  })
})

test.for([
  ['healthy', null],
  ['rate_limited', 'rate_limited'],
  ['error', null],
  ['server_error', 'server_error'],
  ['gateway_timeout', 'server_error'],
  ['connection_lost', 'connection_error'],
  ['crashed', 'connection_error'],
  ['request_timeout', 'timeout'],
  ['client_left', null],
  ['gateway_lost', 'gateway_lost'],
] as const)('the table: %s is tried again under %s', ([outcome, condition]) => {
  const status =
    (
      {
        healthy: 200,
        rate_limited: 429,
        error: 500,
        server_error: 503,
        gateway_timeout: 504,
      } as Partial<Record<OutcomeName, number>>
    )[outcome] ?? null
  const disposition = given({ ended: { outcome, status } })
  expect(outcomes[outcome].condition).toBe(condition)
  expect(disposition).toMatchObject(
    condition === null
      ? { rule: 'retry.one_outcome', do: status === null ? 'reject' : 'deliver' }
      : { do: 'requeue', condition },
  )
})

test('retryRunner429: false takes the condition out of the table', () => {
  const ended = { outcome: 'rate_limited', status: 429 } as const
  expect(given({ ended, policy: { retryRunner429: false } })).toEqual({
    do: 'deliver',
    rule: 'retry.one_outcome',
  })
})

test.for([
  ['any', 200, 'requeue'],
  ['any', 404, 'requeue'],
  ['errors', 200, 'deliver'],
  ['errors', 404, 'deliver'],
  ['errors', 429, 'requeue'],
  ['errors', 500, 'requeue'],
] as const)(
  'needsRetryScope %s listens to the header on %i: %s',
  ([needsRetryScope, status, what]) => {
    const outcome = status === 429 ? 'rate_limited' : status === 500 ? 'error' : 'healthy'
    expect(given({ ended: { outcome, status, ...forced }, policy: { needsRetryScope } }).do).toBe(
      what,
    )
  },
)

test('budgets are independent: one that is spent leaves the others', () => {
  const record = { retryConfig: { server_error: 1, timeout: 1 }, spent: { server_error: 1 } }
  expect(given({ record }).do).toBe('deliver')
  expect(given({ record, ended: { outcome: 'request_timeout', status: null } }).do).toBe('requeue')
})

test('maxAttempts counts the first attempt; ten is the most that any configuration allows', () => {
  expect(given({ record: { attempts: 2 }, policy: { maxAttempts: 3 } }).do).toBe('requeue')
  expect(given({ record: { attempts: 3 }, policy: { maxAttempts: 3 } }).rule).toBe('retry.ceiling')
  expect(() => resolvePolicy({}, { maxAttempts: 11 })).toThrow(/maxAttempts/)
})

test('a plain delivery is not credited to the ceiling', () => {
  expect(given({ record: { attempts: 10 }, ended: { outcome: 'healthy', status: 200 } }).rule).toBe(
    'retry.one_outcome',
  )
})

test('the lost gateway cannot be skipped by configuration and counts to the ceiling', () => {
  const ended = { outcome: 'gateway_lost', status: null } as const
  expect(given({ ended, record: { attempts: 10 } })).toMatchObject({
    do: 'reject',
    rule: 'retry.ceiling',
    status: 503,
  })
})

test.for([
  ['connection_lost', 'refused', 503, 'runner_connection_refused'],
  ['connection_lost', 'connect_timeout', 503, 'runner_connection_timeout'],
  ['connection_lost', 'disconnected', 503, 'runner_disconnected'],
  ['connection_lost', 'incomplete', 503, 'runner_incomplete_response'],
  ['request_timeout', undefined, 504, 'request_timeout'],
] as const)(
  'without an answer the caller gets the table: %s %s is %i %s',
  ([outcome, cut, status, errorType]) => {
    const policy = resolvePolicy({}, {})
    expect(
      dispose('q', { ...NEW_RECORD, attempts: 10 }, { outcome, status: null, cut }, policy, 1),
    ).toMatchObject({ status, errorType, quarantine: false })
  },
)

test('retry.delay: doubling, capped, full jitter, the same for the same seed', () => {
  const policy = resolvePolicy({}, {})
  const delays = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((attempts) => {
    const all = Array.from({ length: 200 }, (_, i) => {
      const disposition = dispose(`q-${i}`, { ...NEW_RECORD, attempts }, answered, policy, 1)
      return disposition.do === 'requeue' ? disposition.delayMs : Number.NaN
    })
    return { most: Math.max(...all), mean: all.reduce((sum, ms) => sum + ms, 0) / all.length }
  })
  const ceilings = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
  delays.forEach(({ most, mean }, i) => {
    expect(most).toBeLessThanOrEqual(ceilings[i]!)
    expect(mean).toBeGreaterThan(ceilings[i]! * 0.35)
    expect(mean).toBeLessThan(ceilings[i]! * 0.65)
  })
  expect(given({})).toEqual(given({}))
})

test('Retry-After is a lower bound, of at most five minutes', () => {
  const ended = (retryAfterMs: number): Case => ({
    ended: { outcome: 'rate_limited', status: 429, headers: { retryAfterMs } },
  })
  expect(given(ended(7_000))).toMatchObject({ delayMs: 7_000 })
  expect(given(ended(9_000_000))).toMatchObject({ delayMs: 300_000 })
  expect(given({ ended: { ...answered, headers: { retryAfterMs: 60_000 } } })).toMatchObject({
    do: 'requeue',
  })
})

const queued = (more: Partial<RequestRecord> = {}) => ({
  mode: 'queue' as const,
  record: { ...NEW_RECORD, attempts: 1, ...more },
})

test('a step answers an attempt of a queued request with exactly one order and one decision', () => {
  const stage = ready(2)
  const { commands, decisions } = stage.end('server_error', 1, queued())
  const orders = commands.filter(({ type }) => ['requeue', 'deliver', 'reject'].includes(type))
  expect(orders).toEqual([
    expect.objectContaining({
      type: 'requeue',
      id: 'requeue:q-1:1',
      avoid: stage.id(1),
      condition: 'server_error',
      record: expect.objectContaining({ ended: [stage.id(1)] }),
    }),
  ])
  expect(decisions.filter(({ subject }) => subject.kind === 'request')).toEqual([
    expect.objectContaining({
      from: 'leased',
      to: 'queued',
      rule: 'retry.table',
      commands: ['requeue:q-1:1'],
    }),
  ])
})

test('direct calls are never tried again', () => {
  const stage = ready(2)
  const { commands } = stage.end('server_error', 1)
  expect(commands.filter(({ type }) => ['requeue', 'deliver', 'reject'].includes(type))).toEqual([])
})

test('retry.poison: the third different runner raises an alert; only with poisonQuarantine it is final', () => {
  const record = { ended: ['x-1', 'x-2'], attempts: 3 }
  const stage = ready(2)
  stage.end('server_error', 1, queued(record))
  expect(stage.orders('alert')).toEqual([
    expect.objectContaining({ name: 'request.poison', subject: { kind: 'request', id: 'q-1' } }),
  ])
  expect(stage.orders('requeue')).toHaveLength(1)
  const strict = ready(2, { policy: { poisonQuarantine: true } })
  strict.end('server_error', 1, queued(record))
  expect(strict.orders('reject')).toEqual([
    expect.objectContaining({
      status: 503,
      errorType: 'poison_request',
      quarantine: true,
      cause: 'retry.poison',
    }),
  ])
  // A good answer is delivered, also when its runner asks to be ended by it.
  const well = ready(2, { policy: { poisonQuarantine: true } })
  well.end('healthy', 1, { headers: { stop: true }, ...queued(record) })
  expect([well.orders('deliver').length, well.orders('reject')]).toEqual([1, []])
  // The same runner twice is one; one that somebody else ended is none.
  const same = ready(2)
  same.end('server_error', 1, queued({ ended: ['x-1', same.id(1)] }))
  expect(same.orders('alert')).toEqual([])
  const other = ready(2)
  other.order('order.kill', 1)
  other.end('connection_lost', 1, queued(record))
  expect([other.orders('alert'), other.orders('requeue').length]).toEqual([[], 1])
})

test('retry.poison: a crash counts although the end of the process is told before the end of the attempt', () => {
  const stage = ready(2)
  const life = stage.life(1)
  stage.exit(1)
  stage.end('crashed', 1, { ...life, ...queued({ ended: ['x-1', 'x-2'], attempts: 3 }) })
  expect(stage.orders('alert')).toEqual([expect.objectContaining({ name: 'request.poison' })])
  // A process that was told to end takes its attempts with it, and none of them is to blame.
  const told = ready(2)
  const killed = told.life(1)
  told.order('order.kill', 1)
  told.exit(1)
  told.end('crashed', 1, { ...killed, ...queued({ ended: ['x-1', 'x-2'], attempts: 3 }) })
  expect(told.orders('alert')).toEqual([])
})

test('runners that a poison request ended stop counting for start.backoff', () => {
  const stage = ready(1)
  const ended: string[] = []
  const fails: number[] = []
  for (const n of [1, 2, 3]) {
    const life = stage.life(n)
    stage.exit(n)
    fails.push(stage.fleet.apps.get(APP)!.fails)
    stage.end('crashed', n, { ...life, ...queued({ ended, attempts: n }) })
    ended.push(life.runner)
    if (n < 3) stage.open(n + 1)
  }
  expect(stage.orders('alert')).toEqual([expect.objectContaining({ name: 'request.poison' })])
  // The first had been stable; the second crash in a row right after ready counts as a failed start, and the blame takes it back.
  expect(fails).toEqual([0, 0, 1])
  expect([stage.fleet.apps.get(APP)!.fails, stage.word(4)]).toEqual([0, 'provisioning'])
})

test('an attempt on a runner that is already gone is settled all the same', () => {
  const stage = ready(2)
  const life = stage.life(1)
  stage.exit(1)
  stage.end('connection_lost', 1, { ...life, ...queued() })
  expect(stage.orders('requeue')).toHaveLength(1)
})

test('lease.expired requeues as gateway_lost; request.expired and request.cancelled are final before a start', () => {
  const stage = ready()
  stage.tell({
    type: 'lease.expired',
    app: 'demo/app',
    request: 'q-9',
    attempt: 2,
    record: { ...NEW_RECORD, attempts: 2 },
  })
  expect(stage.orders('requeue')).toEqual([
    expect.objectContaining({ request: 'q-9', condition: 'gateway_lost', avoid: null }),
  ])
  stage.tell({ type: 'request.expired', app: 'demo/app', request: 'q-8' })
  expect(stage.orders('reject')).toEqual([
    expect.objectContaining({ status: 504, errorType: 'request_timeout', cause: 'retry.deadline' }),
  ])
  stage.tell({ type: 'request.cancelled', app: 'demo/app', request: 'q-7', cause: 'caller' })
  expect(stage.orders('reject')).toEqual([
    expect.objectContaining({ status: 499, errorType: 'client_cancelled', cause: 'cancel' }),
  ])
})

test('cancel: a running request is told on its runner; one that is being ended gets no orders', () => {
  const stage = ready(1, { options: { hardCancelAfterSeconds: 4 } })
  const cancel = {
    type: 'request.cancelled',
    app: 'demo/app',
    request: 'q-1',
    runner: stage.id(),
    attempt: 1,
    cause: 'caller',
  } as const
  stage.tell(cancel)
  expect(stage.last.commands).toEqual([
    {
      type: 'cancel',
      id: 'cancel:q-1:1',
      ...stage.life(),
      request: 'q-1',
      attempt: 1,
      cutAfterMs: 4_000,
    },
  ])
  stage.order('order.kill')
  stage.tell(cancel)
  expect(stage.last.commands).toEqual([])
})
