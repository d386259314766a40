// What is not over yet, as the live channel shows it to somebody who has just come.
import { sampleAnswer, sampleLine, sampleSubmission } from '@health/testkit'
import { expect, test } from 'vitest'
import { createMemoryQueue } from '../src/index.ts'

test('what runs comes first, then what waits in its order; what is over does not come', async () => {
  const queue = createMemoryQueue({})
  for (const id of ['a', 'b', 'c', 'd']) await queue.submit(sampleSubmission(id))
  await queue.submit(sampleSubmission('other', { app: 'x/y' }))
  const [first, second] = await queue.lease('demo/echo', 2, 2000, 9000)
  await queue.complete('a', first!.fence, sampleLine(1), sampleAnswer(3000))
  const seen = (most: number, app?: string) =>
    queue.open!(most, app).map(({ id, status }) => `${id} ${status}`)
  expect(second!.request.id).toBe('b')
  expect(seen(10)).toEqual(['b IN_PROGRESS', 'c IN_QUEUE', 'd IN_QUEUE', 'other IN_QUEUE'])
  expect(seen(2)).toEqual(['b IN_PROGRESS', 'c IN_QUEUE'])
  expect(seen(10, 'x/y')).toEqual(['other IN_QUEUE'])
  expect(seen(10, 'no/such')).toEqual([])
  await queue.flush('demo/echo', sampleAnswer(4000))
  expect(seen(10)).toEqual(['b IN_PROGRESS', 'other IN_QUEUE'])
  await queue.close()
})
