// Somebody sets the machine's clock while requests wait: limits act at once, delays are no longer than they were.
import { ManualClock } from '@health/testkit'
import { expect, test } from 'vitest'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

const TIMEOUT = 30_000

/** Lets time pass in small steps until it is seen, at most so long; answers the ms that passed. */
async function passing(clock: ManualClock, ms: number, seen: () => boolean): Promise<number> {
  const from = clock.now()
  while (!seen() && clock.now() - from < ms) {
    await clock.pass(50)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return clock.now() - from
}

async function submit(gateway: RunningGateway, path: string, headers = {}): Promise<string> {
  const response = await fetch(`${gateway.url}/queue/${path}`, { method: 'POST', headers })
  return String(((await response.json()) as { request_id: unknown }).request_id)
}

test(
  'a start limit that the clock jumped over acts within a second',
  async () => {
    const clock = new ManualClock()
    const app = { command: ['node', RUNNER], minConcurrency: 0, maxConcurrency: 0 }
    const gateway = await startGateway({ apps: { 'test/never': app } }, { clock })
    try {
      const id = await submit(gateway, 'test/never', { 'x-fal-request-timeout': '3600' })
      await passing(clock, 500, () => false)
      clock.jump(7_200_000)
      await passing(clock, 2_000, () => gateway.queue.entry(id)?.status === 'COMPLETED')
      expect(gateway.queue.entry(id)).toMatchObject({ final: { status: 504 } })
    } finally {
      await gateway.close()
    }
  },
  TIMEOUT,
)

test(
  'a retry waits for its delay, also when the clock is set back by an hour meanwhile',
  async () => {
    const clock = new ManualClock()
    const gateway = await startGateway(
      {
        policy: { retryBaseSeconds: 2, retryMaxSeconds: 2 },
        apps: { 'test/app': { command: ['node', RUNNER], minConcurrency: 2, maxConcurrency: 2 } },
      },
      { clock },
    )
    try {
      const id = await submit(gateway, 'test/app/work?status=503')
      const attempts = (): number => gateway.queue.entry(id)?.attempts.length ?? 0
      await passing(clock, 60_000, () => attempts() === 1)
      clock.jump(-3_600_000)
      await passing(clock, 60_000, () => attempts() === 2)
      expect(attempts()).toBe(2)
    } finally {
      await gateway.close()
    }
  },
  TIMEOUT,
)
