/** A server that already runs (`urls`) and falls ill: taken out by its own 503, left alone longer and longer, taken back when it is well. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { startGateway, type RunningGateway } from './running-gateway.ts'

const STEP_MS = 300

let gateway: RunningGateway | undefined
let close = (): void => {}
afterEach(async () => {
  await gateway?.close()
  close()
})

test('an adopted server that answers 503 gets one request a life, and its next life comes later each time', async () => {
  let sick = false
  const asked: number[] = []
  const server = createServer((request, response) => {
    if (request.url !== '/health') asked.push(performance.now())
    response.statusCode = sick && request.url !== '/health' ? 503 : 200
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  close = () => server.close()
  const running = (gateway = await startGateway({
    policy: { backoffStepSeconds: STEP_MS / 1000 },
    apps: {
      'test/adopted': {
        urls: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`],
        healthCheck: { path: '/health', startPeriodSeconds: 1 },
        directWaitSeconds: 0,
      },
    },
  }))
  const runner = () => [...running.supervisor.fleet.runners.values()][0]!
  const ready = () => running.until(() => (runner().configuration.word === 'ready' ? true : null))
  const call = () => fetch(`${running.url}/run/test/adopted`)
  await ready()
  const { id, incarnation } = runner()

  sick = true
  // 503 is the server's own answer; 504 the gateway's while nobody is there to ask.
  while (asked.length < 4) expect([503, 504]).toContain((await call()).status)
  const gaps = asked.slice(1).map((at, i) => at - asked[i]!)
  expect(gaps.map((gap, i) => gap >= STEP_MS * (i + 1))).toEqual([true, true, true])
  expect(runner().incarnation).toBeGreaterThanOrEqual(incarnation + 3)

  sick = false
  await ready()
  const again = await call()
  expect([again.status, again.headers.get('x-fal-served-from')]).toEqual([200, id])
})
