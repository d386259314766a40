/** What the next supervisor does with the processes of one that was killed: adopts them, or finds and ends them. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ProcessRecord, ProvisionOrder } from '@health/core'
import { expect, onTestFinished, test } from 'vitest'
import { endOrphans, findOrphans } from '../src/orphan.ts'
import { closeLog, logPath, openLog } from '../src/output-log.ts'
import { isDead, linuxTable, type ProcessTable } from '../src/process-table.ts'
import { alive, Stage, type FactOf } from './stage.ts'

const SLEEPS = `console.log('up'); setInterval(() => {}, 1000)`
const DEAF = `process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)`
/** Leaves a deaf child in its group and ends when told by SIGUSR2. */
const LEAVES = `
import { spawn } from 'node:child_process'
if (process.argv[2] === 'child') { process.on('SIGTERM', () => {}); console.log('up') }
else { spawn(process.execPath, [process.argv[1], 'child'], { stdio: 'inherit' }); process.on('SIGUSR2', () => process.exit(0)) }
setInterval(() => {}, 1000)`
/** Has a child that writes nowhere, and ends when it is told to. */
const QUIET = `
import { spawn } from 'node:child_process'
spawn('sleep', ['1000'], { stdio: 'ignore' })
process.on('SIGTERM', () => process.exit(0))
console.log('up')
setInterval(() => {}, 1000)`

/** Lets a supervisor in a process of its own start the runner, then kills it with -9. Answers what the journal would know. */
async function startAndLose(
  stage: Stage,
  order: ProvisionOrder,
): Promise<ProcessRecord & { pid: number; startTime: string }> {
  const argument = JSON.stringify({ logDir: stage.logDir, order })
  const script = fileURLToPath(new URL('first-supervisor.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@health/source', script, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const { runner, incarnation, url, pid, startTime } = JSON.parse(
    String(line),
  ) as FactOf<'process.started'>
  if (pid === null || startTime === null) throw new Error('not a process')
  onTestFinished(async () => {
    for (const left of await alive(pid)) process.kill(left, 'SIGKILL')
  })
  await stage.until(() => stage.output(runner).includes('up'))
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(await alive(pid)).toContain(pid)
  return { runner, incarnation, app: order.app, url, pid, startTime }
}

test('while no descriptor is left to look with, no runner counts as ended; afterwards its end is seen', async () => {
  let short = false
  const seen = linuxTable()
  const lacking = (): never => {
    throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
  }
  const table: ProcessTable = {
    find: (pid) => (short ? lacking() : seen.find(pid)),
    all: async () => (short ? lacking() : seen.all()),
  }
  const stage = new Stage({ table })
  const record = await startAndLose(stage, stage.order('r1', stage.script('deaf', DEAF)))
  expect(await stage.host.adopt(record)).toBe(true)
  short = true
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(stage.facts).toEqual([])
  expect(await alive(record.pid)).toEqual([record.pid])
  stage.host.kill('r1', 1)
  await stage.until(() => seen.find(record.pid)?.state !== 'S')
  short = false
  await stage.fact('process.exited', 'r1')
})

test('a lack of descriptors is no answer of the table of processes', () => {
  const limited = `
    import { openSync } from 'node:fs'
    import { linuxTable } from ${JSON.stringify(fileURLToPath(new URL('../src/process-table.ts', import.meta.url)))}
    const table = linuxTable()
    try { for (;;) openSync('/dev/null', 'r') } catch {}
    try { console.log(table.find(process.pid)) } catch (error) { console.log(error.code) }`
  const { stdout } = spawnSync(
    'sh',
    ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, '--input-type=module', '-e', limited],
    { encoding: 'utf8' },
  )
  expect(stdout).toBe('EMFILE\n')
})

test('an adopted process is watched, stopped and told with code null', async () => {
  const stage = new Stage()
  const record = await startAndLose(stage, stage.order('r1', stage.script('sleeps', SLEEPS)))
  expect(await stage.host.adopt(record)).toBe(true)
  stage.host.stop('r1', 1)
  expect(await stage.fact('process.exited', 'r1')).toEqual({
    type: 'process.exited',
    runner: 'r1',
    incarnation: 1,
    code: null,
    signal: null,
  })
  expect(stage.facts).toHaveLength(1)
})

test('the end of an adopted process is seen though nobody ordered it', async () => {
  const stage = new Stage()
  const record = await startAndLose(stage, stage.order('r1', stage.script('sleeps', SLEEPS)))
  await stage.host.adopt(record)
  process.kill(record.pid, 'SIGKILL')
  await stage.fact('process.exited', 'r1')
  expect(await alive(record.pid)).toEqual([])
})

test('an adopted process is killed with its whole group, and what it leaves behind is ended', async () => {
  const stage = new Stage()
  const record = await startAndLose(stage, stage.order('r1', stage.script('leaves', LEAVES)))
  await stage.host.adopt(record)
  process.kill(record.pid, 'SIGUSR2')
  await stage.fact('process.exited', 'r1')
  expect(await alive(record.pid)).toEqual([])
})

test('a process that is adopted twice is one, also while what it leaves behind is ended', async () => {
  const stage = new Stage({ leftoverGraceMs: 1_000 })
  const record = await startAndLose(stage, stage.order('r1', stage.script('leaves', LEAVES)))
  expect(await stage.host.adopt(record)).toBe(true)
  process.kill(record.pid, 'SIGUSR2')
  await stage.until(() => !isThere(record.pid))
  expect(await stage.host.adopt(record)).toBe(true)
  await stage.fact('process.exited', 'r1')
  expect(stage.facts).toHaveLength(1)
})

test('close without keep tells the end of an adopted process, which no parent hears of', async () => {
  const stage = new Stage({ watchMs: 60_000 })
  const record = await startAndLose(stage, stage.order('r1', stage.script('deaf', DEAF)))
  await stage.host.adopt(record)
  await stage.host.close({ keep: false })
  expect(stage.facts.map((fact) => fact.type)).toEqual(['process.exited'])
  expect(await alive(record.pid)).toEqual([])
})

test('a pid that now belongs to another process is neither adopted nor touched', async () => {
  const stage = new Stage()
  const record = await startAndLose(stage, stage.order('r1', stage.script('sleeps', SLEEPS)))
  expect(await stage.host.adopt({ ...record, startTime: `1${record.startTime}` })).toBe(false)
  stage.host.kill('r1', 1)
  expect(await alive(record.pid)).toEqual([record.pid])
})

test('a zombie is gone', async () => {
  const stage = new Stage()
  const record = await startAndLose(stage, stage.order('r1', stage.script('sleeps', SLEEPS)))
  process.kill(record.pid, 'SIGKILL')
  await stage.until(() => !isThere(record.pid))
  expect(await stage.host.adopt(record)).toBe(false)
})

test('the port of an adopted process is not given to another', async () => {
  const stage = new Stage()
  const record = await startAndLose(stage, stage.order('r1', stage.script('sleeps', SLEEPS)))
  const port = Number(new URL(record.url).port)
  const next = stage.open({ portRange: [port, port] })
  await next.adopt(record)
  next.provision(stage.order('r2', ['/bin/true']))
  expect(await stage.fact('provision.refused', 'r2')).toMatchObject({ why: 'no_capacity' })
})

test('with keep, closing leaves the processes to the next supervisor', async () => {
  const stage = new Stage()
  stage.host.provision(stage.order('r1', stage.script('sleeps', SLEEPS)))
  const { pid, startTime, url } = await stage.fact('process.started', 'r1')
  await stage.host.close({ keep: true })
  expect(await alive(pid ?? 0)).toEqual([pid])
  const next = stage.open()
  expect(
    await next.adopt({ runner: 'r1', incarnation: 1, app: 'demo/echo', url, pid, startTime }),
  ).toBe(true)
  next.kill('r1', 1)
  await stage.fact('process.exited', 'r1')
})

test('a process that no journal knows is found by its environment and output, and ended', async () => {
  const stage = new Stage()
  const lost = await startAndLose(stage, stage.order('r1', stage.script('deaf', DEAF)))
  const kept = await startAndLose(stage, stage.order('r2', stage.script('sleeps', SLEEPS)))
  const search = { logDir: stage.logDir, records: [], keep: new Set(['r2']) }
  expect(await findOrphans(search)).toEqual([
    { runner: 'r1', pid: lost.pid, startTime: lost.startTime },
  ])
  const ended = await endOrphans({ ...search, clock: stage.clock, graceMs: 100 })
  expect(ended.map((each) => each.pid)).toEqual([lost.pid])
  expect(await alive(lost.pid)).toEqual([])
  expect(await alive(kept.pid)).toEqual([kept.pid])
})

test('the children of a process that no journal knows are ended with it, though they write elsewhere', async () => {
  const stage = new Stage()
  const lost = await startAndLose(stage, stage.order('r1', stage.script('quiet', QUIET)))
  expect(await alive(lost.pid)).toHaveLength(2)
  const search = { logDir: stage.logDir, records: [], keep: new Set<string>() }
  await endOrphans({ ...search, clock: stage.clock, graceMs: 100 })
  expect(await alive(lost.pid)).toEqual([])
})

test('what a runner that died meanwhile left behind is found by its group', async () => {
  const stage = new Stage()
  const record = await startAndLose(stage, stage.order('r1', stage.script('leaves', LEAVES)))
  process.kill(record.pid, 'SIGUSR2')
  await stage.until(() => !isThere(record.pid))
  expect(await stage.host.adopt(record)).toBe(false)
  const ended = await endOrphans({
    logDir: '/nowhere',
    records: [record],
    keep: new Set(),
    clock: stage.clock,
    graceMs: 50,
  })
  expect(ended).toHaveLength(1)
  expect(await alive(record.pid)).toEqual([])
})

test.for([
  { named: 'r1', writesTo: null, recorded: null, owner: null },
  { named: null, writesTo: 'r1', recorded: null, owner: null },
  { named: null, writesTo: null, recorded: 'r1', owner: null },
  { named: 'r1', writesTo: 'r1', recorded: null, owner: 'r1' },
  { named: 'r1', writesTo: null, recorded: 'r1', owner: 'r1' },
  { named: null, writesTo: 'r1', recorded: 'r1', owner: 'r1' },
  { named: 'r1', writesTo: null, recorded: 'r2', owner: null },
  { named: 'r1', writesTo: 'r2', recorded: null, owner: null },
  { named: null, writesTo: 'r1', recorded: 'r2', owner: null },
  { named: 'r1', writesTo: 'r1', recorded: 'r2', owner: 'r1' },
  { named: 'r1', writesTo: 'r2', recorded: 'r2', owner: 'r2' },
])(
  'of a process named $named that writes to $writesTo in the group of $recorded the owner is $owner',
  async ({ named, writesTo, recorded, owner }) => {
    const stage = new Stage()
    mkdirSync(stage.logDir)
    const output = writesTo === null ? null : openLog(logPath(stage.logDir, writesTo))
    const child = spawn('sleep', ['1000'], {
      detached: true,
      env: { PATH: process.env['PATH'], ...(named !== null && { HEALTH_RUNNER_ID: named }) },
      stdio: ['ignore', output ?? 'ignore', 'ignore'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    if (output !== null) closeLog(output)
    const records = recorded === null ? [] : [{ runner: recorded, pid: child.pid ?? 0 }]
    const found = await findOrphans({ logDir: stage.logDir, records, keep: new Set() })
    expect(found.map(({ runner, pid }) => [runner, pid])).toEqual(
      owner === null ? [] : [[owner, child.pid]],
    )
  },
)

/** Whether the pid is anything but a zombie. */
function isThere(pid: number): boolean {
  const info = linuxTable().find(pid)
  return info !== null && !isDead(info)
}
