/**
 * One of the Node probers that are measured, in a process of its own: `node asker.ts NAME`. All of them ask when the core says so,
 * as in the gateway: the same fleet, the same spread, one timer for the next probe that is due. It tells what that cost.
 */
import { createRequire } from 'node:module'
import { createFleet, nextDue, step, type Clock, type Fleet, type StepResult } from '@health/core'
import { createProber } from '../src/prober.ts'
import { memoryOf, type AskerName, type Load, type Row } from './load.ts'

type Ask = (url: string, done: (passed: boolean) => void) => void
interface Asker {
  readonly ask: Ask
  /** Asked once before the load begins, so that what is kept per target is there. */
  readonly pooled?: boolean
}
/** What of undici is used. */
type Request = (
  url: string,
  options: object,
) => Promise<{ readonly statusCode: number; readonly body: { dump(): Promise<void> } }>

const clock: Clock = {
  now: () => Math.floor(performance.now()),
  wall: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

const askers: Record<AskerName, () => Asker> = {
  'this prober': () => {
    const prober = createProber({ clock })
    let probe = 0
    const rest = { incarnation: 1, kind: 'regular', method: 'GET', path: '/health' } as const
    const ask: Ask = (url, done) => {
      const order = { ...rest, runner: url, probe: ++probe, url, timeoutMs: 5_000 }
      prober.probe(order, ({ result }) => done(result === 'passed'))
    }
    return { ask }
  },
  'undici, pooled': () => ({ ask: undici({}), pooled: true }),
  'undici, new connection each': () => ({ ask: undici({ reset: true }) }),
}

/** The peer comes from the gateway's dependencies: this package has none. */
function undici(options: { readonly reset?: boolean }): Ask {
  const require = createRequire(new URL('../../../apps/gateway/package.json', import.meta.url))
  const { request } = require('undici') as { readonly request: Request }
  return (url, done) => {
    request(`${url}/health`, { ...options, headersTimeout: 5_000 })
      .then(async ({ statusCode, body }) => {
        await body.dump()
        done(statusCode === 200)
      })
      .catch(() => done(false))
  }
}

/** A fleet with a ready runner per port; from now on each is due once per interval. */
function fleetOf({ every, ports }: Load): Fleet {
  const fleet = createFleet({}, { seed: 1 })
  const at = clock.now()
  const path = '/health'
  const times = { startPeriodSeconds: 0, intervalSeconds: every / 1_000 }
  const bounds = { minConcurrency: ports.length, maxConcurrency: ports.length }
  const options = { healthCheck: { path, ...times }, startupTimeoutSeconds: 60, ...bounds }
  const fact = { type: 'app.configured', at, app: 'bench/app', revision: 'r1' } as const
  step(fleet, { ...fact, options, policy: {} })
  let next = 0
  for (const [runner, record] of fleet.runners) {
    const life = { runner, incarnation: 1, at }
    const url = `http://127.0.0.1:${ports[next++]}`
    step(fleet, { type: 'process.started', ...life, pid: 1, url })
    step(fleet, { type: 'port.opened', ...life, latencyMs: 1 })
    const passed = { type: 'probe.passed', ...life, latencyMs: 1 } as const
    if (record.flying > 0) step(fleet, { ...passed, probe: record.flying, kind: 'regular' })
  }
  if (next !== ports.length) throw new Error(`only ${next} of ${ports.length} runners started`)
  return fleet
}

/** Everything that is counted while the load runs. */
class Count {
  readonly latencies: number[] = []
  readonly lates: number[] = []
  readonly #begun = performance.now()
  readonly #seconds: number[] = []
  readonly #cpu = process.cpuUsage()
  failed = 0

  start(due: number, now: number): void {
    this.lates.push(now - due)
    const second = Math.floor((now - this.#begun) / 1_000)
    this.#seconds[second] = (this.#seconds[second] ?? 0) + 1
  }

  row(): Row {
    const { user, system } = process.cpuUsage(this.#cpu)
    const seconds = (performance.now() - this.#begun) / 1_000
    const whole = this.#seconds.slice(0, Math.floor(seconds))
    return {
      perSecond: this.latencies.length / seconds,
      cpuPercent: (user + system) / seconds / 1e4,
      microsPerProbe: (user + system) / this.latencies.length,
      p50: quantile(this.latencies, 0.5),
      p99: quantile(this.latencies, 0.99),
      late99: quantile(this.lates, 0.99),
      crowded: Math.max(...whole) / (whole.reduce((sum, count) => sum + count, 0) / whole.length),
      failed: this.failed,
      ...memoryOf('self'),
    }
  }
}

const quantile = (list: readonly number[], share: number): number =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0

/** Asks every target once, a few at a time. */
async function askAll(ask: Ask, urls: readonly string[]): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    for (let url = urls[next++]; url !== undefined; url = urls[next++])
      await new Promise<unknown>((resolve) => ask(url, resolve))
  }
  await Promise.all(Array.from({ length: 20 }, work))
}

async function measure(name: string, load: Load): Promise<void> {
  const make = askers[name as AskerName]
  if (make === undefined) throw new Error(`unknown: ${name}`)
  const { ask, pooled } = make()
  if (pooled)
    await askAll(
      ask,
      load.ports.map((port) => `http://127.0.0.1:${port}`),
    )
  const fleet = fleetOf(load)
  let count: Count | null = null
  let timer: NodeJS.Timeout | undefined
  let armed = Number.POSITIVE_INFINITY

  const perform = ({ commands }: StepResult, due: number): void => {
    for (const command of commands) {
      if (command.type !== 'probe') throw new Error(`the core ordered ${command.type}`)
      const { runner, incarnation, probe, kind } = command
      const life = { runner, incarnation, probe, kind }
      const counted = count
      const began = performance.now()
      counted?.start(due, began)
      ask(fleet.runners.get(runner)?.url ?? '', (passed) => {
        const now = performance.now()
        counted?.latencies.push(now - began)
        if (!passed && counted !== null) counted.failed++
        const at = Math.max(clock.now(), fleet.now)
        const latencyMs = now - began
        const answer = passed
          ? ({ type: 'probe.passed', status: 200 } as const)
          : ({ type: 'probe.errored', detail: 'not answered' } as const)
        perform(step(fleet, { ...answer, ...life, at, latencyMs }), at)
        arm()
      })
    }
  }
  const arm = (): void => {
    const due = nextDue(fleet)
    if (due === armed) return
    clearTimeout(timer)
    armed = due
    if (due === Number.POSITIVE_INFINITY) return
    timer = setTimeout(
      () => {
        armed = Number.POSITIVE_INFINITY
        perform(step(fleet, { type: 'time.passed', at: Math.max(clock.now(), fleet.now) }), due)
        arm()
      },
      Math.max(1, due - clock.now()),
    )
  }
  arm()
  await new Promise((resolve) => setTimeout(resolve, load.warmMs))
  count = new Count()
  const counting = count
  await new Promise((resolve) => setTimeout(resolve, load.measureMs))
  process.send?.(counting.row(), () => process.exit(0))
}

process.once('message', (load) => void measure(process.argv[2] ?? '', load as Load))
