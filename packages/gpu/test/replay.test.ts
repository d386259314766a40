/** Recordings: in their own time, faster, again from the beginning, and lines that are none. */
import { afterAll, expect, test } from 'vitest'
import { ManualClock } from '@health/testkit'
import { Replay } from '../src/replay.ts'
import { fileOf, removeFolders } from './recordings.ts'
import { Telling } from './telling.ts'

afterAll(removeFolders)

const sampled = (at: number, temperatureC: number) => ({
  seq: at,
  at,
  type: 'gpu.sampled',
  node: 'x',
  devices: [{ uuid: 'GPU-1', temperatureC }],
})
const xid = (at: number) => ({
  at,
  type: 'gpu.xid',
  node: 'x',
  device: 'GPU-1',
  xid: 79,
  text: '',
  boot: 'b',
  sequence: at,
})

function play(
  lines: readonly (string | object)[],
  options: { speed?: number; repeat?: boolean } = {},
) {
  const clock = new ManualClock()
  const telling = new Telling()
  const source = new Replay({ clock, file: fileOf(lines), ...options })
  source.start(telling.tell)
  return { clock, telling, source }
}

test('facts come at their own distance, other facts of a journal are passed over', async () => {
  const { clock, telling, source } = play([
    { format: 1, policy: {} },
    sampled(5_000, 50),
    { at: 6_000, type: 'probe.passed' },
    sampled(15_000, 60),
  ])
  await telling.next('sampled')
  expect(telling.all).toHaveLength(1)
  await untilWaiting(clock)
  clock.advance(9_999)
  expect(telling.all).toHaveLength(1)
  clock.advance(1)
  expect(await telling.next('sampled', ({ devices }) => devices[0]?.temperatureC === 60)).toEqual({
    type: 'sampled',
    devices: [{ uuid: 'GPU-1', temperatureC: 60 }],
  })
  await source.done
})

test('ten times faster', async () => {
  const { clock, telling, source } = play([sampled(0, 50), sampled(10_000, 60)], { speed: 10 })
  await telling.next('sampled')
  await untilWaiting(clock)
  expect(clock.nextDue).toBe(1_000)
  clock.advance(1_000)
  await source.done
  expect(telling.of('sampled')).toHaveLength(2)
})

test('at once', async () => {
  const { telling, source } = play([sampled(0, 50), xid(10_000), { ...sampled(1e9, 70) }], {
    speed: Infinity,
  })
  await source.done
  expect(telling.all.map(({ type }) => type)).toEqual(['sampled', 'xid', 'sampled'])
})

test('a line that is none is a problem with its number, and the rest goes on', async () => {
  const { telling, source } = play(['{"at": 1, "type": "gpu.sam', sampled(0, 50)], {
    speed: Infinity,
  })
  await source.done
  expect(telling.all[0]).toEqual({ type: 'problem', text: 'line 1 of the recording is not JSON' })
  expect(telling.of('sampled')).toHaveLength(1)
})

test('a recording that is not there is a failure of the source', async () => {
  const telling = new Telling()
  const source = new Replay({ clock: new ManualClock(), file: '/nonexistent/recording' })
  source.start(telling.tell)
  expect(await telling.next('failed')).toEqual({
    type: 'failed',
    why: 'exited',
    detail: '/nonexistent/recording: ENOENT',
  })
})

test('repeated, its Xids are new ones; an empty recording ends', async () => {
  const { clock, telling, source } = play([xid(0), sampled(1_000, 50)], { repeat: true })
  for (let round = 0; round < 3; round++) {
    await untilWaiting(clock)
    clock.advance(1_000)
  }
  const second = await telling.next('xid', ({ boot }) => boot.endsWith('.1'))
  expect(second.boot).not.toBe(telling.of('xid')[0]?.boot)
  await source.close()
  const empty = play([''], { repeat: true })
  await empty.source.done
})

/** Reading a file takes turns of the loop; the clock stands until the next fact is waited for. */
async function untilWaiting(clock: ManualClock): Promise<void> {
  while (clock.waiting === 0) await new Promise((resolve) => setImmediate(resolve))
}
