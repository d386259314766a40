/** Both kinds of hosts keep the same contract; the joined one sends each order where it belongs. */
import { hostContract } from '@health/testkit'
import type { HostFact, ProvisionOrder } from '@health/core'
import { expect, test } from 'vitest'
import { joinHosts } from '../src/host.ts'
import { createUrlHost } from '../src/url-host.ts'
import { Stage } from './stage.ts'

const breath = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2))
const byUrl = (runner: string, url = 'http://127.0.0.1:9001'): ProvisionOrder => ({
  runner,
  incarnation: 1,
  app: 'demo/echo',
  devices: [],
  url,
  launch: null,
  env: {},
})

hostContract('the process host', () => {
  const stage = new Stage()
  const command = stage.script('sleeps', 'setInterval(() => {}, 1000)')
  return {
    host: stage.open(),
    good: (runner) => stage.order(runner, command),
    bad: (runner) => stage.order(runner, ['no-such-program-here']),
    turn: breath,
  }
})

hostContract('the url host', () => ({
  host: createUrlHost(),
  good: (runner) => byUrl(runner),
  bad: (runner) => byUrl(runner, 'http://x/path'),
  turn: breath,
}))

test('a joined host starts processes and takes servers by url', async () => {
  const stage = new Stage()
  const host = joinHosts(stage.host, createUrlHost())
  const facts: HostFact[] = []
  host.listen((fact) => void facts.push(fact))
  host.provision(stage.order('r1', ['/bin/true']))
  host.provision(byUrl('u1'))
  while (!facts.some((fact) => fact.type === 'process.exited')) await breath()
  host.kill('u1', 1)
  await breath()
  expect(facts.filter((fact) => fact.runner === 'u1')).toEqual([
    {
      type: 'process.started',
      runner: 'u1',
      incarnation: 1,
      pid: null,
      url: 'http://127.0.0.1:9001',
      startTime: null,
    },
    { type: 'process.exited', runner: 'u1', incarnation: 1, code: null, signal: null },
  ])
  expect(facts.filter((fact) => fact.runner === 'r1')).toMatchObject([
    { type: 'process.started' },
    { code: 0 },
  ])
  expect(
    await host.adopt({
      runner: 'u1',
      incarnation: 2,
      app: 'demo/echo',
      url: 'http://127.0.0.1:9001',
      pid: null,
      startTime: null,
    }),
  ).toBe(true)
  await host.close({ keep: false })
})
