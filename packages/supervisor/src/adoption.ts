/**
 * Takes over the processes of an earlier supervisor: each is found by the host or told as ended. It flips no state: a runner
 * that still lives goes on where it was.
 */
import type { Host, ProcessRecord } from '@health/core'
import type { Untimed } from './fact.ts'
import { textOf, type Log } from './line.ts'

/** Processes looked for at a time. */
const AT_ONCE = 64

/** Options of {@link adopt}. */
export interface AdoptOptions {
  readonly host: Pick<Host, 'adopt'>
  readonly report: (fact: Untimed) => void
  /** Id of the order that an end of this life would answer. */
  readonly ending: (life: ProcessRecord) => string | undefined
  readonly log: Log
}

/** Looks for each process; answers the runners that live. A host that fails over one is believed to have lost it. */
export async function adopt(
  records: readonly ProcessRecord[],
  { host, report, ending, log }: AdoptOptions,
): Promise<ReadonlySet<string>> {
  const kept = new Set<string>()
  const one = async (record: ProcessRecord): Promise<void> => {
    const { runner, incarnation } = record
    let found = false
    try {
      found = await host.adopt(record)
    } catch (error) {
      log({ level: 'error', event: 'adoption.failed', runner, text: textOf(error) })
    }
    if (found) {
      kept.add(runner)
      report({ type: 'process.adopted', runner, incarnation })
      return
    }
    const answers = ending(record)
    // Nobody saw how it ended.
    report({
      type: 'process.exited',
      runner,
      incarnation,
      code: null,
      signal: null,
      ...(answers !== undefined && { answers }),
    })
  }
  for (let from = 0; from < records.length; from += AT_ONCE)
    await Promise.all(records.slice(from, from + AT_ONCE).map(one))
  return kept
}
