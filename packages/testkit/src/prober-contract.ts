/** What every Prober must keep, as a suite: run it on each implementation. */
import type { Prober, ProbeOrder, ProbeResult } from '@health/core'
import { describe, expect, test } from 'vitest'

/** One prober under test, and the addresses to ask. */
export interface ProberBench {
  readonly prober: Prober
  /** A runner that answers 200. */
  readonly well: { readonly runner: string; readonly url: string }
  /** A runner that answers 503. */
  readonly ill: { readonly runner: string; readonly url: string }
  /** A runner that accepts and never answers. */
  readonly mute: { readonly runner: string; readonly url: string }
  /** Lets time go on (a manual clock) or waits a moment (a real one); called until what is awaited is there. */
  readonly turn: () => Promise<unknown>
}

/** Runs the contract of {@link Prober}; `make` opens a bench and cleans it up itself (`onTestFinished`). */
export function proberContract(name: string, make: () => Promise<ProberBench>): void {
  const open = async () => {
    const bench = await make()
    let probe = 0
    const order = (
      whom: { readonly runner: string; readonly url: string },
      rest: Partial<ProbeOrder> = {},
    ): ProbeOrder => ({
      ...whom,
      incarnation: 1,
      probe: ++probe,
      kind: 'regular',
      method: 'GET',
      path: '/health',
      timeoutMs: 100,
      ...rest,
    })
    const ask = async (asked: ProbeOrder): Promise<ProbeResult> => {
      const results: ProbeResult[] = []
      bench.prober.probe(asked, (result) => void results.push(result))
      expect(results).toEqual([]) // never from inside `probe`
      while (results.length === 0) await bench.turn()
      await bench.turn()
      expect(results).toHaveLength(1)
      return results[0] as ProbeResult
    }
    return { ...bench, order, ask }
  }

  describe(`${name} keeps the contract of Prober`, () => {
    test.for(['regular', 'manual', 'exclusive', 'port', 'tcp'] as const)(
      '%s: a well runner passes, told once',
      async (kind) => {
        const { ask, order, well } = await open()
        expect(await ask(order(well, { kind }))).toMatchObject({
          result: 'passed',
          latencyMs: expect.any(Number) as number,
        })
      },
    )

    test('another status than 2xx fails, and is told', async () => {
      const { ask, order, ill } = await open()
      expect(await ask(order(ill))).toMatchObject({ result: 'failed', why: 'status', status: 503 })
    })

    test('silence fails by timeout, not before it', async () => {
      const { ask, order, mute } = await open()
      const result = await ask(order(mute))
      expect(result).toMatchObject({ result: 'failed', why: 'timeout' })
      expect(result.latencyMs).toBeGreaterThanOrEqual(100)
    })

    test('a cancelled probe is not told and does not fly', async () => {
      const { prober, order, mute, ask, well } = await open()
      const cancel = prober.probe(order(mute), () => expect.unreachable())
      expect(prober.flying).toBe(1)
      cancel()
      cancel()
      expect(prober.flying).toBe(0)
      await ask(order(well))
      expect(prober.flying).toBe(0)
    })

    test('a repeated probe that passes is told once', async () => {
      const { ask, order, well, turn, prober } = await open()
      expect(await ask(order(well, { kind: 'port', everyMs: 10 }))).toMatchObject({
        result: 'passed',
      })
      await turn()
      expect(prober.flying).toBe(0)
    })

    test('close ends what flies without a word', async () => {
      const { prober, order, mute, turn } = await open()
      prober.probe(order(mute), () => expect.unreachable())
      await prober.close()
      expect(prober.flying).toBe(0)
      await turn()
    })
  })
}
