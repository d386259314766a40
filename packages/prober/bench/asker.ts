/**
 * One of the Node probers that are measured, in a process of its own: `node asker.ts NAME`. All of them ask when the core says so,
 * as in the gateway: the same fleet, the same spread, one timer for the next probe that is due. It tells what that cost.
 */
import { createRequire } from 'node:module'
import { createFleet, nextDue, step, type Clock, type Fleet, type StepResult } from '@health/core'
import { createProber } from '../src/prober.ts'
import { memoryOf, type AskerName, type Load, type Row } from './load.ts'

/** Says whether it passed, and how long it took from the moment it began: a prober may let it wait before. */
type Ask = (url: string, done: (passed: boolean, latencyMs: number) => void) => void
/** What of undici is used. */
type Request = (
  url: string,
  options: object,
) => Promise<{ readonly statusCode: number; readonly body: { dump(): Promise<void> } }>

/** As the loop of the supervisor. */
const GATHER_MS = 8

const clock: Clock = {
  now: () => Math.floor(performance.now()),
  wall: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

const askers: Record<AskerName, () => Ask> = {
  'this prober': () => {
    const prober = createProber({ clock })
    let probe = 0
    const rest = { incarnation: 1, kind: 'regular', method: 'GET', path: '/health' } as const
    return (url, done) => {
      const order = { ...rest, runner: url, probe: ++probe, url, timeoutMs: 5_000 }
      prober.probe(order, ({ result, latencyMs }) => done(result === 'passed', latencyMs))
    }
  },
  'undici, pooled': () => undici({}),
  'undici, new connection each': () => undici({ reset: true }),
}

/** The peer comes from the gateway's dependencies: this package has none. */
function undici(options: { readonly reset?: boolean }): Ask {
  const require = createRequire(new URL('../../../apps/gateway/package.json', import.meta.url))
  const { request } = require('undici') as { readonly request: Request }
  return (url, done) => {
    const began = performance.now()
    request(`${url}/health`, { ...options, headersTimeout: 5_000 })
      .then(async ({ statusCode, body }) => {
        await body.dump()
        done(statusCode === 200, performance.now() - began)
      })
      .catch(() => done(false, performance.now() - began))
  }
}

/** A fleet with a ready runner per port; from now on each is due once per interval. */
function fleetOf({ every, targets }: Load): Fleet {
  const fleet = createFleet({}, { seed: 1 })
  const at = clock.now()
  const path = '/health'
  const times = { startPeriodSeconds: 0, intervalSeconds: every / 1_000 }
  const bounds = { minConcurrency: targets.length, maxConcurrency: targets.length }
  const options = { healthCheck: { path, ...times }, startupTimeoutSeconds: 60, ...bounds }
  const fact = { type: 'app.configured', at, app: 'bench/app', revision: 'r1' } as const
  step(fleet, { ...fact, options, policy: {} })
  let next = 0
  for (const [runner, record] of fleet.runners) {
    const life = { runner, incarnation: 1, at }
    const url = `http://${targets[next++]}`
    step(fleet, { type: 'process.started', ...life, pid: 1, url })
    step(fleet, { type: 'port.opened', ...life, latencyMs: 1 })
    const passed = { type: 'probe.passed', ...life, latencyMs: 1 } as const
    if (record.flying > 0) step(fleet, { ...passed, probe: record.flying, kind: 'regular' })
  }
  if (next !== targets.length) throw new Error(`only ${next} of ${targets.length} runners started`)
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

  ended(due: number, passed: boolean, latencyMs: number): void {
    const began = performance.now() - latencyMs
    this.latencies.push(latencyMs)
    this.lates.push(began - due)
    if (!passed) this.failed++
    const second = Math.floor((began - this.#begun) / 1_000)
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

/** Asks every target once, a few at a time, so that what is kept per target is there and the code is compiled. */
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
  const ask = make()
  await askAll(
    ask,
    load.targets.map((target) => `http://${target}`),
  )
  const fleet = fleetOf(load)
  let count: Count | null = null
  let timer: NodeJS.Timeout | undefined
  let armed = Number.POSITIVE_INFINITY
  let woke = Number.NEGATIVE_INFINITY

  const perform = ({ commands }: StepResult, due: number): void => {
    for (const command of commands) {
      if (command.type !== 'probe') throw new Error(`the core ordered ${command.type}`)
      const { runner, incarnation, probe, kind } = command
      const life = { runner, incarnation, probe, kind }
      const counted = count
      ask(fleet.runners.get(runner)?.url ?? '', (passed, latencyMs) => {
        counted?.ended(due, passed, latencyMs)
        const at = Math.max(clock.now(), fleet.now)
        const answer = passed
          ? ({ type: 'probe.passed', status: 200 } as const)
          : ({ type: 'probe.errored', detail: 'not answered' } as const)
        const first = Math.min(nextDue(fleet), at)
        perform(step(fleet, { ...answer, ...life, at, latencyMs }), first)
        arm()
      })
    }
  }
  const arm = (): void => {
    const due = nextDue(fleet, woke + GATHER_MS)
    if (due === armed) return
    clearTimeout(timer)
    armed = due
    if (due === Number.POSITIVE_INFINITY) return
    timer = setTimeout(
      () => {
        armed = Number.POSITIVE_INFINITY
        woke = clock.now()
        const first = nextDue(fleet)
        perform(step(fleet, { type: 'time.passed', at: Math.max(clock.now(), fleet.now) }), first)
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
