// The small parts that a start and an end are made of: signals, log lines, alerts, what a reload changes.
import type { Decision, HealthEvent } from '@health/core'
import { describe, expect, test } from 'vitest'
import { createAlerts, type Alert } from '../src/alert.ts'
import { resolveConfig } from '../src/config.ts'
import { readPage } from '../src/console.ts'
import { appFacts, needsRestart } from '../src/fleet-config.ts'
import { createLog, decisionLine } from '../src/log.ts'
import { watchSignals } from '../src/signal.ts'

describe('signals', () => {
  /** `[ms, signal]` in, what was done out. */
  const play = (
    underNpm: boolean,
    script: readonly (readonly [number, string])[],
  ): readonly string[] => {
    const listeners = new Map<string, () => void>()
    const done: string[] = []
    let now = 0
    const source = {
      on: (name: string, listener: () => void) => listeners.set(name, listener),
      off: (name: string) => listeners.delete(name),
    }
    const unwatch = watchSignals(source, underNpm, () => now, {
      end: (signal) => done.push(`end ${signal}`),
      endNow: (code) => done.push(`now ${code}`),
      reload: () => done.push('reload'),
    })
    for (const [at, name] of script) {
      now = at
      listeners.get(name)?.()
    }
    unwatch()
    expect(listeners.size).toBe(0)
    return done
  }
  test.for([
    ['one drains', false, [[0, 'SIGTERM']], ['end SIGTERM']],
    [
      'a second one ends at once',
      false,
      [
        [0, 'SIGINT'],
        [1, 'SIGINT'],
      ],
      ['end SIGINT', 'now 130'],
    ],
    [
      'the second one names the code',
      false,
      [
        [0, 'SIGINT'],
        [1, 'SIGTERM'],
      ],
      ['end SIGINT', 'now 143'],
    ],
    [
      'under npm two within a second are one',
      true,
      [
        [0, 'SIGINT'],
        [999, 'SIGINT'],
      ],
      ['end SIGINT'],
    ],
    [
      'under npm a later one ends at once',
      true,
      [
        [0, 'SIGINT'],
        [20, 'SIGINT'],
        [1000, 'SIGINT'],
      ],
      ['end SIGINT', 'now 130'],
    ],
    ['under npm the loss of the parent drains', true, [[0, 'disconnect']], ['end SIGTERM']],
    [
      'the loss of the parent is no second signal',
      true,
      [
        [0, 'SIGINT'],
        [5000, 'disconnect'],
      ],
      ['end SIGINT'],
    ],
    ['elsewhere there is no parent to lose', false, [[0, 'disconnect']], []],
    [
      'a hang-up reads again',
      false,
      [
        [0, 'SIGHUP'],
        [1, 'SIGHUP'],
      ],
      ['reload', 'reload'],
    ],
  ] as const)('%s', ([, underNpm, script, expected]) => {
    expect(play(underNpm, script)).toEqual(expected)
  })
})

describe('the log', () => {
  const capture = (more: Partial<Parameters<typeof createLog>[0]> = {}) => {
    const lines: string[] = []
    const log = createLog({
      level: 'info',
      format: 'json',
      colour: false,
      write: (text) => lines.push(text) > 0,
      waiting: () => 0,
      now: () => 0,
      ...more,
    })
    return { lines, log }
  }
  const decision: Decision = {
    seq: 7,
    at: 5,
    subject: { kind: 'runner', id: 'r1', incarnation: 1 },
    from: 'busy',
    to: 'stopping',
    rule: 'outcome.server_error',
    compared: [{ name: 'failures', value: 3, op: '>=', threshold: 3, option: 'failureThreshold' }],
    enforced: true,
    because: null,
    commands: ['c1'],
    events: [3],
  }
  const event = {
    type: 'attempt.ended',
    seq: 3,
    at: 5,
    app: 'demo/echo',
    runner: 'r1',
    incarnation: 1,
    request: 'q1',
    attempt: 1,
    mode: 'queue',
    outcome: 'server_error',
    status: 503,
    inFlight: 0,
  } satisfies HealthEvent

  test('a decision is one JSON line with runner and request', () => {
    const { lines, log } = capture()
    log(decisionLine(decision, { event }, () => 'demo/echo'))
    expect(lines).toHaveLength(1)
    expect(lines[0]!.endsWith('\n')).toBe(true)
    expect(JSON.parse(lines[0]!)).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      event: 'decision',
      seq: 7,
      rule: 'outcome.server_error',
      from: 'busy',
      to: 'stopping',
      runner: 'r1',
      request: 'q1',
      app: 'demo/echo',
      compared: ['failures 3 >= 3 (failureThreshold)'],
    })
  })

  test('a deadline that acts in the step of another event is not told with its request, and always with its app', () => {
    const line = decisionLine({ ...decision, events: [2] }, { event }, () => 'a/own')
    expect(line).toMatchObject({ runner: 'r1', app: 'a/own', request: undefined })
  })

  test('a verdict that was withheld is a warning and says by whom', () => {
    expect(
      decisionLine({ ...decision, enforced: false, because: 'guard.cap' }, { event }, () => null),
    ).toMatchObject({ level: 'warn', enforced: false, because: 'guard.cap' })
  })

  test('lines that could not be written are counted, and the count is told when one can', () => {
    let full = false
    const lines: string[] = []
    const { log } = capture({ write: (text) => !full && lines.push(text) > 0 })
    log({ level: 'info', event: 'a' })
    full = true
    for (const event of ['b', 'c', 'd']) log({ level: 'info', event })
    full = false
    log({ level: 'info', event: 'e' })
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { event: 'a' },
      { event: 'log.dropped', lines: 3 },
      { event: 'e' },
    ])
  })

  test('lines below the level are left out', () => {
    const { lines, log } = capture({ level: 'warn' })
    log({ level: 'info', event: 'a' })
    log({ level: 'error', event: 'b' })
    expect(lines).toHaveLength(1)
  })

  test('pretty lines keep a line break in a value from breaking the line', () => {
    const { lines, log } = capture({ format: 'pretty' })
    log({ level: 'info', event: 'config.warning', text: 'one\ntwo', file: null })
    expect(lines).toEqual(['00:00:00.000 info  config.warning text="one\\ntwo" file=null\n'])
  })

  test('a reader that stalls loses lines, which are counted', () => {
    let waiting = 0
    const { lines, log } = capture({ waiting: () => waiting })
    log({ level: 'info', event: 'a' })
    waiting = 10_000_000
    log({ level: 'info', event: 'b' })
    log({ level: 'error', event: 'c' })
    waiting = 0
    log({ level: 'info', event: 'd' })
    expect(
      lines.map((line) => (JSON.parse(line) as { event: string; lines?: number }).event),
    ).toEqual(['a', 'log.dropped', 'd'])
    expect(JSON.parse(lines[1]!)).toMatchObject({ lines: 2 })
  })

  test('an endless line is cut', () => {
    const { lines, log } = capture()
    log({ level: 'info', event: 'a', text: 'x'.repeat(100_000) })
    expect(JSON.parse(lines[0]!)).toMatchObject({ event: 'a', cut: true })
  })
})

describe('alerts', () => {
  test('the same one about the same subject is told once in a while', () => {
    const told: string[] = []
    let now = 0
    const alert = (name: Alert['name'], id: string): Alert => ({
      type: 'alert',
      id: `${name}${now}`,
      name,
      subject: { kind: 'app', id },
      text: '',
    })
    const hear = createAlerts(
      () => now,
      () => 600_000,
      ({ name, subject }) => told.push(`${now / 1000} ${name} ${subject.id}`),
    )
    for (const at of [0, 599, 600, 1199, 1200]) {
      now = at * 1000
      hear(alert('app.degraded', 'a/b'))
      if (at === 599) hear(alert('app.degraded', 'a/c'))
      if (at === 599) hear(alert('guard.panic', 'a/b'))
    }
    expect(told).toEqual([
      '0 app.degraded a/b',
      '599 app.degraded a/c',
      '599 guard.panic a/b',
      '600 app.degraded a/b',
      '1200 app.degraded a/b',
    ])
  })
})

test('another trouble of the same node is another alert; its repetition is none', () => {
  const told: string[] = []
  const hear = createAlerts(
    () => 0,
    () => 600_000,
    ({ text }) => told.push(text),
  )
  for (const about of ['temp.high GPU-0', 'xid.999 GPU-3', 'temp.high GPU-0', undefined, undefined])
    hear({
      type: 'alert',
      id: 'x',
      name: 'node.suspect',
      subject: { kind: 'node', id: 'n' },
      ...(about !== undefined && { about }),
      text: about ?? 'the node',
    })
  expect(told).toEqual(['temp.high GPU-0', 'xid.999 GPU-3', 'the node'])
})

describe('a reload', () => {
  const config = (raw: unknown) =>
    resolveConfig(raw, '/x/health.config.yaml', {}, { env: {}, cwd: '/', caller: '/' })
  const app = { command: ['node', 'a.mjs'], healthCheck: { path: '/health' } }
  const names = (facts: ReturnType<typeof appFacts>) =>
    facts.map((fact) => `${fact.type} ${fact.app}`)

  test('tells what is new, changed or gone, and nothing else', () => {
    const before = config({ apps: { 'a/same': app, 'a/changed': app, 'a/gone': app } })
    const now = config({
      apps: { 'a/same': app, 'a/changed': { ...app, maxConcurrency: 4 }, 'a/new': app },
    })
    expect(names(appFacts(['a/same', 'a/changed', 'a/gone'], before, now))).toEqual([
      'app.removed a/gone',
      'app.configured a/changed',
      'app.configured a/new',
    ])
    expect(appFacts(['a/same'], now, now)).toEqual([])
  })

  test('at a start every app is told, and what an earlier start left is removed', () => {
    expect(names(appFacts(['a/old', 'a/same'], null, config({ apps: { 'a/same': app } })))).toEqual(
      ['app.removed a/old', 'app.configured a/same'],
    )
  })

  test('a changed global policy reaches every app', () => {
    const facts = appFacts(
      ['a/same'],
      config({ apps: { 'a/same': app } }),
      config({ policy: { maxAttempts: 2 }, apps: { 'a/same': app } }),
    )
    expect(facts).toEqual([
      expect.objectContaining({ type: 'app.configured', policy: { maxAttempts: 2 } }),
    ])
  })

  test('what is read once at the start is named', () => {
    expect(
      needsRestart(
        config({}),
        config({ listen: { port: 1 }, dataDir: 'x', shutdown: { graceSeconds: 1 } }),
      ),
    ).toEqual(['listen', 'dataDir'])
  })
})

describe('the page', () => {
  test('comes from the package, with headers that keep other sites out', () => {
    const page = readPage()
    expect([...page.keys()]).toEqual(
      expect.arrayContaining(['/', '/index.html', '/page.js', '/page.css', '/icon.svg']),
    )
    for (const { headers } of page.values()) {
      expect(headers['content-security-policy']).toMatch(
        /^default-src 'none'; .*frame-ancestors 'none'/,
      )
      expect(headers['x-content-type-options']).toBe('nosniff')
    }
  })

  test('names no other site and holds nothing inline, so that its policy can be strict', () => {
    const found: string[] = []
    for (const [path, { body, headers }] of readPage()) {
      const text = body.toString('utf8').replace('http://www.w3.org/2000/svg', '')
      const html = headers['content-type']!.startsWith('text/html')
      const never = [
        /https?:\/\//,
        /innerHTML|insertAdjacentHTML|document\.write|\beval\(/,
        ...(html ? [/<style|<script(?![^>]*src=)|\son\w+=|\sstyle=/] : []),
      ]
      for (const pattern of never) if (pattern.test(text)) found.push(`${path}: ${pattern.source}`)
    }
    expect(found).toEqual([])
  })
})
