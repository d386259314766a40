// The client that people get against the channel, over a real socket that is cut.
import type { Socket } from 'node:net'
import { connectChannel, type ChannelEvent } from '@health/client'
import { expect, test } from 'vitest'
import { stage } from './stage.ts'

test('a cut connection is resumed: every event once, in order', async () => {
  await using here = await stage()
  const sockets: Socket[] = []
  here.server.on('connection', (socket) => sockets.push(socket))
  const numbers: number[] = []
  const snapshots: (string | undefined)[] = []
  let wake = (): void => {}
  const reach = async (count: number): Promise<void> => {
    while (numbers.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  let begun = (): void => {}
  const first = new Promise<void>((resolve) => (begun = resolve))
  const connection = connectChannel({
    url: `http://127.0.0.1:${here.port}`,
    topics: ['runners'],
    firstDelayMs: 20,
    onSnapshot: ({ because }) => {
      snapshots.push(because)
      begun()
    },
    onEvent: ({ data }: ChannelEvent) => {
      numbers.push((data as unknown as { n: number }).n)
      wake()
    },
  })
  await first
  let n = 0
  for (let cut = 0; cut < 3; cut++) {
    for (let i = 0; i < 5; i++) here.channel.publish('runners', null, { n: n++ })
    await reach(n)
    sockets.at(-1)!.resetAndDestroy()
    for (let i = 0; i < 5; i++) here.channel.publish('runners', null, { n: n++ })
    await reach(n)
  }
  connection.close()
  expect(numbers).toEqual([...Array(30).keys()])
  expect(snapshots).toEqual([undefined])
})

test('a gateway that was started again is found, and its numbers go on above those of before', async () => {
  const seen: (string | number | undefined)[] = []
  let port = 0
  let said = (): void => {}
  const next = (): Promise<void> => new Promise((resolve) => (said = resolve))
  let connection: ReturnType<typeof connectChannel> | null = null
  for (let life = 0; life < 2; life++) {
    await using here = await stage({}, port)
    port = here.port
    const heard = next()
    connection ??= connectChannel({
      url: `http://127.0.0.1:${port}`,
      topics: ['runners'],
      firstDelayMs: 20,
      maxDelayMs: 20,
      onSnapshot: ({ seq, because }) => {
        seen.push(seq, because)
        said()
      },
    })
    await heard
  }
  connection!.close()
  expect(seen).toEqual([expect.any(Number), undefined, expect.any(Number), 'expired'])
  expect(seen[2]).toBeGreaterThan(Number(seen[0]))
})

test('a refusal ends it', async () => {
  await using here = await stage({ authorize: () => 'no' })
  const problem = await new Promise<string>((resolve) => {
    connectChannel({
      url: `http://127.0.0.1:${here.port}`,
      topics: ['runners'],
      onProblem: ({ code, message }) => resolve(`${code}: ${message}`),
    })
  })
  expect(problem).toBe('refused: no')
})
