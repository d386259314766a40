/** A process that outlives SIGKILL: said once, and no second one beside it. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { SystemClock } from '@health/testkit'
import type { Clock } from '@health/core'
import { WatchedProcess } from '../src/watched-process.ts'

/** Runs a hundred times faster than the machine's. */
class FastClock implements Clock {
  readonly #clock = new SystemClock()
  now = (): number => this.#clock.now() * 100
  wall = (): number => this.#clock.wall()
  after = (ms: number, callback: () => void) => this.#clock.after(ms / 100, callback)
}

test('a process that cannot be killed is a fact about the driver', async () => {
  const failures: string[] = []
  const signals: string[] = []
  const details: string[] = []
  let told: () => void = () => {}
  const unkillable = new Promise<void>((resolve) => {
    told = resolve
  })
  const watched = new WatchedProcess({
    clock: new FastClock(),
    program: process.execPath,
    args: () => ['-e', 'setInterval(() => {}, 1000)'],
    silenceMs: 1_000,
    line: () => {},
    errorLine: () => {},
    failed: (why, detail) => {
      failures.push(why)
      details.push(detail)
      if (why === 'unkillable') told()
    },
    recovered: () => {},
    // Signals are lost, as they are on a process inside a driver that hangs.
    kill: (_child, signal) => void signals.push(signal),
  })
  watched.start()
  const { pid } = watched
  await unkillable
  expect(failures).toEqual(['hung', 'unkillable'])
  expect(details).toEqual(['no sample for 1 s', `pid ${pid} is there 30 s after SIGKILL`])
  expect(signals).toEqual(['SIGTERM', 'SIGKILL'])
  watched.start()
  expect(watched.pid).toBe(pid)
  process.kill(pid!, 'SIGKILL')
  await watched.stop()
})

test('somebody else who holds its output does not make it look alive', async () => {
  let ended: (detail: string) => void = () => {}
  const failed = new Promise<string>((resolve) => {
    ended = resolve
  })
  const watched = new WatchedProcess({
    clock: new SystemClock(),
    program: process.execPath,
    // The grandchild keeps the pipe for two seconds.
    args: () => [
      '-e',
      "require('child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 2000)'], { stdio: 'inherit', detached: true }).unref(); process.exit(3)",
    ],
    silenceMs: 60_000,
    line: () => {},
    errorLine: () => {},
    failed: (why, detail) => ended(`${why} ${detail}`),
    recovered: () => {},
  })
  watched.start()
  expect(await failed).toBe('exited exit 3')
  await watched.stop()
})

test('where no descriptor is left nothing is started, and that is said instead of thrown', () => {
  const source = (name: string): string =>
    JSON.stringify(fileURLToPath(new URL(`../src/${name}`, import.meta.url)))
  const script = `
    import { openSync } from 'node:fs'
    import { WatchedProcess } from ${source('watched-process.ts')}
    import { runCommand } from ${source('command-run.ts')}
    const clock = {
      now: () => 0,
      wall: () => 0,
      after: (ms, act) => { const timer = setTimeout(act, ms); return () => clearTimeout(timer) },
    }
    const quiet = () => {}
    const watched = new WatchedProcess({
      clock, program: 'sleep', args: () => ['9'], silenceMs: 9000, line: quiet, errorLine: quiet, recovered: quiet,
      failed: async (why, detail) => {
        const { kind, detail: of } = await runCommand(['true'], { clock, limitMs: 9000 })
        console.log([why, detail, kind, of].join('; '))
        process.exit()
      },
    })
    try { for (;;) openSync('/dev/null', 'r') } catch {}
    watched.start()`
  const { stdout, stderr } = spawnSync(
    'sh',
    ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, '--input-type=module', '-e', script],
    { encoding: 'utf8' },
  )
  expect([stdout, stderr]).toEqual(['exited; sleep: EMFILE; absent; true: EMFILE\n', ''])
})
