/** What a tool leaves behind may live on; a program that has nothing else to do ends all the same. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const source = (name: string): string =>
  JSON.stringify(fileURLToPath(new URL(`../src/${name}`, import.meta.url)))

/** A clock a hundred times faster than the machine's. */
const head = `
  import { runCommand } from ${source('command-run.ts')}
  import { WatchedProcess } from ${source('watched-process.ts')}
  const clock = {
    now: () => Date.now() * 100,
    wall: () => Date.now(),
    after: (ms, act) => { const timer = setTimeout(act, ms / 100); return () => clearTimeout(timer) },
  }`

test.for([
  {
    what: 'a command that left something in the background',
    script: `
      const { words } = await runCommand(['sh', '-c', 'sleep 20 & echo $!'], { clock, limitMs: 100_000 })
      console.log(words)`,
  },
  {
    what: 'a source that cannot be ended',
    script: `
      const quiet = () => {}
      const watched = new WatchedProcess({
        clock, program: 'sleep', args: () => ['20'], silenceMs: 100_000, kill: quiet,
        line: quiet, errorLine: quiet, failed: quiet, recovered: quiet,
      })
      watched.start()
      console.log(watched.pid)
      await watched.stop()`,
  },
])('$what does not keep us from ending', { timeout: 10_000 }, async ({ script }) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', head + script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
  const left = Number(String(line))
  expect(code).toBe(0)
  // Whoever else listens to its output still may.
  expect(() => process.kill(left, 0)).not.toThrow()
  process.kill(left, 'SIGKILL')
})
