import { expect, test } from 'vitest'
import { Outlet } from '../src/outlet.ts'

test('what comes before the first listener waits for it, in order', () => {
  const outlet = new Outlet<number>(() => {})
  outlet.push(1)
  outlet.push(2)
  const heard: number[] = []
  const cancel = outlet.listen((value) => heard.push(value))
  outlet.push(3)
  cancel()
  cancel()
  outlet.push(4)
  expect(heard).toEqual([1, 2, 3])
})

test('it keeps a bounded number, the newest', () => {
  const outlet = new Outlet<number>(() => {})
  for (let i = 1; i <= 10_005; i++) outlet.push(i)
  const heard: number[] = []
  outlet.listen((value) => heard.push(value))
  expect(heard).toHaveLength(10_000)
  expect(heard[0]).toBe(6)
  expect(outlet.dropped).toBe(5)
})

test('a listener that throws is reported and costs the others nothing', () => {
  const errors: unknown[] = []
  const outlet = new Outlet<number>((error) => errors.push(error))
  const heard: number[] = []
  outlet.listen(() => {
    throw new Error('mine')
  })
  outlet.listen((value) => heard.push(value))
  outlet.push(1)
  expect(heard).toEqual([1])
  expect(errors).toHaveLength(1)
})
