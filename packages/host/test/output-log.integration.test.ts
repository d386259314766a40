/** A runner's output stays within its bound, whatever the runner does, and the runner does not notice. */
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { ManualClock } from '@health/testkit'
import { expect, test, vi } from 'vitest'
import { clearShelf } from '../src/log-shelf.ts'
import { boundLog, logPath, openLog } from '../src/output-log.ts'
import { alive, Stage } from './stage.ts'

const size = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

test.for([
  { runner: 'r1', name: 'r1.log' },
  { runner: 'demo/echo-1', name: 'demo%2fecho-1.log' },
  { runner: '../../etc/passwd', name: '%2e.%2f..%2fetc%2fpasswd.log' },
  { runner: 'ü', name: '%c3%bc.log' },
])('the log of $runner is $name', ({ runner, name }) => {
  expect(logPath('/logs', runner)).toBe(`/logs/${name}`)
})

test('a full log moves aside once and begins anew, its last bytes kept', async () => {
  const stage = new Stage()
  mkdirSync(stage.logDir)
  const path = join(stage.logDir, 'r1.log')
  const clock = new ManualClock()
  writeFileSync(path, 'a'.repeat(1_200))
  const end = boundLog(path, 2_000, clock, () => expect.unreachable())
  clock.advance(1_000)
  const note = '[health] 200 bytes of output dropped: more than the log may hold\n'
  await expect.poll(() => readFileSync(path, 'utf8')).toBe(note)
  appendFileSync(path, 'b'.repeat(40))
  await end()
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('a'.repeat(1_000))
  expect(readFileSync(path, 'utf8')).toBe(note + 'b'.repeat(40))
})

test.for([
  { name: 'a quiet file', bytes: [0, 0], looks: [25, 250, 250] },
  { name: 'a file that grows to half its bound', bytes: [250], looks: [25, 37.5] },
  { name: 'one that grows slowly', bytes: [10], looks: [25, 250] },
  { name: 'one that is almost full', bytes: [990], looks: [25, 25] },
  { name: 'one that stands still again', bytes: [250, 250], looks: [25, 37.5, 250] },
  { name: 'one that somebody emptied', bytes: [250, 0], looks: [25, 37.5, 250] },
  { name: 'one that was full', bytes: [1_200, 2_400, 0], looks: [25, 25, 25, 250] },
])('$name is looked at as soon as it may matter', async ({ bytes, looks }) => {
  const stage = new Stage()
  mkdirSync(stage.logDir)
  const path = join(stage.logDir, 'r1.log')
  const clock = new ManualClock()
  const asked: number[] = []
  vi.spyOn(clock, 'after').mockImplementation((ms, callback) => {
    asked.push(ms)
    return ManualClock.prototype.after.call(clock, ms, callback)
  })
  const end = boundLog(path, 2_000, clock, () => expect.unreachable())
  for (const [index, size] of bytes.entries()) {
    writeFileSync(path, 'x'.repeat(size))
    clock.advance(asked.at(-1) ?? 0)
    await expect.poll(() => asked.length).toBe(index + 2)
  }
  expect(asked).toEqual(looks)
  await end()
})

test('a log that cannot be looked at any more is told once and ends nothing', async () => {
  const stage = new Stage({ runnerLogBytes: 1_000 })
  const command = stage.script('talks', `setInterval(() => console.log('x'.repeat(1_000)), 5)`)
  stage.host.provision(stage.order('r1', command))
  await stage.fact('process.started', 'r1')
  // As a folder whose rights or whose disk are gone, also for a superuser.
  renameSync(stage.logDir, `${stage.logDir}.old`)
  symlinkSync(stage.logDir, stage.logDir)
  await stage.until(() => stage.warnings.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(stage.warnings).toEqual([expect.stringMatching(/r1\.log: ELOOP/)])
  stage.host.kill('r1', 1)
  expect(await stage.fact('process.exited', 'r1')).toMatchObject({ signal: 'SIGKILL' })
})

test('a runner that floods its output lives on, within the bound once it is looked at', async () => {
  const limit = 1_000_000
  const stage = new Stage({ runnerLogBytes: limit })
  const command = stage.script(
    'floods',
    `import fs from 'node:fs'; const block = Buffer.alloc(65536, 'x'); const flood = () => { for (let n = 0; n < 16; n++) fs.writeSync(1, block); setTimeout(flood, 1) }; flood()`,
  )
  stage.host.provision(stage.order('r1', command))
  const { pid } = await stage.fact('process.started', 'r1')
  const path = logPath(stage.logDir, 'r1')
  let truncations = 0
  let last = 0
  await stage.until(() => {
    const now = size(path)
    if (now < last) truncations++
    last = now
    return truncations >= 5
  })
  expect(await alive(pid ?? 0)).toEqual([pid])
  stage.host.kill('r1', 1)
  await stage.fact('process.exited', 'r1')
  await stage.until(() => size(path) + size(`${path}.1`) <= limit + 200)
  expect(size(`${path}.1`)).toBeGreaterThan(0)
})

test('a log is never opened through a symbolic link', () => {
  const stage = new Stage()
  mkdirSync(stage.logDir)
  symlinkSync(join(stage.dir, 'elsewhere'), join(stage.logDir, 'r1.log'))
  expect(() => openLog(join(stage.logDir, 'r1.log'))).toThrow(/ELOOP/)
})

test('of the logs of ended runners the oldest go first, those of living ones never', async () => {
  const stage = new Stage()
  mkdirSync(stage.logDir)
  for (const [index, name] of [
    'live.log',
    'old.log',
    'old.log.1',
    'mid.log',
    'new.log',
    'notes.txt',
  ].entries()) {
    writeFileSync(join(stage.logDir, name), 'x'.repeat(10))
    utimesSync(join(stage.logDir, name), index, index)
  }
  const gone = await clearShelf(stage.logDir, new Set([join(stage.logDir, 'live.log')]), {
    maxFiles: 3,
    maxBytes: 25,
  })
  expect(gone).toBe(2)
  expect(readdirSync(stage.logDir).toSorted()).toEqual([
    'live.log',
    'mid.log',
    'new.log',
    'notes.txt',
  ])
})
