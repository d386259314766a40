/** Semantics 7: guards count after the action, say so, and hold back doubt, never facts. */
import { expect, test } from 'vitest'
import {
  type Decision,
  type PolicyOptions,
  resolvePolicy,
  restore,
  snapshot,
  targetOf,
} from '../src/index.ts'
import { capOf, panicAt } from '../src/guard.ts'
import { APP, CHECK, ready, Stage } from './stage.ts'

const free: PolicyOptions = { doubtPerSecond: 1000, doubtBurst: 1000 }
const fast: PolicyOptions = { ...free, panicMin: 1000 }
/** Makes runners sick until each was judged: held, or on its way out. */
function condemn(stage: Stage, ...all: readonly number[]): void {
  for (const n of all) stage.sick.set(n, 'status')
  const judged = (n: number): boolean => !/^(idle|busy|failing)/.test(stage.word(n))
  expect(stage.run(90, () => all.every(judged))).toBe(true)
}
const leaves = (stage: Stage, n: number): boolean => /^(stopping|killing|gone)/.test(stage.word(n))
const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1)
const app = (stage: Stage) => stage.fleet.apps.get('demo/app')!
const reading = (stage: Stage, name: string, n: number) =>
  stage.decisions
    .findLast(
      ({ subject, to }) =>
        subject.id === stage.id(n) && ['held', 'stopping', 'failing'].includes(to.split('+')[0]!),
    )!
    .compared.find((each) => each.name === name)

test.for([
  { size: 1, percent: 20, least: 1, lost: 1 },
  { size: 4, percent: 20, least: 1, lost: 1 },
  { size: 10, percent: 20, least: 1, lost: 2 },
  { size: 9, percent: 50, least: 1, lost: 4 },
  { size: 5, percent: 0, least: 0, lost: 0 },
  { size: 5, percent: 0, least: 2, lost: 2 },
])(
  'guard.cap: of $size runners at $percent % and at least $least, $lost may be out by doubt',
  ({ size, percent, least, lost }) => {
    const stage = ready(size, { policy: { ...fast, capPercent: percent, capMin: least } })
    const all = range(Math.min(size, lost + 2))
    condemn(stage, ...all)
    expect(all.filter((n) => leaves(stage, n))).toHaveLength(lost)
    const withheld = stage.decisions.find(({ to }) => to === 'held')
    const out = withheld?.compared.find(({ name }) => name === 'out')
    const held = ['guard.cap', 'health.threshold', false, 0]
    const most = Math.max(least, Math.floor((percent / 100) * size))
    expect([
      withheld?.because,
      withheld?.rule,
      withheld?.enforced,
      withheld?.commands.length,
    ]).toEqual(lost < size ? held : held.map(() => undefined))
    expect([out?.value, out?.op, out?.threshold, out?.option]).toEqual(
      lost < size ? [lost + 1, '<=', most, 'capPercent'] : held.map(() => undefined),
    )
  },
)

test('a runner and its successor are one place: the held one goes when the successor of the first is ready', () => {
  const stage = ready(4, { policy: fast })
  condemn(stage, 1, 2, 3)
  const [first] = [1, 2, 3].filter((n) => leaves(stage, n))
  const waiting = [1, 2, 3].filter((n) => stage.word(n) === 'held')
  expect([first === undefined, waiting.length]).toEqual([false, 2])
  const [oldest] = app(stage).held
  stage.exit(first)
  expect(waiting.map((n) => stage.word(n))).toEqual(['held', 'held'])
  stage.open(5)
  const next = waiting.filter((n) => leaves(stage, n))
  expect(next.map((n) => stage.id(n))).toEqual([oldest!.id])
  expect(stage.said(next[0])).toEqual(['held → stopping health.threshold'])
})

test('facts are never held: with the cap spent a 503, a crash and a manual failure end at once', () => {
  const stage = ready(6, { policy: { ...fast, capMin: 0, capPercent: 0 } })
  condemn(stage, 1)
  expect(stage.word(1)).toBe('held')
  stage.end('server_error', 2)
  stage.exit(3)
  stage.end('healthy', 4, { headers: { check: true } })
  stage.answer('probe.failed', 4)
  stage.end('error', 5)
  stage.answer('probe.failed', 5, { why: 'refused' })
  expect([2, 3, 4, 5].map((n) => stage.word(n))).toEqual([
    'stopping',
    'gone',
    'stopping',
    'stopping',
  ])
})

test('out counts places lost for whatever reason', () => {
  const stage = ready(10, { policy: fast })
  stage.end('server_error', 1)
  stage.exit(2)
  condemn(stage, 3)
  expect([stage.word(3), reading(stage, 'out', 3)?.value]).toEqual(['held', 3])
})

test('a place stays out while its successors fail to start', () => {
  const stage = ready(4, { policy: fast })
  stage.end('server_error')
  stage.exit()
  stage.begin(5)
  stage.tell({ type: 'setup.failed', ...stage.life(5), detail: 'no model' })
  stage.exit(5)
  expect([stage.word(5), app(stage).outs]).toEqual(['gone', 1])
  condemn(stage, 2)
  expect([stage.word(2), reading(stage, 'out', 2)?.value]).toEqual(['held', 2])
})

test('a held runner that recovers is ready again, and leaves the row of the held', () => {
  const stage = ready(2, { policy: { ...fast, capMin: 0, capPercent: 0 } })
  condemn(stage, 1)
  stage.untilProbe(1)
  stage.answer('probe.passed', 1)
  expect([stage.word(1), stage.said(1), app(stage).held]).toEqual([
    'idle',
    ['held → idle health.recover'],
    [],
  ])
})

test('guard.rate: a burst of three, then one every five seconds, asked again at its deadline', () => {
  const stage = ready(20, { policy: { panicMin: 1000, capPercent: 100 } })
  condemn(stage, 1, 2, 3, 4, 5)
  stage.run(60)
  const by = stage.decisions.filter(({ to }) => to === 'held').map(({ because }) => because)
  expect(by.length).toBeGreaterThan(0)
  expect(by.every((each) => each === 'guard.rate')).toBe(true)
  const ends = stage.decisions
    .filter(({ to, rule }) => to === 'stopping' && rule === 'health.threshold')
    .map(({ at }) => at)
  expect(ends).toHaveLength(5)
  for (const from of ends)
    expect(ends.filter((at) => at >= from && at < from + 5_000).length).toBeLessThanOrEqual(3)
})

test('guard.panic: half of the runners doubted, at least three: an alert, endings one at a time, successor first', () => {
  const stage = ready(6, { policy: { doubtPerSecond: 1000, doubtBurst: 1000 } })
  for (const n of [1, 2, 3, 4]) stage.sick.set(n, 'status')
  stage.run(60, () => app(stage).panic)
  expect(stage.commands.filter(({ type }) => type === 'alert')).toEqual([
    expect.objectContaining({ name: 'guard.panic' }),
  ])
  condemn(stage, 1, 2, 3, 4)
  stage.run(30)
  expect([1, 2, 3, 4].map((n) => stage.word(n))).toEqual(['held', 'held', 'held', 'held'])
  const [oldest] = app(stage).held
  expect([app(stage).canary, stage.started]).toEqual([oldest, 7])
  // Only when its successor is ready it goes.
  stage.open(7)
  const gone = [1, 2, 3, 4].filter((n) => leaves(stage, n))
  expect(gone.map((n) => stage.id(n))).toEqual([oldest!.id])
  expect(stage.said(gone[0])).toEqual(['held → stopping health.threshold'])
  // The next one's turn comes when the successor has been ready for the cooldown.
  stage.exit(gone[0])
  stage.run(29)
  expect([stage.started, app(stage).panic]).toEqual([7, true])
  stage.run(2)
  expect(stage.started).toBe(8)
})

test('in panic without capacity for a successor the runner ends first', () => {
  const stage = ready(4, { policy: { doubtPerSecond: 1000, doubtBurst: 1000 } })
  condemn(stage, 1, 2, 3, 4)
  const canary = range(4).find((n) => stage.id(n) === app(stage).canary?.id)!
  stage.tell({ type: 'provision.refused', ...stage.life(5), why: 'no_capacity', detail: 'full' })
  expect([stage.word(canary), range(4).filter((n) => leaves(stage, n))]).toEqual([
    'stopping',
    [canary],
  ])
})

test('in panic an adopted server, which has no successor, is ended first', () => {
  const urls = [1, 2, 3, 4].map((n) => `http://127.0.0.1:900${n}`)
  const stage = new Stage({ urls, policy: free }).openAll()
  stage.run(25)
  for (const n of [1, 2, 3, 4]) stage.sick.set(n, 'status')
  const ended = () => stage.commands.filter(({ type }) => type === 'stop').length
  expect(stage.run(60, () => ended() > 0)).toBe(true)
  stage.run(60)
  // The next one's turn comes when that one is back.
  expect(ended()).toBe(1)
})

test('in panic nobody gets a successor where the cap lets none end', () => {
  const stage = ready(4, { policy: { ...free, capMin: 0, capPercent: 0 } })
  for (const n of [1, 2, 3, 4]) stage.sick.set(n, 'status')
  stage.run(120)
  expect([stage.word(1), stage.started]).toEqual(['held', 4])
})

test('the next turn of a panic waits for the place of the one that ended first, whoever else comes back, over a restart too', () => {
  const stage = ready(8, { policy: { doubtPerSecond: 1000, doubtBurst: 1000 } })
  condemn(stage, 1, 2, 3, 4, 5)
  stage.tell({ type: 'provision.refused', ...stage.life(9), why: 'no_capacity', detail: 'full' })
  const [first] = range(5).filter((n) => leaves(stage, n))
  stage.exit(first)
  stage.exit(8)
  const waits = app(stage).canaryPlace
  expect(waits).not.toBeNull()
  const other = range(stage.started).find((n) => stage.word(n) === 'provisioning' && n !== 9)!
  stage.open(other)
  expect([stage.word(other), app(stage).canaryPlace]).toEqual(['idle', waits])
  const saved = snapshot(stage.fleet)
  expect(snapshot(restore(JSON.parse(JSON.stringify(saved))))).toEqual(saved)
})

test('a canary that recovers gives its successor back; its place is whole', () => {
  const stage = ready(4, { policy: { doubtPerSecond: 1000, doubtBurst: 1000 } })
  condemn(stage, 1, 2, 3, 4)
  const canary = range(4).find((n) => stage.id(n) === app(stage).canary?.id)!
  expect(app(stage).outs).toBe(1)
  stage.sick.delete(canary)
  stage.run(30, () => stage.word(canary) === 'idle')
  const place = app(stage).places.find(({ current }) => current?.id === stage.id(canary))!
  expect([stage.word(5), app(stage).canary?.id === stage.id(canary)]).toEqual(['stopping', false])
  stage.exit(5)
  expect([place.out, place.next]).toEqual([false, null])
})

test('panic ends below the share plus the cooldown', () => {
  const stage = ready(4)
  for (const n of [1, 2, 3]) stage.sick.set(n, 'status')
  stage.run(60, () => app(stage).panic)
  stage.sick.clear()
  stage.run(30, () => app(stage).suspects < 3)
  const calm = stage.at
  expect(stage.run(60, () => !app(stage).panic)).toBe(true)
  expect(stage.at - calm).toBe(30_000)
})

/** Five runners whose next checks all time out together. */
function storm(control: boolean): Stage {
  const stage = ready(5, { policy: { ...fast, panicMin: 1000, capPercent: 100 } })
  for (const n of range(5)) stage.sick.set(n, 'timeout')
  stage.tell({ type: 'control.ended', passed: control, latencyMs: 3 })
  stage.run(45)
  return stage
}

test('guard.self: timeouts together and our own control failing void the verdict; the runner stays failing with its count', () => {
  const stage = storm(false)
  const condemned = stage.decisions.filter(({ because }) => because === 'guard.self')
  expect(condemned.length).toBeGreaterThanOrEqual(1)
  for (const { from, to, enforced } of condemned)
    expect([from, to, enforced]).toEqual(['failing', 'failing', false])
  expect([1, 2, 3, 4, 5].map((n) => stage.word(n)).filter((word) => word === 'stopping')).toEqual(
    [],
  )
  expect(
    stage.commands
      .filter((each) => each.type === 'alert')
      .map((each) => each.type === 'alert' && each.name),
  ).toEqual(['checker.unwell'])
})

test('guard.self needs the control probe: when that passes the runners are sick', () => {
  const stage = storm(true)
  expect(stage.decisions.some(({ because }) => because === 'guard.self')).toBe(false)
  expect(range(5).some((n) => leaves(stage, n))).toBe(true)
})

test('guard.self is one decision per episode, and the next counted failure asks again', () => {
  const stage = storm(false)
  const told = () =>
    stage.decisions.filter(
      ({ because, subject }) => because === 'guard.self' && subject.id === stage.id(1),
    ).length
  stage.run(60)
  expect([told(), stage.word(1), stage.runner(1).context.strikes.length]).toEqual([1, 'failing', 3])
  stage.tell({ type: 'control.ended', passed: true, latencyMs: 1 })
  expect(stage.run(15, () => leaves(stage, 1))).toBe(true)
})

test('guard.self after a standstill: doubt within the running interval is void', () => {
  const stage = ready()
  stage.sick.set(1, 'status')
  stage.run(60, () => stage.runner().context.strikes.length === 2)
  stage.run(8.5)
  stage.tell({ type: 'clock.resumed', gapMs: 60_000, wall: 0 })
  const resumed = stage.at
  stage.run(9, () => stage.runner().context.strikes.length === 3)
  expect([stage.said(), stage.word()]).toEqual([
    ['failing → failing health.threshold !guard.self'],
    'failing',
  ])
  // The alert and the record say what it was, not that probes timed out.
  expect(stage.commands.find(({ type }) => type === 'alert')).toMatchObject({
    name: 'checker.unwell',
    text: expect.stringMatching(/^We stood still/),
  })
  expect(reading(stage, 'sinceStandstillMs', 1)).toMatchObject({
    value: stage.at - resumed,
    op: '>=',
    threshold: 10_000,
  })
  stage.run(30, () => leaves(stage, 1))
  expect(stage.at - resumed).toBeGreaterThanOrEqual(10_000)
})

test('who is held while we stand still is asked again when that is an interval ago', () => {
  const stage = ready(4, { policy: { panicMin: 100 } })
  condemn(stage, 2)
  condemn(stage, 1)
  stage.exit(2)
  stage.begin(5)
  stage.tell({ type: 'clock.resumed', gapMs: 60_000, wall: 0 })
  const resumed = stage.at
  stage.answer('probe.passed', 5)
  expect([stage.word(1), app(stage).outs]).toEqual(['held', 0])
  expect(stage.run(60, () => leaves(stage, 1))).toBe(true)
  expect(stage.at - resumed).toBe(10_000)
})

test('guard.dry_run: the rule only records, once per episode; the state stays', () => {
  const stage = ready(1, { policy: { dryRun: ['health.threshold'] } })
  for (let i = 0; i < 2; i++) stage.strike()
  stage.untilProbe()
  stage.answer('probe.failed')
  while (stage.said().length === 0) {
    stage.untilProbe()
    stage.answer('probe.failed')
  }
  expect(stage.said()).toEqual(['failing → failing health.threshold !guard.dry_run'])
  for (let i = 0; i < 10; i++) {
    stage.untilProbe()
    stage.answer('probe.failed')
    expect([stage.said(), stage.word()]).toEqual([[], 'failing'])
  }
  stage.untilProbe()
  stage.answer('probe.passed')
  expect(stage.word()).toBe('idle')
})

test('guard.dry_run frees a runner that the rule held, with its count; enforced again, the next counted failure asks', () => {
  const stage = ready(4, { policy: { ...fast, panicMin: 100 } })
  condemn(stage, 2)
  condemn(stage, 1)
  expect([leaves(stage, 2), stage.word(1)]).toEqual([true, 'held'])
  const change = (dryRun: readonly string[] | null) =>
    stage.tell({ type: 'policy.changed', app: null, change: { dryRun }, by: 'ann' })
  change(['health.threshold'])
  expect(stage.said(1)).toEqual(['held → failing health.threshold !guard.dry_run'])
  stage.exit(2)
  stage.open(5)
  stage.run(60)
  expect([stage.word(1), stage.runner(1).context.strikes.length]).toEqual(['failing', 3])
  change(null)
  expect(stage.run(60, () => leaves(stage, 1))).toBe(true)
})

test('guard.dry_run of an immediate rule needs allowUnsafe, and then keeps the runner', () => {
  expect(() => ready(1, { policy: { dryRun: ['outcome.server_error'] } })).toThrow(/allowUnsafe/)
  const stage = ready(1, {
    policy: { dryRun: ['outcome.server_error', 'health.manual'], allowUnsafe: true },
  })
  stage.end('server_error')
  expect([stage.word(), stage.said()]).toEqual([
    'idle',
    ['idle → idle outcome.server_error !guard.dry_run'],
  ])
})

test('guard.dry_run of a check that was asked for: it is recorded, and the next question is asked again', () => {
  const stage = ready(1, { policy: { dryRun: ['health.manual'], allowUnsafe: true } })
  stage.end('healthy', 1, { headers: { check: true } })
  stage.answer('probe.failed')
  expect(stage.said()[0]).toBe('verifying → verifying health.manual !guard.dry_run')
  expect(stage.word()).toBe('idle')
  stage.end('healthy', 1, { headers: { check: true } })
  expect(stage.orders('probe')).toHaveLength(1)
})

test.for([
  ['capPercent', 29, 100, 29],
  ['capPercent', 57, 100, 57],
  ['capPercent', 2.3, 3000, 69],
  ['panicPercent', 55, 100, 55],
  ['panicPercent', 1.1, 3000, 33],
  ['concurrencyBufferPercent', 7, 100, 7],
  ['concurrencyBufferPercent', 55, 100, 55],
  ['concurrencyBufferPercent', 1.1, 3000, 33],
] as const)('%s %d of %i is %i, to the last bit', ([name, percent, of, expected]) => {
  const policy = resolvePolicy(
    { maxConcurrency: 10_000, ...(name === 'concurrencyBufferPercent' && { [name]: percent }) },
    name === 'concurrencyBufferPercent' ? {} : { [name]: percent },
  )
  const numbers = { policy, established: of, suspects: 0, panic: false, tat: 0 }
  const read = {
    capPercent: () => capOf(numbers),
    panicPercent: () => panicAt(numbers),
    concurrencyBufferPercent: () => targetOf(policy, of) - of,
  }
  expect(read[name]()).toBe(expected)
})

test('guard.panic is looked at again when runners leave: three of ten are none, three of four are', () => {
  const stage = ready(10, {
    policy: { ...free, capPercent: 100 },
    options: { keepAliveSeconds: 0 },
  })
  for (const n of [1, 2, 3]) stage.sick.set(n, 'status')
  stage.run(20, () => [1, 2, 3].every((n) => stage.word(n) === 'failing'))
  stage.configure({ minConcurrency: 4, maxConcurrency: 4, keepAliveSeconds: 0 })
  const all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  for (const n of all.filter((n) => stage.word(n).endsWith('+draining')))
    stage.tell({ type: 'work.counted', ...stage.life(n), inFlight: 0 })
  for (const n of all.filter((n) => stage.word(n) === 'stopping')) stage.exit(n)
  const { established, suspects, panic } = app(stage)
  expect([established, suspects, panic]).toEqual([4, 3, true])
})

test('guard.panic ends, after the cooldown, when another policy says that it is none', () => {
  const stage = ready(6, { policy: { ...free, capPercent: 100 } })
  for (const n of [1, 2, 3]) stage.sick.set(n, 'status')
  stage.run(20, () => [1, 2, 3].every((n) => stage.word(n) === 'failing'))
  expect(app(stage).panic).toBe(true)
  stage.tell({ type: 'policy.changed', app: APP, change: { panicMin: 1000 }, by: 'me' })
  stage.run(29)
  expect(app(stage).panic).toBe(true)
  stage.run(2)
  expect(app(stage).panic).toBe(false)
})

test('in panic the turn of a runner that drains goes to the next one', () => {
  const stage = ready(6, { policy: { ...free, capPercent: 100, panicCooldownSeconds: 1 } })
  const all = [1, 2, 3, 4, 5, 6]
  for (const n of all) stage.sick.set(n, 'status')
  stage.run(60, () => all.every((n) => stage.word(n) === 'held'))
  const first = all.find((n) => stage.id(n) === app(stage).canary!.id)!
  stage.order('order.drain', first, { inFlight: 1 })
  expect([stage.word(first), app(stage).canary?.id === stage.id(first)]).toEqual([
    'held+draining',
    false,
  ])
  // What was to succeed it is given back.
  expect(stage.word(7)).toBe('stopping')
  const healed = stage.run(5, () => {
    for (let n = 7; n <= stage.started; n++) {
      if (stage.word(n) === 'provisioning') stage.begin(n)
      if (stage.word(n) === 'setup') stage.answer('probe.passed', n)
    }
    return all.some((n) => n !== first && stage.word(n) === 'stopping')
  })
  expect([healed, stage.word(first)]).toEqual([true, 'held+draining'])
})

test('guard.self reads what all apps heard, each in its own interval', () => {
  const stage = ready(6, { policy: { ...free, capPercent: 100, panicMin: 1000 } })
  const [id] = addFast(stage, 0.5)
  stage.tell({ type: 'control.ended', passed: false, latencyMs: 1 })
  for (let n = 1; n <= 6; n++) stage.sick.set(n, 'timeout')
  // A busy app whose checks pass says little, however many they are: it has one runner.
  const said = (): Decision | undefined =>
    stage.decisions.find(({ rule }) => rule === 'health.threshold')
  stage.run(60, () => {
    const fast = stage.fleet.runners.get(id)!
    if (fast.flying > 0)
      stage.tell({
        type: 'probe.passed',
        runner: id,
        incarnation: 1,
        probe: fast.flying,
        kind: 'regular',
        latencyMs: 1,
      })
    return said() !== undefined
  })
  expect([said()?.enforced, said()?.because]).toEqual([false, 'guard.self'])
})

/** A second app with one ready runner that is checked so often; answers its id. */
function addFast(stage: Stage, intervalSeconds: number): readonly [string] {
  stage.tell({
    type: 'app.configured',
    app: 'demo/fast',
    options: {
      healthCheck: { ...CHECK, intervalSeconds, timeoutSeconds: 0.2 },
      minConcurrency: 1,
    },
    policy: {},
    revision: '1',
  })
  const { id } = stage.fleet.apps.get('demo/fast')!.runners[0]!
  const life = { runner: id, incarnation: 1 }
  stage.tell({ type: 'process.started', ...life, pid: 1, url: 'http://127.0.0.1:1' })
  stage.tell({ type: 'probe.passed', ...life, probe: 1, kind: 'port', latencyMs: 1 })
  return [id]
}

test('guard.self voids a TCP check that timed out: without strikes the runner is back where it was', () => {
  const stage = ready(6, { checked: false })
  stage.tell({ type: 'clock.resumed', gapMs: 5000, wall: 1 })
  for (const n of [1, 2, 3]) {
    stage.end('error', n)
    stage.answer('probe.failed', n, { why: 'timeout' })
    expect(stage.said(n)).toEqual(['verifying → idle outcome.tcp_check !guard.self'])
  }
  expect(app(stage).panic).toBe(false)
})

test('a check that waited for one which guard.self voided is made once: each answer asked for another, as fast as the port accepts', () => {
  const stage = ready(4, { options: { healthCheck: { ...CHECK, failureThreshold: 1 } } })
  stage.untilProbe()
  stage.end('error')
  stage.tell({ type: 'clock.resumed', gapMs: 5000, wall: 0 })
  stage.answer('probe.failed', 1, { why: 'timeout' })
  expect(stage.said()).toEqual([
    'verifying → failing health.threshold !guard.self',
    'failing → verifying health.manual',
  ])
  expect(stage.orders('probe').map(({ kind }) => kind)).toEqual(['tcp'])
  stage.answer('probe.passed')
  expect([stage.said(), stage.orders('probe')]).toEqual([
    ['verifying → failing outcome.tcp_check'],
    [],
  ])
})

test('a check that waited for one over which a guard holds the runner is made once', () => {
  const stage = ready(4, { policy: { capMin: 0, capPercent: 0 } })
  stage.end('error')
  stage.end('healthy', 1, { headers: { check: true } })
  stage.answer('probe.failed', 1, { why: 'timeout' })
  expect([stage.word(), stage.orders('probe').map(({ kind }) => kind)]).toEqual([
    'held',
    ['manual'],
  ])
  stage.answer('probe.passed')
  expect(stage.orders('probe')).toEqual([])
})

test('a runner held for a TCP check that timed out is checked again: a pass acquits it, a refusal ends it', () => {
  const held = (): Stage => {
    const stage = ready(4, {
      checked: false,
      policy: { ...free, panicMin: 1000, capMin: 0, capPercent: 0 },
    })
    stage.end('error')
    stage.answer('probe.failed', 1, { why: 'timeout' })
    expect(stage.word()).toBe('held')
    stage.wait(60)
    stage.end('error')
    expect(stage.orders('probe').map(({ kind }) => kind)).toEqual(['tcp'])
    return stage
  }
  const well = held()
  well.answer('probe.passed')
  expect(well.said()).toEqual(['held → idle outcome.tcp_check'])
  const dead = held()
  dead.answer('probe.failed', 1, { why: 'refused' })
  expect(dead.said()).toEqual(['held → stopping outcome.tcp_check'])
})

test('health.grace and the interval hold for a runner that is held for a TCP check too', () => {
  const stage = ready(4, { policy: { capMin: 0, capPercent: 0 } })
  const strikes = () => stage.runner().context.strikes.length
  stage.end('error')
  stage.answer('probe.failed', 1, { why: 'timeout' })
  expect(stage.word()).toBe('held')
  stage.sick.set(1, 'status')
  // Checks come every third of the interval: only those an interval apart count.
  const first = stage.run(20, () => strikes() === 1) ? stage.at : 0
  stage.run(20, () => strikes() === 2)
  expect(stage.at - first).toBeGreaterThanOrEqual(9_000)
  stage.configure({ healthCheck: { ...CHECK, startPeriodSeconds: 3600 } })
  stage.run(30)
  expect([strikes(), stage.word()]).toEqual([2, 'held'])
})

test('a runner that was acquitted and is held again by the same guard is told to be', () => {
  const stage = ready(4, { policy: { capMin: 0, capPercent: 0 } })
  stage.strike()
  const timesOut = () => {
    stage.wait(1.5)
    if (stage.runner().flying > 0) stage.answer('probe.errored')
    stage.end('error')
    return stage.answer('probe.failed', 1, { why: 'timeout' })
  }
  timesOut()
  stage.end('error')
  stage.answer('probe.passed')
  expect([stage.word(), stage.said()]).toEqual(['failing', ['held → failing outcome.tcp_check']])
  timesOut()
  expect([stage.word(), stage.said()]).toEqual([
    'held',
    ['verifying → held outcome.tcp_check !guard.cap'],
  ])
})

test('guard.dry_run: a failure that would have been the last still breaks the row of passes', () => {
  const stage = ready(1, {
    options: { healthCheck: { ...CHECK, successThreshold: 2 } },
    policy: { dryRun: ['health.threshold'] },
  })
  stage.strike()
  stage.strike()
  stage.untilProbe()
  stage.answer('probe.passed')
  stage.wait(9.5)
  stage.untilProbe()
  stage.answer('probe.failed')
  stage.untilProbe()
  stage.answer('probe.passed')
  expect(stage.word()).toBe('failing')
})
