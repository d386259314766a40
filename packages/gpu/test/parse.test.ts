/** The other texts that sources read: Prometheus, AMD's JSON, the kernel's lines; and lines that never end. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkDevices, type NodeView, xidTable } from '@health/core'
import { amdName } from '../src/amd-name.ts'
import { readAmdPlaces, readAmdSmi, readRocmSmi, readSysfs } from '../src/amd-sample.ts'
import { isWanted, readDcgm } from '../src/dcgm-sample.ts'
import { gpuMetrics } from '../src/gauge.ts'
import { LineReader, MAX_LINE } from '../src/line-reader.ts'
import { readMetrics } from '../src/prometheus.ts'
import { XidReader, type KernelSighting } from '../src/xid-line.ts'
import { captures } from './captures.ts'

const dcgm = (text: string) => readDcgm(readMetrics(text, isWanted).metrics)
const sampleText = (name: string): string =>
  readFileSync(new URL(`./samples/${name}`, import.meta.url), 'utf8')

describe('the DCGM exporter', () => {
  const labels =
    'gpu="1",UUID="GPU-b",pci_bus_id="00000000:1B:00.0",modelName="X, \\"Y\\"",hostname="n"'

  test('names, labels and numbers of all kinds', () => {
    const { devices, xids } = dcgm(
      [
        '# HELP DCGM_FI_DEV_GPU_TEMP words',
        `DCGM_FI_DEV_GPU_TEMP{${labels}} 9.1e+01`,
        `DCGM_FI_DEV_CLOCKS_EVENT_REASONS{${labels}} 72 1700000000000`,
        `DCGM_FI_DEV_POWER_USAGE{${labels}} 8.969000`,
        `DCGM_FI_DEV_ROW_REMAP_PENDING{${labels}} 1`,
        `DCGM_FI_DEV_ROW_REMAP_FAILURE{${labels}} 0`,
        `DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{${labels}} 2`,
        `DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL{${labels}} 2`,
        `DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL{${labels}} 3`,
        `DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION{${labels}} 2`,
        `DCGM_FI_DEV_XID_ERRORS{${labels},err_code="79",err_msg="off the bus"} 79`,
        `DCGM_FI_DEV_FAN_SPEED{${labels}} 3`,
        'go_goroutines 12',
      ].join('\n'),
    )
    expect(devices).toEqual([
      {
        uuid: 'GPU-b',
        index: 1,
        name: 'X, "Y"',
        pci: '0000:1b:00',
        temperatureC: 91,
        throttle: 72,
        powerW: 8.969,
        rowRemapPending: true,
        rowRemapFailed: false,
        eccVolatileUncorrected: 2,
        nvlinkErrors: 5,
        recoveryAction: 'reboot',
      },
    ])
    expect([...xids]).toEqual([['GPU-b', 79]])
  })

  test.for([
    '9223372036854775792',
    '9223372036854775795',
    '2147483632',
    '2147483635',
    '140737488355328',
    '140737488355331',
    'NaN',
    '+Inf',
  ])('%s is no value', (value) => {
    const { devices } = dcgm(
      `DCGM_FI_DEV_SM_CLOCK{${labels}} ${value}\nDCGM_FI_DEV_GPU_UTIL{${labels}} 5`,
    )
    expect(devices[0]).not.toHaveProperty('smClockMHz')
    expect(devices[0]?.utilisationPercent).toBe(5)
  })

  test('a memory temperature of 0 is no sensor; MIG instances repeat their device; labels vary by version', () => {
    const { devices } = dcgm(
      'DCGM_FI_DEV_MEMORY_TEMP{gpu="0",uuid="GPU-a"} 0\nDCGM_FI_DEV_GPU_TEMP{gpu="0",uuid="GPU-a"} 40\nDCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a",GPU_I_ID="3"} 99',
    )
    expect(devices).toEqual([{ uuid: 'GPU-a', index: 0, temperatureC: 40 }])
  })

  test('a line that is no metric is counted, never guessed', () => {
    const text =
      'DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a"\nDCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a"} hot\n<html>\nDCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a"} 41\n'
    const { metrics, unreadable } = readMetrics(text, isWanted)
    expect([metrics.length, unreadable]).toEqual([1, 3])
  })
})

describe('the kernel', () => {
  const rows: readonly [string, KernelSighting | null][] = [
    [
      'NVRM: Xid (PCI:0000:1a:00): 31, pid=4711, name=python3, Ch 00000008',
      { type: 'xid', device: 'pci:0000:1a:00', xid: 31, text: 'Ch 00000008', pid: 4711 },
    ],
    [
      "NVRM: Xid (PCI:0000:C1:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
      { type: 'xid', device: 'pci:0000:c1:00', xid: 79, text: 'GPU has fallen off the bus.' },
    ],
    [
      'NVRM: Xid (0000:03:00): 48, An uncorrectable double bit error',
      { type: 'xid', device: 'pci:0000:03:00', xid: 48, text: 'An uncorrectable double bit error' },
    ],
    [
      'NVRM: Xid (PCI:0000:b4:00 GPU-I:02 GPU-CI:00): 94, Contained memory error',
      { type: 'xid', device: 'pci:0000:b4:00', xid: 94, text: 'Contained memory error' },
    ],
    [
      'NVRM: Xid (PCI:0000:03:00.0): 43',
      { type: 'xid', device: 'pci:0000:03:00', xid: 43, text: '' },
    ],
    [
      '[12.5] NVRM: Xid (PCI:0000:1b:00): 45, pid=1, name=x, Ch 1 caused by previous Xid 94',
      {
        type: 'xid',
        device: 'pci:0000:1b:00',
        xid: 45,
        text: 'Ch 1 caused by previous Xid 94',
        pid: 1,
      },
    ],
    ['NVRM: GPU at PCI:0000:03:00: GPU-aaaa', null],
    ['NVRM: Xid: not one of those', null],
    ['an application wrote Xid (PCI:0000:1a:00): 79', null],
    ['', null],
  ]
  test.for(rows)('%s', ([line, expected]) => {
    expect(new XidReader().read(line)).toEqual(expected)
  })

  test('falling off the bus in three records', () => {
    const reader = new XidReader()
    expect(reader.read('NVRM: The NVIDIA GPU 0000:23:00.0')).toBeNull()
    expect(reader.read('NVRM: (PCI ID: 10de:26b5) installed in this system has')).toBeNull()
    expect(reader.read('NVRM: fallen off the bus and is not responding to commands.')).toEqual({
      type: 'lost',
      device: 'pci:0000:23:00',
      text: 'the kernel says that it has fallen off the bus',
    })
    expect(reader.read('NVRM: fallen off the bus and is not responding to commands.')).toBeNull()
  })

  test('an address that is too long ago is nobody', () => {
    const reader = new XidReader()
    reader.read('NVRM: The NVIDIA GPU 0000:23:00.0')
    for (let i = 0; i < 3; i++) reader.read('something else')
    expect(reader.read('NVRM: fallen off the bus')).toBeNull()
  })
})

describe('AMD', () => {
  test('the new layout, behind warnings, with values that are not there', () => {
    expect(readAmdSmi(sampleText('amd-smi.txt'))).toEqual([
      {
        uuid: 'amd-0',
        index: 0,
        temperatureC: 71,
        memoryTemperatureC: 60,
        smClockMHz: 2100,
        maxSmClockMHz: 2100,
        powerW: 640,
        utilisationPercent: 97,
        eccVolatileUncorrected: 1,
        eccVolatileCorrected: 4,
        pcieWidth: 16,
        memoryUsedMiB: 290,
        memoryTotalMiB: 196_592,
      },
    ])
  })

  test.for([
    ['', /no JSON/],
    ['{"gpu_data": [{"gpu": 0', /cut or broken/],
    ['{"other": 1}', /no list/],
  ] as const)('%j is refused', ([text, expected]) => {
    expect(readAmdSmi(text)).toMatch(expected)
  })

  test("the kernel's files", () => {
    const files = {
      unique_id: '79ccd55167a2124a',
      temp2_input: '71000',
      temp2_crit: '105000',
      temp3_input: '60000',
      power1_average: '640000000',
      freq1_input: '2100000000',
      gpu_busy_percent: '97',
      mem_info_vram_used: '1048576',
      current_link_speed: '16.0 GT/s PCIe',
      current_link_width: '16',
      umc_err_count: 'ue: 2\nce: 9',
      gfx_err_count: 'ue: 1\nce: 0',
      pci: '0000:c5:00.0',
      pcie_replay_count: 'garbage',
    }
    expect(readSysfs(0, files)).toEqual({
      uuid: 'GPU-79ccd55167a2124a',
      index: 0,
      pci: '0000:c5:00',
      temperatureC: 71,
      slowdownC: 105,
      memoryTemperatureC: 60,
      powerW: 640,
      smClockMHz: 2100,
      utilisationPercent: 97,
      memoryUsedMiB: 1,
      pcieGen: 4,
      pcieWidth: 16,
      eccVolatileUncorrected: 3,
    })
    expect(readSysfs(1, {})).toEqual({ uuid: 'amd-1', index: 1 })
  })

  test.for([
    ['79ccd55167a2124a', 'GPU-79ccd55167a2124a'],
    ['0x1AB', 'GPU-00000000000001ab'],
    ['0x0000000000000000', null],
    ['N/A', null],
    ['', null],
    ['79ccd55167a2124a0', null],
    [undefined, null],
  ] as const)('the number %j is the name %j', ([unique, name]) => {
    expect(amdName(unique)).toBe(name)
  })

  test.for<[text: string, places: [number, string][]]>([
    [
      '[{"gpu": 0, "bdf": "0000:c5:00.0"}, {"gpu": 1, "bdf": "0001:0A:00.0"}]',
      [
        [0, '0000:c5:00'],
        [1, '0001:0a:00'],
      ],
    ],
    [
      'warning\n{"gpu_data": [{"gpu": 2, "bdf": "0000:05:00.0", "uuid": "x"}]}',
      [[2, '0000:05:00']],
    ],
    ['[{"gpu": "N/A", "bdf": "0000:05:00.0"}, {"gpu": 3, "bdf": "N/A"}]', []],
    ['nothing', []],
  ])('places in %s', ([text, places]) => {
    expect([...readAmdPlaces(text)]).toEqual(places)
  })
})

describe('lines', () => {
  test('chunks become lines wherever they are cut; one without an end is dropped, once', () => {
    const lines: string[] = []
    let dropped = 0
    const reader = new LineReader(
      (line) => lines.push(line),
      () => dropped++,
    )
    for (const chunk of ['a\nb', 'c\r\n', '\n', 'd']) reader.push(chunk)
    expect([lines, reader.rest]).toEqual([['a', 'bc', ''], 'd'])
    for (let i = 0; i < 5; i++) reader.push('x'.repeat(MAX_LINE))
    reader.push('tail\nnext\n')
    expect([dropped, lines.at(-1), reader.rest.length]).toEqual([1, 'next', 0])
    expect(lines.every((line) => line.length < 10)).toBe(true)
  })
})

test('gauges carry the names that dashboards know; what is not reported has no line', () => {
  const node: NodeView = {
    id: 'n',
    state: 'healthy',
    cordonedBy: null,
    since: 0,
    runners: [],
    devices: [
      {
        uuid: 'GPU-a',
        index: 0,
        name: 'X "Y"',
        state: 'faulty',
        runner: null,
        temperatureC: 91,
        throttle: ['hw_slowdown', 'hw_thermal_slowdown'],
      },
    ],
  }
  const text = gpuMetrics([node])
  expect(text).toContain(
    'DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a",modelName="X \\"Y\\"",Hostname="n"} 91\n',
  )
  expect(text).toContain(
    'DCGM_FI_DEV_CLOCKS_EVENT_REASONS{gpu="0",UUID="GPU-a",modelName="X \\"Y\\"",Hostname="n"} 72\n',
  )
  expect(text).toContain('state="faulty"} 1\n')
  expect(text).not.toContain('POWER_USAGE')
  expect(readMetrics(text, isWanted).unreadable).toBe(0)
  expect(gpuMetrics([])).toBe('')
})

describe.skipIf(captures === null)('real captures', () => {
  const read = (name: string): string => readFileSync(join(captures ?? '', name), 'utf8')

  test.for([
    ['dcgm-exporter-t4.prom', 1],
    ['dcgm-exporter-a100-vgpu.prom', 1],
    ['dcgm-exporter-synthetic-faults.prom', 2],
  ] as const)('%s: every line is a metric, every device a sample', ([name, least]) => {
    const { metrics, unreadable } = readMetrics(read(name), isWanted)
    const { devices } = readDcgm(metrics)
    expect(unreadable).toBe(0)
    expect(devices.length).toBeGreaterThanOrEqual(least)
    expect(() => checkDevices(devices, 'devices')).not.toThrow()
  })

  test('a broken card in the exporter: its readings, its Xid, and no invented memory temperature', () => {
    const { devices, xids } = dcgm(read('dcgm-exporter-synthetic-faults.prom'))
    const broken = devices.find(({ index }) => index === 1)!
    expect(broken).toMatchObject({
      temperatureC: 92,
      throttle: 72,
      eccVolatileUncorrected: 2,
      rowRemapPending: true,
      pcieReplays: 91,
    })
    expect(broken).not.toHaveProperty('memoryTemperatureC')
    expect(xids.get(broken.uuid)).toBe(79)
  })

  test('NVIDIA’s catalogue: our table asks for what its buckets say, but for what the semantics say otherwise', () => {
    const asks: Readonly<Record<string, string>> = {
      RESTART_APP: 'restart_runner',
      IGNORE: 'record',
      RESET_GPU: 'reset',
      RESTART_BM: 'reboot',
      RESTART_VM: 'reboot',
    }
    const ours = new Map(xidTable.flatMap((line) => line.xids.map((xid) => [xid, line.class])))
    const different = read('xid-catalog.tsv')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split('\t'))
      .flatMap(([xid, , description, , , , , bucket]) => {
        const wanted = asks[bucket!]
        const is = ours.get(Number(xid))
        return description !== 'Unused' && wanted !== undefined && wanted !== is
          ? [`${xid}: ${bucket}, ours ${is}`]
          : []
      })
    // A row remap that failed is not cured by any reset: semantics 6.
    expect(different).toEqual(['64: RESET_GPU, ours escalate'])
  })

  test('AMD in three layouts', () => {
    for (const name of ['amd-smi-metric-new-gpu_data.txt', 'amd-smi-metric-p-old-array.json']) {
      const devices = readAmdSmi(read(name))
      expect(devices).toHaveLength(1)
      expect(() => checkDevices(devices as never, 'devices')).not.toThrow()
    }
    expect(readRocmSmi(read('rocm-smi-mi100-602.json'))).toEqual([
      {
        uuid: 'GPU-79ccd55167a2124a',
        index: 0,
        name: 'Arcturus GL-XL [Instinct MI100]',
        pci: '0000:83:00',
        temperatureC: 55,
        memoryTemperatureC: 53,
        smClockMHz: 300,
        powerW: 36,
        powerLimitW: 290,
        utilisationPercent: 0,
        pcieReplays: 0,
        memoryUsedMiB: 6,
        memoryTotalMiB: 32_752,
      },
    ])
  })

  test('raw kernel records hold no Xid, and none is seen', () => {
    const reader = new XidReader()
    for (const line of read('dev-kmsg.txt').split('\n')) expect(reader.read(line)).toBeNull()
  })
})
