import { expect, test } from 'vitest'
import { Pressure } from '../src/pressure.ts'

test('a sample forgets the one before', async () => {
  const pressure = new Pressure({ maxEventLoopDelaySeconds: 0.02, sampleSeconds: 1000 })
  const turn = () => new Promise((resolve) => setTimeout(resolve, 60))
  try {
    await turn()
    const until = performance.now() + 400
    while (performance.now() < until);
    await turn()
    pressure.sample()
    expect(pressure.exceeded).toBe('event_loop_delay')
    await turn()
    pressure.sample()
    expect(pressure.exceeded).toBe(null)
  } finally {
    pressure.close()
  }
})
