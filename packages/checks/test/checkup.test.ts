import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { CheckFailure, createCheckup, type Checkup, type CheckupOptions } from '../src/index.ts'

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

const never = () => new Promise<never>(() => undefined)
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function ask(checkup: Checkup, name: string) {
  const { status, checks } = await checkup.report({ check: name })
  const { error, latency, age, repaired } = checks[0]!
  return { status, error, latency, age, repaired }
}

describe('what a check may answer', () => {
  const throwing = (thrown: unknown) => () => {
    throw thrown
  }
  test.for<[string, () => unknown, string, string | null]>([
    ['nothing', () => undefined, 'healthy', null],
    ['a word', () => 'PONG', 'healthy', null],
    ['rows', () => Promise.resolve({ rows: [] }), 'healthy', null],
    ['false', () => false, 'unhealthy', 'failed'],
    ['a throw', throwing(new Error('host db.internal')), 'unhealthy', 'failed'],
    ['a throw of nothing', throwing(undefined), 'unhealthy', 'failed'],
    ['a rejection', () => Promise.reject(new Error('x')), 'unhealthy', 'failed'],
    ['a code', throwing(new CheckFailure('too_old')), 'unhealthy', 'too_old'],
    ['a warning', throwing(new CheckFailure('too_old', 'degraded')), 'degraded', 'too_old'],
    ['a code of its own', throwing(new CheckFailure('model_stale')), 'unhealthy', 'model_stale'],
    ['a code that nobody declared', throwing(new CheckFailure('hunter2')), 'unhealthy', 'failed'],
    ['an answer', () => ({ status: 'degraded', error: 'over_limit' }), 'degraded', 'over_limit'],
    [
      'an answer with text',
      () => ({ status: 'unhealthy', error: 'at db:5432' }),
      'unhealthy',
      'failed',
    ],
    ['a good response', () => new Response('x'), 'healthy', null],
    ['a bad response', () => new Response('x', { status: 500 }), 'unhealthy', 'unexpected_status'],
    [
      'a code of Node',
      throwing(Object.assign(new Error(), { code: 'ECONNREFUSED' })),
      'unhealthy',
      'connection_refused',
    ],
    [
      'a code inside',
      throwing(new AggregateError([Object.assign(new Error(), { code: 'ENOTFOUND' })])),
      'unhealthy',
      'host_not_found',
    ],
    [
      'a getter that throws',
      throwing({
        get code() {
          throw new Error('no')
        },
      }),
      'unhealthy',
      'failed',
    ],
  ])('%s', async ([, check, status, error]) => {
    const checkup = make({ checks: { it: { check, codes: ['model_stale'] } } })
    expect(await ask(checkup, 'it')).toMatchObject({ status, error })
  })
})

describe('when it runs', () => {
  test('all checks run at once: the slowest decides how long it takes', async () => {
    const takes = (ms: number) => () => wait(ms)
    const checkup = make({ checks: { a: takes(300), b: takes(200), c: takes(100) } })
    const begun = performance.now()
    const asked = checkup.report()
    await vi.advanceTimersByTimeAsync(300)
    await asked
    expect(performance.now() - begun).toBe(300)
  })

  test('callers at the same time share one run', async () => {
    const check = vi.fn<() => unknown>(() => wait(100))
    const checkup = make({ checks: { a: check } })
    const asked = Array.from({ length: 200 }, () => checkup.report())
    await vi.advanceTimersByTimeAsync(100)
    await Promise.all(asked)
    expect(check).toHaveBeenCalledTimes(1)
  })

  test.for([
    { what: 'a pass', answer: true },
    { what: 'a failure', answer: false },
  ])('$what is kept for a second', async ({ answer }) => {
    const counted = vi.fn<() => unknown>(() => answer)
    const checkup = make({ checks: { a: counted } })
    await checkup.report()
    await vi.advanceTimersByTimeAsync(999)
    await checkup.report()
    expect(counted).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1)
    await checkup.report()
    expect(counted).toHaveBeenCalledTimes(2)
  })

  test('pass and failure are kept each for its own time', async () => {
    let good = true
    const check = vi.fn<() => unknown>(() => good)
    const checkup = make({ checks: { a: { check, cacheSeconds: 10, failureCacheSeconds: 0.1 } } })
    await checkup.report()
    good = false
    await vi.advanceTimersByTimeAsync(9999)
    expect((await checkup.report()).status).toBe('healthy')
    await vi.advanceTimersByTimeAsync(1)
    expect((await checkup.report()).status).toBe('unhealthy')
    good = true
    await vi.advanceTimersByTimeAsync(100)
    expect((await checkup.report()).status).toBe('healthy')
    expect(check).toHaveBeenCalledTimes(3)
  })

  test('only the checks that are asked for run', async () => {
    const a = vi.fn<() => unknown>()
    const b = vi.fn<() => unknown>()
    const checkup = make({ checks: { a, b: { check: b, groups: ['slow'] } } })
    await checkup.report({ check: 'a' })
    await checkup.report({ exclude: ['b'] })
    expect(b).not.toHaveBeenCalled()
    await checkup.report({ group: 'slow' })
    expect([a.mock.calls.length, b.mock.calls.length]).toEqual([1, 1])
  })

  test('in the background it runs from start to start, and askers are served what is there', async () => {
    const check = vi.fn<() => unknown>(() => wait(400))
    const checkup = make({ checks: { a: { check, intervalSeconds: 1, initialDelaySeconds: 2 } } })
    expect(await ask(checkup, 'a')).toMatchObject({ status: 'unhealthy', error: 'not_checked_yet' })
    await vi.advanceTimersByTimeAsync(2000)
    expect(check).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(2400)
    expect(check).toHaveBeenCalledTimes(3)
    expect(await ask(checkup, 'a')).toMatchObject({ status: 'healthy', latency: 400, age: 0 })
    checkup.close()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(check).toHaveBeenCalledTimes(3)
  })

  test('a new check can join later, in the background too', async () => {
    const check = vi.fn<() => unknown>()
    const checkup = make({})
    checkup.add('late', { check, intervalSeconds: 1 })
    await vi.advanceTimersByTimeAsync(1000)
    expect(check).toHaveBeenCalledTimes(2)
  })
})

describe('a check that hangs', () => {
  test('answers at its timeout, says so, and is told by its signal', async () => {
    let signal: AbortSignal | undefined
    const check = (context: { signal: AbortSignal }) => {
      signal = context.signal
      return never()
    }
    const checkup = make({ checks: { a: { check, timeoutSeconds: 0.5 } } })
    const asked = ask(checkup, 'a')
    await vi.advanceTimersByTimeAsync(499)
    expect(signal?.aborted).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(await asked).toMatchObject({ status: 'unhealthy', error: 'timeout', latency: 500 })
    expect(signal?.aborted).toBe(true)
  })

  test('is told by its signal that the service closes', async () => {
    let signal: AbortSignal | undefined
    const check = (context: { signal: AbortSignal }) => {
      signal = context.signal
      return never()
    }
    const checkup = make({ checks: { a: { check, timeoutSeconds: 5 } } })
    void ask(checkup, 'a')
    await vi.advanceTimersByTimeAsync(1)
    checkup.close()
    expect(signal?.aborted).toBe(true)
  })

  test('is never started twice; whoever asks meanwhile is answered at once', async () => {
    const check = vi.fn<() => unknown>(never)
    const checkup = make({ checks: { a: { check, timeoutSeconds: 0.5 } } })
    const first = checkup.report()
    await vi.advanceTimersByTimeAsync(500)
    await first
    await vi.advanceTimersByTimeAsync(60_000)
    // No timer is advanced here: an answer that waited for anything would never come.
    expect(checkup.peekStatus()).toBe('unhealthy')
    expect(await ask(checkup, 'a')).toMatchObject({ error: 'timeout', latency: 60_500 })
    expect(check).toHaveBeenCalledTimes(1)
  })

  test('counts one failure each time it is due, so that thresholds are reached', async () => {
    let hang = false
    const check = () => (hang ? never() : true)
    const checkup = make({
      checks: { a: { check, timeoutSeconds: 0.5, failureThreshold: 3, intervalSeconds: 1 } },
    })
    await vi.advanceTimersByTimeAsync(0)
    expect(checkup.peekStatus()).toBe('healthy')
    hang = true
    await vi.advanceTimersByTimeAsync(2600)
    expect(checkup.peekStatus()).toBe('healthy')
    await vi.advanceTimersByTimeAsync(1000)
    expect(checkup.peekStatus()).toBe('unhealthy')
  })

  test('runs again at once when the old run has ended, whose answer does not count', async () => {
    const ends: (() => void)[] = []
    const check = vi.fn<() => unknown>(() => new Promise<void>((resolve) => ends.push(resolve)))
    const checkup = make({
      checks: { a: { check, timeoutSeconds: 0.5, failureCacheSeconds: 3600 } },
    })
    const first = checkup.report()
    await vi.advanceTimersByTimeAsync(500)
    expect((await first).status).toBe('unhealthy')
    ends[0]?.()
    await vi.advanceTimersByTimeAsync(0)
    const second = checkup.report()
    expect(check).toHaveBeenCalledTimes(2)
    ends[1]?.()
    expect((await second).status).toBe('healthy')
  })

  test('200 callers with 10 hung checks are all answered in the budget, with 10 runs', async () => {
    const check = vi.fn<() => unknown>(never)
    const names = Array.from({ length: 10 }, (_, index) => `hung-${index}`)
    const hung = names.map((name) => [name, { check, timeoutSeconds: 2 }] as const)
    const checkup = make({ checks: { good: () => true, ...Object.fromEntries(hung) } })
    let answered = 0
    const asked = Array.from({ length: 200 }, () => checkup.report().then(() => answered++))
    await vi.advanceTimersByTimeAsync(1999)
    expect(answered).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    await Promise.all(asked)
    expect([answered, check.mock.calls.length]).toEqual([200, 10])
  })
})

describe('repair', () => {
  test('runs once on a failure, then the check decides', async () => {
    let connected = false
    const check = vi.fn<() => unknown>(() => connected)
    const repair = vi.fn<() => unknown>(async () => {
      await wait(50)
      connected = true
    })
    const checkup = make({ checks: { a: { check, repair } } })
    const asked = ask(checkup, 'a')
    await vi.advanceTimersByTimeAsync(50)
    expect(await asked).toMatchObject({ status: 'healthy', repaired: true, error: null })
    expect([check.mock.calls.length, repair.mock.calls.length]).toEqual([2, 1])
    await vi.advanceTimersByTimeAsync(1000)
    expect(await ask(checkup, 'a')).toMatchObject({ status: 'healthy', repaired: false })
  })

  test.for<[string, () => unknown, string]>([
    ['that changes nothing', () => true, 'failed'],
    ['that throws', () => Promise.reject(new Error('secret')), 'failed'],
    ['that hangs', never, 'timeout'],
  ])('one %s leaves it failed', async ([, repair, error]) => {
    const checkup = make({ checks: { a: { check: () => false, repair, timeoutSeconds: 1 } } })
    const asked = ask(checkup, 'a')
    await vi.advanceTimersByTimeAsync(1000)
    expect(await asked).toMatchObject({ status: 'unhealthy', repaired: false, error })
  })
})
