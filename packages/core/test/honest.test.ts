/** What another policy would have done, where it was told wrong: each of these was claimed otherwise once. */
import { describe, expect, test } from 'vitest'
import {
  explain,
  type Explanation,
  type Life,
  type Snapshot,
  snapshot,
  stands,
  whatIf,
  type WhatIfResult,
} from '../src/index.ts'
import { CHECK, ready, Stage } from './stage.ts'

const recordingOf = ({ journal }: Stage) => ({ start: null, policy: {}, seed: 1, events: journal })
const ask = (stage: Stage, change: unknown): WhatIfResult => whatIf(recordingOf(stage), change)
const lifeOf = (stage: Stage, result: WhatIfResult, n = 1): Life =>
  result.lives.find(({ runner }) => runner === stage.id(n))!
const why = (stage: Stage, n = 1): Explanation =>
  explain(
    { decisions: stage.decisions, events: stage.journal, recording: recordingOf(stage) },
    { kind: 'runner', id: stage.id(n) },
  )!

describe('what if', () => {
  test('a spared life that is over keeps nobody waiting', () => {
    const stage = ready(10, { policy: { doubtPerSecond: 1000, doubtBurst: 1000 } })
    stage.wait(30)
    stage.openAll()
    for (const n of [1, 2]) stage.sick.set(n, 'status')
    stage.run(90, () => stage.word(1) === 'stopping' && stage.word(2) === 'stopping')
    stage.exit(1)
    stage.exit(2)
    stage.run(5)
    stage.openAll()
    stage.sick.clear()
    stage.run(600)
    stage.sick.set(3, 'status')
    stage.run(90, () => stage.word(3) === 'stopping')
    const result = ask(stage, { capPercent: 10 })
    expect([1, 2].map((n) => lifeOf(stage, result, n).fate).toSorted()).toEqual(['same', 'spared'])
    expect(lifeOf(stage, result, 3).fate).toBe('same')
  })

  test('in a panic a shadow that was held before the real one is not sure', () => {
    const stage = ready(4, { policy: { doubtPerSecond: 1000, doubtBurst: 1000 } })
    for (let n = 1; n <= 4; n++) stage.sick.set(n, 'status')
    stage.run(120, () => stage.word(stage.started) === 'provisioning')
    stage.open(stage.started)
    stage.run(5)
    const { lives } = ask(stage, { failureThreshold: 2 })
    expect(lives.filter(({ ended }) => ended !== null).length).toBe(1)
    expect(lives.filter(({ fate }) => fate === 'same').map(({ runner }) => runner)).toEqual([
      stage.id(5),
    ])
  })

  test('an observed rule breaks a row of passes, in the shadow too', () => {
    const healthCheck = { ...CHECK, successThreshold: 2 }
    const stage = ready(2, { options: { healthCheck }, policy: { dryRun: ['health.threshold'] } })
    stage.wait(30)
    stage.openAll()
    for (let n = 0; n < 3; n++) stage.strike()
    for (let n = 0; n < 6; n++) {
      stage.untilProbe()
      stage.answer('probe.passed')
      stage.wait(9.5)
      stage.untilProbe()
      stage.answer('probe.failed')
    }
    stage.configure({ minConcurrency: 2, maxConcurrency: 2, healthCheck }, 'r1', { dryRun: [] })
    stage.run(0.1)
    while (stage.word(1) === 'failing') {
      stage.untilProbe()
      stage.answer('probe.failed')
    }
    const { fate, really, otherwise } = lifeOf(stage, ask(stage, {}))
    expect([fate, otherwise]).toEqual(['same', really])
  })

  test('a heartbeat acquits the shadow that missed one, whatever the real runner was struck by', () => {
    const healthCheck = {
      ...CHECK,
      startPeriodSeconds: 300,
      suspectIntervalSeconds: 10,
      heartbeat: { ttlSeconds: 12 },
      callRegularly: false,
    }
    const lived = (startPeriodSeconds: number): Stage => {
      const stage = new Stage({
        options: {
          minConcurrency: 1,
          startupTimeoutSeconds: 10,
          healthCheck: { ...healthCheck, startPeriodSeconds },
        },
      })
      stage.openAll()
      for (let n = 0; n < 12; n++) {
        stage.run(n % 2 === 0 ? 13 : 5)
        stage.tell({ type: 'heartbeat.received', ...stage.life(1) })
      }
      return stage
    }
    expect(lived(10).word(1)).toBe('idle')
    const stage = lived(300)
    expect(lifeOf(stage, ask(stage, { startPeriodSeconds: 10 })).other).toBeNull()
  })

  test('who was held when the recording began is kept by the guard that held him', () => {
    const fast = { doubtPerSecond: 1000, doubtBurst: 1000, capMin: 0 }
    const stage = ready(10, { policy: { ...fast, capPercent: 0 } })
    stage.wait(30)
    stage.openAll()
    for (const n of [1, 2]) stage.sick.set(n, 'status')
    stage.run(90, () => stage.word(1) === 'held' && stage.word(2) === 'held')
    const start = JSON.parse(JSON.stringify(snapshot(stage.fleet))) as Snapshot
    const events = stage.journal.length
    stage.configure({ minConcurrency: 10, maxConcurrency: 10 }, 'r1', { ...fast, capPercent: 100 })
    stage.run(30)
    const recording = { ...recordingOf(stage), start, events: stage.journal.slice(events) }
    const result = whatIf(recording, { capPercent: 0 })
    expect([1, 2].map((n) => lifeOf(stage, result, n).because)).toEqual(['guard.cap', 'guard.cap'])
  })

  test('a refusal after the shorter timeout is a timeout, which a guard may withhold', () => {
    const stage = ready(2, { policy: { capMin: 0, capPercent: 0 } })
    stage.end('error', 1)
    stage.wait(1.5)
    stage.answer('probe.failed', 1, { why: 'refused', latencyMs: 1500 })
    expect(lifeOf(stage, ask(stage, { tcpCheckTimeoutSeconds: 1 }))).toMatchObject({
      fate: 'spared',
      because: 'guard.cap',
    })
  })

  test('an app that never had a runner is an app, and what no journal can answer is refused', () => {
    const stage = ready(1)
    const idle = { app: 'demo/idle', options: { maxConcurrency: 1 }, policy: {}, revision: '1' }
    stage.tell({ type: 'app.configured', ...idle })
    expect(ask(stage, { apps: { 'demo/idle': { maxConcurrency: 1 } } }).differs).toEqual({
      'demo/app': [],
      'demo/idle': [],
    })
    expect(() => ask(stage, { apps: { 'demo/idle': { maxConcurrency: 2 } } })).toThrow(
      /maxConcurrency cannot be asked/,
    )
  })

  test.for([
    [{ tempHighHoldSeconds: 1 }, 'tempHighHoldSeconds'],
    [{ nodeBreakerWindowSeconds: 1 }, 'nodeBreakerWindowSeconds'],
    [{ xid: { 79: 'record' } }, 'xid'],
    [{ dryRun: ['temp.critical'] }, 'dryRun'],
  ] as const)('%j judges nodes and is refused', ([change, option]) => {
    expect(() => ask(ready(1), change)).toThrow(
      expect.objectContaining({ code: 'HEALTH_REPLAY_REFUSED', path: option }),
    )
  })

  test('what nodes were judged by is no change', () => {
    expect(ask(ready(1), { tempHighC: 85, tempHighHoldSeconds: 300, xid: {} }).differs).toEqual({
      'demo/app': [],
    })
  })
})

describe('explain', () => {
  test('a drain that came to its deadline with work in hand names that limit', () => {
    const stage = ready(2, { policy: { drainTimeoutSeconds: 30 } })
    stage.load(1, 1)
    stage.order('order.drain', 1, { inFlight: 1 })
    stage.tell({ type: 'work.counted', ...stage.life(1), inFlight: 1 })
    stage.run(50)
    expect(why(stage).chain.at(-1)!.text).toMatch(/^drainTimeoutSeconds decided it/)
  })

  test('after many failures the nearest number is still the nearest', () => {
    const stage = ready(2, { policy: { capMin: 0, capPercent: 0 } })
    stage.wait(30)
    stage.openAll()
    stage.sick.set(1, 'status')
    stage.run(900)
    stage.configure({ minConcurrency: 2, maxConcurrency: 2 }, 'r1', { capMin: 1, capPercent: 0 })
    const { decision, counterfactual } = why(stage)
    expect(decision.from).toBe('held')
    // 3 → some 90 is 30 times as much; the start period would have to grow from 20 s to more than 900 s.
    expect(counterfactual?.option).toBe('failureThreshold')
    expect(stands(recordingOf(stage), decision, { failureThreshold: counterfactual!.needed })).toBe(
      false,
    )
    expect(
      stands(recordingOf(stage), decision, { failureThreshold: counterfactual!.needed - 1 }),
    ).toBe(true)
  })

  test('an exclusive check that was skipped names its limit', () => {
    const healthCheck = { ...CHECK, callRegularly: false, exclusive: true, exclusiveWaitSeconds: 5 }
    const stage = ready(1, { options: { healthCheck } })
    stage.load(1, 1)
    stage.tell({ type: 'order.check', runner: stage.id(1), by: 'x', manual: true })
    stage.tell({ type: 'work.counted', ...stage.life(1), inFlight: 1 })
    stage.run(20)
    expect(why(stage).chain.at(-1)!.text).toMatch(/^exclusiveWaitSeconds decided it/)
  })

  test('a successor that nobody needs any more is not blamed on maxConcurrency', () => {
    const stage = ready(4)
    for (let n = 1; n <= 4; n++) stage.sick.set(n, 'timeout')
    stage.run(120, () => stage.started > 4 && stage.word(stage.started) === 'provisioning')
    stage.sick.clear()
    stage.run(60)
    const { decision, chain } = why(stage, 5)
    expect(decision.rule).toBe('pool.unneeded')
    expect(chain.map(({ text }) => text).join()).not.toContain('maxConcurrency')
  })
})
