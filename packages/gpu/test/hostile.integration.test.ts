/**
 * Sources when everything goes wrong: children killed again and again, a driver that hangs for minutes, a clock that jumps, a machine that
 * stood still, 64 devices, floods. Against stand-ins of library and tools.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Clock, HealthEvent } from '@health/core'
import { ManualClock, SystemClock } from '@health/testkit'
import { KernelLog } from '../src/kernel-log.ts'
import { NvidiaSmi } from '../src/nvidia-smi.ts'
import { Nvml } from '../src/nvml.ts'
import type { Source } from '../src/source.ts'
import { createTelemetry, type GpuTelemetry } from '../src/telemetry.ts'
import { WatchedProcess } from '../src/watched-process.ts'
import { FakeSmi, smiRow } from './fake-smi.ts'
import { fileOf, removeFolders } from './recordings.ts'
import { buildStub, healthy, StubScript } from './stub-library.ts'
import { Telling } from './telling.ts'

afterAll(removeFolders)

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()))
})

function listen<S extends Source>(source: S): { source: S; telling: Telling } {
  const telling = new Telling()
  opened.push(source)
  source.start(telling.tell)
  return { source, telling }
}

const stub = buildStub()
const library = 'library' in stub ? stub.library : null
if (library === null && process.env.CI === 'true')
  throw new Error(`NVML cannot be tested here: ${'missing' in stub ? stub.missing : ''}`)

describe.skipIf(library === null)('the child of NVML', () => {
  const open = (script: StubScript, more: { clock?: Clock; intervalMs?: number } = {}) =>
    listen(
      new Nvml({
        clock: new SystemClock(),
        intervalMs: 50,
        library: library!,
        env: script.env,
        ...more,
      }),
    )

  test('killed again and again it comes back each time, alone, and says so each time', async () => {
    const script = new StubScript()
    script.write([healthy])
    const { source, telling } = open(script)
    await telling.next('sampled')
    for (let round = 1; round <= 3; round++) {
      const { pid } = source
      process.kill(source.pid!, 'SIGKILL')
      await telling.later('recovered')
      await telling.later('sampled')
      expect(source.pid).not.toBe(pid)
      expect(telling.of('failed')).toHaveLength(round)
      expect(childrenOf(process.pid)).toEqual([source.pid])
    }
    expect(telling.of('lost')).toEqual([])
  }, 60_000)

  test('64 devices are one sample; one that is lost is missing from it', async () => {
    const script = new StubScript()
    const devices = Array.from({ length: 64 }, (_, gpu) => ({ temp: 40 + (gpu % 30) }))
    script.write(devices, { ...healthy })
    const { telling } = open(script)
    const { devices: all } = await telling.next('sampled')
    expect(all).toHaveLength(64)
    expect(all[63]).toMatchObject({ index: 63, temperatureC: 43, maxSmClockMHz: 1980 })
    expect(new Set(all.map(({ uuid }) => uuid)).size).toBe(64)
    script.write(
      devices.map((device, gpu) => (gpu === 40 ? { ...device, lost: 1 } : device)),
      { ...healthy },
    )
    expect(await telling.next('lost')).toMatchObject({ device: all[40]!.uuid })
    expect((await telling.later('sampled')).devices).toHaveLength(63)
  })

  test('it ends by itself when whoever started it is killed', async () => {
    const script = new StubScript()
    script.write([healthy])
    const program = `
      import { Nvml } from ${JSON.stringify(new URL('../src/nvml.ts', import.meta.url).href)}
      const clock = { now: () => performance.now(), wall: () => Date.now(), after: (ms, act) => { const t = setTimeout(act, ms); return () => clearTimeout(t) } }
      const source = new Nvml({ clock, intervalMs: 50, library: ${JSON.stringify(library)}, env: ${JSON.stringify(script.env)} })
      source.start((sighting) => { if (sighting.type === 'sampled') console.log(source.pid) })`
    const parent = spawn(
      process.execPath,
      ['--conditions=@health/source', '--input-type=module', '-e', program],
      { stdio: ['ignore', 'pipe', 'inherit'], cwd: fileURLToPath(new URL('..', import.meta.url)) },
    )
    const [first] = (await once(parent.stdout, 'data')) as [Buffer]
    const child = Number.parseInt(String(first), 10)
    expect(isAlive(child)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => isAlive(child), { timeout: 30_000 }).toBe(false)
  })

  test('what the wall clock does changes nothing', async () => {
    const script = new StubScript()
    script.write([healthy])
    const real = new SystemClock()
    let jump = 0
    const clock: Clock = {
      now: () => real.now(),
      wall: () => real.wall() + jump,
      after: (ms, callback) => real.after(ms, callback),
    }
    const { telling } = open(script, { clock })
    for (jump of [0, -86_400_000, 10 * 365 * 86_400_000]) {
      await telling.later('sampled')
      script.write([{ ...healthy, xid: `79:${jump}` }])
      await telling.later('xid')
    }
    const xids = telling.of('xid')
    expect(xids.map(({ sequence }) => sequence)).toEqual([1, 2, 3])
    expect(new Set(xids.map(({ boot }) => boot)).size).toBe(1)
    expect(telling.of('failed')).toEqual([])
  })
})

test('samples that were waiting while we stood still are told as one: the newest', async () => {
  const smi = new FakeSmi()
  smi.write({ rows: [{ ...smiRow(0), 'temperature.gpu': '95' }] })
  const { telling } = listen(
    new NvidiaSmi({
      clock: new SystemClock(),
      intervalMs: 100,
      program: smi.program,
      args: smi.args,
    }),
  )
  await telling.next('sampled')
  // Nothing of ours runs, as after a pause of the machine, while the tool goes on.
  const still = performance.now() + 1_500
  let cooled = false
  while (performance.now() < still)
    if (!cooled && performance.now() > still - 500) {
      smi.write({ rows: [{ ...smiRow(0), 'temperature.gpu': '50' }] })
      cooled = true
    }
  const { devices } = await telling.later('sampled')
  expect(devices).toMatchObject([{ temperatureC: 50 }])
  const hot = telling.of('sampled').filter(({ devices: [one] }) => one?.temperatureC === 95)
  // One before the pause, perhaps one that was on its way, and not the ten of the pause.
  expect(hot.length).toBeLessThanOrEqual(2)
})

test('a lost device is told behind the sample that still had it, never before', async () => {
  const smi = new FakeSmi()
  smi.write({ rows: [smiRow(0), smiRow(1)] })
  const { telling } = listen(
    new NvidiaSmi({
      clock: new SystemClock(),
      intervalMs: 100,
      program: smi.program,
      args: smi.args,
    }),
  )
  await telling.next('sampled')
  smi.write({ rows: [smiRow(0), { ...smiRow(1), 'temperature.gpu': '[GPU is lost]' }] })
  await telling.next('lost')
  await telling.later('sampled')
  const first = telling.all.findIndex(({ type }) => type === 'lost')
  const behind = telling.all.slice(first).filter(({ type }) => type === 'sampled')
  expect(behind).toEqual(behind.map(() => ({ type: 'sampled', devices: [expect.anything()] })))
})

test('64 rows of the tool are one sample', async () => {
  const smi = new FakeSmi()
  smi.write({
    rows: Array.from({ length: 64 }, (_, index) => ({ ...smiRow(index), uuid: `GPU-${index}` })),
  })
  const { telling } = listen(
    new NvidiaSmi({
      clock: new SystemClock(),
      intervalMs: 100,
      program: smi.program,
      args: smi.args,
    }),
  )
  for (let round = 0; round < 3; round++)
    expect((await telling.later('sampled')).devices).toHaveLength(64)
})

describe('a driver that hangs for minutes', () => {
  test('keeps one process, is told once, and samples come back when it does', async () => {
    const clock = new ManualClock()
    const told: string[] = []
    const signals: string[] = []
    let begun = 0
    const watched = new WatchedProcess({
      clock,
      program: process.execPath,
      args: () => {
        begun++
        // The first one says nothing for ever, the second one talks.
        return [
          '-e',
          begun === 1
            ? 'setInterval(() => {}, 1000)'
            : 'console.log("x"); setInterval(() => {}, 1000)',
        ]
      },
      silenceMs: 40_000,
      line: () => watched.fed(),
      errorLine: () => {},
      failed: (why) => told.push(why),
      recovered: () => told.push('recovered'),
      kill: (_child, signal) => signals.push(signal),
    })
    watched.start()
    const { pid } = watched
    await clock.pass(40_000)
    expect(told).toEqual(['hung'])
    await clock.pass(35_000)
    expect(told).toEqual(['hung', 'unkillable'])
    // Ten minutes inside the driver: no second process beside it, and nothing more to say.
    await clock.pass(600_000)
    expect([watched.pid, begun, told, signals]).toEqual([
      pid,
      1,
      ['hung', 'unkillable'],
      ['SIGTERM', 'SIGKILL'],
    ])
    process.kill(pid!, 'SIGKILL')
    await until(() => watched.pid === null, clock)
    await until(() => told.length === 3, clock)
    expect([begun, told.at(-1)]).toEqual([2, 'recovered'])
    process.kill(watched.pid!, 'SIGKILL')
    await watched.stop()
  })

  test('a process that cannot be ended does not let go', async () => {
    const clock = new ManualClock()
    const watched = new WatchedProcess({
      clock,
      program: process.execPath,
      args: () => ['-e', 'setInterval(() => {}, 1000)'],
      silenceMs: 60_000,
      line: () => {},
      errorLine: () => {},
      failed: () => {},
      recovered: () => {},
      kill: () => {},
    })
    watched.start()
    const { pid } = watched
    const stopped = watched.stop()
    await clock.pass(5_000)
    await clock.pass(30_000)
    expect(await stopped).toBe(false)
    expect(watched.pid).toBe(pid)
    process.kill(pid!, 'SIGKILL')
    await until(() => watched.pid === null, clock)
    expect(await watched.stop()).toBe(true)
  })
})

describe('a flood', () => {
  test('of Xids is told at its beginning, whatever it says; another error passes in the middle of it', async () => {
    const path = fileOf([])
    const facts: HealthEvent[] = []
    const warnings: string[] = []
    const clock = new ManualClock()
    const telemetry: GpuTelemetry = await createTelemetry({
      clock,
      node: 'n',
      source: 'kernel-log',
      kernelLog: { path, processes: '/nonexistent' },
      warn: (text) => warnings.push(text),
    })
    opened.push(telemetry)
    telemetry.listen((fact) => facts.push(fact))
    const line = (xid: number, i: number): string =>
      `NVRM: Xid (PCI:0000:1a:00): ${xid}, pid=77, name=x, Ch ${i}, intr 10000000\n`
    let text = ''
    for (let i = 0; i < 20_000; i++) text += i === 15_000 ? line(79, i) + line(31, i) : line(31, i)
    appendFileSync(path, text)
    for (let i = 0; i < 20 && facts.length < 21; i++) await clock.pass(500)
    expect(facts.filter((fact) => fact.type === 'gpu.xid' && fact.xid === 79)).toHaveLength(1)
    expect(facts.length).toBeLessThanOrEqual(23)
    await clock.pass(60_000)
    appendFileSync(path, line(31, -1))
    await clock.pass(1_000)
    expect(facts.at(-1)).toMatchObject({ xid: 31, text: 'Ch -1, intr 10000000' })
    expect(warnings).toEqual([expect.stringMatching(/Xid 31 of pci:0000:1a:00 came 199\d\d times/)])
  })

  test('of lines about other things does not hold up the process, and hides no Xid', async () => {
    const path = fileOf([])
    const clock = new ManualClock()
    const { telling } = listen(
      new KernelLog({ clock, intervalMs: 10_000, path, processes: '/nonexistent' }),
    )
    const noise = `usb 1-1: reset high-speed device ${'x'.repeat(100)}\n`.repeat(50_000)
    appendFileSync(path, `${noise}NVRM: Xid (PCI:0000:1a:00): 48, words\n`)
    await until(() => telling.of('xid').length === 1, clock)
    expect(telling.of('xid')).toMatchObject([{ xid: 48 }])
  })
})

/** Lets time pass until something is so; other processes need real time. */
async function until(so: () => boolean, clock: ManualClock): Promise<void> {
  for (let i = 0; i < 3_000 && !so(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    await clock.pass(500)
  }
  expect(so()).toBe(true)
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Node processes that this one started and that still live. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, 'utf8')
        const [state, ppid] = text.slice(text.lastIndexOf(')') + 2).split(' ')
        const probe = readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('nvml-probe')
        return Number(ppid) === parent && state !== 'Z' && probe ? [Number(name)] : []
      } catch {
        return []
      }
    })
}
