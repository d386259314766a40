/** What is written to stdout when the disk under it is full, or its reader is gone. */
import { spawnSync } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { openOutlet, type Sink } from '../src/outlet.ts'

/** A stream that fails as it is told, over a file that takes everything. */
function stage(code: string) {
  const folder = mkdtempSync(join(tmpdir(), 'health-outlet-'))
  const file = join(folder, 'out')
  const fd = openSync(file, 'w')
  onTestFinished(() => {
    closeSync(fd)
    rmSync(folder, { recursive: true })
  })
  const stream = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error(code), { code }))
    },
  })
  let closed = 0
  const outlet = openOutlet(Object.assign(stream, { fd }) as Writable & Sink, () => closed++)
  return { outlet, stream, text: () => readFileSync(file, 'utf8'), closed: () => closed }
}

test('after its first error lines go to the file itself, which may have room again', async () => {
  const { outlet, stream, text, closed } = stage('ENOSPC')
  const failed = once(stream, 'error')
  expect([outlet.write('lost\n'), outlet.failure]).toEqual([true, null])
  await failed
  expect(outlet.failure).toBe('ENOSPC')
  expect(outlet.write('kept\n')).toBe(true)
  expect([text(), closed()]).toEqual(['kept\n', 0])
})

test('a reader that went away is no failure, and is told once', async () => {
  const { outlet, stream, closed } = stage('EPIPE')
  const failed = once(stream, 'error')
  outlet.write('x')
  await failed
  expect([outlet.failure, closed()]).toEqual([null, 1])
})

test('what cannot be written is said and thrown nowhere', () => {
  const sink = Object.assign(new EventEmitter(), { fd: 1_000_000, write: () => true })
  const outlet = openOutlet(sink, () => {})
  sink.emit('error', Object.assign(new Error('gone'), { code: 'EIO' }))
  expect([outlet.write('x'), outlet.failure]).toEqual([false, 'EIO'])
})

test.skipIf(!existsSync('/dev/full'))('an answer that no disk took is no success', () => {
  const full = openSync('/dev/full', 'w')
  onTestFinished(() => closeSync(full))
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--conditions=@health/source', '--disable-warning=ExperimentalWarning', main, '--version'],
    { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' },
  )
  expect([status, stderr]).toEqual([1, 'health: stdout cannot be written (ENOSPC)\n'])
})
