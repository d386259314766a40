/** AMD against a fake tool and a fake tree of the kernel's files. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
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

test("the kernel's files, of AMD cards only", async () => {
  const root = folder()
  const card = (name: string, vendor: string): void => {
    const device = join(root, `pci-${name}`, '0000:c5:00.0')
    mkdirSync(join(device, 'hwmon', 'hwmon4'), { recursive: true })
    mkdirSync(join(device, 'ras'))
    mkdirSync(join(root, name))
    symlinkSync(device, join(root, name, 'device'))
    for (const [file, text] of Object.entries({
      vendor,
      unique_id: `id-${name}`,
      gpu_busy_percent: '12',
      'hwmon/hwmon4/temp2_input': '64000',
      'ras/umc_err_count': 'ue: 0\nce: 1',
    }))
      writeFileSync(join(device, file), `${text}\n`)
  }
  card('card0', '0x1002')
  card('card1', '0x8086')
  mkdirSync(join(root, 'card0-DP-1'))
  expect(await sampleSysfs(root)).toEqual([
    {
      uuid: 'id-card0',
      index: 0,
      pci: '0000:c5:00',
      temperatureC: 64,
      utilisationPercent: 12,
      eccVolatileUncorrected: 0,
    },
  ])
  expect(await sampleSysfs('/nonexistent')).toEqual([])
  expect((await open({ use: 'files', sysfs: root }).next('sampled')).devices).toHaveLength(1)
})
