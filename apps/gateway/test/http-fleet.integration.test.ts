// What people and programs see of the fleet under /v1, and what their orders do.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

let gateway: RunningGateway
beforeAll(async () => {
  gateway = await startGateway({
    apps: {
      'test/echo': {
        command: ['node', RUNNER],
        healthCheck: { path: '/health', intervalSeconds: 60 },
        startupTimeoutSeconds: 20,
        terminationGraceSeconds: 1,
        minConcurrency: 2,
        maxConcurrency: 2,
      },
    },
  })
  await gateway.until(() => (fleet().length === 2 ? true : null))
})
afterAll(() => gateway.close())

interface Runner {
  readonly id: string
  readonly state: string
  readonly substate: string
  readonly reason: string | null
  readonly lastProbe: { readonly kind: string; readonly at: string } | null
}

/** Every field that some answer has; each test looks at those of its own. */
interface Answer extends Readonly<Record<string, unknown>> {
  readonly runners: readonly Runner[]
  readonly nodes: readonly Readonly<Record<string, unknown>>[]
  readonly decisions: readonly { readonly seq: number }[]
  readonly next: string | number | null
}

const fleet = (): readonly string[] =>
  [...gateway.supervisor.fleet.runners.values()]
    .filter(({ configuration }) => configuration.word === 'ready')
    .map(({ id }) => id)
const ask = async (
  path: string,
  method = 'GET',
  body?: unknown,
): Promise<{ status: number; body: Answer }> => {
  const response = await fetch(gateway.url + path, {
    method,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  })
  return { status: response.status, body: (await response.json()) as Answer }
}

describe('reading', () => {
  test('a runner has every field that is promised, and times are dates', async () => {
    const { body } = await ask('/v1/runners?app=test/echo&state=ready')
    const { runners, next } = body
    expect([runners.length, next]).toEqual([2, null])
    expect(Object.keys(runners[0]!)).toEqual([
      'id',
      'app',
      'incarnation',
      'state',
      'substate',
      'falState',
      'suspect',
      'accepting',
      'reason',
      'since',
      'inFlight',
      'node',
      'url',
      'pid',
      'startedAt',
      'failures',
      'effectiveStartPeriodSeconds',
      'lastProbe',
      'replaces',
    ])
    expect(runners[0]).toMatchObject({
      state: 'ready',
      substate: 'idle',
      falState: 'IDLE',
      suspect: false,
      reason: null,
      effectiveStartPeriodSeconds: 30,
      since: expect.stringMatching(/^\d{4}-.*Z$/),
      startedAt: expect.stringMatching(/Z$/),
    })
    const one = await ask(`/v1/runners/${runners[0]!.id}`)
    expect(one.body).toMatchObject({ id: runners[0]!.id, state: 'ready' })
  })

  test('lists are cut and go on at the cursor', async () => {
    const first = await ask('/v1/runners?limit=1')
    expect(first.body.runners).toHaveLength(1)
    const second = await ask(`/v1/runners?limit=1&cursor=${first.body.next}`)
    expect([second.body.runners.length, second.body.next]).toEqual([1, null])
    expect(second.body.runners[0]!.id).not.toBe(first.body.runners[0]!.id)
    expect((await ask('/v1/runners?state=terminated,killing')).body.runners).toEqual([])
    for (const words of ['idle%2Bdraining, busy%2Bpaused', 'idle+draining,busy+paused'])
      expect(await ask(`/v1/runners?state=${words}`)).toMatchObject({
        status: 200,
        body: { runners: [] },
      })
  })

  test.for([
    ['/v1/runners?limit=0', 'limit', 'limit must be a whole number from 1.'],
    ['/v1/runners?limit=-1', 'limit', 'limit must be a whole number from 1.'],
    ['/v1/decisions?limit=0', 'limit', 'limit must be a whole number from 1.'],
    ['/v1/runners?cursor=x', 'cursor', 'cursor must be a whole number from 0.'],
    ['/v1/decisions?since=x', 'since', 'since must be a whole number from 0.'],
    ['/v1/runners?state=redy', 'state', 'state cannot be "redy"; the nearest is ready.'],
    ['/v1/runners?state=ready,Idle', 'state', 'state cannot be "Idle"; the nearest is idle.'],
    [
      '/v1/runners?state=bussy%2Bpaused',
      'state',
      'state cannot be "bussy+paused"; the nearest is busy+paused.',
    ],
  ] as const)('%s is refused by name', async ([path, field, detail]) => {
    expect(await ask(path)).toMatchObject({
      status: 422,
      body: { error_type: 'invalid_value', path: field, detail },
    })
  })

  test('apps, nodes and the policy', async () => {
    const { body } = await ask('/v1/apps')
    expect(body).toEqual({
      apps: [
        {
          id: 'test/echo',
          degraded: false,
          target: 2,
          runners: { idle: 2 },
          inFlight: 0,
          waiting: 0,
          queued: 0,
          healthCheck: expect.objectContaining({
            path: '/health',
            intervalSeconds: 60,
            effectiveStartPeriodSeconds: 30,
          }),
          policy: expect.objectContaining({ maxAttempts: 10, tcpCheckTimeoutSeconds: 2 }),
        },
      ],
      next: null,
    })
    expect((await ask('/v1/nodes')).body.nodes[0]).toMatchObject({
      id: 'local',
      state: 'healthy',
      runners: fleet().toSorted(),
    })
  })

  test('decisions, from a number on', async () => {
    const all = (await ask('/v1/decisions')).body
    expect(all.decisions[0]).toMatchObject({
      seq: 1,
      subject: { kind: 'runner' },
      rule: expect.any(String),
      at: expect.stringMatching(/Z$/),
    })
    const two = (await ask('/v1/decisions?limit=2')).body
    expect([two.decisions.length, two.next]).toEqual([2, 2])
    expect((await ask(`/v1/decisions?since=${two.next}&limit=1`)).body.decisions[0]!.seq).toBe(3)
    expect((await ask('/v1/decisions?since=100000')).body).toEqual({ decisions: [], next: null })
  })

  test('metrics count what happened', async () => {
    await fetch(`${gateway.url}/run/test/echo`)
    await fetch(`${gateway.url}/run/test/echo/x?status=404`)
    const text = await (await fetch(`${gateway.url}/metrics`)).text()
    expect(text).toMatch(/^health_requests_total\{app="test\/echo",mode="run",status="200"\} \d+$/m)
    expect(text).toMatch(/^health_requests_total\{app="test\/echo",mode="run",status="404"\} 1$/m)
    expect(text).toMatch(/^health_attempts_total\{app="test\/echo",outcome="healthy"\} \d+$/m)
    expect(text).toMatch(/^health_runners\{app="test\/echo",state="idle"\} 2$/m)
    expect(text).toMatch(
      /^health_transitions_total\{app="test\/echo",from="setup",to="idle",rule="start.ready"\} 2$/m,
    )
    expect(text).toMatch(/^health_queue_depth\{app="test\/echo"\} 0$/m)
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(#.*|[a-z_]+(\{[^{}]*\})? -?[\d.e+-]+)$/)
  })
})

describe('orders', () => {
  test('a check now; a manual one carries the header and shows as one', async () => {
    const [id] = fleet()
    const { status } = await ask(`/v1/runners/${id}/check`, 'POST', { manual: true })
    expect(status).toBe(202)
    await gateway.until(() =>
      gateway.runner(id!)?.lastProbe?.kind === 'manual' && gateway.runner(id!)?.state === 'ready'
        ? true
        : null,
    )
    await ask(`/v1/runners/${id}/check`, 'POST')
    await gateway.until(() => (gateway.runner(id!)?.lastProbe?.kind === 'regular' ? true : null))
  })

  test.for([
    { order: 'stop', reason: 'stopped' },
    { order: 'drain', reason: 'drained' },
    { order: 'kill', reason: 'killed' },
  ])(
    '$order ends a runner as $reason, the pool refills, a second order is a conflict',
    async ({ order, reason }) => {
      const [id] = fleet()
      const { status, body } = await ask(`/v1/runners/${id}/${order}`, 'POST')
      expect([status, body['id']]).toEqual([202, id])
      await gateway.until(() => (gateway.runner(id!)?.substate === 'gone' ? true : null))
      expect(gateway.runner(id!)?.reason).toBe(reason)
      expect(await ask(`/v1/runners/${id}/${order}`, 'POST')).toMatchObject({
        status: 409,
        body: { error_type: 'runner_terminated' },
      })
      const why = (await ask(`/v1/runners/${id}/explain`)).body
      expect(why).toMatchObject({ kind: 'runner', id, decision: { subject: { id } } })
      await gateway.until(() => (fleet().length === 2 ? true : null))
    },
  )

  test('with replace the successor is ready first', async () => {
    const [id] = fleet()
    await ask(`/v1/runners/${id}/stop`, 'POST', { replace: true })
    await gateway.until(() => (gateway.runner(id!)?.substate === 'gone' ? true : null))
    expect(gateway.runner(id!)?.reason).toBe('replaced')
    expect(fleet()).toHaveLength(2)
    expect(await ask(`/v1/runners/${fleet()[0]}/stop`, 'POST', { replace: 'yes' })).toMatchObject({
      status: 422,
      body: { path: 'replace' },
    })
    expect(await ask(`/v1/runners/${fleet()[0]}/stop`, 'POST', { gently: true })).toMatchObject({
      status: 422,
      body: { path: 'gently' },
    })
  })

  test.for([
    ['', { capPercent: 101 }, 'capPercent'],
    ['', { dryRun: ['nope'] }, 'dryRun'],
    ['?app=test/echo', { dryRun: ['outcome.server_error'] }, 'dryRun'],
  ] as const)(
    'a change of the policy%s that is refused names its field: %j',
    async ([of, change, path]) => {
      const refused = await ask(`/v1/policy${of}`, 'PUT', change)
      expect(refused).toMatchObject({ status: 422, body: { path } })
      expect(refused.body['detail']).toMatch(new RegExp(`^${path} is `))
    },
  )

  test('the policy is merged, null takes a name back, an app may have its own', async () => {
    const put = await ask('/v1/policy', 'PUT', { capPercent: 33, poisonThreshold: 5 })
    expect([put.status, put.body['capPercent'], put.body['maxAttempts']]).toEqual([200, 33, 10])
    expect(
      (await ask('/v1/policy?app=test/echo', 'PUT', { capPercent: 44 })).body['capPercent'],
    ).toBe(44)
    expect((await ask('/v1/policy')).body['capPercent']).toBe(33)
    expect((await ask('/v1/policy', 'PUT', { capPercent: null })).body).toMatchObject({
      capPercent: 20,
      poisonThreshold: 5,
    })
    expect((await ask('/v1/policy?app=test/echo')).body).toMatchObject({
      capPercent: 44,
      poisonThreshold: 5,
    })
  })

  test('a node is cordoned by name and comes back through its checks; the breaker closes', async () => {
    const cordoned = await ask('/v1/nodes/local/cordon', 'POST')
    expect([cordoned.status, cordoned.body['state']]).toEqual([202, 'cordoned'])
    expect(cordoned.body['cordonedBy']).toEqual(expect.stringContaining('operator'))
    const back = await ask('/v1/nodes/local/uncordon', 'POST')
    expect([back.status, back.body['state']]).not.toEqual([202, 'cordoned'])
    expect(await ask('/v1/nodes/local/reset', 'POST', { device: 7 })).toMatchObject({
      status: 422,
      body: { path: 'device' },
    })
    expect(await ask('/v1/breaker/close', 'POST')).toMatchObject({
      status: 202,
      body: { open: false },
    })
    expect((await ask('/v1/nodes/local/explain')).body).toMatchObject({ kind: 'node', id: 'local' })
  })

  test('facts from outside are told in order, and act', async () => {
    const [id] = fleet()
    const { incarnation } = gateway.runner(id!)!
    const fact = { type: 'process.exited', runner: id, incarnation, code: 1, signal: null }
    expect(await ask('/v1/events', 'POST', [fact])).toMatchObject({
      status: 202,
      body: { accepted: 1 },
    })
    expect(gateway.runner(id!)).toMatchObject({ state: 'terminated', reason: 'crashed' })
  })
})
