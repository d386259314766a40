/** What is our own fault, and is told as such: too many probes, no descriptor, a loop that was late; and how we ask ourselves. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ProbeResult } from '@health/core'
import { ManualClock, SystemClock } from '@health/testkit'
import { describe, expect, test } from 'vitest'
import { createControl } from '../src/control.ts'
import { ask, OK, open, orderOf, serve } from './stage.ts'

describe('limits', () => {
  test('the same probe twice is one probe and one error', async () => {
    const url = await serve((socket) => socket.write(OK))
    const prober = open()
    const order = orderOf(url)
    const [first, second] = await Promise.all([ask(prober, order), ask(prober, order)])
    expect(first).toMatchObject({ result: 'passed' })
    expect(second).toMatchObject({
      result: 'errored',
      detail: expect.stringContaining('in flight already') as string,
    })
  })

  test('a probe that was answered is in flight no longer', async () => {
    const url = await serve((socket) => socket.write(OK))
    const prober = open()
    const order = orderOf(url)
    expect(await ask(prober, order)).toMatchObject({ result: 'passed' })
    expect(await ask(prober, order)).toMatchObject({ result: 'passed' })
  })

  test('probes above the cap are our fault, and only those', async () => {
    const url = await serve((socket) => socket.write(OK))
    const prober = open(new SystemClock(), { maxFlying: 2 })
    const results = await Promise.all([1, 2, 3].map(() => ask(prober, orderOf(url))))
    expect(results.map((each) => each.result)).toEqual(['passed', 'passed', 'errored'])
  })

  test('a cancelled probe reports nothing and frees its place', async () => {
    const url = await serve(() => undefined)
    const prober = open(new SystemClock(), { maxFlying: 1 })
    const cancel = prober.probe(orderOf(url, { timeoutMs: 50 }), () => expect.unreachable())
    expect(prober.flying).toBe(1)
    cancel()
    cancel()
    expect(prober.flying).toBe(0)
    const ok = await serve((socket) => socket.write(OK))
    expect(await ask(prober, orderOf(ok))).toMatchObject({ result: 'passed' })
  })

  test('regular probes that come together begin together, and others at once', async () => {
    const url = await serve((socket) => socket.write(OK))
    const clock = new ManualClock()
    const prober = open(clock)
    const first = ask(prober, orderOf(url))
    await Promise.resolve() // what is asked in one go has been asked
    const results = [first, ...[2, 3].map(() => ask(prober, orderOf(url)))]
    expect(prober.flying).toBe(1)
    const cancel = prober.probe(orderOf(url), () => expect.unreachable())
    cancel()
    const manual = ask(prober, orderOf(url, { kind: 'manual' }))
    expect(prober.flying).toBe(2)
    expect(await manual).toMatchObject({ result: 'passed' })
    expect(await results[0]).toMatchObject({ result: 'passed' })
    clock.advance(7)
    expect(prober.flying).toBe(0)
    clock.advance(1)
    expect(prober.flying).toBe(2)
    expect(await Promise.all(results)).toHaveLength(3)
  })

  test('a probe that waits to begin has its place already', async () => {
    const url = await serve(() => undefined)
    const clock = new ManualClock()
    const prober = open(clock, { maxFlying: 2 })
    const results: ProbeResult[] = []
    for (let count = 0; count < 3; count++) {
      prober.probe(orderOf(url), (result) => results.push(result))
      await Promise.resolve()
      expect(prober.flying).toBe(1)
    }
    await expect.poll(() => results).toMatchObject([{ result: 'errored' }])
    clock.advance(8)
    expect(prober.flying).toBe(2)
  })

  test('close ends what flies, and later probes are our fault', async () => {
    const url = await serve(() => undefined)
    const prober = open()
    prober.probe(orderOf(url), () => expect.unreachable())
    await prober.close()
    expect(prober.flying).toBe(0)
    expect(await ask(prober, orderOf(url))).toMatchObject({ result: 'errored' })
  })
})

test('a process that has no descriptor left accuses nobody', async () => {
  const url = await serve((socket) => socket.write(OK))
  const script = fileURLToPath(new URL('starved.ts', import.meta.url))
  const limited = [
    '-c',
    'ulimit -n 64 && exec "$@"',
    'sh',
    process.execPath,
    '--conditions=@health/source',
    script,
    url,
  ]
  const child = spawn('/bin/sh', limited, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  await once(child, 'exit')
  expect(JSON.parse(String(line))).toMatchObject({
    result: 'errored',
    detail: 'could not be asked: EMFILE',
  })
})

describe('our own lateness', () => {
  const block = (ms: number): void =>
    void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

  test('a timeout while our loop stood still accuses nobody', async () => {
    const url = await serve(() => undefined)
    const asked = ask(open(), orderOf(url, { timeoutMs: 200 }))
    setImmediate(() => block(400))
    const result = await asked
    expect(result).toMatchObject({ result: 'errored' })
    expect(result.detail).toMatch(/^our own event loop was late by \d+ ms$/)
  })

  test('an answer that lay there while our loop stood still is taken', async () => {
    const url = await serve((socket) => {
      socket.write(OK)
      block(400)
    })
    expect(await ask(open(), orderOf(url, { timeoutMs: 200 }))).toMatchObject({ result: 'passed' })
  })
})

describe('control probe', () => {
  test('passes when we are well; callers at one time share the answer', async () => {
    const clock = new SystemClock()
    const prober = open(clock)
    const control = await createControl({ clock, prober })
    const [one, two] = await Promise.all([control.check(), control.check()])
    expect(one).toBe(two)
    expect(one.passed).toBe(true)
    expect((await control.check()).passed).toBe(true)
    await control.close()
  })

  test('does not pass when we cannot ask', async () => {
    const clock = new SystemClock()
    const prober = open(clock)
    const control = await createControl({ clock, prober })
    await prober.close()
    expect((await control.check()).passed).toBe(false)
    await control.close()
  })
})
