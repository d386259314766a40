/** AMD against a fake tool and a fake tree of the kernel's files. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, expect, test } from 'vitest'
import { SystemClock } from '@health/testkit'
import { Amd, sampleSysfs, type AmdOptions } from '../src/amd.ts'
import { folder, removeFolders } from './recordings.ts'
import { Telling } from './telling.ts'

afterAll(removeFolders)

const sample = fileURLToPath(new URL('./samples/amd-smi.txt', import.meta.url))
const real = new SystemClock()
const clock = {
  now: () => real.now() * 50,
  wall: () => real.wall(),
  after: (ms: number, callback: () => void) => real.after(ms / 50, callback),
}
let source: Amd | null = null

afterEach(async () => source?.close())

function open(options: Partial<AmdOptions>): Telling {
  const telling = new Telling()
  source = new Amd({
    clock,
    intervalMs: 1_000,
    use: 'amd-smi',
    program: process.execPath,
    kfd: '/nonexistent',
    ...options,
  })
  source.start(telling.tell)
  return telling
}

test('the tool', async () => {
  const telling = open({
    args: ['-e', `process.stdout.write(require('fs').readFileSync(${JSON.stringify(sample)}))`],
  })
  expect((await telling.next('sampled')).devices[0]).toMatchObject({
    uuid: 'amd-0',
    temperatureC: 71,
  })
  await telling.later('sampled')
})

test.for([
  ['prints half of it', 'process.stdout.write(`{"gpu_data": [{"gpu": 0`)', 'invalid'],
  ['fails', 'process.exit(3)', 'invalid'],
  ['hangs', 'setInterval(() => {}, 1000)', 'hung'],
] as const)('a tool that %s is a failure after three times', async ([, program, why]) => {
  const telling = open({ args: ['-e', program] })
  expect(await telling.next('failed')).toMatchObject({ why })
  expect(telling.of('sampled')).toEqual([])
})

/** The compute topology: a processor, then devices in the order in which the runtime counts them. */
function topology(...gpus: { domain?: number; location: number; unique: bigint }[]): string {
  const root = folder()
  const node = (name: number, lines: string[]): void => {
    mkdirSync(join(root, String(name)))
    writeFileSync(join(root, String(name), 'properties'), `${lines.join('\n')}\n`)
  }
  node(0, ['cpu_cores_count 96', 'simd_count 0', 'unique_id 0'])
  for (const [place, { domain = 0, location, unique }] of gpus.entries())
    // Ten comes after nine, whatever the folder's own order is.
    node(place + 9, [
      'cpu_cores_count 0',
      'simd_count 304',
      `location_id ${location}`,
      `domain ${domain}`,
      `unique_id ${unique}`,
    ])
  return root
}
const C5 = 0xc5 << 8
const OA = 0x0a << 8

test('the tool’s devices carry the names by which the runtime knows them, whatever order it counts in', async () => {
  const kfd = topology({ location: OA, unique: 0x79ccd55167a2124an }, { location: C5, unique: 0n })
  const calls = join(folder(), 'calls')
  const program = `
    const [what] = process.argv.slice(1)
    require('fs').appendFileSync(${JSON.stringify(calls)}, what + '\\n')
    const gpus = [0, 1].map((gpu) => ({ gpu, bdf: gpu === 0 ? '0000:c5:00.0' : '0000:0a:00.0', temperature: { edge: 50 + gpu } }))
    process.stdout.write(JSON.stringify(gpus))`
  const telling = open({ args: ['-e', program], kfd })
  const { devices } = await telling.next('sampled')
  expect(devices).toEqual([
    { uuid: 'amd-1', index: 0, pci: '0000:c5:00', temperatureC: 50 },
    { uuid: 'GPU-79ccd55167a2124a', index: 1, pci: '0000:0a:00', temperatureC: 51 },
  ])
  // The names are asked for once: a device that changed its name would be another one.
  expect((await telling.later('sampled')).devices).toEqual(devices)
  const asked = readFileSync(calls, 'utf8').split('\n')
  expect(asked.filter((what) => what === 'list')).toHaveLength(1)
})

test('where the compute driver is not loaded, the tool’s own index is the name', async () => {
  const telling = open({
    args: ['-e', 'process.stdout.write(\'[{"gpu": 3, "temperature": {"edge": 40}}]\')'],
  })
  expect((await telling.next('sampled')).devices).toEqual([
    { uuid: 'amd-3', index: 3, temperatureC: 40 },
  ])
})

test("the kernel's files, of AMD cards only", async () => {
  const root = folder()
  const card = (name: string, vendor: string, slot: string, unique: string): void => {
    const device = join(root, `pci-${name}`, slot)
    mkdirSync(join(device, 'hwmon', 'hwmon4'), { recursive: true })
    mkdirSync(join(device, 'ras'))
    mkdirSync(join(root, name))
    symlinkSync(device, join(root, name, 'device'))
    for (const [file, text] of Object.entries({
      vendor,
      unique_id: unique,
      gpu_busy_percent: '12',
      'hwmon/hwmon4/temp2_input': '64000',
      'ras/umc_err_count': 'ue: 0\nce: 1',
    }))
      writeFileSync(join(device, file), `${text}\n`)
  }
  card('card0', '0x8086', '0000:00:02.0', '1')
  card('card2', '0x1002', '0000:c5:00.0', '79ccd55167a2124a')
  card('card10', '0x1002', '0000:0a:00.0', '')
  mkdirSync(join(root, 'card2-DP-1'))
  const readings = { temperatureC: 64, utilisationPercent: 12, eccVolatileUncorrected: 0 }
  const first = { uuid: 'GPU-79ccd55167a2124a', index: 0, pci: '0000:c5:00', ...readings }
  const second = { uuid: 'amd-1', index: 1, pci: '0000:0a:00', ...readings }
  expect(await sampleSysfs(root)).toEqual([first, second])
  expect(await sampleSysfs('/nonexistent')).toEqual([])
  // The runtime counts the other one first.
  const kfd = topology({ location: OA, unique: 0n }, { location: C5, unique: 0x79ccd55167a2124an })
  const telling = open({ use: 'files', sysfs: root, kfd })
  expect((await telling.next('sampled')).devices).toEqual([first, { ...second, uuid: 'amd-0' }])
})
