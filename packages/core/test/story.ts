/** The stories whose journals are kept: each is told on a stage once, and replayed from its file ever after. */
import { NEW_RECORD } from '../src/index.ts'
import { APP, ready, Stage } from './stage.ts'

const queued = (attempts: number) => ({
  mode: 'queue' as const,
  attempt: attempts,
  record: { ...NEW_RECORD, attempts },
})

/** What happened, by the name of its file. */
export const stories: Readonly<Record<string, () => Stage>> = {
  'a-503': () => {
    const stage = ready(2)
    stage.load(1, 1)
    stage.end('server_error', 1, queued(1))
    stage.exit(1)
    stage.open(3)
    stage.end('healthy', 3, queued(2))
    stage.run(60)
    return stage
  },
  'hang-to-threshold': () => {
    const stage = ready(2)
    stage.sick.set(1, 'timeout')
    stage.run(60, () => stage.word(1) === 'stopping')
    // It hangs in its end too: only the kill helps.
    stage.run(5.1)
    stage.exit(1)
    stage.open(3)
    stage.run(30)
    return stage
  },
  'slow-start-and-backoff': () => {
    const stage = new Stage({ options: { minConcurrency: 1 } })
    for (let n = 1; n <= 6; n++) {
      stage.begin(n)
      if (n === 1) stage.run(20.1)
      else stage.tell({ type: 'setup.failed', ...stage.life(n), detail: 'no weights' })
      stage.exit(n)
      stage.run(400, () => stage.started > n && stage.word(n + 1) === 'provisioning')
    }
    stage.tell({ type: 'provision.refused', ...stage.life(7), why: 'no_capacity', detail: 'full' })
    stage.run(21)
    stage.open(7)
    stage.run(30)
    return stage
  },
  'storm-and-cap': () => {
    const stage = ready(10, { policy: { panicMin: 100 } })
    for (let n = 1; n <= 4; n++) stage.sick.set(n, 'status')
    const next = (): boolean => stage.started > 10 && stage.word(stage.started) === 'provisioning'
    for (let i = 0; i < 4; i++) {
      stage.run(60, next)
      for (let n = 1; n <= 4; n++) if (/stopping|killing/.test(stage.word(n))) stage.exit(n)
      for (let n = 11; n <= stage.started; n++) if (stage.word(n) === 'provisioning') stage.open(n)
    }
    stage.run(30)
    return stage
  },
  panic: () => {
    const stage = ready(4)
    for (let n = 1; n <= 4; n++) stage.sick.set(n, 'timeout')
    stage.tell({ type: 'control.ended', passed: true, latencyMs: 1 })
    for (let i = 0; i < 4; i++) {
      stage.run(120, () => stage.word(stage.started) === 'provisioning')
      stage.open(stage.started)
      for (let n = 1; n <= 4; n++) if (/stopping|killing/.test(stage.word(n))) stage.exit(n)
    }
    stage.run(60)
    return stage
  },
  'drain-with-replace': () => {
    const stage = ready(2)
    stage.load(1, 1)
    stage.order('order.drain', 1, { replace: true, inFlight: 1 })
    stage.run(3)
    stage.open(3)
    stage.tell({ type: 'work.counted', ...stage.life(1), inFlight: 1 })
    stage.end('healthy', 1, { inFlight: 0 })
    stage.exit(1)
    stage.configure({}, 'r2')
    stage.open(4)
    stage.run(10)
    return stage
  },
  'adoption-after-restart': () => {
    const stage = ready(3)
    stage.load(1, 1)
    stage.sick.set(2, 'refused')
    stage.run(30, () => stage.word(2) === 'failing')
    stage.order('order.stop', 3, { inFlight: 1 })
    stage.tell({ type: 'core.started', version: '1', wall: 1_700_000_000_000 })
    for (const n of [1, 2]) stage.tell({ type: 'process.adopted', ...stage.life(n) })
    stage.exit(3)
    stage.sick.clear()
    stage.run(40)
    return stage
  },
  'sick-checker': () => {
    const stage = ready(5)
    stage.tell({ type: 'control.ended', passed: false, latencyMs: 2_000 })
    for (let n = 1; n <= 5; n++) stage.sick.set(n, 'timeout')
    stage.run(60)
    stage.sick.clear()
    stage.tell({ type: 'control.ended', passed: true, latencyMs: 1 })
    stage.run(30)
    return stage
  },
  'errors-and-retries': () => {
    const stage = ready(3, { policy: { poisonThreshold: 2 } })
    stage.end('error', 1, queued(1))
    stage.answer('probe.passed', 1)
    stage.end('gateway_timeout', 2, queued(1))
    stage.answer('probe.failed', 2, { why: 'refused' })
    stage.end('healthy', 3, { ...queued(2), headers: { needsRetry: true } })
    stage.end('connection_lost', 3, {
      ...queued(3),
      cut: 'incomplete',
      record: { ...NEW_RECORD, attempts: 3, ended: ['x'] },
    })
    stage.tell({
      type: 'lease.expired',
      app: APP,
      request: 'q-2',
      attempt: 1,
      record: { ...NEW_RECORD, attempts: 1 },
    })
    stage.tell({ type: 'request.cancelled', app: APP, request: 'q-3', cause: 'caller' })
    stage.tell({ type: 'request.expired', app: APP, request: 'q-4' })
    stage.run(5)
    return stage
  },
}
