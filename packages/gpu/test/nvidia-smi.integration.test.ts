/** `nvidia-smi` against a fake: batches, lost devices, refused fields, silence, a tool that will not end. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { SystemClock } from '@health/testkit'
import { NvidiaSmi } from '../src/nvidia-smi.ts'
import { captures } from './captures.ts'
import { FakeSmi, smiRow } from './fake-smi.ts'
import { removeFolders } from './recordings.ts'
import { Telling } from './telling.ts'

afterAll(removeFolders)

const opened: NvidiaSmi[] = []

function open(smi: FakeSmi, silenceMs = 10_000): { source: NvidiaSmi; telling: Telling } {
  const telling = new Telling()
  const { program, args } = smi
  const source = new NvidiaSmi({
    clock: new SystemClock(),
    intervalMs: 300,
    program,
    args,
    silenceMs,
  })
  opened.push(source)
  source.start(telling.tell)
  return { source, telling }
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.close()))
})

describe('nvidia-smi', () => {
  test('rows of one interval are one sample, by what the version knows', async () => {
    const smi = new FakeSmi()
    smi.write({ rows: [smiRow(0), smiRow(1)] })
    const { telling } = open(smi)
    const { devices } = await telling.next('sampled')
    expect(devices).toEqual(
      [0, 1].map((index) => ({
        index,
        uuid: `GPU-${index}`,
        pci: `0000:1${index}:00`,
        temperatureC: 55,
        throttle: 4,
        rowRemapPending: false,
        recoveryAction: 'none',
        name: 'Fake, 80GB',
      })),
    )
    await telling.later('sampled')
    expect(telling.of('problem')).toEqual([])
  })

  test('a lost device by its cells, by its address, and by its index when its name is gone', async () => {
    const smi = new FakeSmi()
    smi.write({ rows: [smiRow(0), smiRow(1)] })
    const { telling } = open(smi)
    await telling.next('sampled')
    smi.write({
      rows: [
        smiRow(0),
        { ...smiRow(1), uuid: '[GPU is lost]', 'temperature.gpu': '[GPU is lost]' },
      ],
    })
    expect(await telling.next('lost')).toMatchObject({ device: 'GPU-1' })
    expect((await telling.later('sampled')).devices.map(({ uuid }) => uuid)).toEqual(['GPU-0'])
    smi.write({
      rows: [smiRow(0)],
      raw: [
        'Unable to determine the device handle for GPU 0000:11:00.0: GPU is lost.  Reboot the system to recover this GPU',
      ],
    })
    expect(await telling.next('lost', ({ device }) => device.startsWith('pci:'))).toMatchObject({
      device: 'pci:0000:11:00',
    })
  })

  test('errors and cut rows are reported, and leave nothing made up', async () => {
    const smi = new FakeSmi()
    smi.write({
      rows: [{ ...smiRow(0), 'temperature.gpu': '[Unknown Error]' }, smiRow(1)],
      raw: [
        'Unable to determine the device handle for GPU0000:12:00.0: Unknown Error',
        '2, GPU-2, 000000',
      ],
    })
    const { telling } = open(smi)
    const { devices } = await telling.next('sampled', (sighting) => sighting.devices.length > 1)
    expect(devices[0]).not.toHaveProperty('temperatureC')
    expect(devices.find(({ uuid }) => uuid === 'GPU-2') ?? { index: 2, uuid: 'GPU-2' }).toEqual({
      index: 2,
      uuid: 'GPU-2',
    })
    await telling.next('problem', ({ text }) => /cut after 3/.test(text))
    await telling.next('problem', ({ text }) => /device handle/.test(text))
  })

  test('a field that the version refuses is asked for no more', async () => {
    const smi = new FakeSmi()
    smi.write({ rows: [smiRow(0)], refuse: 'gpu_recovery_action' })
    const { telling } = open(smi)
    const { devices } = await telling.next('sampled')
    expect(devices[0]).not.toHaveProperty('recoveryAction')
    expect(telling.of('failed')[0]?.detail).toMatch(/exit 2/)
    await telling.next('recovered')
  })

  test('a version that cannot say what it knows is asked for the basics', async () => {
    const smi = new FakeSmi()
    smi.write({ rows: [smiRow(0)], help: null })
    const { telling } = open(smi)
    expect((await telling.next('sampled')).devices[0]).toMatchObject({
      uuid: 'GPU-0',
      temperatureC: 55,
    })
    expect((await telling.next('problem')).text).toMatch(/basic fields/)
  })

  test('no driver: a failure with the words of the tool', async () => {
    const smi = new FakeSmi()
    smi.write({
      missing: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    })
    const { telling } = open(smi)
    expect(await telling.next('failed')).toMatchObject({
      why: 'exited',
      detail: expect.stringMatching(/exit 9/),
    })
    await telling.next('problem', ({ text }) => /communicate/.test(text))
  })

  test('a tool that is not there: a failure, not a crash', async () => {
    const telling = new Telling()
    const source = new NvidiaSmi({
      clock: new SystemClock(),
      intervalMs: 300,
      program: '/nonexistent/nvidia-smi',
    })
    opened.push(source)
    source.start(telling.tell)
    expect((await telling.next('failed')).detail).toBe('/nonexistent/nvidia-smi: ENOENT')
  })

  test('silence ends the process, by force when it must, and rows come back', async () => {
    const smi = new FakeSmi()
    smi.write({ rows: [smiRow(0)] })
    const { telling } = open(smi, 1_500)
    await telling.next('sampled')
    smi.write({ hang: true })
    expect(await telling.next('failed')).toMatchObject({ why: 'hung' })
    smi.write({ rows: [smiRow(0)] })
    await telling.next('recovered')
    expect(telling.of('failed')).toHaveLength(1)
  }, 30_000)

  test('suspended it is gone, and its silence no failure', async () => {
    const smi = new FakeSmi()
    smi.write({ rows: [smiRow(0)] })
    const { source, telling } = open(smi)
    await telling.next('sampled')
    await source.suspend()
    source.resume()
    await telling.later('sampled')
    expect(telling.of('failed')).toEqual([])
  })

  test('suspended while it begins it holds no device until it is resumed', async () => {
    const smi = new FakeSmi()
    smi.write({ rows: [smiRow(0)] })
    const { source, telling } = open(smi)
    await source.suspend()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(telling.of('sampled')).toEqual([])
    source.resume()
    await telling.next('sampled')
  })
})

describe.skipIf(captures === null)('real captures', () => {
  test('every sentence of a broken tool is reported, the one of a lost device as such, and none is a sample', async () => {
    const text = readFileSync(join(captures ?? '', 'nvidia-smi-errors.txt'), 'utf8')
    const sentences = text
      .slice(0, text.indexOf('# CSV cells'))
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    const smi = new FakeSmi()
    smi.write({ raw: [...sentences, 'and the end'] })
    const { telling } = open(smi)
    await telling.next('problem', (problem) => problem.text === 'and the end')
    expect(telling.of('lost').map(({ device }) => device)).toContain('pci:0000:c1:00')
    expect(telling.of('sampled')).toEqual([])
    const told = telling.of('problem').map((problem) => problem.text)
    for (const sentence of sentences.filter((line) => !line.includes('GPU is lost')))
      expect(told).toContain(sentence)
  })
})
