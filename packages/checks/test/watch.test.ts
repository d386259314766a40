import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createCheckup, type Change, type Checkup, type CheckupOptions } from '../src/index.ts'

// The clock is the test's: what takes seconds here takes none, and happens in a known order.
const open: Checkup[] = []
beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  for (const checkup of open.splice(0)) checkup.close()
  vi.useRealTimers()
})

function make(options: CheckupOptions): Checkup {
  const checkup = createCheckup(options)
  open.push(checkup)
  return checkup
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('what is told', () => {
  function observed(checks: CheckupOptions['checks'] & object) {
    const changes: string[] = []
    const lines: object[] = []
    const log = {
      info: (fields: object) => void lines.push(fields),
      warn: (fields: object) => void lines.push(fields),
    }
    const write = ({ check, from, to, cause }: Change) =>
      void changes.push(`${check ?? '*'}: ${from ?? '-'} → ${to} (${cause ?? '-'})`)
    const first = vi.fn<() => void>()
    const checkup = make({
      checks,
      log,
      onChange: write,
      onFirstHealthy: first,
      historyLength: 3,
    })
    return { changes, lines, checkup, first }
  }

  test('changes of checks and of the service, with old, new and cause; the history is bounded', async () => {
    let good = false
    const { changes, lines, checkup, first } = observed({
      database: { check: () => good, cacheSeconds: 0, failureCacheSeconds: 0 },
      cache: { check: () => good, critical: false, cacheSeconds: 0, failureCacheSeconds: 0 },
    })
    await checkup.report()
    await checkup.report()
    expect(first).not.toHaveBeenCalled()
    good = true
    await checkup.report()
    await checkup.report()
    expect(first).toHaveBeenCalledTimes(1)
    expect(changes).toEqual([
      'database: - → unhealthy (failed)',
      'cache: - → unhealthy (failed)',
      '*: - → unhealthy (database, cache)',
      'database: unhealthy → healthy (-)',
      '*: unhealthy → degraded (cache)',
      'cache: unhealthy → healthy (-)',
      '*: degraded → healthy (-)',
    ])
    expect(checkup.history.map(({ check, to }) => [check, to])).toEqual([
      [null, 'degraded'],
      ['cache', 'healthy'],
      [null, 'healthy'],
    ])
    expect(lines[0]).toEqual({
      event: 'check.changed',
      check: 'database',
      from: null,
      to: 'unhealthy',
      cause: 'failed',
    })
    expect(lines).toHaveLength(7)
  })

  test('a service without checks is healthy from the start', () => {
    const { changes, first } = observed({})
    expect(changes).toEqual(['*: - → healthy (-)'])
    expect(first).toHaveBeenCalledTimes(1)
  })

  test('a slow check is told once per slow spell', async () => {
    let takes = 300
    const { lines, checkup } = observed({
      a: { check: () => wait(takes), slowSeconds: 0.2, cacheSeconds: 0 },
    })
    const run = async () => {
      const asked = checkup.report()
      await vi.advanceTimersByTimeAsync(300)
      await asked
    }
    await run()
    await run()
    takes = 10
    await run()
    takes = 250
    await run()
    const slow = lines.filter((line) => 'event' in line && line.event === 'check.slow')
    expect(slow).toEqual([
      { event: 'check.slow', check: 'a', latencyMs: 300, limitMs: 200 },
      { event: 'check.slow', check: 'a', latencyMs: 250, limitMs: 200 },
    ])
  })

  test('a listener that throws hurts nobody, and listeners can leave', async () => {
    const { lines, checkup } = observed({ a: { check: () => true } })
    const heard = vi.fn<(change: unknown) => void>()
    checkup.onChange(() => {
      throw new Error('mine')
    })
    checkup.onChange(heard)
    checkup.onChange(() => heard('left'))()
    expect((await checkup.report()).status).toBe('healthy')
    expect(heard).toHaveBeenCalledTimes(2)
    expect(heard).not.toHaveBeenCalledWith('left')
    expect(lines).toContainEqual({ event: 'listener.failed' })
  })

  test('what was thrown goes to onError alone', async () => {
    const thrown = new Error('password=hunter2')
    const onError = vi.fn<(thrown: unknown, check: string) => void>()
    const checkup = make({ checks: { a: () => Promise.reject(thrown) }, onError })
    await checkup.report()
    expect(onError).toHaveBeenCalledWith(thrown, 'a')
  })
})

test('around sees every run, and what it does not let through has failed', async () => {
  const seen: string[] = []
  const checkup = make({
    checks: { a: () => true, b: () => false, c: () => true },
    around: async (check, run) => {
      seen.push(`> ${check}`)
      if (check === 'c') throw new Error('no')
      const answer = await run()
      seen.push(`< ${check}`)
      return answer
    },
  })
  const { checks } = await checkup.report()
  expect(checks.map(({ name, status }) => `${name} ${status}`)).toEqual([
    'a healthy',
    'b unhealthy',
    'c unhealthy',
  ])
  expect(seen.toSorted()).toEqual(['< a', '< b', '> a', '> b', '> c'])
})

describe('metrics', () => {
  test('Prometheus counts runs and times by check', async () => {
    let good = true
    const checkup = make({
      checks: {
        a: { check: () => wait(20).then(() => good), cacheSeconds: 0, failureCacheSeconds: 0 },
      },
    })
    for (const next of [true, true, false]) {
      good = next
      const asked = checkup.report()
      await vi.advanceTimersByTimeAsync(20)
      await asked
    }
    const text = checkup.prometheus()
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'health_status 0',
        'health_check_status{check="a"} 0',
        'health_check_runs_total{check="a",status="healthy"} 2',
        'health_check_runs_total{check="a",status="degraded"} 0',
        'health_check_runs_total{check="a",status="unhealthy"} 1',
        'health_check_duration_seconds_bucket{check="a",le="0.01"} 0',
        'health_check_duration_seconds_bucket{check="a",le="0.05"} 3',
        'health_check_duration_seconds_bucket{check="a",le="+Inf"} 3',
        'health_check_duration_seconds_count{check="a"} 3',
      ]),
    )
    // Every line is a comment or a sample, as the text format wants it.
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|[a-z_]+(\{[^}]*\})? [\d.e+-]+)$/)
  })

  test('OpenTelemetry instruments get the same', async () => {
    const seen: unknown[] = []
    const gauges = new Map<string, (result: { observe: (...of: unknown[]) => void }) => void>()
    const checkup = make({ checks: { a: () => true } })
    checkup.instrument({
      createHistogram: (name) => ({ record: (...of) => seen.push([name, typeof of[0], of[1]]) }),
      createCounter: (name) => ({ add: (...of) => seen.push([name, ...of]) }),
      createObservableGauge: (name) => ({
        addCallback: (callback) => void gauges.set(name, callback as never),
      }),
    })
    await checkup.report()
    for (const [name, callback] of gauges)
      callback({ observe: (...of) => void seen.push([name, ...of]) })
    expect(seen).toEqual([
      ['health.check.duration', 'number', { check: 'a' }],
      ['health.check.runs', 1, { check: 'a', status: 'healthy' }],
      ['health.check.status', 1, { check: 'a' }],
      ['health.status', 1],
    ])
  })
})

describe('shutdown', () => {
  test('flips readiness at once, waits the delay, then the beacons', async () => {
    const checkup = make({})
    const release = checkup.beacon('job')
    let ended = false
    const shut = checkup.shutdown({ delaySeconds: 5, forceSeconds: 30 }).then((how) => {
      ended = true
      return how
    })
    expect(checkup.readiness()).toEqual({ ready: false, reason: 'shutting down' })
    release()
    release()
    await vi.advanceTimersByTimeAsync(4999)
    expect(ended).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(await shut).toEqual({ forced: false, held: [] })
  })

  test('a second call joins the first; the deadline names what is held', async () => {
    const checkup = make({})
    checkup.beacon('a')
    checkup.beacon('b')()
    const shut = checkup.shutdown({ forceSeconds: 3 })
    const again = checkup.shutdown({ forceSeconds: 99 })
    await vi.advanceTimersByTimeAsync(3000)
    expect(await shut).toEqual({ forced: true, held: ['a'] })
    expect(await again).toEqual(await shut)
  })
})
