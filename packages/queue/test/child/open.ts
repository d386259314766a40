/** Opens the queue of a folder, says how that went, closes it and has nothing else to live for. */
import { HealthError } from '@health/core'
import { createSqliteQueue } from '../../src/index.ts'

try {
  const queue = await createSqliteQueue({ dir: process.argv[2] ?? '' })
  process.stdout.write(`opened ${queue.size('demo/echo', 0).all}\n`)
  await queue.close()
} catch (error) {
  process.stdout.write(`${error instanceof HealthError ? error.code : String(error)}\n`)
}
