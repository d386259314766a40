/**
 * What every journal must keep, as a suite: order, one line per event, never a throw, `sync` that means it. A journal that
 * passes can stand behind a supervisor; how it stores is its own affair.
 */
import type { HealthEvent, Journal } from '@health/core'
import { afterEach, describe, expect, test } from 'vitest'

/** One journal to try, and how to look at what it kept. */
export interface JournalBench {
  readonly journal: Journal
  /** Events that a reader finds now, in order. */
  readonly read: () => Promise<readonly HealthEvent[]>
  /** Makes the disk refuse or take again; absent for a journal without one. */
  readonly refuse?: (refuse: boolean) => void
  /** Lets the time pass after which a refusing disk is tried again. */
  readonly retry?: () => Promise<void>
  /** Removes what the test left. */
  readonly clean?: () => Promise<void>
}

const fact = (seq: number): HealthEvent => ({
  type: 'order.start',
  seq,
  at: seq * 10,
  app: 'demo/echo',
  by: `line\n"${seq}" é`,
})
const facts = (count: number): readonly HealthEvent[] =>
  Array.from({ length: count }, (_, i) => fact(i + 1))

/** Runs the suite on the journals that `make` opens, each empty. */
export function journalContract(name: string, make: () => Promise<JournalBench>): void {
  describe(`journal contract: ${name}`, () => {
    const open: JournalBench[] = []
    const begin = async (): Promise<JournalBench> => {
      const bench = await make()
      open.push(bench)
      return bench
    }
    afterEach(async () => {
      for (const bench of open.splice(0)) {
        bench.refuse?.(false)
        await bench.journal.close()
        await bench.clean?.()
      }
    })

    test('what was appended comes back, whole and in order', async () => {
      const { journal, read } = await begin()
      for (const event of facts(500)) journal.append(event)
      await journal.sync()
      expect(await read()).toEqual(facts(500))
    })

    test('after sync nothing waits', async () => {
      const { journal } = await begin()
      journal.append(fact(1))
      await journal.sync()
      expect(journal.pending).toBe(0)
      expect(journal.failing).toBe(false)
    })

    test('many syncs at once all resolve, with the events before each', async () => {
      const { journal, read } = await begin()
      const seen: number[] = []
      await Promise.all(
        facts(20).map(async (event) => {
          journal.append(event)
          await journal.sync()
          seen.push((await read()).length)
        }),
      )
      for (const [i, count] of seen.entries()) expect(count).toBeGreaterThan(i)
    })

    test('gaps in the numbers are kept', async () => {
      const { journal, read } = await begin()
      for (const seq of [1, 5, 900]) journal.append(fact(seq))
      await journal.sync()
      expect((await read()).map(({ seq }) => seq)).toEqual([1, 5, 900])
    })

    test('close writes what waits, and closing twice is closing once', async () => {
      const { journal, read } = await begin()
      for (const event of facts(50)) journal.append(event)
      await journal.close()
      await journal.close()
      expect(await read()).toEqual(facts(50))
    })

    test('a disk that refuses: append does not throw, sync says so, and nothing is lost', async (context) => {
      const { journal, read, refuse, retry } = await begin()
      if (refuse === undefined || retry === undefined) return context.skip('it has no disk')
      journal.append(fact(1))
      await journal.sync()
      refuse(true)
      for (const seq of [2, 3]) expect(() => journal.append(fact(seq))).not.toThrow()
      await expect(journal.sync()).rejects.toThrow(Error)
      expect(journal.failing).toBe(true)
      expect(journal.pending).toBe(2)
      refuse(false)
      await retry()
      await journal.sync()
      expect(journal.failing).toBe(false)
      expect(await read()).toEqual(facts(3))
    })
  })
}
