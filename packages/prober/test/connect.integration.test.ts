/** Probes that only connect: once, or again and again until the port opens. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { ProbeResult } from '@health/core'
import { ManualClock } from '@health/testkit'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isItself } from '../src/line.ts'
import { ask, listen, nobody, open, orderOf } from './stage.ts'

describe('connect', () => {
  test.for(['port', 'tcp'] as const)(
    '%s passes when the port accepts, without a byte',
    async (kind) => {
      let received = ''
      const url = await listen(
        createServer((socket) => socket.on('data', (data) => (received += String(data)))),
      )
      expect(await ask(open(), orderOf(url, { kind }))).toMatchObject({ result: 'passed' })
      expect(received).toBe('')
    },
  )

  test('a connection that met itself is none', async () => {
    const port = Number(new URL(await nobody()).port)
    const socket = connect({ host: '127.0.0.1', port, localPort: port })
    onTestFinished(() => void socket.destroy())
    await once(socket, 'connect')
    expect(isItself(socket)).toBe(true)
  })

  test('tcp tells a refusal', async () => {
    expect(await ask(open(), orderOf(await nobody(), { kind: 'tcp' }))).toMatchObject({
      result: 'failed',
      why: 'refused',
    })
  })

  test('a repeated port probe reports the pass alone', async () => {
    const url = await nobody()
    const clock = new ManualClock()
    const prober = open(clock)
    const results: ProbeResult[] = []
    prober.probe(orderOf(url, { kind: 'port', everyMs: 250 }), (result) => results.push(result))
    for (let tries = 0; tries < 3; tries++) {
      await expect.poll(() => prober.flying).toBe(0) // refused
      expect(await clock.pass(250)).toBe(1) // asked again
    }
    await expect.poll(() => prober.flying).toBe(0)
    const server = createServer()
    await new Promise<void>((resolve) =>
      server.listen(Number(new URL(url).port), '127.0.0.1', resolve),
    )
    onTestFinished(() => void server.close())
    await clock.pass(250)
    await expect.poll(() => results).toMatchObject([{ result: 'passed' }])
    expect(await clock.pass(60_000)).toBeLessThanOrEqual(1)
    expect(results).toHaveLength(1)
  })

  test('a cancelled repeated probe stops asking', async () => {
    const clock = new ManualClock()
    const prober = open(clock)
    const cancel = prober.probe(orderOf(await nobody(), { kind: 'port', everyMs: 250 }), () =>
      expect.unreachable(),
    )
    await expect.poll(() => prober.flying).toBe(0)
    cancel()
    expect(await clock.pass(10_000)).toBeLessThanOrEqual(1) // the timeout of the first try, which finds nothing
    expect(prober.flying).toBe(0)
  })
})
