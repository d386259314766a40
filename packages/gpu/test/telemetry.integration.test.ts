/** The choice of sources, with a reason for each; facts with node and time; letting go. */
import { appendFileSync, readFileSync } from 'node:fs'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { HealthEvent } from '@health/core'
import { SystemClock } from '@health/testkit'
import type { SourceName } from '../src/choice.ts'
import { createTelemetry, type GpuTelemetry, type TelemetryOptions } from '../src/telemetry.ts'
import { FakeSmi, smiRow } from './fake-smi.ts'
import { fileOf, removeFolders } from './recordings.ts'
import { buildStub, healthy, StubScript } from './stub-library.ts'

afterAll(removeFolders)

const nothing: Omit<TelemetryOptions, 'clock' | 'node'> = {
  nvml: { library: '/nonexistent/libnvidia-ml.so.1' },
  nvidiaSmi: { program: '/nonexistent/nvidia-smi' },
  dcgm: { url: 'http://127.0.0.1:9/metrics' },
  amd: { program: '/nonexistent/amd-smi', sysfs: '/nonexistent' },
  kernelLog: false,
  intervalSeconds: 0.3,
}
const opened: GpuTelemetry[] = []
const facts: HealthEvent[] = []
const warnings: string[] = []
let wake: () => void = () => {}

async function open(options: Partial<TelemetryOptions>): Promise<GpuTelemetry> {
  const telemetry = await createTelemetry({
    clock: new SystemClock(),
    node: 'n',
    ...nothing,
    warn: (text) => warnings.push(text),
    ...options,
  })
  opened.push(telemetry)
  facts.length = 0
  warnings.length = 0
  telemetry.listen((fact) => {
    facts.push(fact)
    wake()
  })
  return telemetry
}

async function fact<T extends HealthEvent['type']>(
  type: T,
  from = 0,
): Promise<Extract<HealthEvent, { type: T }>> {
  for (let place = from; ; place++) {
    while (place >= facts.length) await new Promise<void>((resolve) => (wake = resolve))
    if (facts[place]!.type === type) return facts[place] as Extract<HealthEvent, { type: T }>
  }
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((telemetry) => telemetry.close()))
})

describe('auto', () => {
  test('gives up at once when nobody wants to know any more, whatever hangs', async () => {
    const end = new AbortController()
    const begun = fileOf([])
    const script = `require('fs').writeFileSync(${JSON.stringify(begun)}, 'x'); setInterval(() => {}, 1000)`
    const opening = open({
      source: 'auto',
      signal: end.signal,
      nvidiaSmi: { program: process.execPath, args: ['-e', script, '--'] },
    })
    await expect.poll(() => readFileSync(begun, 'utf8'), { timeout: 10_000 }).toBe('x')
    end.abort()
    const { names, looks } = await opening
    expect(names).toEqual(['none'])
    expect(looks.at(-1)).toEqual({ source: 'nvidia-smi', works: false, why: 'given up' })
  })

  test('without a GPU it is none, and says why not the others', async () => {
    const { names, looks } = await open({})
    expect(names).toEqual(['none'])
    expect(looks.map(({ source, works }) => [source, works])).toEqual([
      ['nvml', false],
      ['nvidia-smi', false],
      ['dcgm', false],
      ['amd', false],
    ])
    for (const { why } of looks) expect(why).not.toBe('')
    expect(looks[1]?.why).toBe('/nonexistent/nvidia-smi is not installed')
    expect(looks[2]?.why).toMatch(/ECONNREFUSED/)
  })

  test('the tool when there is no library, with the kernel log for Xids', async () => {
    const smi = new FakeSmi()
    smi.write({ rows: [smiRow(0)], raw: [] })
    const log = fileOf([])
    const { names, looks } = await open({
      nvidiaSmi: { program: smi.program, args: smi.args },
      kernelLog: { path: log },
    })
    expect(names).toEqual(['nvidia-smi', 'kernel-log'])
    expect(looks.slice(1)).toEqual([
      { source: 'nvidia-smi', works: true, why: '1 devices' },
      { source: 'dcgm', works: false, why: 'not looked at, nvidia-smi is better' },
      { source: 'amd', works: false, why: 'not looked at, nvidia-smi is better' },
      { source: 'kernel-log', works: true, why: 'joined, for Xids' },
    ])
    expect(await fact('gpu.sampled')).toMatchObject({ node: 'n', devices: [{ uuid: 'GPU-0' }] })
    appendFileSync(log, 'NVRM: Xid (PCI:0000:10:00): 48, words\n')
    expect(await fact('gpu.xid')).toMatchObject({ node: 'n', device: 'pci:0000:10:00', xid: 48 })
  })

  const stub = buildStub()
  const library = 'library' in stub ? stub.library : null
  if (library === null)
    console.log(`skipped: auto with NVML, ${'missing' in stub ? stub.missing : ''}`)

  test.skipIf(library === null)(
    'the library before everything else; Xids once, also with the kernel log beside it',
    async () => {
      const script = new StubScript()
      script.write([healthy])
      const log = fileOf([])
      const { names, looks } = await open({
        nvml: { library: library!, env: script.env },
        kernelLog: { path: log },
      })
      expect(names).toEqual(['nvml', 'kernel-log'])
      expect(looks[0]).toEqual({ source: 'nvml', works: true, why: '1 devices' })
      await fact('gpu.sampled')
      script.write([{ ...healthy, xid: '79:1', temp: 61 }])
      appendFileSync(log, 'NVRM: Xid (PCI:0000:10:00): 79, words\n')
      await fact('gpu.xid')
      while ((await fact('gpu.sampled', facts.length)).devices[0]?.temperatureC !== 61);
      expect(facts.filter(({ type }) => type === 'gpu.xid')).toHaveLength(1)
    },
  )
})

describe('a source by name', () => {
  test.for([
    ['none', ['none']],
    ['kernel-log', ['kernel-log']],
    ['dcgm', ['dcgm']],
    ['nvml', ['nvml']],
    ['nvidia-smi', ['nvidia-smi']],
    ['amd', ['amd']],
  ] as const)('%s is used, whether it works or not', async ([source, expected]) => {
    expect((await open({ source })).names).toEqual(expected)
  })

  test('one that does not work says so as a fact about itself', async () => {
    await open({ source: 'nvidia-smi' })
    expect(await fact('source.failed')).toMatchObject({
      node: 'n',
      source: 'nvidia-smi',
      why: 'exited',
      detail: '/nonexistent/nvidia-smi: ENOENT',
    })
  })

  test('a recording', async () => {
    await open({
      source: 'replay',
      replay: {
        file: fileOf([
          { at: 1, type: 'gpu.lost', node: 'elsewhere', device: 'GPU-1', detail: 'x' },
        ]),
        speed: Infinity,
      },
    })
    expect(await fact('gpu.lost')).toMatchObject({ node: 'n', device: 'GPU-1', detail: 'x' })
  })

  test.for([
    ['nvlm', /^gpu.source: gpu.source is "nvlm"; allowed is auto, nvml/],
    ['replay', /^gpu.replayFile: /],
  ] as const)('%s without what it needs is refused', async ([source, expected]) => {
    const refused = await open({ source: source as SourceName }).catch(
      (error: { path: string; message: string }) => `${error.path}: ${error.message}`,
    )
    expect(refused).toMatch(expected)
  })
})

test('what could not be read goes to the log once in a while; closed, nothing is told', async () => {
  const smi = new FakeSmi()
  smi.write({ rows: [smiRow(0)], raw: ['a remark of the tool'] })
  const telemetry = await open({
    source: 'nvidia-smi',
    nvidiaSmi: { program: smi.program, args: smi.args },
  })
  await fact('gpu.sampled')
  await fact('gpu.sampled', facts.length)
  await fact('gpu.sampled', facts.length)
  expect(warnings).toEqual(['nvidia-smi: a remark of the tool'])
  await telemetry.suspend()
  telemetry.resume()
  await fact('gpu.sampled', facts.length)
  await telemetry.close()
  const told = facts.length
  telemetry.resume()
  expect(facts).toHaveLength(told)
  expect(facts.some(({ type }) => type === 'source.failed')).toBe(false)
})
