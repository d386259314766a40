/** What every Host must keep, as a suite: run it on each implementation. It asks for no process and knows none. */
import type { Host, HostFact, ProvisionOrder } from '@health/core'
import { describe, expect, test } from 'vitest'

/** One host under test. */
export interface HostBench {
  readonly host: Host
  /** An order that starts a runner that lives until it is ended and heeds SIGTERM. */
  readonly good: (runner: string) => ProvisionOrder
  /** An order that is refused. */
  readonly bad: (runner: string) => ProvisionOrder
  /** Lets time go on (a manual clock) or waits a moment (a real one); called until what is awaited is there. */
  readonly turn: () => Promise<unknown>
}

/** Runs the contract of {@link Host}; `make` opens a bench and cleans it up itself (`onTestFinished`). */
export function hostContract(name: string, make: () => HostBench): void {
  const open = () => {
    const bench = make()
    const facts: HostFact[] = []
    bench.host.listen((fact) => void facts.push(fact))
    const types = (runner: string): string[] =>
      facts.filter((fact) => fact.runner === runner).map((fact) => fact.type)
    const until = async (runner: string, type: HostFact['type']): Promise<HostFact> => {
      for (;;) {
        const found = facts.find((fact) => fact.runner === runner && fact.type === type)
        if (found) return found
        await bench.turn()
      }
    }
    return { ...bench, facts, types, until }
  }

  describe(`${name} keeps the contract of Host`, () => {
    test('a start is answered once, never before provision has returned', async () => {
      const { host, good, facts, types, until } = open()
      host.provision(good('a'))
      expect(facts).toEqual([])
      const fact = await until('a', 'process.started')
      expect(fact).toMatchObject({
        incarnation: 1,
        url: expect.stringMatching(/^https?:\/\//) as string,
      })
      expect(types('a')).toEqual(['process.started'])
    })

    test('a refusal is one fact with a reason and one line, and nothing follows', async () => {
      const { host, bad, good, types, until } = open()
      host.provision(bad('a'))
      const fact = await until('a', 'provision.refused')
      expect(fact).toMatchObject({
        why: expect.stringMatching(/^(no_capacity|bad_config)$/) as string,
        detail: expect.stringMatching(/^.+$/) as string,
      })
      host.stop('a', 1)
      host.kill('a', 1)
      host.provision(good('b'))
      await until('b', 'process.started')
      expect(types('a')).toEqual(['provision.refused'])
    })

    test.for(['stop', 'kill'] as const)('%s ends a runner, told once', async (order) => {
      const { host, good, types, until } = open()
      host.provision(good('a'))
      await until('a', 'process.started')
      host[order]('a', 1)
      host[order]('a', 1)
      await until('a', 'process.exited')
      host.kill('a', 1)
      host.provision(good('b'))
      await until('b', 'process.started')
      expect(types('a')).toEqual(['process.started', 'process.exited'])
    })

    test('an end that is ordered before the start is answered after it', async () => {
      const { host, good, types, until } = open()
      host.provision(good('a'))
      host.kill('a', 1)
      await until('a', 'process.exited')
      expect(types('a')).toEqual(['process.started', 'process.exited'])
    })

    test('orders for unknown runners and other incarnations are ignored', async () => {
      const { host, good, facts, until } = open()
      host.provision(good('a'))
      await until('a', 'process.started')
      host.kill('a', 2)
      host.stop('z', 1)
      host.provision(good('b'))
      await until('b', 'process.started')
      expect(facts.map((fact) => fact.type)).toEqual(['process.started', 'process.started'])
    })

    test('a repeated order is the same order', async () => {
      const { host, good, types, until } = open()
      host.provision(good('a'))
      host.provision(good('a'))
      await until('a', 'process.started')
      host.provision(good('a'))
      host.kill('a', 1)
      await until('a', 'process.exited')
      expect(types('a')).toEqual(['process.started', 'process.exited'])
    })

    test('a process that is gone is not adopted', async () => {
      const { host, facts } = open()
      const record = {
        runner: 'a',
        incarnation: 1,
        app: 'x/y',
        url: 'http://127.0.0.1:9',
        pid: 999_999_999,
        startTime: '1-none',
      }
      expect(await host.adopt(record)).toBe(false)
      expect(facts).toEqual([])
    })

    test('a closed host says and does nothing', async () => {
      const { host, good, facts, until, turn } = open()
      host.provision(good('a'))
      await until('a', 'process.started')
      await host.close({ keep: false })
      const told = facts.length
      host.provision(good('b'))
      await turn()
      expect(facts).toHaveLength(told)
    })
  })
}
