/** Rows of `nvidia-smi`: values, the words that stand for none, cut rows, and real captures where they are at hand. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkDevices } from '@health/core'
import { columns, fieldsToAsk, headerFields, knownFields, readRow } from '../src/nvidia-smi-row.ts'
import { pciAddress } from '../src/source.ts'
import { captures } from './captures.ts'

const help = readFileSync(new URL('./samples/smi-help.txt', import.meta.url), 'utf8')
const fields = [
  'index',
  'uuid',
  'temperature.gpu',
  'temperature.memory',
  'clocks_throttle_reasons.active',
  'remapped_rows.pending',
  'gpu_recovery_action',
  'name',
]

describe('a row', () => {
  test('is read by its fields, with and without units', () => {
    const names = [
      'index',
      'uuid',
      'pci.bus_id',
      'temperature.gpu',
      'clocks.sm',
      'clocks_throttle_reasons.active',
      'clocks_event_reasons_counters.hw_thermal_slowdown',
      'power.draw',
      'memory.used',
      'retired_pages.sbe',
      'retired_pages.dbe',
      'name',
    ]
    const expected = {
      index: 3,
      uuid: 'GPU-1',
      pci: '0000:1a:00',
      temperatureC: 59,
      smClockMHz: 1980,
      throttle: 0x48,
      throttleMs: { hw_thermal_slowdown: 2.5 },
      powerW: 631.95,
      memoryUsedMiB: 70_000,
      retiredPages: 5,
      name: 'NVIDIA H100, 80GB',
    }
    for (const row of [
      '3, GPU-1, 00000000:1A:00.0, 59, 1980, 0x0000000000000048, 2500, 631.95, 70000, 2, 3, NVIDIA H100, 80GB',
      '3, GPU-1, 00000000:1A:00.0, 59, 1980 MHz, 0x0000000000000048, 2500 us, 631.95 W, 70000 MiB, 2, 3, NVIDIA H100, 80GB',
    ])
      expect(readRow(row, names)).toEqual({ device: expected, index: 3, lost: false, problems: [] })
  })

  test.for([
    '[N/A]',
    'N/A',
    '',
    '[Not Supported]',
    '[Requested functionality has been deprecated]',
    '[Insufficient Permissions]',
  ])('%j leaves the field out', (cell) => {
    const { device, problems } = readRow(
      `0, GPU-1, ${cell}, ${cell}, ${cell}, ${cell}, ${cell}, X`,
      fields,
    )
    expect(device).toEqual({ index: 0, uuid: 'GPU-1', name: 'X' })
    expect(problems).toEqual([])
  })

  test.for([
    ['[Unknown Error]', 'the driver failed'],
    ['ERR!', 'the driver failed'],
    ['hot', 'temperature.gpu is "hot"'],
    ['5e', 'temperature.gpu is "5e"'],
    ['0x', 'temperature.gpu is "0x"'],
  ])('%j leaves the field out and is reported', ([cell, expected]) => {
    const { device, problems } = readRow(`0, GPU-1, ${cell}, 40, 0x0, No, None, X`, fields)
    expect(device).toEqual({
      index: 0,
      uuid: 'GPU-1',
      memoryTemperatureC: 40,
      throttle: 0,
      rowRemapPending: false,
      recoveryAction: 'none',
      name: 'X',
    })
    expect(problems.join()).toContain(expected)
  })

  test('a lost device is a fact of the driver, and so is one that needs a reset', () => {
    expect(readRow('0, GPU-1, [GPU is lost], [GPU is lost], 0x0, No, None, X', fields).lost).toBe(
      true,
    )
    expect(readRow('0, GPU-1, [GPU requires reset], 40, 0x0, No, [N/A], X', fields)).toMatchObject({
      lost: false,
      device: { recoveryAction: 'reset' },
    })
  })

  test('a row of nothing but errors belongs to nobody', () => {
    const row = readRow(fields.map(() => '[Unknown Error]').join(', '), fields)
    expect(row).toMatchObject({ device: null, index: null, lost: false })
  })

  test('a cut row loses the cell that may be half of one', () => {
    const { device, problems } = readRow('0, GPU-1, 59, 8', fields)
    expect(device).toEqual({ index: 0, uuid: 'GPU-1', temperatureC: 59 })
    expect(problems).toEqual(['cut after 4 of 8 cells'])
  })

  test('a row with more cells than fields is not read, unless a name may hold a comma', () => {
    expect(readRow('0, GPU-1, 59, 40, 0x0, No', ['index', 'uuid']).device).toBeNull()
    expect(readRow('0, GPU-1, A, B, C', ['index', 'uuid', 'name']).device?.name).toBe('A, B, C')
  })

  test.for([
    ['Yes', true],
    ['No', false],
    ['1', true],
    ['0', false],
  ] as const)('a pending remap of %s', ([cell, expected]) => {
    expect(readRow(`0, GPU-1, 1, 1, 0x0, ${cell}, None, X`, fields).device?.rowRemapPending).toBe(
      expected,
    )
  })
})

describe('what is asked for', () => {
  test('is what the version knows, by its oldest name', () => {
    const asked = fieldsToAsk(knownFields(help), new Set())
    expect(asked).toContain('clocks_throttle_reasons.active')
    expect(asked).not.toContain('retired_pages.sbe')
    expect(asked.at(-1)).toBe('name')
    expect(asked).not.toContain('fan.speed')
  })

  test('without help: the basics; without what was refused: the rest', () => {
    expect(fieldsToAsk(new Set(), new Set())).toContain('uuid')
    expect(fieldsToAsk(knownFields(help), new Set(['gpu_recovery_action']))).not.toContain(
      'gpu_recovery_action',
    )
    expect(fieldsToAsk(knownFields(help), new Set(['clocks_throttle_reasons.active']))).toContain(
      'clocks_event_reasons.active',
    )
  })
})

test.for([
  ['00000000:1A:00.0', '0000:1a:00'],
  ['0000:c1:00', '0000:c1:00'],
  ['00010000:00:00.0', '10000:00:00'],
  ['1A:00.0', null],
  ['nonsense', null],
] as const)('PCI address %s is %s', ([text, expected]) => {
  expect(pciAddress(text)).toBe(expected)
})

describe.skipIf(captures === null)('real captures', () => {
  const folder = captures ?? ''

  test('every row of ten machines is read without a problem, and is a sample that the core accepts', () => {
    const [header, ...rows] = readFileSync(join(folder, 'nvidia-smi-query-gpu.csv'), 'utf8')
      .trim()
      .split('\n')
    const names = headerFields(header!)
    const known = new Set(columns.flatMap((column) => column.names))
    expect(names.filter((name) => known.has(name)).length).toBeGreaterThan(25)
    for (const row of rows) {
      const { device, problems } = readRow(row, names)
      expect(problems).toEqual([])
      expect(device?.temperatureC).toBeGreaterThan(0)
      expect(() => checkDevices([device], 'devices')).not.toThrow()
    }
  })

  test('the words for no value in that file are absent, never zero', () => {
    const [header, ...rows] = readFileSync(join(folder, 'nvidia-smi-query-gpu.csv'), 'utf8')
      .trim()
      .split('\n')
    const names = headerFields(header!)
    const geforce = rows.find((row) => row.includes('2080-super__595'))!
    const { device } = readRow(geforce, names)
    for (const field of [
      'marginC',
      'memoryTemperatureC',
      'eccVolatileUncorrected',
      'rowRemapPending',
      'retiredPagesPending',
    ] as const)
      expect(device).not.toHaveProperty(field)
    expect(device).toMatchObject({ recoveryAction: 'none', throttle: 4, pcieGen: 1, pcieMaxGen: 3 })
  })

  test('every word that stands for no value is known, and none becomes a number', () => {
    const text = readFileSync(join(folder, 'nvidia-smi-errors.txt'), 'utf8')
    const words = text.slice(text.indexOf('# CSV cells')).trim().split('\n').slice(1)
    expect(words.length).toBeGreaterThan(8)
    const read = words.map((word) => {
      const { device, lost, problems } = readRow(`0, GPU-0, ${word}`, [
        'index',
        'uuid',
        'temperature.gpu',
      ])
      expect(device).not.toHaveProperty('temperatureC')
      if (lost) return 'lost'
      if (device?.recoveryAction !== undefined) return device.recoveryAction
      return problems.length > 0 ? 'failed' : 'absent'
    })
    expect(new Map(words.map((word, i) => [word, read[i]]))).toEqual(
      new Map([
        ['[N/A]', 'absent'],
        ['N/A', 'absent'],
        ['[Not Supported]', 'absent'],
        ['[Requested functionality has been deprecated]', 'absent'],
        ['[Insufficient Permissions]', 'absent'],
        ['[Unknown Error]', 'failed'],
        ['[GPU is lost]', 'lost'],
        ['[GPU requires reset]', 'reset'],
        ['ERR!', 'failed'],
      ]),
    )
  })

  test('one of three cards is broken: two rows and a sentence', () => {
    const text = readFileSync(join(folder, 'nvidia-smi-query-gpu-one-of-three-lost.txt'), 'utf8')
    const names = [
      'index',
      'name',
      'temperature.gpu',
      'clocks.sm',
      'clocks.mem',
      'utilization.gpu',
      'memory.used',
      'pstate',
      'power.limit',
    ]
    const rows = text
      .trim()
      .split('\n')
      .filter((line) => line.includes(', '))
      .map((line) => readRow(line, names))
    expect(rows.map(({ index }) => index)).toEqual([0, null, 2])
  })

  test('the folder holds what these tests read', () => {
    expect(existsSync(folder) && readdirSync(folder)).toContain('dcgm-exporter-t4.prom')
  })
})
