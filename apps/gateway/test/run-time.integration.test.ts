// What time does to calls: limits, stalls and leaving, on a clock that the test moves. The runner is a server of the test's own.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { demandOf } from '@health/core'
import { FakeProber, ManualClock } from '@health/testkit'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { startGateway, type RunningGateway } from './running-gateway.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const clock = new ManualClock()
let handle: Handler = (_request, response) => void response.end('ok')
let runner: Server
let gateway: RunningGateway
let prober: FakeProber
const cancels: string[] = []

beforeEach(async () => {
  cancels.length = 0
  handle = (_request, response) => void response.end('ok')
  runner = createServer((request, response) => {
    if (request.url!.endsWith('/cancel')) {
      cancels.push(
        `${request.method} ${request.url} ${String(request.headers['x-fal-request-id'])}`,
      )
      return void response.end()
    }
    handle(request, response)
  })
  await new Promise<void>((resolve) => runner.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(runner.address() as AddressInfo).port}`
  gateway = await startGateway(
    {
      policy: { retryBaseSeconds: 0.01 },
      apps: {
        'test/app': {
          urls: [url],
          requestTimeoutSeconds: 100,
          directWaitSeconds: 20,
          startupTimeoutSeconds: 50,
          maxConcurrency: 1,
          hardCancelAfterSeconds: 7,
        },
      },
    },
    { clock, prober: (time) => (prober = new FakeProber(time)) },
  )
  await passUntil(() => (ready() ? true : null))
})
afterEach(async () => {
  runner.closeAllConnections()
  runner.close()
  await gateway.close()
})

const ready = (): boolean =>
  [...gateway.supervisor.fleet.runners.values()].some(
    ({ configuration }) => configuration.word === 'ready',
  )
const inFlight = (): number => demandOf(gateway.supervisor.fleet, 'test/app').inFlight
const waiting = (): number => demandOf(gateway.supervisor.fleet, 'test/app').waiting
const at = (path = ''): string => `${gateway.url}/run/test/app${path}`

/** Moves time on, in small steps, until something is so. */
async function passUntil<T>(seen: () => T | null): Promise<T> {
  for (;;) {
    const found = seen()
    if (found !== null) return found
    await clock.pass(10)
  }
}
const holds = (): Promise<true> => gateway.until(() => (inFlight() === 1 ? true : null))

describe('a request that takes too long', () => {
  test('ends at requestTimeoutSeconds: 504, and the runner is ended', async () => {
    handle = () => {}
    const call = fetch(at())
    await holds()
    await clock.pass(99_900)
    expect(inFlight()).toBe(1)
    await clock.pass(200)
    const response = await call
    expect([response.status, response.headers.get('x-fal-error-type')]).toEqual([
      504,
      'request_timeout',
    ])
    const reasons = gateway.supervisor.history.decisions(0, 100).map(({ rule }) => rule)
    expect(reasons).toContain('outcome.request_timeout')
  })

  test('in the middle of its answer: the answer is cut', async () => {
    handle = (_request, response) => void response.writeHead(200).write('first')
    const response = await fetch(at())
    expect(response.status).toBe(200)
    await clock.pass(100_100)
    await expect(response.text()).rejects.toThrow('terminated')
  })

  test('time in which the clock stood still does not count', async () => {
    let answer: ServerResponse | null = null
    handle = (_request, response) => void (answer = response)
    const call = fetch(at())
    await gateway.until(() => answer)
    clock.jump(1_000_000)
    answer!.end('late')
    expect((await call).status).toBe(200)
  })
})

describe('a caller that holds things up', () => {
  const open = async (head: string): Promise<Socket & { text: string }> => {
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname) as Socket & { text: string }
    socket.text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => (socket.text += chunk))
    socket.on('error', () => {})
    socket.write(head)
    return socket
  }

  test('by not sending its body: 408 after half a minute, the runner is told and not blamed', async () => {
    handle = (request) => void request.resume()
    const socket = await open(
      'POST /run/test/app/x HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nonly this',
    )
    await holds()
    await clock.pass(29_000)
    expect(socket.text).toBe('')
    await clock.pass(32_000)
    await gateway.until(() => (socket.text.includes('\r\n\r\n') ? true : null))
    expect(socket.text).toMatch(/^HTTP\/1\.1 408 /)
    await gateway.until(() => (inFlight() === 0 ? true : null))
    expect(cancels).toEqual([expect.stringMatching(/^POST \/x\/cancel [0-9a-f-]{36}$/)])
    expect(ready()).toBe(true)
  })

  test('by not reading: its connection is closed, the runner is told, the slot comes back', async () => {
    let ended = false
    handle = (request, response) => {
      request.resume()
      // More than all buffers on the way hold together.
      const chunk = Buffer.alloc(1 << 20)
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', more)
      }
      response.on('close', () => (ended = true))
      more()
    }
    const socket = await open('GET /run/test/app/x HTTP/1.1\r\nhost: a\r\n\r\n')
    socket.pause()
    await holds()
    const closed = new Promise((resolve) => socket.once('close', resolve))
    for (let turns = 0; turns < 12 && cancels.length === 0; turns++) {
      // What is under way arrives between the looks.
      await new Promise((resolve) => setTimeout(resolve, 20))
      await clock.pass(10_000)
    }
    await gateway.until(() => (cancels.length > 0 ? true : null))
    socket.resume()
    await closed
    expect(ready()).toBe(true)
    runner.closeAllConnections()
    await gateway.until(() => (ended ? true : null))
    expect(cancels[0]).toMatch(/^POST \/x\/cancel /)
  })

  test('by leaving while it sends: the runner is told and not blamed', async () => {
    handle = (request) => void request.resume().on('error', () => {})
    const socket = await open(
      'POST /run/test/app/x HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nonly this',
    )
    await holds()
    socket.destroy()
    await passUntil(() => (inFlight() === 0 ? true : null))
    expect(cancels).toHaveLength(1)
    expect(ready()).toBe(true)
  })

  test('by leaving a runner that never answers: the slot is taken until the request timeout', async () => {
    handle = () => {}
    const leave = new AbortController()
    const call = fetch(at('/slow'), { signal: leave.signal }).catch(() => null)
    await holds()
    leave.abort()
    await call
    await passUntil(() => (cancels.length === 1 ? true : null))
    await clock.pass(50_000)
    expect(inFlight()).toBe(1)
    await clock.pass(51_000)
    await gateway.until(() => (inFlight() === 0 ? true : null))
    expect(gateway.supervisor.history.decisions(0, 100).map(({ rule }) => rule)).toContain(
      'outcome.request_timeout',
    )
  })
})

describe('a call that waits', () => {
  test('for directWaitSeconds, not longer: 503', async () => {
    handle = () => {}
    const first = fetch(at()).catch(() => null)
    await holds()
    const second = fetch(at())
    await gateway.until(() => (waiting() === 1 ? true : null))
    await clock.pass(19_900)
    expect(waiting()).toBe(1)
    await clock.pass(200)
    const response = await second
    expect([response.status, response.headers.get('x-fal-error-type')]).toEqual([
      503,
      'runner_scheduling_failure',
    ])
    runner.closeAllConnections()
    await clock.pass(1000)
    await first
  })

  test('for as long as the caller said, when that is shorter: 504, by the user', async () => {
    handle = () => {}
    const first = fetch(at()).catch(() => null)
    await holds()
    const second = fetch(at(), { headers: { 'x-fal-request-timeout': '1.5' } })
    await gateway.until(() => (waiting() === 1 ? true : null))
    await clock.pass(1600)
    const response = await second
    expect([response.status, response.headers.get('x-fal-request-timeout-type')]).toEqual([
      504,
      'user',
    ])
    runner.closeAllConnections()
    await clock.pass(1000)
    await first
  })
})

describe('a queued request', () => {
  const submit = async (headers: Record<string, string> = {}): Promise<string> => {
    const response = await fetch(`${gateway.url}/queue/test/app/job`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json', ...headers },
    })
    return ((await response.json()) as { request_id: string }).request_id
  }
  const entry = (id: string) => gateway.queue.entry(id)!
  const completed = (id: string): Promise<true> =>
    gateway.until(() => (entry(id).status === 'COMPLETED' ? true : null))

  test('that did not start in its time is final: 504, by the user; a running one is never cut by it', async () => {
    const answers: ServerResponse[] = []
    handle = (_request, response) => void answers.push(response)
    const first = await submit({ 'x-fal-request-timeout': '5' })
    await gateway.until(() => (answers.length === 1 ? true : null))
    const second = await submit({ 'x-fal-request-timeout': '5' })
    await clock.pass(4900)
    expect(entry(second).status).toBe('IN_QUEUE')
    await clock.pass(200)
    await completed(second)
    const response = await fetch(`${gateway.url}/queue/test/app/requests/${second}`)
    expect([response.status, response.headers.get('x-fal-request-timeout-type')]).toEqual([
      504,
      'user',
    ])
    answers[0]!.end('done')
    await completed(first)
    expect(entry(first).final?.status).toBe(200)
  })

  describe('whose lease the disk takes', () => {
    /** Something happens between the lease on the disk and its coming to us. */
    const meanwhile = (happens: () => unknown) => {
      const lease = gateway.queue.lease.bind(gateway.queue)
      return vi.spyOn(gateway.queue, 'lease').mockImplementationOnce(async (...args) => {
        const leases = await lease(...args)
        await happens()
        return leases
      })
    }

    test('while its runner is lost waits in the queue, and is final at its time', async () => {
      const { queue, supervisor } = gateway
      const leases = meanwhile(() => {
        const [id] = supervisor.fleet.runners.keys()
        prober.answer('*', '*', 'silent')
        supervisor.tell({ type: 'order.kill', runner: id!, by: 'a test', inFlight: 0 })
      })
      const id = await submit({ 'x-fal-request-timeout': '5' })
      await gateway.until(() => leases.mock.settledResults[0]?.value ?? null)
      await gateway.until(() => (entry(id).status === 'IN_QUEUE' ? true : null))
      expect(queue.size('test/app', clock.wall())).toMatchObject({ ready: 1, all: 1 })
      expect(demandOf(supervisor.fleet, 'test/app').queued).toBe(1)
      await clock.pass(4900)
      expect(entry(id).status).toBe('IN_QUEUE')
      await clock.pass(200)
      await completed(id)
      expect(entry(id)).toMatchObject({
        attempts: [],
        final: { status: 504, cause: 'retry.deadline' },
      })
      expect(leases).toHaveBeenCalledTimes(1)
    })

    test('for longer than it may wait never starts, and is final though its runner is free', async () => {
      let ran = 0
      handle = (_request, response) => {
        ran++
        response.end('ok')
      }
      const leases = meanwhile(() => clock.pass(5100))
      const id = await submit({ 'x-fal-request-timeout': '5' })
      for (let round = 0; round < 40 && entry(id)?.status !== 'COMPLETED'; round++) {
        await clock.pass(10)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      expect(entry(id)).toMatchObject({
        attempts: [],
        final: { status: 504, cause: 'retry.deadline' },
      })
      expect(ran).toBe(0)
      expect(leases).toHaveBeenCalledTimes(1)
    })
  })

  test('that is cancelled while it waits never runs', async () => {
    const answers: ServerResponse[] = []
    handle = (_request, response) => void answers.push(response)
    const first = await submit()
    await gateway.until(() => (answers.length === 1 ? true : null))
    const second = await submit()
    const put = await fetch(`${gateway.url}/queue/test/app/requests/${second}/cancel`, {
      method: 'PUT',
    })
    expect([put.status, await put.json()]).toEqual([202, { status: 'CANCELLATION_REQUESTED' }])
    expect(entry(second).final).toMatchObject({ status: 499, errorType: 'client_cancelled' })
    answers[0]!.end('done')
    await completed(first)
    expect(answers).toHaveLength(1)
    const again = await fetch(`${gateway.url}/queue/test/app/requests/${second}/cancel`, {
      method: 'PUT',
    })
    expect([again.status, ((await again.json()) as { status: string }).status]).toEqual([
      400,
      'ALREADY_COMPLETED',
    ])
  })

  describe('that is cancelled while the disk takes', () => {
    /** From now on the queue's answer to this waits for the gate. */
    const slow = (change: 'requeue' | 'lease') => {
      const { queue } = gateway
      const real = queue[change].bind(queue) as (...args: unknown[]) => Promise<unknown>
      const { promise, resolve: open } = Promise.withResolvers<void>()
      const gate = { open, waits: 0 }
      vi.spyOn(queue, change).mockImplementation((async (...args: unknown[]) => {
        const leases = change === 'lease' ? await real(...args) : null
        gate.waits++
        await promise
        return leases ?? real(...args)
      }) as never)
      return gate
    }
    const cancel = async (id: string): Promise<number> =>
      (await fetch(`${gateway.url}/queue/test/app/requests/${id}/cancel`, { method: 'PUT' })).status

    test('its next try: it is not tried again', async () => {
      let ran = 0
      handle = (_request, response) => {
        ran++
        // Later than at once: what may start again at once is on its way to a runner before its cancel is.
        response.writeHead(429, { 'retry-after': '5' }).end()
      }
      const gate = slow('requeue')
      const id = await submit()
      await gateway.until(() => (gate.waits > 0 ? true : null))
      expect(await cancel(id)).toBe(202)
      gate.open()
      await completed(id)
      expect(entry(id).final).toMatchObject({ status: 499, errorType: 'client_cancelled' })
      expect(ran).toBe(1)
    })

    test('its lease: the runner that gets it is told', async () => {
      const answers: ServerResponse[] = []
      handle = (_request, response) => void answers.push(response)
      const gate = slow('lease')
      const id = await submit()
      await gateway.until(() => (gate.waits > 0 ? true : null))
      expect(await cancel(id)).toBe(202)
      gate.open()
      await gateway.until(() => (answers.length === 1 ? true : null))
      await clock.pass(200)
      await gateway.until(() => (cancels.length === 1 ? true : null))
      expect(cancels[0]).toBe(`POST /job/cancel ${id}`)
      answers[0]!.end('done')
      await completed(id)
    })
  })

  test('that is cancelled while it runs keeps the answer of a runner that finishes all the same', async () => {
    const answers: ServerResponse[] = []
    handle = (_request, response) => void answers.push(response)
    const id = await submit()
    await gateway.until(() => (answers.length === 1 ? true : null))
    await fetch(`${gateway.url}/queue/test/app/requests/${id}/cancel`, { method: 'PUT' })
    await clock.pass(200)
    await gateway.until(() => (cancels.length === 1 ? true : null))
    expect(cancels[0]).toBe(`POST /job/cancel ${id}`)
    answers[0]!.end('done all the same')
    await completed(id)
    expect(await (await fetch(`${gateway.url}/queue/test/app/requests/${id}`)).text()).toBe(
      'done all the same',
    )
  })

  test('that is cancelled while it runs is cut after hardCancelAfterSeconds', async () => {
    let answer: ServerResponse | null = null
    handle = (_request, response) => void (answer = response)
    const id = await submit()
    await gateway.until(() => answer)
    await fetch(`${gateway.url}/queue/test/app/requests/${id}/cancel`, { method: 'PUT' })
    await clock.pass(6900)
    expect(entry(id).status).toBe('IN_PROGRESS')
    await clock.pass(200)
    await completed(id)
    expect(entry(id).final).toMatchObject({ status: 499, errorType: 'client_cancelled' })
    expect(ready()).toBe(true)
  })

  test('keeps its lease for as long as it runs', async () => {
    let answer: ServerResponse | null = null
    handle = (_request, response) => void (answer = response)
    const id = await submit()
    await gateway.until(() => answer)
    for (let i = 0; i < 9; i++) await clock.pass(10_000)
    expect([entry(id).status, entry(id).attempts]).toEqual(['IN_PROGRESS', []])
    answer!.end('done')
    await completed(id)
    expect(entry(id).attempts).toHaveLength(1)
  })

  test('that was running at the shutdown is handed back and spends no attempt', async () => {
    handle = () => {}
    const id = await submit()
    await holds()
    const over = gateway.server.close(1000)
    await clock.pass(1100)
    await over
    expect(entry(id)).toMatchObject({ status: 'IN_QUEUE', attempts: [] })
  })
})
