import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SnapshotStore, type StoredSnapshot } from '../src/snapshot-store.ts'
import { folder } from './stage.ts'

const make = (path: string): { store: SnapshotStore; warnings: string[] } => {
  const warnings: string[] = []
  return {
    store: new SnapshotStore({ folder: path, warn: (text) => warnings.push(text) }),
    warnings,
  }
}
/** A fleet as text, in this many pieces. */
const slices = (fleet: unknown, count = 1) => {
  const text = JSON.stringify(fleet)
  const size = Math.ceil(text.length / count)
  let at = 0
  return { piece: () => (at >= text.length ? null : text.slice(at, (at += size))) }
}
const meta = (seq: number): Omit<StoredSnapshot, 'fleet'> => ({ seq, at: seq * 10, wall: [[0, 5]] })

test('what is written comes back, newest first, and two are kept', async () => {
  const path = folder()
  const { store } = make(path)
  expect(await store.load(() => 1)).toBeNull()
  for (const seq of [1, 2, 3]) await store.write(meta(seq), slices({ rows: [seq] }, 3))
  expect(readdirSync(path).sort()).toEqual(['00000002.json', '00000003.json'])
  expect(store.newest).toBe(3)
  const next = make(path).store
  expect(await next.load((stored) => stored)).toMatchObject({ ...meta(3), fleet: { rows: [3] } })
  await next.write(meta(4), slices({}))
  expect(readdirSync(path).sort()).toEqual(['00000003.json', '00000004.json'])
})

test.for([
  { name: 'half of it', damage: (text: string) => text.slice(0, text.length / 2) },
  { name: 'nothing in it', damage: () => '' },
  { name: 'zeros', damage: () => '\0'.repeat(100) },
  { name: 'other JSON', damage: () => '[1]' },
])('a damaged snapshot ($name) is passed over with a warning', async ({ damage }) => {
  const path = folder()
  const { store } = make(path)
  for (const seq of [1, 2]) await store.write(meta(seq), slices({ seq }))
  const newest = join(path, '00000002.json')
  writeFileSync(newest, damage(readFileSync(newest, 'utf8')))
  const { store: next, warnings } = make(path)
  expect(await next.load((stored) => stored.seq)).toBe(1)
  expect(next.newest).toBe(1)
  expect(warnings).toEqual([expect.stringContaining('00000002.json')])
})

test('one that cannot be restored is passed over as well', async () => {
  const path = folder()
  const { store } = make(path)
  for (const seq of [1, 2]) await store.write(meta(seq), slices({ seq }))
  const { store: next, warnings } = make(path)
  const take = (stored: StoredSnapshot): number => {
    if (stored.seq === 2) throw new TypeError('rows is undefined')
    return stored.seq
  }
  expect(await next.load(take)).toBe(1)
  expect(warnings).toHaveLength(1)
})

test('a newer format is refused by name', async () => {
  const path = folder()
  writeFileSync(join(path, '00000007.json'), '{"format":2,"seq":1,"at":1,"fleet":{}}')
  await expect(make(path).store.load(() => 1)).rejects.toMatchObject({
    code: 'HEALTH_SNAPSHOT_FORMAT',
  })
})

test('a write that fails leaves the old ones and nothing else', async () => {
  const path = folder()
  const { store } = make(path)
  await store.write(meta(1), slices({}))
  const broken = {
    piece: (): never => {
      throw new Error('gone')
    },
  }
  await expect(store.write(meta(2), broken)).rejects.toThrow('gone')
  expect(readdirSync(path)).toEqual(['00000001.json'])
  expect(store.newest).toBe(1)
  await store.write(meta(3), slices({}))
  expect(store.newest).toBe(3)
})

test('only its owner can read it', async () => {
  const path = folder()
  chmodSync(path, 0o755)
  await make(path).store.write(meta(1), slices({}))
  const { statSync } = await import('node:fs')
  expect(statSync(join(path, '00000001.json')).mode & 0o077).toBe(0)
  rmSync(path, { recursive: true })
})
