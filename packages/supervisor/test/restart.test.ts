import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  createFleet,
  processes,
  snapshot,
  step,
  views,
  type Command,
  type Decision,
} from '@health/core'
import { FakeHost, FakeProber } from '@health/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { DecisionLog } from '../src/decision-log.ts'
import { openDataDirectory } from '../src/data-directory.ts'
import { readJournal } from '../src/journal-tail.ts'
import { startSupervisor, type Supervisor } from '../src/index.ts'
import { recall } from '../src/restart.ts'
import { SnapshotStore } from '../src/snapshot-store.ts'
import { folder, journalOf, live, serve, stage, until, type Stage } from './stage.ts'

/** A copy of the folder as a killed supervisor would leave it; the lock is no part of it. */
function crashed(dataDir: string): string {
  const copy = folder()
  cpSync(dataDir, copy, { recursive: true })
  rmSync(join(copy, 'supervisor.lock'), { force: true })
  return copy
}

/** The fleet that the files of a folder give, and the decisions on the way. */
async function read(dataDir: string) {
  const directory = openDataDirectory(dataDir)
  const warnings: string[] = []
  const warn = (text: string): void => void warnings.push(text)
  const decisions: Decision[] = []
  const past = await recall({
    directory,
    snapshots: new SnapshotStore({ folder: directory.snapshots, warn }),
    decisions: { append: (decision) => decisions.push(decision) },
    policy: {},
    seed: 99,
    warn,
  })
  directory.release()
  return { ...past, decisions, warnings }
}

/** A busy hour in short: failures, orders, ends, successors. */
async function busy(at: Stage): Promise<void> {
  const runners = await serve(at, 4)
  at.prober.answer(runners[0]!, 'regular', 'silent')
  at.prober.answer(runners[1]!, 'regular', {}, { result: 'failed' }, {})
  await live(at, 30_000)
  at.supervisor.tell({
    type: 'order.stop',
    runner: runners[2]!,
    by: 'me',
    replace: true,
    inFlight: 0,
  })
  at.host.crash(runners[3]!)
  await live(at, 20_000)
  at.supervisor.tell({ type: 'policy.changed', app: null, change: { capPercent: 30 }, by: 'me' })
  await live(at, 5_000)
}

test('the journal alone gives the same fleet, the same decisions and the same orders, byte for byte', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  const ordered: Command[] = []
  at.supervisor.observe(({ commands }) => ordered.push(...commands))
  await busy(at)
  // A last fact, so that no deadline has acted after the last line.
  at.supervisor.tell({ type: 'policy.changed', app: null, change: { capPercent: 20 }, by: 'me' })
  const lived = JSON.stringify(snapshot(at.supervisor.fleet))
  const decided = journalOf(dataDir, 'decisions-')
  const copy = crashed(dataDir)
  rmSync(join(copy, 'snapshots'), { recursive: true })
  const again = await read(copy)
  expect(JSON.stringify(snapshot(again.fleet))).toBe(lived)
  expect(again.decisions.slice(0, decided.length)).toEqual(decided)
  expect(again.decisions.length).toBeGreaterThan(20)
  const fleet = createFleet({}, { seed: 1 })
  const replayed: Command[] = []
  await readJournal(join(copy, 'journal'), 0, (event) => {
    replayed.push(...step(fleet, event).commands)
  })
  expect(JSON.stringify(replayed)).toBe(JSON.stringify(ordered))
  expect(replayed.length).toBeGreaterThan(50)
})

test('a snapshot and the tail give what the whole journal gives', async () => {
  const dataDir = folder()
  const at = await stage(dataDir, { snapshotSeconds: 20 })
  await busy(at)
  await until(() => readdirSync(join(dataDir, 'snapshots')).length > 0, 'a snapshot')
  at.supervisor.tell({ type: 'policy.changed', app: null, change: { capPercent: 20 }, by: 'me' })
  const short = await read(crashed(dataDir))
  const whole = crashed(dataDir)
  rmSync(join(whole, 'snapshots'), { recursive: true })
  const long = await read(whole)
  expect(JSON.stringify(snapshot(short.fleet))).toBe(JSON.stringify(snapshot(long.fleet)))
  expect(short.replayed).toBeLessThan(long.replayed)
  expect(short.walls.list()).toEqual(long.walls.list())
})

test('a damaged newest snapshot costs time, nothing else', async () => {
  const dataDir = folder()
  const at = await stage(dataDir, { snapshotSeconds: 10 })
  await busy(at)
  const folderOf = join(dataDir, 'snapshots')
  await until(() => readdirSync(folderOf).length === 2, 'two snapshots')
  const copy = crashed(dataDir)
  const whole = JSON.stringify(snapshot((await read(crashed(dataDir))).fleet))
  const newest = join(copy, 'snapshots', readdirSync(folderOf).sort().at(-1)!)
  writeFileSync(newest, readFileSync(newest, 'utf8').slice(0, 100))
  const again = await read(copy)
  expect(again.warnings).toHaveLength(1)
  expect(JSON.stringify(snapshot(again.fleet))).toBe(whole)
})

test('the next supervisor adopts what lives, without one flip of state, and goes on in time', async () => {
  const dataDir = folder()
  const first = await stage(dataDir)
  await serve(first, 3)
  await live(first, 20_000)
  const before = [...views(first.supervisor.fleet)].map(({ id, state, since, startedAt }) => ({
    id,
    state,
    since,
    startedAt,
  }))
  const records = processes(first.supervisor.fleet)
  const now = first.supervisor.fleet.now
  await first.supervisor.stop({ keepRunners: true, graceMs: 0 })
  const second = await stage(dataDir, {
    prepare: (host) => records.forEach((record) => host.survive(record)),
  })
  const after = [...views(second.supervisor.fleet)].map(({ id, state, since, startedAt }) => ({
    id,
    state,
    since,
    startedAt,
  }))
  expect(after).toEqual(before)
  expect(second.host.orders).toEqual([])
  expect(second.supervisor.clock.now()).toBeGreaterThanOrEqual(now)
  expect(second.lines).toContainEqual(
    expect.objectContaining({ event: 'supervisor.started', adopted: 3, gone: 0 }),
  )
  expect(
    journalOf(dataDir)
      .slice(-4)
      .map(({ type }) => type),
  ).toEqual(['core.started', 'process.adopted', 'process.adopted', 'process.adopted'])
  await live(second, 40_000)
  expect([...views(second.supervisor.fleet)].map(({ state }) => state)).toEqual([
    'ready',
    'ready',
    'ready',
  ])
  expect(second.prober.asked.length).toBeGreaterThan(6)
})

test('a runner that died meanwhile is told as ended and replaced; the sweep knows both', async () => {
  const dataDir = folder()
  const first = await stage(dataDir)
  await serve(first, 2)
  const records = processes(first.supervisor.fleet)
  await first.supervisor.stop({ keepRunners: true, graceMs: 0 })
  const swept: unknown[] = []
  const second = await stage(dataDir, {
    prepare: (host) => host.survive(records[0]!),
    sweep: (_, known, kept) => {
      swept.push(known.length, [...kept])
      return Promise.resolve()
    },
  })
  expect(swept).toEqual([2, [records[0]!.runner]])
  expect(journalOf(dataDir)).toContainEqual(
    expect.objectContaining({
      type: 'process.exited',
      runner: records[1]!.runner,
      code: null,
      signal: null,
    }),
  )
  await until(() => second.host.orders.length === 1, 'the successor')
  await live(second, 2_000)
  expect([...views(second.supervisor.fleet, { states: new Set(['ready']) })]).toHaveLength(2)
})

test('orders that were open are carried out by the next one, with their own ids', async () => {
  const dataDir = folder()
  // Deaf runners and a host that does not answer: a stop and a start stay open.
  const first = await stage(dataDir, { life: { stopAfterMs: null } })
  const [runner] = await serve(first, 2)
  const records = processes(first.supervisor.fleet)
  first.host.script('*', { startAfterMs: 1e9 })
  first.supervisor.tell({ type: 'order.stop', runner: runner!, by: 'me', inFlight: 0 })
  await until(() => first.host.orders.length === 4, 'a stop and the start of the successor')
  const copy = crashed(dataDir)
  const second = await stage(copy, {
    prepare: (host) => records.forEach((record) => host.survive(record)),
  })
  await until(() => second.host.orders.length === 2, 'both orders again')
  expect(second.host.orders.map(({ type }) => type).sort()).toEqual(['provision', 'stop'])
  await live(second, 2_000)
  expect(journalOf(copy)).toContainEqual(
    expect.objectContaining({ type: 'process.exited', runner, answers: `stop:${runner}.1` }),
  )
  expect(
    journalOf(copy).filter(({ answers }) => String(answers).startsWith('provision:')),
  ).toHaveLength(3)
})

test('after an orderly end the next one starts its apps again', async () => {
  const dataDir = folder()
  const first = await stage(dataDir)
  await serve(first, 2)
  let ended = false
  void first.supervisor.stop({ keepRunners: false, graceMs: 5_000 }).then(() => (ended = true))
  while (!ended) await live(first, 100)
  const second = await stage(dataDir)
  await live(second, 5_000)
  expect([...views(second.supervisor.fleet, { states: new Set(['ready']) })]).toHaveLength(2)
})

test('a restart in the middle of a fall: every cut of the journal is a fleet that goes on', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  await busy(at)
  const path = join(dataDir, 'journal', '00000001.jsonl')
  const text = readFileSync(path, 'utf8')
  const ids: string[][] = []
  for (const share of [0.2, 0.5, 0.8, 0.95]) {
    const copy = crashed(dataDir)
    rmSync(join(copy, 'snapshots'), { recursive: true })
    writeFileSync(join(copy, 'journal', '00000001.jsonl'), text.slice(0, text.length * share))
    const again = await stage(copy)
    expect(
      again.lines.filter(({ event }) => event === 'journal.warned').length,
    ).toBeLessThanOrEqual(1)
    const readyOnes = () => [...views(again.supervisor.fleet, { states: new Set(['ready']) })]
    // Orders wait for the real disk, which the manual clock knows nothing of: a slow one takes more steps.
    for (let n = 0; n < 20 && readyOnes().length < 4; n++) await live(again, 5_000)
    const ready = readyOnes()
    expect(ready.length).toBeGreaterThanOrEqual(4)
    ids.push(ready.map(({ id }) => id))
    await again.supervisor.stop({ keepRunners: true, graceMs: 0 })
  }
  expect(ids).toHaveLength(4)
})

test('decisions that had not reached their file come back with the replay, each once', async () => {
  const dataDir = folder()
  const at = await stage(dataDir)
  await busy(at)
  const copy = crashed(dataDir)
  const file = join(copy, 'journal', 'decisions-00000001.jsonl')
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  writeFileSync(file, `${lines.slice(0, 5).join('\n')}\n`)
  const again = await stage(copy)
  const seqs = again.supervisor.history.decisions(0, 10_000).map(({ seq }) => seq)
  expect(seqs.slice(0, 10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  expect(new Set(seqs).size).toBe(seqs.length)
  await again.supervisor.stop({ keepRunners: true, graceMs: 0 })
  const log = new DecisionLog({ folder: join(copy, 'journal'), onError: () => {} })
  expect(log.since(0, 10_000).map(({ seq }) => seq)).toEqual(seqs)
  await log.close()
})

test('files are bounded, what the newest snapshot needs stays, and a restart finds all it needs', async () => {
  const dataDir = folder()
  const first = await stage(dataDir, {
    snapshotSeconds: 5,
    journal: { segmentBytes: 2_000, maxBytes: 8_000 },
  })
  await busy(first)
  await live(first, 60_000)
  const files = readdirSync(join(dataDir, 'journal')).filter((name) => /^\d/.test(name))
  expect(files).not.toContain('00000001.jsonl')
  expect(files.length).toBeLessThan(12)
  const records = processes(first.supervisor.fleet)
  await first.supervisor.stop({ keepRunners: true, graceMs: 0 })
  const second = await stage(dataDir, {
    prepare: (host) => records.forEach((record) => host.survive(record)),
  })
  expect(second.lines).toContainEqual(expect.objectContaining({ adopted: records.length, gone: 0 }))
})

test('history answers from files what memory no longer has', async () => {
  const dataDir = folder()
  const first = await stage(dataDir, { journal: { segmentBytes: 2_000 } })
  await busy(first)
  const runner = journalOf(dataDir).find(({ type }) => type === 'process.started')![
    'runner'
  ] as string
  await first.supervisor.stop({ keepRunners: true, graceMs: 0 })
  const { supervisor } = await stage(dataDir)
  const lines = journalOf(dataDir)
  const mine = lines.filter((line) => JSON.stringify(line).includes(`"${runner}"`))
  expect(await supervisor.history.eventsOf(runner)).toEqual(mine)
  const wanted = [lines[3]!, lines[40]!, lines.at(-1)!].map(({ seq }) => seq as number)
  expect((await supervisor.history.events([...wanted].reverse())).map(({ seq }) => seq)).toEqual(
    wanted,
  )
  expect(await supervisor.history.events([1e9])).toEqual([])
  const decisions = await supervisor.history.decisionsOf({ kind: 'runner', id: runner })
  expect(decisions.length).toBeGreaterThan(2)
  expect(decisions.every(({ subject }) => subject.id === runner)).toBe(true)
})

test('what was told last keeps its date over a restart', async () => {
  const start = async (dataDir: string): Promise<Supervisor> => {
    const supervisor = await startSupervisor({
      dataDir,
      host: (clock) => new FakeHost(clock),
      prober: (clock) => new FakeProber(clock),
      launchOf: () => null,
      log: () => {},
    })
    onTestFinished(() => supervisor.stop({ keepRunners: true, graceMs: 0 }))
    return supervisor
  }
  const dataDir = folder()
  const first = await start(dataDir)
  first.tell({ type: 'policy.changed', app: null, change: { capPercent: 30 }, by: 'me' })
  const at = first.fleet.now
  const date = first.clock.wall(at)
  const copy = crashed(dataDir)
  // Later by more than any rounding.
  await until(() => Date.now() > date + 50)
  const second = await start(copy)
  expect(second.clock.wall(at)).toBe(date)
  expect(second.fleet.now).toBeGreaterThan(at)
})
