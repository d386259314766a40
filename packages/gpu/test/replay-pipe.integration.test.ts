/** A recording that comes through a named pipe: told as it arrives, and its end does not wait for one who writes. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const PLAYS = `
  import { SystemClock } from '@health/testkit'
  import { Replay } from ${JSON.stringify(fileURLToPath(new URL('../src/replay.ts', import.meta.url)))}
  const replay = new Replay({ clock: new SystemClock(), file: process.argv[1] })
  replay.start(({ type }) => console.log(type))
  process.once('SIGTERM', () => replay.close().then(() => process.exit(0)))
  setInterval(() => {}, 1000)
  console.log('plays')`

test.for([
  { wrote: 'nobody', text: '', expected: 'plays\n' },
  {
    wrote: 'somebody',
    text: '{"type":"gpu.lost","at":1,"device":"GPU-1"}\n',
    expected: 'plays\nlost\n',
  },
])('a pipe to which $wrote wrote is played and ended', async ({ text, expected }) => {
  const dir = mkdtempSync(join(tmpdir(), 'health-pipe-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const pipe = join(dir, 'pipe')
  execFileSync('mkfifo', [pipe])
  const child = spawn(
    process.execPath,
    ['--conditions=@health/source', '--input-type=module', '-e', PLAYS, pipe],
    { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  let told = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (told += text))
  await expect.poll(() => told, { timeout: 20_000 }).toBe('plays\n')
  if (text !== '') writeFileSync(pipe, text)
  await expect.poll(() => told, { timeout: 5_000 }).toBe(expected)
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
  expect(await once(child, 'exit')).toEqual([0, null])
  clearTimeout(late)
})
