import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { chance, snapshot } from '@health/core'
import { expect, onTestFinished, test } from 'vitest'
import { openDataDirectory } from '../src/data-directory.ts'
import { recall } from '../src/restart.ts'
import { SnapshotStore } from '../src/snapshot-store.ts'
import { folder, journalOf, until } from './stage.ts'

function child(file: string, ...args: readonly string[]): ChildProcess & { text(): string } {
  const path = join(import.meta.dirname, file)
  const process_ = spawn(process.execPath, ['--conditions=@health/source', path, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void process_.kill('SIGKILL'))
  let text = ''
  let errors = ''
  process_.stdout.on('data', (data: Buffer) => (text += data.toString()))
  process_.stderr.on('data', (data: Buffer) => (errors += data.toString()))
  process_.on('exit', (code) => {
    if (code !== null && code !== 0) text += `\nexit ${code}: ${errors}`
  })
  return Object.assign(process_, { text: () => text })
}

async function read(dataDir: string) {
  const directory = openDataDirectory(dataDir)
  try {
    return await recall({
      directory,
      snapshots: new SnapshotStore({ folder: directory.snapshots, warn: () => {} }),
      decisions: { append: () => {} },
      policy: {},
      seed: 0,
      warn: () => {},
    })
  } finally {
    directory.release()
  }
}

test('kill -9 at any moment: every acknowledged fact is in the journal, and the next start goes on from it', async () => {
  const dataDir = folder()
  let last = 0
  for (let round = 0; round < 8; round++) {
    const running = child('crash-child.ts', dataDir)
    const lines = 20 + Math.floor(chance(1, 2, round) * 200)
    await until(
      () => running.text().split('\n').length > lines || running.exitCode !== null,
      'acknowledgements',
    )
    expect(() => openDataDirectory(dataDir)).toThrow('Another process has the data directory')
    const ended = new Promise((resolve) => running.once('close', resolve))
    running.kill('SIGKILL')
    await ended
    const acknowledged = running.text().split('\n').filter(Boolean).map(Number)
    expect(acknowledged.every((seq) => seq > last)).toBe(true)
    last = acknowledged.at(-1)!
    // With snapshots, and, as long as the files are all there, without.
    const short = await read(dataDir)
    expect(short.fleet.seq).toBeGreaterThanOrEqual(last)
    const copy = folder()
    cpSync(dataDir, copy, { recursive: true })
    rmSync(join(copy, 'snapshots'), { recursive: true })
    const long = await read(copy)
    expect(JSON.stringify(snapshot(long.fleet))).toBe(JSON.stringify(snapshot(short.fleet)))
    last = long.fleet.seq
  }
  const told = new Set(readdirSync(join(dataDir, 'journal')))
  expect(told.size).toBeGreaterThan(3)
})

test('stopped and continued: the pause is no time, and no runner is accused', async () => {
  const dataDir = folder()
  // Answers late enough that a probe is always in flight.
  const server = createServer((socket) => {
    const timer = setTimeout(() => socket.write('ok'), 300)
    socket.on('error', () => {}).on('close', () => clearTimeout(timer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const running = child('stop-child.ts', dataDir, String((server.address() as AddressInfo).port))
  const passes = (): number => running.text().split('passed').length
  await until(() => passes() > 20 || running.exitCode !== null, 'probes')
  for (const pauseMs of [1_500, 3_000]) {
    const before = running.text().split('resumed').length
    running.kill('SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    running.kill('SIGCONT')
    const seen = passes()
    await until(() => running.text().split('resumed').length > before, 'the gap')
    await until(() => passes() > seen + 20, 'probes after it')
  }
  const ended = new Promise((resolve) => running.once('close', resolve))
  running.kill('SIGTERM')
  await ended
  const events = journalOf(dataDir)
  const gaps = events
    .filter(({ type }) => type === 'clock.resumed')
    .map(({ gapMs }) => gapMs as number)
  expect(gaps.some((ms) => ms > 300)).toBe(true)
  expect(gaps.some((ms) => ms > 1_800)).toBe(true)
  // The pauses are missing from observed time.
  const started = events.find(({ type }) => type === 'core.started')!
  const last = events.at(-1)!
  expect(last['at'] as number).toBeGreaterThan(started['at'] as number)
  expect(events.filter(({ type }) => type === 'process.exited')).toEqual([])
  expect(journalOf(dataDir, 'decisions-').filter(({ to }) => to === 'stopping')).toEqual([])
  expect(events.filter(({ type }) => type === 'probe.errored').length).toBeGreaterThan(0)
})
