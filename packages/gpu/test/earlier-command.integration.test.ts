// A command that outlived the supervisor that began it is waited for by the next one, not doubled.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { SystemClock } from '@health/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { createCommandPort } from '../src/command-port.ts'

const clock = new SystemClock()

/** What a supervisor that was killed has left. */
function leave(owner: string, script: string): ChildProcess {
  const child = spawn('sh', ['-c', script], {
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], HEALTH_SUPERVISOR: owner },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

const portOf = (owner: string, resetTimeoutSeconds: number) =>
  createCommandPort({ clock, owner, resetCommand: ['echo', 'done'], resetTimeoutSeconds })

test('a reset begins when the one of before has ended', async () => {
  const earlier = leave('/data/a', 'sleep 0.5')
  const ended = once(earlier, 'exit')
  let over = false
  void ended.then(() => (over = true))
  expect(await portOf('/data/a', 10).reset('n', null)).toEqual({ passed: true, detail: 'done' })
  expect(over).toBe(true)
})

test('one that hangs is ended when half the time is over, so that there is some for the next', async () => {
  const earlier = leave('/data/b', 'trap "" TERM; sleep 60 & wait')
  const ended = once(earlier, 'exit')
  expect(await portOf('/data/b', 4).reset('n', null)).toMatchObject({ passed: true })
  expect(await ended).toEqual([null, 'SIGKILL'])
})

test('a command of another supervisor is none of ours', async () => {
  const other = leave('/data/other', 'sleep 60')
  expect(await portOf('/data/c', 30).reset('n', null)).toMatchObject({ passed: true })
  expect(other.exitCode).toBeNull()
})

test('what a command left in the background is no command', async () => {
  const over = leave('/data/d', 'sleep 60 & exit 0')
  await once(over, 'exit')
  expect(await portOf('/data/d', 30).reset('n', null)).toMatchObject({ passed: true })
  // It lives on.
  process.kill(-over.pid!, 'SIGKILL')
})
