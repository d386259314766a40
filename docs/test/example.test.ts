/** The examples as their pages say to run them: from the clone, without a build. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const boot = join(root, '.ci/boot.mjs')

test('without a name, or with another one, it says which there are', () => {
  for (const name of [[], ['no-such'], ['../examples/inspect']]) {
    const ran = spawnSync(process.execPath, [boot, 'example', ...name], { encoding: 'utf8' })
    expect([ran.status, ran.stderr.split('\n').slice(2, -1)]).toEqual([
      1,
      [
        'health-express',
        'health-fastify',
        'health-http',
        'inspect',
        'orchestrator',
        'runner-contract',
      ],
    ])
  }
})

test('every example that is a program says how to run it', () => {
  const folder = join(root, 'docs/examples')
  for (const name of readdirSync(folder)) {
    const file = ['main.mjs', 'server.mjs', 'runner.mjs']
      .map((each) => join(folder, name, each))
      .find((each) => existsSync(each))
    if (file === undefined) continue
    const text = readFileSync(file, 'utf8').replaceAll(/\n(?:\/\/| \*) /g, ' ')
    expect(text).toContain(`npm run example -- ${name}`)
  }
})

test.for(['health-express', 'health-fastify', 'health-http', 'inspect', 'runner-contract'])(
  '%s serves',
  async (name) => {
    const child = spawn(process.execPath, [boot, 'example', name], {
      env: { ...process.env, PORT: '0', SHUTDOWN_DELAY: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    try {
      let said = ''
      for await (const chunk of child.stdout) {
        said += String(chunk)
        if (said.includes('\n')) break
      }
      expect(said).toMatch(/http:\/\/127\.0\.0\.1:\d+/)
    } finally {
      child.kill('SIGTERM')
      await ended
    }
  },
)

test('orchestrator runs to its end', () => {
  const ran = spawnSync(process.execPath, [boot, 'example', 'orchestrator'], { encoding: 'utf8' })
  expect(ran).toMatchObject({ status: 0, stderr: '' })
  expect(ran.stdout).toContain('well again: 200')
})
