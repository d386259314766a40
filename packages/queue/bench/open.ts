/**
 * How long a start takes until the queue knows every request again: a file with a million that wait is opened several times. Jobs
 * carry 1 KB. The machine's page cache holds the file. The memory is what the index costs.
 *
 *   node --expose-gc --conditions=@health/source packages/queue/bench/open.ts [requests] [rounds]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteQueue } from '../src/index.ts'
import { submission } from './subject.ts'

const REQUESTS = Number(process.argv[2] ?? 1_000_000)
const ROUNDS = Number(process.argv[3] ?? 5)
/** Of the goal, in ms, for a million. */
const GOAL_MS = 3_000
const IN_FLIGHT = 1_000

async function fill(dir: string): Promise<void> {
  const queue = await createSqliteQueue({ dir, maxLength: REQUESTS })
  for (let n = 0; n < REQUESTS; n += IN_FLIGHT)
    await Promise.all(
      Array.from({ length: Math.min(IN_FLIGHT, REQUESTS - n) }, (_, at) =>
        queue.submit(submission(`j${n + at}`)),
      ),
    )
  await queue.close()
}

const dir = mkdtempSync(join(tmpdir(), 'health-bench-'))
try {
  await fill(dir)
  const took: number[] = []
  let perRequest = 0
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    const begin = performance.now()
    const again = await createSqliteQueue({ dir, maxLength: REQUESTS })
    took.push(performance.now() - begin)
    globalThis.gc?.()
    // What the round before has left may still be on its way out.
    perRequest = Math.max(perRequest, (process.memoryUsage().heapUsed - before) / REQUESTS)
    const [app = ''] = again.apps()
    if (again.size(app, 0).all !== REQUESTS) throw new Error('some are missing')
    await again.close()
  }
  took.sort((a, b) => a - b)
  const ms = (value: number | undefined): string => (value ?? Number.NaN).toFixed(0)
  console.log(
    `${REQUESTS.toLocaleString('en')} requests, file of ${(statSync(join(dir, 'queue.db')).size / 2 ** 20).toFixed(0)} MiB: open in ${ms(took[took.length >> 1])} ms (${ms(took[0])}–${ms(took.at(-1))}, ${ROUNDS} rounds), goal ${ms((GOAL_MS * REQUESTS) / 1e6)} ms; ${perRequest.toFixed(0)} bytes of heap each`,
  )
  console.log(
    `node ${process.version}, ${cpus().length} cores, load at the end ${loadavg()[0]?.toFixed(1)}`,
  )
} finally {
  rmSync(dir, { recursive: true, force: true })
}
