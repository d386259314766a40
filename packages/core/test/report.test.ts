import { describe, expect, test } from 'vitest'
import {
  chooseFormat,
  combine,
  isoTime,
  readiness,
  render,
  report,
  settle,
  startup,
  unchecked,
  type Answer,
  type FormatName,
  type Phase,
  type Standing,
  type Status,
  type Subject,
  type View,
} from '../src/report.ts'

const answer = (status: Status, at: number, error: string | null = null): Answer => ({
  status,
  at,
  latency: 2,
  error: status === 'healthy' ? null : (error ?? 'failed'),
  repaired: false,
  observed: null,
})

const standing = (status: Status, error: string | null = null, at = 0): Standing => ({
  ...unchecked,
  status,
  last: answer(status, at, error),
})

const subject = (name: string, status: Status, more: Partial<Subject> = {}): Subject => ({
  name,
  critical: true,
  groups: [],
  standing: standing(status),
  ...more,
})

const letters = { h: 'healthy', d: 'degraded', u: 'unhealthy' } as const
type Letter = keyof typeof letters

describe('settle', () => {
  const one = { failureThreshold: 1, failureMs: 0, successThreshold: 1 }
  // Answers come every 100 ms; the standing after each is given with the same letters.
  test.for([
    { answers: 'h', standings: 'h', ...one },
    { answers: 'u', standings: 'u', ...one },
    { answers: 'huh', standings: 'huh', ...one },
    { answers: 'hdh', standings: 'hdh', ...one },
    { answers: 'huuuh', standings: 'hhhuh', ...one, failureThreshold: 3 },
    { answers: 'huuhuuu', standings: 'hhhhhhu', ...one, failureThreshold: 3 },
    // Never passed: there is no good status to keep.
    { answers: 'uuh', standings: 'uuh', ...one, failureThreshold: 3 },
    { answers: 'duu', standings: 'ddu', ...one, failureThreshold: 2 },
    { answers: 'huhhh', standings: 'huuhh', ...one, successThreshold: 2 },
    { answers: 'huhuhh', standings: 'huuuuh', ...one, successThreshold: 2 },
    { answers: 'hudd', standings: 'huud', ...one, successThreshold: 2 },
    { answers: 'huuuu', standings: 'hhhhu', ...one, failureMs: 300 },
    // Both must cross: three failures and 100 ms, then two failures and 300 ms.
    { answers: 'huuu', standings: 'hhhu', ...one, failureThreshold: 3, failureMs: 100 },
    { answers: 'huuuu', standings: 'hhhhu', ...one, failureThreshold: 2, failureMs: 300 },
  ])('$answers → $standings ($failureThreshold/$failureMs/$successThreshold)', (row) => {
    let now = unchecked
    const seen = Array.from(row.answers).map((letter, index) => {
      now = settle(now, answer(letters[letter as Letter], 100 * index), row)
      return now.status
    })
    expect(seen).toEqual(Array.from(row.standings).map((letter) => letters[letter as Letter]))
  })
})

describe('combine', () => {
  test.for<{ critical: Letter[]; other: Letter[]; expected: Status }>([
    { critical: [], other: [], expected: 'healthy' },
    { critical: ['h'], other: ['h'], expected: 'healthy' },
    { critical: ['h'], other: ['u'], expected: 'degraded' },
    { critical: ['h', 'd'], other: ['h'], expected: 'degraded' },
    { critical: ['d', 'u'], other: [], expected: 'unhealthy' },
    { critical: ['h', 'u'], other: ['u'], expected: 'unhealthy' },
    { critical: [], other: ['u', 'u'], expected: 'degraded' },
  ])('critical $critical, others $other → $expected', ({ critical, other, expected }) => {
    const subjects = [
      ...other.map((letter, i) => subject(`o${i}`, letters[letter], { critical: false })),
      ...critical.map((letter, i) => subject(`c${i}`, letters[letter])),
    ]
    expect(combine(subjects)).toBe(expected)
  })

  test('a check that nobody has looked at is unhealthy', () => {
    expect(combine([subject('new', 'healthy', { standing: unchecked })])).toBe('unhealthy')
  })
})

describe('report', () => {
  const subjects = [
    subject('database', 'healthy', { groups: ['storage'] }),
    subject('cache', 'unhealthy', { critical: false, groups: ['storage', 'fast'] }),
    subject('model', 'unhealthy', { standing: standing('unhealthy', 'timeout', 40) }),
  ]
  test.for([
    { given: {}, status: 'unhealthy', names: ['database', 'cache', 'model'] },
    { given: { group: 'storage' }, status: 'degraded', names: ['database', 'cache'] },
    { given: { critical: true }, status: 'unhealthy', names: ['database', 'model'] },
    { given: { group: 'none' }, status: 'healthy', names: [] },
    // By itself, a check is what it is, critical or not.
    { given: { check: 'cache' }, status: 'unhealthy', names: ['cache'] },
    { given: { check: 'database' }, status: 'healthy', names: ['database'] },
    { given: { exclude: ['model'] }, status: 'degraded', names: ['database', 'cache'] },
    { given: { exclude: ['model', 'cache'] }, status: 'healthy', names: ['database'] },
  ])('$given → $status', ({ given, status, names }) => {
    const made = report(subjects, 100, given)
    expect(made.status).toBe(status)
    expect(made.checks.map((check) => check.name)).toEqual(names)
  })

  test('says what could not be excluded', () => {
    const { excluded, unmatched } = report(subjects, 0, { exclude: ['cache', 'cahce'] })
    expect({ excluded, unmatched }).toEqual({ excluded: ['cache'], unmatched: ['cahce'] })
  })

  test('ages count from the answer, and a check without one has none', () => {
    const { checks } = report(
      [...subjects, subject('new', 'healthy', { standing: unchecked })],
      100,
    )
    expect(checks.map(({ age, error }) => [age, error])).toEqual([
      [100, null],
      [100, 'failed'],
      [60, 'timeout'],
      [null, 'not_checked_yet'],
    ])
  })
})

describe('readiness and startup', () => {
  const phase = (more: Partial<Phase> = {}): Phase => ({
    started: true,
    stopping: false,
    blocked: [],
    ...more,
  })
  const down = [subject('database', 'unhealthy'), subject('cache', 'unhealthy')]
  const minor = [subject('cache', 'unhealthy', { critical: false })]
  const first = [subject('warmup', 'unhealthy', { groups: ['startup'] })]
  test.for<{ given: Phase; on: Subject[]; ready: string | null; start: string | null }>([
    { given: phase(), on: [], ready: null, start: null },
    { given: phase(), on: minor, ready: null, start: null },
    { given: phase(), on: down, ready: 'database, cache unavailable', start: null },
    { given: phase(), on: [...minor, down[0]!], ready: 'database unavailable', start: null },
    { given: phase({ stopping: true }), on: [], ready: 'shutting down', start: null },
    { given: phase({ stopping: true }), on: down, ready: 'shutting down', start: null },
    { given: phase({ started: false }), on: [], ready: 'initializing', start: 'initializing' },
    {
      given: phase({ started: false }),
      on: first,
      ready: 'warmup unavailable',
      start: 'warmup unavailable',
    },
    {
      given: phase({ started: false, blocked: ['model', 'index'] }),
      on: first,
      ready: 'waiting for model, index',
      start: 'waiting for model, index',
    },
    { given: phase({ blocked: ['model'] }), on: [], ready: 'waiting for model', start: null },
  ])('$given with $on.length checks: $ready, $start', ({ given, on, ready, start }) => {
    expect(readiness(given, on)).toEqual({ ready: ready === null, reason: ready })
    expect(startup(given, on)).toEqual({ ready: start === null, reason: start })
  })
})

const wall = Date.UTC(2026, 0, 15, 10, 30, 0, 250)
const view = (more: Partial<View> = {}): View => ({
  endpoint: 'health',
  status: 'healthy',
  state: null,
  report: report(
    [subject('database', 'healthy'), subject('cache', 'unhealthy', { critical: false })],
    1500,
  ),
  service: { version: '1.2.3', uptime: 12_345, wall, info: null },
  verbose: false,
  detailed: false,
  history: null,
  ...more,
})
const parsed = (format: FormatName, given: View): unknown => JSON.parse(render(format, given).body)
const stopping = { ready: false, reason: 'shutting down' }

describe('the plain JSON', () => {
  const head = { version: '1.2.3', timestamp: '2026-01-15T10:30:00.250Z', uptime_seconds: 12.345 }
  test.for<[Partial<View>, unknown]>([
    [{ endpoint: 'live' }, { status: 'alive' }],
    [{ endpoint: 'ready', state: { ready: true, reason: null } }, { status: 'ready' }],
    [
      { endpoint: 'ready', status: 'unhealthy', state: stopping },
      { status: 'not ready', reason: 'shutting down' },
    ],
    [{ endpoint: 'startup', state: { ready: true, reason: null } }, { status: 'started' }],
    [
      { endpoint: 'startup', state: { ready: false, reason: 'initializing' } },
      { status: 'starting', reason: 'initializing' },
    ],
    [{}, { status: 'healthy', ...head }],
    [
      { status: 'degraded', verbose: true },
      {
        status: 'degraded',
        ...head,
        checks: {
          database: { status: 'healthy', latency_ms: 2, age_ms: 1500, error: null },
          cache: { status: 'unhealthy', latency_ms: 2, age_ms: 1500, error: 'failed' },
        },
      },
    ],
  ])('%j', ([given, expected]) => {
    expect(parsed('json', view(given))).toEqual(expected)
  })

  test('details add criticality, groups, info and history, and nothing else does', () => {
    const details = { history: [{ check: 'cache', from: null, to: 'unhealthy' }] }
    const service = { ...view().service, info: { region: 'eu' } }
    const shown = parsed('json', view({ ...details, service, verbose: true, detailed: true }))
    expect(shown).toMatchObject({
      info: { region: 'eu' },
      ...details,
      checks: { cache: { critical: false, groups: [] } },
    })
    const hidden = render('json', view({ ...details, service, verbose: true })).body
    expect(hidden).not.toMatch(/region|history|critical|groups/)
  })

  test('a check called __proto__ is a check like any other', () => {
    const odd = report([subject('__proto__', 'healthy')], 0)
    expect(render('json', view({ report: odd, verbose: true })).body).toContain('"__proto__":{')
  })
})

describe('application/health+json', () => {
  test('words, release and lines are the draft’s; a pass has no output', () => {
    expect(parsed('draft', view({ status: 'degraded', verbose: true }))).toEqual({
      status: 'warn',
      version: '1',
      releaseId: '1.2.3',
      checks: {
        'database:responseTime': [
          {
            componentId: 'database',
            status: 'pass',
            observedValue: 2,
            observedUnit: 'ms',
            time: '2026-01-15T10:29:58.750Z',
          },
        ],
        'cache:responseTime': [
          {
            componentId: 'cache',
            status: 'fail',
            observedValue: 2,
            observedUnit: 'ms',
            time: '2026-01-15T10:29:58.750Z',
            output: 'failed',
          },
        ],
        uptime: [
          { componentType: 'system', observedValue: 12.345, observedUnit: 's', status: 'pass' },
        ],
      },
    })
  })

  test('without verbose it names no check', () => {
    expect(parsed('draft', view())).toEqual({ status: 'pass', version: '1', releaseId: '1.2.3' })
  })

  test('a reason is the output', () => {
    const given = view({ endpoint: 'ready', status: 'unhealthy', state: stopping, report: null })
    expect(parsed('draft', given)).toMatchObject({ status: 'fail', output: 'shutting down' })
  })
})

describe('MicroProfile', () => {
  test('has status and checks and no other keys', () => {
    expect(parsed('microprofile', view({ status: 'degraded' }))).toEqual({
      status: 'UP',
      checks: [
        { name: 'database', status: 'UP', data: { latencyMs: 2, ageMs: 1500 } },
        { name: 'cache', status: 'DOWN', data: { latencyMs: 2, ageMs: 1500, error: 'failed' } },
      ],
    })
  })

  test('no check at all is UP', () => {
    expect(parsed('microprofile', view({ report: null }))).toEqual({ status: 'UP', checks: [] })
  })

  test('not ready is a check of its own', () => {
    const given = view({ endpoint: 'ready', status: 'unhealthy', state: stopping, report: null })
    expect(parsed('microprofile', given)).toEqual({
      status: 'DOWN',
      checks: [{ name: 'ready', status: 'DOWN', data: { reason: 'shutting down' } }],
    })
  })
})

describe('lines as Kubernetes prints them', () => {
  const failing = report(
    [
      subject('ping', 'healthy'),
      subject('cache', 'unhealthy', { critical: false }),
      subject('etcd', 'unhealthy', { standing: standing('unhealthy', 'timeout') }),
    ],
    0,
    { exclude: ['ping', 'pong'] },
  )
  test.for<[string, Partial<View>, string]>([
    ['a pass', { endpoint: 'live' }, 'ok'],
    [
      'a pass, verbose',
      { verbose: true },
      '[+]database ok\n[+]cache degraded: failed\nhealthz check passed\n',
    ],
    [
      'a failure shows its lines without being asked',
      { status: 'unhealthy', report: failing },
      '[+]cache degraded: failed\n[-]etcd failed: timeout\n[+]ping excluded: ok\n' +
        'warn: no check to exclude is called "pong"\nhealthz check failed\n',
    ],
    [
      'not ready',
      { endpoint: 'ready', status: 'unhealthy', report: null, state: stopping },
      '[-]ready failed: shutting down\nreadyz check failed\n',
    ],
  ])('%s', ([, given, expected]) => {
    expect(render('text', view(given)).body).toBe(expected)
  })
})

test.for<[string | undefined, string | undefined, FormatName]>([
  [undefined, undefined, 'json'],
  ['*/*', undefined, 'json'],
  ['application/json', undefined, 'json'],
  ['text/html,application/xhtml+xml,*/*;q=0.8', undefined, 'json'],
  ['image/png', undefined, 'json'],
  ['application/health+json', undefined, 'draft'],
  ['APPLICATION/HEALTH+JSON; charset=utf-8', undefined, 'draft'],
  ['text/plain', undefined, 'text'],
  ['text/*', undefined, 'text'],
  ['application/vnd.microprofile.health+json', undefined, 'microprofile'],
  ['application/json; profile="https://microprofile.io/health"', undefined, 'microprofile'],
  ['text/plain;q=0.5, application/health+json;q=0.9', undefined, 'draft'],
  ['*/*, text/plain', undefined, 'text'],
  ['text/plain;q=0, application/json', undefined, 'json'],
  ['text/plain;q=0', undefined, 'json'],
  ['text/plain;q=nonsense', undefined, 'json'],
  ['constructor, __proto__', undefined, 'json'],
  ['application/json', 'text', 'text'],
  ['text/plain', 'nonsense', 'text'],
  ['text/plain', 'toString', 'text'],
])('Accept %s and format=%s → %s', ([accept, asked, expected]) => {
  expect(chooseFormat(accept, asked)).toBe(expected)
})

test.for([
  0,
  951_782_399_999,
  951_782_400_000,
  wall,
  4_107_542_400_000,
  253_402_300_799_999,
  1_709_164_800_123,
])('isoTime(%d) is what Date writes', (ms) => {
  expect(isoTime(ms)).toBe(new Date(ms).toISOString())
})
