import { createServer, type AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { PortPool } from '../src/port-pool.ts'

test('ports are given once, and come back as late as possible', async () => {
  const pool = new PortPool([11_900, 11_903])
  const first = await Promise.all([pool.take(), pool.take()])
  expect(new Set(first).size).toBe(2)
  const [one] = first
  pool.release(one ?? 0)
  const others = await Promise.all([pool.take(), pool.take()])
  expect(others).not.toContain(one)
  expect(await pool.take()).toBe(one)
  expect(await pool.take()).toBe(null)
})

test('a port where somebody listens is not given', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  expect(await new PortPool([port, port]).take()).toBe(null)
})

test('a port that is held as well as taken is given up whole', async () => {
  const [one, other] = [new PortPool([12_910, 12_910]), new PortPool([12_910, 12_910])]
  const port = (await one.take()) ?? 0
  one.hold(port)
  one.release(port)
  expect(await other.take()).toBe(port)
  other.close()
})

test.for([
  [0, 10],
  [10, 9],
  [1, 65_536],
  [1.5, 2],
] as const)('a range from %s to %s is refused by the option', ([first, last]) => {
  expect(() => new PortPool([first, last])).toThrow(
    expect.objectContaining({ code: 'HEALTH_POLICY_INVALID', path: 'portRange' }) as Error,
  )
})

test('two hosts on one machine never hand out the same number, though nobody listens on it yet', async () => {
  const range = [12_900, 12_907] as const
  const [one, other] = [new PortPool(range), new PortPool(range)]
  const taken: (number | null)[] = []
  for (let n = 0; n < 4; n++) taken.push(...(await Promise.all([one.take(), other.take()])))
  expect(taken.filter((port) => port !== null)).toHaveLength(8)
  expect(new Set(taken).size).toBe(8)
  expect(await other.take()).toBe(null)
  one.close()
  expect(await other.take()).not.toBe(null)
  other.close()
})
