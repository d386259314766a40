/** The durable queue keeps the contract of the port, and opens only what is its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { queueContract } from '@health/testkit'
import { afterAll } from 'vitest'
import { createSqliteQueue } from '../src/index.ts'

const root = mkdtempSync(join(tmpdir(), 'health-queue-'))
afterAll(() => rmSync(root, { recursive: true }))

queueContract(
  'sqlite',
  ({ place, ...limits }) => createSqliteQueue({ dir: join(root, place), ...limits }),
  { durable: true },
)
// Nothing is remembered between submit and lease: every lease reads the disk.
queueContract(
  'sqlite without memory',
  ({ place, ...limits }) =>
    createSqliteQueue({ dir: join(root, `bare-${place}`), maxRecentBytes: 0, ...limits }),
  { durable: true, operations: 2_000 },
)
// The first change is what starts the thread.
queueContract(
  'sqlite, made when used',
  ({ place, ...limits }) =>
    createSqliteQueue({ dir: join(root, `late-${place}`), whenUsed: true, ...limits }),
  { durable: true, operations: 2_000 },
)
