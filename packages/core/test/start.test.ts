/** Semantics 2, Start: when a start is granted, what counts as failed, how the row of failures grows and ends. */
import { expect, test } from 'vitest'
import { ready, Stage } from './stage.ts'

const app = (stage: Stage) => stage.fleet.apps.get('demo/app')!
const many = (count: number) => ({ options: { minConcurrency: count, maxConcurrency: count } })
/** Fails the newest start as soon as it is granted; returns how long it had to wait. */
function failNext(stage: Stage, how: (n: number) => void): number {
  const from = stage.at
  while (
    !stage.fleet.apps
      .get('demo/app')!
      .runners.some((runner) => runner.configuration.word === 'provisioning')
  )
    stage.wait(0.5)
  const granted = [...Array(stage.started).keys()]
    .map((i) => i + 1)
    .find((n) => stage.word(n) === 'provisioning')!
  const waited = stage.at - from
  stage.begin(granted)
  how(granted)
  return waited
}
const setupFailed = (stage: Stage) => (n: number) => {
  stage.tell({ type: 'setup.failed', ...stage.life(n), detail: 'no weights' })
  stage.exit(n)
}

test.for([
  [
    'setup.failed',
    (stage: Stage) => stage.tell({ type: 'setup.failed', ...stage.life(), detail: 'x' }),
    'setup → stopping start.failed',
  ],
  ['process.exited', (stage: Stage) => stage.exit(), 'setup → gone start.failed'],
] as const)('start.failed: %s ends a start at once, in its start period too', ([, fail, said]) => {
  const stage = new Stage(many(1))
  stage.begin()
  fail(stage)
  expect(stage.said()).toEqual([said])
})

test('start.deadline: a port that does not open within startupTimeoutSeconds is replaced', () => {
  const stage = new Stage(many(1))
  stage.begin()
  stage.wait(19.9)
  expect(stage.word()).toBe('setup')
  stage.wait(0.1)
  expect(stage.said()).toEqual(['setup → stopping start.deadline'])
  expect(stage.orders('stop')).toEqual([expect.objectContaining({ reason: 'startup_timeout' })])
  stage.exit()
  stage.wait(40)
  expect(stage.orders('provision')).toHaveLength(1)
})

test('start.backoff: each consecutive failure waits half a minute longer, jitter at most a tenth, capped', () => {
  const stage = new Stage(many(1))
  const waited = Array.from({ length: 25 }, () => failNext(stage, setupFailed(stage)))
  expect(waited[0]).toBe(0)
  waited.slice(1).forEach((ms, i) => {
    const base = Math.min((i + 1) * 30_000, 600_000)
    expect(ms).toBeGreaterThanOrEqual(base - 500)
    expect(ms).toBeLessThanOrEqual(Math.min(600_000, base * 1.1) + 500)
  })
  expect(waited.at(-1)).toBeLessThanOrEqual(600_500)
})

test('starts that were begun before the first failure count once, and later ones go one at a time', () => {
  const stage = new Stage(many(4))
  for (let n = 1; n <= 4; n++) stage.begin(n)
  for (let n = 1; n <= 4; n++) stage.exit(n)
  expect(app(stage).fails).toBe(1)
  stage.wait(34)
  expect(
    app(stage)
      .runners.map((runner) => runner.configuration.word)
      .toSorted(),
  ).toEqual(['backoff', 'backoff', 'backoff', 'provisioning'])
})

test('stableSeconds of ready end the row of failures; starts that waited are released one per second', () => {
  const stage = new Stage(many(4))
  stage.begin(1)
  stage.exit(1)
  stage.wait(35)
  const trial = [1, 2, 3, 4, 5].find((n) => n <= stage.started && stage.word(n) === 'provisioning')!
  for (let n = 1; n <= stage.started; n++)
    if (n !== trial && stage.word(n) === 'provisioning') stage.begin(n)
  stage.open(trial)
  expect(app(stage).fails).toBe(1)
  stage.wait(9.9)
  expect(app(stage).fails).toBe(1)
  stage.wait(0.1)
  expect(app(stage).fails).toBe(0)
})

test('a start that is ready but has not proved itself releases no others; proved, they come one per second', () => {
  const stage = new Stage(many(4))
  for (let n = 1; n <= 4; n++) stage.begin(n)
  for (let n = 1; n <= 4; n++) stage.exit(n)
  stage.wait(34)
  stage.open(5)
  const opened = stage.at
  stage.run(20)
  const granted = stage.decisions.filter(({ rule, at }) => rule === 'start.granted' && at >= opened)
  expect(granted.map(({ at }) => at - opened)).toEqual([10_000, 11_000, 12_000])
})

test.for([
  ['attempt.ended', (stage: Stage, n: number) => stage.end('healthy', n)],
  ['traffic.counted', (stage: Stage, n: number) => stage.load(n, 0, { served: 1 })],
] as const)('one 2xx told by %s ends the row of failures', ([, serve]) => {
  const stage = new Stage(many(1))
  failNext(stage, setupFailed(stage))
  stage.wait(35)
  stage.open(stage.started)
  expect(app(stage).fails).toBe(1)
  serve(stage, stage.started)
  expect(app(stage).fails).toBe(0)
})

test('beside a runner that has been well for long, failing starts back off all the same', () => {
  const stage = ready(1, { options: { minConcurrency: 2, maxConcurrency: 2 } })
  stage.wait(100)
  stage.exit(2)
  const waited = [1, 2, 3].map(() => {
    const ms = failNext(stage, setupFailed(stage))
    stage.end('healthy', 1)
    stage.load(1, 0, { served: 1 })
    return ms
  })
  expect(waited[0]).toBeLessThan(500)
  expect(waited[1]).toBeGreaterThan(29_000)
  expect(waited[2]).toBeGreaterThan(59_000)
})

test('a process that ends right after ready counts from the second in a row; the first restart is immediate', () => {
  const stage = new Stage(many(1))
  const crash = (n: number) => {
    stage.answer('probe.passed', n)
    stage.exit(n)
  }
  expect([failNext(stage, crash), failNext(stage, crash)]).toEqual([0, 0])
  expect(failNext(stage, crash)).toBeGreaterThan(29_000)
  expect(failNext(stage, crash)).toBeGreaterThan(59_000)
})

test('a crash loop beside a healthy runner is slowed down too', () => {
  const stage = ready(1, { options: { minConcurrency: 2, maxConcurrency: 2 } })
  stage.exit(2)
  const crash = (n: number) => {
    stage.answer('probe.passed', n)
    stage.exit(n)
  }
  failNext(stage, crash)
  failNext(stage, crash)
  expect(failNext(stage, crash)).toBeGreaterThan(29_000)
})

test.for([
  [
    'a rule ended it',
    (stage: Stage, n: number) => {
      stage.end('server_error', n)
      stage.exit(n)
    },
  ],
  [
    'it had served',
    (stage: Stage, n: number) => {
      stage.end('healthy', n)
      stage.exit(n)
    },
  ],
  [
    'it had been stable',
    (stage: Stage, n: number) => {
      stage.wait(10)
      stage.exit(n)
    },
  ],
] as const)('an end right after ready is no failed start when %s', ([, end]) => {
  const stage = new Stage(many(1))
  for (let i = 0; i < 5; i++)
    failNext(stage, (n) => {
      stage.answer('probe.passed', n)
      end(stage, n)
    })
  expect([app(stage).fails, app(stage).flaps]).toEqual([0, 0])
})

test('no capacity: asked again after twenty seconds, under a new id, never counted', () => {
  const stage = new Stage(many(1))
  for (let i = 1; i <= 8; i++) {
    stage.tell({ type: 'provision.refused', ...stage.life(), why: 'no_capacity', detail: 'full' })
    expect(stage.said()).toEqual(['provisioning → backoff start.backoff'])
    stage.wait(19.9)
    expect(stage.word()).toBe('backoff')
    stage.wait(0.1)
    expect(stage.orders('provision').map(({ id }) => id)).toEqual([
      `provision:${stage.id()}.1:${i + 1}`,
    ])
  }
  expect([app(stage).fails, app(stage).degraded]).toEqual([0, false])
})

test('start.give_up: five failures in ten minutes degrade the app with one alert; starts go on', () => {
  const stage = new Stage({ ...many(1), policy: { backoffStepSeconds: 5 } })
  for (let i = 1; i <= 7; i++) {
    failNext(stage, setupFailed(stage))
    expect(app(stage).degraded).toBe(i >= 5)
  }
  expect(stage.commands.filter(({ type }) => type === 'alert')).toHaveLength(1)
  expect(stage.commands.find(({ type }) => type === 'alert')).toMatchObject({
    name: 'app.degraded',
    subject: { kind: 'app', id: 'demo/app' },
  })
  failNext(stage, (n) => {
    stage.answer('probe.passed', n)
    stage.end('healthy', n)
  })
  expect(app(stage).degraded).toBe(false)
})

test('five failures spread over more than ten minutes do not degrade', () => {
  const stage = new Stage({ ...many(1), policy: { giveUpWindowSeconds: 60 } })
  for (let i = 0; i < 8; i++) failNext(stage, setupFailed(stage))
  expect(app(stage).degraded).toBe(false)
})

test.for(['command not found: pyhton', 'The folder /gone (cwd) does not exist.'])(
  'the alert of a configuration error is one sentence after the other: %s',
  (detail) => {
    const stage = new Stage(many(1))
    stage.tell({ type: 'provision.refused', ...stage.life(), why: 'bad_config', detail })
    const [alert] = stage.orders('alert')
    expect(alert!.text).toContain(detail.replace(/\.$/, '. Change'))
    expect(alert!.text).not.toContain('..')
  },
)

test('a configuration error does not loop: nothing starts until the configuration changes or a person asks', () => {
  const stage = new Stage(many(2))
  stage.tell({
    type: 'provision.refused',
    ...stage.life(),
    why: 'bad_config',
    detail: 'command not found: pyhton',
  })
  expect([app(stage).degraded, app(stage).broken]).toEqual([true, 'command not found: pyhton'])
  stage.exit(2)
  stage.wait(3_600)
  expect(stage.orders('provision')).toEqual([])
  stage.tell({ type: 'order.start', app: 'demo/app', by: 'me' })
  expect(stage.orders('provision').length).toBeGreaterThan(0)
  const first = stage.orders('provision')[0]!
  stage.tell({
    type: 'provision.refused',
    runner: first.runner,
    incarnation: 1,
    why: 'bad_config',
    detail: 'again',
  })
  expect(app(stage).broken).toBe('again')
  stage.configure({}, 'r2')
  expect([app(stage).broken, stage.orders('provision').length > 0]).toEqual([null, true])
})

test.for(['order.kill', 'order.drain', 'order.stop'] as const)(
  '%s of the one start under way leaves the others free to start',
  (order) => {
    const stage = new Stage(many(1))
    failNext(stage, setupFailed(stage))
    stage.wait(35)
    expect(app(stage).trial).not.toBeNull()
    stage.order(order, stage.started)
    stage.exit(stage.started)
    stage.wait(120)
    expect(app(stage).runners.some((runner) => runner.configuration.word === 'provisioning')).toBe(
      true,
    )
  },
)

test("draws are the seed's: the same again, others for another", () => {
  const delays = (seed: number) => {
    const stage = new Stage({ ...many(1), seed })
    return [1, 2, 3].map(() => failNext(stage, setupFailed(stage)))
  }
  expect(delays(1)).toEqual(delays(1))
  expect(new Set([1, 2, 3, 4, 5].map((seed) => delays(seed).join())).size).toBeGreaterThan(1)
})
