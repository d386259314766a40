/** The TypeScript that the pages of the packages show runs as it stands: what it imports is there, and what it is given fits. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './gateway-process.ts'

test.for([
  'packages/checks/README.md',
  'packages/client/README.md',
  'packages/core/README.md',
  'packages/fastify/README.md',
  'packages/gpu/README.md',
  'packages/host/README.md',
  'packages/prober/README.md',
  'packages/queue/README.md',
  'packages/realtime/README.md',
  'packages/supervisor/README.md',
  'packages/upstream/README.md',
  'docs/reference/journal.md',
])('%s', (page) => {
  const [, shown] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, page), 'utf8'))!
  const data = mkdtempSync(join(tmpdir(), 'health-readme-'))
  try {
    // Clocks, adapters and telemetry would keep the process.
    // Nor must they need a port that somebody else has.
    const program = `${shown!.replaceAll('.health', data).replace(/listen\(\d+/, 'listen(0')}\nprocess.exit()`
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        '--conditions=@health/source',
        '--disable-warning=ExperimentalWarning',
        '--input-type=module-typescript',
        '--eval',
        program,
      ],
      // The gateway has every package.
      { cwd: join(root, 'apps/gateway'), encoding: 'utf8', timeout: 60_000 },
    )
    expect([stderr, status]).toEqual(['', 0])
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})
