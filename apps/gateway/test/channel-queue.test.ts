// Whoever listens to the queue hears of every change in the end, whatever was on its way when it came or when the change was asked for.
import type { Queue } from '@health/core'
import { createMemoryQueue } from '@health/queue'
import { sampleAnswer, sampleLine, sampleSubmission } from '@health/testkit'
import { expect, test } from 'vitest'
import { watchRequests } from '../src/channel-queue.ts'

const APP = 'demo/echo'
const NOW = 1_000

test('a request that was still on its way into the queue when its app was flushed is told as over', async () => {
  // What is not safe yet is in no list, and a flush ends it all the same.
  const inner: Pick<Queue, 'open' | 'flush'> = {
    open: () => [],
    async flush(_app, _final, each) {
      each?.({ id: 'late', submittedAt: NOW })
      return 1
    },
  }
  const requests = watchRequests(inner as Queue, null as never)
  const heard: string[] = []
  requests.listen({ wants: () => true, queued: (id) => void heard.push(id), called: () => {} })
  const counted: string[] = []
  await requests.queue.flush(APP, sampleAnswer(NOW), ({ id }) => void counted.push(id))
  expect({ heard, counted }).toEqual({ heard: ['late'], counted: ['late'] })
})

test('a change that was on its way when the first listener came is told', async () => {
  const requests = watchRequests(createMemoryQueue(), null as never)
  const heard: (string | undefined)[] = []
  let wants = false
  requests.listen({
    wants: () => wants,
    queued: (id) => void heard.push(queue.entry(id)?.status),
    called: () => {},
  })
  const { queue } = requests
  await queue.submit(sampleSubmission('one', { app: APP }))
  const [lease] = await queue.lease(APP, 1, NOW, NOW + 1)
  const over = queue.complete('one', lease!.fence, sampleLine(1), sampleAnswer(NOW))
  expect(queue.entry('one')?.status).toBe('IN_PROGRESS')
  wants = true
  await over
  expect(heard).toEqual(['COMPLETED'])
})
