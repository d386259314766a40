import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

test(
  'the orchestrator example runs on the packed tarball, as a stranger would install it',
  { timeout: 240_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-orchestrator-'))
    try {
      const core = join(root, 'packages/core')
      await run(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: core })
      await run('npx', ['--yes', 'pnpm@12', 'pack', '--pack-destination', folder], { cwd: core })
      const tarball = readdirSync(folder).find((file) => file.endsWith('.tgz'))!
      cpSync(join(root, 'docs/examples/orchestrator'), folder, { recursive: true })
      await run('npm', ['install', '--no-audit', '--no-fund', '--no-save', join(folder, tarball)], {
        cwd: folder,
      })
      const { stdout } = await run(process.execPath, ['main.mjs'], { cwd: folder, timeout: 60_000 })
      expect(stdout).toContain('well: 200')
      expect(stdout).toContain('broken: 503')
      // Whether the load of this one request was counted before its answer came is chance; the rule and where it leads are not.
      expect(stdout).toMatch(/(idle|busy) -> stopping \(outcome\.server_error\)/)
      expect(stdout).toContain('well again: 200')
      expect(stdout).toContain('why: attempt 1 of request')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
)
