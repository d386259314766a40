/** NVML against a stand-in library: what is read, what is absent, Xids, lost devices, a driver that hangs. */
import { existsSync } from 'node:fs'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { SystemClock } from '@health/testkit'
import { Nvml } from '../src/nvml.ts'
import { buildStub, healthy, StubScript, type StubDevice } from './stub-library.ts'
import { removeFolders } from './recordings.ts'
import { Telling } from './telling.ts'

afterAll(removeFolders)

const stub = buildStub()
const missing = 'missing' in stub ? stub.missing : null
if (missing !== null && process.env.CI === 'true')
  throw new Error(`NVML cannot be tested here: ${missing}`)
if (missing !== null) console.log(`skipped: NVML against a stub, ${missing}`)
const library = 'library' in stub ? stub.library : ''

const uuid = (index: number): string =>
  `GPU-00000000-0000-0000-0000-${String(index).padStart(12, '0')}`
const opened: Nvml[] = []

function open(
  script: StubScript,
  options: { intervalMs?: number; silenceMs?: number; library?: string } = {},
): { source: Nvml; telling: Telling } {
  const telling = new Telling()
  const source = new Nvml({
    clock: new SystemClock(),
    intervalMs: 50,
    library,
    env: script.env,
    ...options,
  })
  opened.push(source)
  source.start(telling.tell)
  return { source, telling }
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.close()))
})

describe.skipIf(missing !== null)('NVML', () => {
  test('reads everything that the device reports, in our units', async () => {
    const script = new StubScript()
    script.write([
      {
        ...healthy,
        field82: 80,
        field3: 5,
        field29: 1,
        field30: 2,
        field31: 1,
        field270: 3_000_000,
        field52: 4,
        slowdown: 87,
      },
    ])
    const { telling } = open(script)
    const { devices } = await telling.next('sampled')
    expect(devices).toEqual([
      {
        uuid: uuid(0),
        index: 0,
        name: 'Stub GPU, 80 GB',
        pci: '0000:10:00',
        temperatureC: 60,
        marginC: 27,
        slowdownC: 87,
        slowdownMarginC: -2,
        memoryTemperatureC: 80,
        smClockMHz: 1900,
        maxSmClockMHz: 1980,
        memoryClockMHz: 2600,
        throttle: 4,
        throttleMs: { hw_thermal_slowdown: 3 },
        powerW: 650,
        powerLimitW: 700,
        utilisationPercent: 99,
        memoryUsedMiB: 70_000,
        memoryTotalMiB: 81_559,
        eccVolatileCorrected: 5,
        eccVolatileUncorrected: 0,
        retiredPages: 3,
        retiredPagesPending: true,
        rowRemapPending: false,
        rowRemapFailed: false,
        recoveryAction: 'none',
        pcieGen: 5,
        pcieMaxGen: 5,
        pcieWidth: 16,
        pcieMaxWidth: 16,
        pcieReplays: 0,
        nvlinkErrors: 4,
      },
    ])
  })

  test('what is not supported is absent; an older driver is read by its older calls', async () => {
    const script = new StubScript()
    script.write([{ temp: 51 }], { olddriver: 1, noevents: 1 })
    const { telling } = open(script)
    const { devices } = await telling.next('sampled')
    expect(devices).toEqual([{ uuid: uuid(0), index: 0, pci: '0000:10:00', temperatureC: 51 }])
  })

  test('hot, throttled and ECC readings follow the device', async () => {
    const script = new StubScript()
    script.write([healthy])
    const { telling } = open(script)
    await telling.next('sampled')
    script.write([
      { ...healthy, temp: 92, margin: -5, reasons: '0x48', field4: 3, field230: 4, field144: 1 },
    ])
    const { devices } = await telling.next(
      'sampled',
      (sighting) => sighting.devices[0]?.temperatureC === 92,
    )
    expect(devices[0]).toMatchObject({
      marginC: -5,
      throttle: 0x48,
      eccVolatileUncorrected: 3,
      recoveryAction: 'drain_reset',
      rowRemapPending: true,
    })
  })

  test('an Xid comes at once, each with its own number', async () => {
    const script = new StubScript()
    script.write([healthy, healthy])
    const { telling } = open(script, { intervalMs: 5_000 })
    await telling.next('sampled')
    script.write([healthy, { ...healthy, xid: '79:1' }])
    const first = await telling.next('xid')
    expect(first).toMatchObject({ device: uuid(1), xid: 79, sequence: 1 })
    script.write([
      { ...healthy, xid: '48:1' },
      { ...healthy, xid: '79:2' },
    ])
    const third = await telling.next('xid', ({ sequence }) => sequence === 3)
    expect(third.boot).toBe(first.boot)
    expect(telling.of('xid').filter(({ xid }) => xid === 79)).toHaveLength(2)
  })

  test('an Xid from before we listened is an old story', async () => {
    const script = new StubScript()
    script.write([{ ...healthy, xid: '31:1' }])
    const { telling } = open(script)
    await telling.next('sampled', undefined, 3)
    expect(telling.of('xid')).toEqual([])
  })

  test('a lost device is told and left out; the others go on', async () => {
    const script = new StubScript()
    script.write([healthy, healthy])
    const { telling } = open(script)
    await telling.next('sampled')
    script.write([{ ...healthy, lost: 1 }, healthy])
    expect(await telling.next('lost')).toMatchObject({ device: uuid(0) })
    const { devices } = await telling.later('sampled')
    expect(devices.map((device) => device.uuid)).toEqual([uuid(1)])
  })

  test('a device that only fails is left out, and nothing is made up', async () => {
    const script = new StubScript()
    script.write([healthy, healthy])
    const { telling } = open(script)
    await telling.next('sampled')
    script.write([{ ...healthy, silent: 1 }, healthy])
    expect((await telling.next('problem')).text).toMatch(/does not answer: unknown error/)
    const { devices } = await telling.later('sampled')
    expect(devices.map((device) => device.uuid)).toEqual([uuid(1)])
    expect(telling.of('lost')).toEqual([])
  })

  test('a device that is dead from the beginning is named by its place', async () => {
    const script = new StubScript()
    script.write([healthy, { ...healthy, gone: 1 }, healthy])
    const { telling } = open(script)
    const { devices } = await telling.next('sampled')
    expect(devices.map(({ index }) => index)).toEqual([0, 2])
    expect(telling.of('problem')).toEqual([
      { type: 'problem', text: 'device 1 is there and does not answer: GPU is lost' },
    ])
  })

  test('a driver that hangs is noticed, its child ended by force, and samples come back', async () => {
    const script = new StubScript()
    script.write([healthy])
    const { source, telling } = open(script, { silenceMs: 1_500 })
    await telling.next('sampled')
    const { pid } = source
    script.write([{ ...healthy, hang: 1 }])
    expect(await telling.next('failed')).toMatchObject({ why: 'hung' })
    script.write([healthy])
    expect(await telling.next('recovered')).toMatchObject({ type: 'recovered' })
    expect(source.pid).not.toBe(pid)
    expect(alive(pid)).toBe(false)
    expect(telling.of('failed')).toHaveLength(1)
  }, 30_000)

  test('a child that is killed is reported and started again', async () => {
    const script = new StubScript()
    script.write([healthy])
    const { source, telling } = open(script)
    await telling.next('sampled')
    process.kill(source.pid!, 'SIGKILL')
    expect(await telling.next('failed')).toMatchObject({ why: 'exited', detail: 'SIGKILL' })
    await telling.next('recovered')
  })

  test.for([
    ['/nonexistent/libnvidia-ml.so.1', {}, /cannot open shared object|No such file/i],
    [library, { nodriver: 1 }, /nvmlInit_v2: driver not loaded/],
  ] as const)('%s with %j is a failure that says why', async ([path, all, expected]) => {
    const script = new StubScript()
    script.write([healthy], all as StubDevice)
    const { telling } = open(script, { library: path })
    const failed = await telling.next('failed')
    expect([failed.why, failed.detail]).toEqual(['exited', expect.stringMatching(expected)])
  })

  test('suspend lets go of the driver in its own way; resume reads on', async () => {
    const script = new StubScript()
    script.write([healthy])
    const { source, telling } = open(script)
    await telling.next('sampled')
    const { pid } = source
    await source.suspend()
    expect(alive(pid)).toBe(false)
    expect(existsSync(script.shutdown)).toBe(true)
    source.resume()
    await telling.later('sampled')
    expect(telling.of('failed')).toEqual([])
  })

  test('closing leaves no process', async () => {
    const script = new StubScript()
    script.write([healthy])
    const { source, telling } = open(script)
    await telling.next('sampled')
    const { pid } = source
    await source.close()
    const told = telling.all.length
    expect(alive(pid)).toBe(false)
    expect(telling.all.length).toBe(told)
  })
})

function alive(pid: number | null): boolean {
  try {
    process.kill(pid!, 0)
    return true
  } catch {
    return false
  }
}
