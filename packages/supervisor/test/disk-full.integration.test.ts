import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { snapshot } from '@health/core'
import { expect, onTestFinished, test } from 'vitest'
import type { Alert, Untimed } from '../src/index.ts'
import { folder, journalOf, live, serve, stage, until } from './stage.ts'

/** Larger than what is left of the last page of a file. */
const large: Untimed = { type: 'order.start', app: 'demo/echo', by: 'x'.repeat(9_000) }

/** A file system of 2 MiB; null where none can be mounted. */
function smallDisk(): string | null {
  const path = folder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path], { stdio: 'pipe' })
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    console.warn('skipped: a small tmpfs cannot be mounted here (root is needed)')
    return null
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]))
  return path
}

/** Fills what is left of the disk. */
function fill(path: string): string {
  const ballast = join(path, 'ballast')
  for (let bytes = 4 << 20; bytes >= 1; bytes >>= 1) {
    try {
      writeFileSync(ballast, Buffer.alloc(bytes), { flag: 'a' })
    } catch {
      // Smaller pieces until nothing fits.
    }
  }
  return ballast
}

test('a full disk: healing goes on, lines wait, and come to disk in order when there is room', async (context) => {
  const path = smallDisk()
  if (path === null) return context.skip('no tmpfs')
  const at = await stage(path)
  const alerts: Alert[] = []
  at.supervisor.onAlert((alert) => alerts.push(alert))
  const [runner] = await serve(at, 2)
  const ballast = fill(path)
  at.supervisor.tell(large)
  at.host.crash(runner!)
  await live(at, 15_000)
  expect(at.supervisor.stats.journalFailing).toBe(true)
  expect(alerts.map(({ name }) => name)).toEqual(['journal.failing'])
  expect(at.host.live).toHaveLength(2)
  const seq = at.supervisor.fleet.seq
  rmSync(ballast)
  await live(at, 2_000)
  await until(() => !at.supervisor.stats.journalFailing)
  await at.supervisor.stop({ keepRunners: true, graceMs: 0 })
  const lived = JSON.stringify(snapshot(at.supervisor.fleet))
  const seqs = journalOf(path).map((line) => line['seq'] as number)
  expect(seqs).toEqual(seqs.map((_, i) => i + 1))
  expect(seqs.length).toBeGreaterThan(seq)
  rmSync(join(path, 'snapshots'), { recursive: true })
  const next = await stage(path, {
    prepare: (host) =>
      [1001, 1002, 1003].forEach((pid) => host.survive({ pid, startTime: String(pid - 1000) })),
  })
  expect(next.lines).toContainEqual(
    expect.objectContaining({ event: 'supervisor.started', adopted: 2 }),
  )
  expect(JSON.parse(lived)).toMatchObject({ seq: seqs.length })
})

test('a disk that stays full: memory is bounded, and a snapshot replaces what was dropped', async (context) => {
  const path = smallDisk()
  if (path === null) return context.skip('no tmpfs')
  const at = await stage(path)
  await serve(at, 2)
  const ballast = fill(path)
  const by = 'x'.repeat(4_000)
  for (let i = 0; i < 5_000; i++) at.supervisor.tell({ type: 'order.start', app: 'demo/echo', by })
  const dropped = at.supervisor.fleet.seq
  await live(at, 1_000)
  rmSync(ballast)
  await until(() => {
    at.clock.advance(1_000)
    return !at.supervisor.stats.journalFailing
  }, 'a snapshot')
  at.supervisor.tell({ type: 'order.start', app: 'demo/echo', by: 'me' })
  const gap = journalOf(path).find(({ type }) => type === 'journal.gap')!
  expect(gap['to']).toBeGreaterThanOrEqual(dropped)
  await at.supervisor.stop({ keepRunners: true, graceMs: 0 })
  const next = await stage(path, {
    prepare: (host) =>
      [1001, 1002].forEach((pid) => host.survive({ pid, startTime: String(pid - 1000) })),
  })
  expect(next.supervisor.fleet.seq).toBeGreaterThan(gap['to'] as number)
  expect(next.lines).toContainEqual(
    expect.objectContaining({ event: 'supervisor.started', adopted: 2 }),
  )
})

test('a disk that is full at the start: the fleet runs, and the journal begins when there is room', async (context) => {
  const path = smallDisk()
  if (path === null) return context.skip('no tmpfs')
  await (await stage(path)).supervisor.stop({ keepRunners: true, graceMs: 0 })
  const ballast = fill(path)
  const at = await stage(path)
  at.supervisor.tell(large)
  await serve(at, 2)
  expect(at.host.live).toHaveLength(2)
  expect(at.supervisor.stats.journalFailing).toBe(true)
  rmSync(ballast)
  await live(at, 2_000)
  expect(at.supervisor.stats.journalFailing).toBe(false)
})
