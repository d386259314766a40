// The disk is full: what was accepted is kept, what cannot be kept is refused by name, and healing goes on. It needs a small file
// system of its own, so the right to mount one.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { APP, Scene } from './fault-scene.ts'
import { call, lives, until } from './gateway-process.ts'

/** Room for the queue's file and its log, which is made long in advance, and some more. */
const SIZE = '64m'
/** A disk of its own for each test; null where none can be mounted. */
function mountDisk(size = SIZE): { readonly path: string; readonly refused: string | null } {
  const path = mkdtempSync(join(tmpdir(), 'fault-disk-'))
  const { status, stderr, error } = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${size}`,
    'tmpfs',
    path,
  ])
  return { path, refused: status === 0 ? null : String(error ?? stderr).trim() }
}

function unmountDisk(path: string): void {
  spawnSync('umount', ['-l', path])
  rmSync(path, { recursive: true, force: true })
}

const probe = mountDisk()
unmountDisk(probe.path)
const refused = probe.refused === null ? null : `no tmpfs could be mounted: ${probe.refused}`
if (refused !== null) {
  if (process.env['CI'] === 'true') throw new Error(`fault-disk cannot run in CI: ${refused}`)
  console.warn(`fault-disk is skipped: ${refused}`)
}

/** Takes what room there is, to the last byte. */
function fill(file: string): void {
  const fd = openSync(file, 'a')
  for (let size = 1_048_576; size >= 1; size = Math.floor(size / 4)) {
    const piece = Buffer.alloc(size)
    try {
      for (;;) if (writeSync(fd, piece) === 0) break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  closeSync(fd)
}

test.runIf(refused === null)(
  'a full disk refuses submits with 507, keeps what it has, lets runners be healed, and works again when there is room',
  async ({ onTestFinished }) => {
    const disk = mountDisk().path
    onTestFinished(() => unmountDisk(disk))
    await using scene = new Scene()
    scene.configure({
      minConcurrency: 2,
      maxConcurrency: 2,
      keepAliveSeconds: 600,
      healthCheck: { path: '/health', intervalSeconds: 0.5, timeoutSeconds: 5 },
    })
    const start = (): ReturnType<Scene['start']> => scene.start(['--data-dir', disk])
    let gateway = await start()
    const before = await gateway.ready(2)
    const accepted = await Promise.all(
      Array.from({ length: 40 }, () => gateway.submit('/work?ms=150')),
    )
    const filler = join(disk, 'filler')
    fill(filler)
    const submit = (): ReturnType<typeof call> =>
      call(gateway.url, `/queue/${APP}/work`, { method: 'POST', body: Buffer.alloc(300_000) })
    // What fits into the queue's log, whose room is taken already, is still accepted.
    const full = await until(submit, ({ status, value }) => {
      fill(filler)
      if (status === 200) accepted.push(value.request_id)
      return status !== 200
    })
    expect([full.status, full.value.error_type]).toEqual([507, 'storage_full'])
    expect(full.headers.get('x-fal-error-type')).toBe('storage_full')

    // The journal cannot be written either; that is said, and a dead runner is replaced all the same.
    process.kill(before[0]!.pid, 'SIGKILL')
    const alert = await gateway.process.line(
      ({ event, name }) => event === 'alert' && name === 'journal.failing',
    )
    expect(alert['level']).toBe('warn')
    const healed = await until(
      () => gateway.runners('?state=ready'),
      (list) => list.length === 2 && list.every(({ id }) => id !== before[0]!.id),
    )
    expect(lives(before[0]!.pid)).toBe(false)
    // Direct calls need no disk; reads are answered.
    expect((await call(gateway.url, `/run/${APP}/work`, { method: 'POST' })).status).toBe(200)
    expect((await call(gateway.url, '/health')).status).toBe(200)
    for (const id of accepted) expect((await gateway.request(id)).id).toBe(id)
    fill(filler)
    expect((await submit()).status).toBe(507)

    // Room again: what was accepted ends, each once, and new work is taken.
    rmSync(filler)
    for (const id of accepted) {
      const { final } = await gateway.completed(id)
      expect([id, final?.status]).toEqual([id, 200])
      expect((await gateway.result(id)).value.id).toBe(id)
    }
    await gateway.process.line(({ event }) => event === 'journal.recovered')
    const late = await gateway.submit('/work')
    expect((await gateway.completed(late)).final?.status).toBe(200)

    // And it was all written: the next start knows the runners that were healed meanwhile.
    await gateway.killNow()
    gateway = await start()
    expect((await gateway.runners('?state=ready')).map(({ id, pid }) => [id, pid])).toEqual(
      healed.map(({ id, pid }) => [id, pid]),
    )
    for (const id of [...accepted, late])
      expect((await gateway.request(id)).final?.status).toBe(200)
    expect(await gateway.stop()).toBe(0)
    expect(scene.processes()).toEqual([])
  },
  120_000,
)

test.runIf(refused === null)(
  'a gateway that is told to end while the disk is full ends, with its runners; nothing that it had accepted is lost',
  async ({ onTestFinished }) => {
    const disk = mountDisk().path
    onTestFinished(() => unmountDisk(disk))
    await using scene = new Scene()
    scene.configure(
      { minConcurrency: 2, maxConcurrency: 2, keepAliveSeconds: 600 },
      { shutdown: { graceSeconds: 1 } },
    )
    const args = ['--data-dir', disk]
    let gateway = await scene.start(args)
    await gateway.ready(2)
    const accepted = await Promise.all(
      Array.from({ length: 6 }, () => gateway.submit('/work?ms=4000')),
    )
    await until(
      async () => scene.marks('ran').size,
      (count) => count === 2,
    )
    const filler = join(disk, 'filler')
    fill(filler)
    const { url } = gateway
    await until(
      () => call(url, `/queue/${APP}/work`, { method: 'POST', body: Buffer.alloc(300_000) }),
      ({ status, value }) => {
        if (status === 200) accepted.push(value.request_id)
        fill(filler)
        return status === 507
      },
    )
    expect(await gateway.stop()).toBe(0)
    expect(scene.processes()).toEqual([])

    rmSync(filler)
    gateway = await scene.start(args)
    for (const id of accepted) expect((await gateway.completed(id)).final?.status).toBe(200)
    expect(await gateway.stop()).toBe(0)
    expect(scene.processes()).toEqual([])
  },
  120_000,
)

test.runIf(refused === null)(
  'a disk of 16 MiB that requests have filled lets them run, takes new ones when results have gone, and says so twice in all',
  async ({ onTestFinished }) => {
    const disk = mountDisk('16m').path
    onTestFinished(() => unmountDisk(disk))
    await using scene = new Scene()
    scene.configure({
      minConcurrency: 2,
      maxConcurrency: 2,
      keepAliveSeconds: 600,
      policy: { resultRetentionSeconds: 2 },
    })
    const args = ['--data-dir', disk]
    let gateway = await scene.start(args)
    await gateway.ready(2)
    const { url } = gateway
    const submit = (): ReturnType<typeof call> =>
      call(url, `/queue/${APP}/work?ms=20`, { method: 'POST', body: Buffer.alloc(200_000) })
    const accepted: string[] = []
    const refusals = async (): Promise<number> => {
      const answers = await Promise.all(Array.from({ length: 20 }, submit))
      const taken = answers.filter(({ status }) => status === 200)
      for (const { value } of taken) accepted.push(value.request_id)
      const others = answers.filter((answer) => !taken.includes(answer))
      expect(others.map(({ status, value }) => [status, value.error_type])).toEqual(
        others.map(() => [507, 'storage_full']),
      )
      return others.length
    }
    await until(refusals, (count) => count > 0)
    // Nobody frees anything by hand: what was accepted runs, its results go, and there is room.
    await until(
      async () => scene.marks('ran'),
      (ran) => accepted.every((id) => ran.has(id)),
    )
    const after = await until(submit, ({ status }) => status === 200)
    accepted.push(after.value.request_id)
    const recovered = await gateway.process.line(({ event }) => event === 'queue.recovered')
    expect(recovered['refused']).toBeGreaterThan(0)
    const told = gateway.process.lines.filter(({ event }) => event === 'queue.failed')
    expect(told.map(({ code }) => code)).toEqual(['HEALTH_STORAGE_FULL'])
    // Whoever met it first: a lease may have been on its way with the submits that did not fit.
    expect(['submit', 'lease']).toContain(told[0]?.['doing'])

    await gateway.killNow()
    gateway = await scene.start(args)
    expect((await gateway.completed(await gateway.submit('/work'))).final?.status).toBe(200)
    expect(await gateway.stop()).toBe(0)
    expect(scene.processes()).toEqual([])
  },
  120_000,
)
