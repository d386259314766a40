/**
 * DCGM's diagnostic against a stand-in of `dcgmi`, in the layouts of DCGM 4 and 3 as their sources write them. It never ran on a device.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { SystemClock } from '@health/testkit'
import { createCommandPort, type CommandLine } from '../src/command-port.ts'
import { runDiag, type DiagLevel } from '../src/dcgm-diag.ts'
import { readDiag } from '../src/diag-report.ts'
import { folder, removeFolders } from './recordings.ts'

afterAll(removeFolders)

const clock = new SystemClock()
const program = fileURLToPath(new URL('./stub/fake-dcgmi.mjs', import.meta.url))
const uuid = (number: number): string => `GPU-00000000-0000-0000-0000-00000000000${number}`

/** What `dcgmi discovery -l` prints: the numbers are DCGM's own. */
const discovery = `2 GPUs found (Active).
+--------+----------------------------------------------------------------------+
| GPU ID | Device Information                                                   |
+========+======================================================================+
| 0      | Name: NVIDIA H100 80GB HBM3                                          |
|        | PCI Bus ID: 00000000:1B:00.0                                         |
|        | Device UUID: ${uuid(7)}              |
+--------+----------------------------------------------------------------------+
| 3      | Name: NVIDIA H100 80GB HBM3                                          |
|        | PCI Bus ID: 00000000:1A:00.0                                         |
|        | Device UUID: ${uuid(1)}              |
+--------+----------------------------------------------------------------------+
0 NvSwitches found.
+-----------+
| Switch ID |
+-----------+
`

interface Result {
  readonly gpu: number | null
  readonly status: string
  readonly warning?: string
  readonly severity?: number
}

/** A report of DCGM 4. */
function report(...tests: [category: string, name: string, ...results: Result[]][]): string {
  const categories = tests.map(([category, name, ...results]) => ({
    category,
    tests: [
      {
        name,
        results: results.map(({ gpu, status, warning, severity = 2 }) => ({
          ...(gpu !== null && { entity_group: 'GPU', entity_group_id: 1, entity_id: gpu }),
          status,
          ...(warning && {
            warnings: [{ error_category: 7, error_id: 38, error_severity: severity, warning }],
          }),
        })),
        test_summary: { status: results.at(-1)!.status },
      },
    ],
  }))
  const metadata = { 'Driver Version Detected': '580.95.05', version: '4.2.3' }
  return `${JSON.stringify({ 'DCGM Diagnostic': { test_categories: categories }, entity_groups: [], metadata }, null, 2)}\n`
}

const software: [string, string, Result] = ['Deployment', 'software', { gpu: 3, status: 'Pass' }]
const good = report(
  software,
  ['Hardware', 'memory', { gpu: 3, status: 'Pass' }],
  ['Integration', 'pcie', { gpu: 3, status: 'Skip' }],
)

class FakeDcgmi {
  readonly path = join(folder(), 'script')
  readonly command: CommandLine = [process.execPath, program]
  readonly env = { FAKE_DCGMI: this.path }

  constructor(script: object) {
    writeFileSync(this.path, JSON.stringify({ discovery: { out: discovery }, ...script }))
  }

  get calls(): string[] {
    const file = `${this.path}.calls`
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
  }

  run(
    device: string | null,
    level: DiagLevel = 2,
    limitMs = 20_000,
    signal?: AbortSignal,
  ): ReturnType<typeof runDiag> {
    return runDiag(device, { clock, level, limitMs, command: this.command, env: this.env, signal })
  }
}

describe('the diagnostic', () => {
  test.for([
    [uuid(1), '-i 3'],
    ['pci:0000:1a:00', '-i 3'],
  ] as const)('of %s runs on that device alone, by its number', async ([device, which]) => {
    const dcgmi = new FakeDcgmi({ diag: { out: good } })
    expect(await dcgmi.run(device)).toEqual({
      passed: true,
      detail: 'level 2: 2 passed, 1 skipped, DCGM 4.2.3',
    })
    expect(dcgmi.calls).toEqual(['discovery -l', `diag -r 2 --json ${which}`])
  })

  test('of the whole node runs on all devices', async () => {
    const dcgmi = new FakeDcgmi({ diag: { out: good } })
    expect(await dcgmi.run(null, 3)).toMatchObject({ passed: true })
    expect(dcgmi.calls).toEqual(['diag -r 3 --json'])
  })

  test('never runs beside a device that DCGM does not know', async () => {
    const dcgmi = new FakeDcgmi({ diag: { out: good } })
    const outcome = await dcgmi.run(uuid(2))
    expect(outcome).toEqual({
      passed: false,
      detail: `dcgmi discovery does not name ${uuid(2)}`,
    })
    expect(dcgmi.calls).toEqual(['discovery -l'])
  })

  test.for<[name: string, diag: object, detail: string]>([
    [
      'a test that failed',
      {
        out: report(software, [
          'Hardware',
          'memory',
          { gpu: 3, status: 'Fail', warning: 'GPU 3 failed: uncorrectable ECC', severity: 2 },
        ]),
        code: -51,
      },
      'level 2: memory on GPU 3 failed: GPU 3 failed: uncorrectable ECC (isolate)',
    ],
    [
      'a configuration that it does not like',
      {
        out: report(
          ['Deployment', 'software', { gpu: 3, status: 'Fail', warning: 'off', severity: 5 }],
          ['Hardware', 'memory', { gpu: 3, status: 'Fail' }],
        ),
        code: -30,
      },
      'level 2: software on GPU 3 failed: off (configuration), and 1 more',
    ],
    [
      'a warning',
      { out: report(software, ['Stress', 'power', { gpu: 3, status: 'Warn', warning: 'low' }]) },
      'level 2: power on GPU 3 warns: low (isolate)',
    ],
    [
      'a word that we do not know',
      { out: report(software, ['Stress', 'power', { gpu: 3, status: 'Perhaps' }]) },
      'level 2: power on GPU 3 says "perhaps"',
    ],
    [
      'a report about another device',
      { out: report(['Hardware', 'memory', { gpu: 0, status: 'Pass' }]) },
      'level 2: the report is about GPU 0, not GPU 3',
    ],
    [
      'nothing but software checks',
      { out: report(software, ['Hardware', 'memory', { gpu: 3, status: 'Skip' }]) },
      'skipped: level 2 ran no test of the device (skipped: memory on GPU 3)',
    ],
    ['no test at all', { out: report() }, 'skipped: level 2 ran no test'],
    [
      'passes with a failing exit code',
      { out: good, code: -30 },
      'level 2: exit 226, the diagnostic reported an error',
    ],
    [
      'an error at run time',
      {
        out: '{ "DCGM Diagnostic": { "version": "4.2.3", "runtime_error": "Error: unable\\nto start" } }',
        code: -30,
      },
      'level 2: Error: unable to start',
    ],
    [
      'no host engine',
      {
        out: 'Error: unable to establish a connection to the specified host: localhost\n',
        code: -21,
      },
      'dcgmi diag: no report; exit 235, no connection to the host engine: Error: unable to establish a connection to the specified host: localhost',
    ],
    [
      'another diagnostic',
      { out: 'busy\n', code: -39 },
      'dcgmi diag: no report; exit 217, another diagnostic is running: busy',
    ],
    [
      'a cut report',
      { out: good.slice(0, 300) },
      'dcgmi diag: the report is cut or broken; exit 0',
    ],
    [
      'other JSON',
      { out: '{"a": 1}' },
      'dcgmi diag: the JSON is no report of a diagnostic; exit 0',
    ],
    [
      'a report without end',
      { out: `{${' '.repeat(5 * 1024 * 1024)}}` },
      'dcgmi diag: the report is too long; exit 0',
    ],
    ['silence', {}, 'dcgmi diag: no report; exit 0'],
  ])('%s is no pass', async ([, diag, detail]) => {
    const outcome = await new FakeDcgmi({ diag }).run(uuid(1))
    expect([outcome.passed, outcome.detail.slice(0, detail.length)]).toEqual([false, detail])
  })

  test('level 1 looks at software alone, and may pass by it', async () => {
    const dcgmi = new FakeDcgmi({ diag: { out: report(software) } })
    expect(await dcgmi.run(uuid(1), 1)).toMatchObject({ passed: true })
  })

  test('a tool that is not there, a discovery that fails', async () => {
    const missing = runDiag(uuid(1), { clock, level: 1, limitMs: 5_000, command: ['/no/dcgmi'] })
    expect(await missing).toEqual({
      passed: false,
      detail: 'dcgmi discovery: /no/dcgmi: ENOENT',
    })
    const failing = new FakeDcgmi({ discovery: { error: 'no engine\n', code: -21 } })
    expect(await failing.run(uuid(1))).toEqual({
      passed: false,
      detail: 'dcgmi discovery: exit 235, no connection to the host engine: no engine',
    })
  })

  test('one that hangs is asked to stop first, so that the host engine lets go too', async () => {
    const dcgmi = new FakeDcgmi({ diag: { hang: true, patient: 300 } })
    expect(await dcgmi.run(null, 2, 3_000)).toMatchObject({
      passed: false,
      detail: 'dcgmi diag: ended after 3 s',
    })
    expect(dcgmi.calls.at(-1)).toBe('stopped')
  })

  test('one that is under way when we end is ended, and not waited for', async () => {
    // It would take its time; the host engine's own stop then has to do.
    const dcgmi = new FakeDcgmi({ diag: { hang: true, patient: 20_000 } })
    const end = new AbortController()
    const outcome = dcgmi.run(uuid(1), 4, 60_000, end.signal)
    await expect.poll(() => dcgmi.calls.length).toBe(2)
    end.abort()
    expect(await outcome).toEqual({ passed: false, detail: 'dcgmi diag: ended because we end' })
    expect(dcgmi.calls).not.toContain('stopped')
  })
})

describe('the layout of DCGM 3', () => {
  const old = (status: string): string =>
    JSON.stringify({
      'DCGM GPU Diagnostic': {
        test_categories: [
          {
            category: 'Deployment',
            tests: [
              { name: 'Denylist', results: [{ status: 'Pass' }] },
              { name: 'Persistence Mode', results: [{ gpu_ids: '0,3', status: 'PASS' }] },
            ],
          },
          {
            category: 'Hardware',
            tests: [
              {
                name: 'GPU Memory',
                results: [{ gpu_id: '3', status, info: 'x', warnings: 'Memory is bad' }],
              },
            ],
          },
        ],
      },
    })

  test.for([
    ['Pass', true, 'level 2: 3 passed, 0 skipped'],
    ['Fail', false, 'level 2: GPU Memory on GPU 3 failed: Memory is bad'],
    ['Skip', false, 'skipped: level 2 ran no test of the device (skipped: GPU Memory on GPU 3)'],
  ] as const)('%s', async ([status, passed, detail]) => {
    const dcgmi = new FakeDcgmi({ diag: { out: `Some banner\n${old(status)}` } })
    expect(await dcgmi.run(uuid(1))).toEqual({ passed, detail })
  })

  test('a summary counts where it alone knows of a failure', () => {
    const text = JSON.stringify({
      'DCGM Diagnostic': {
        test_categories: [
          { category: 'Stress', tests: [{ name: 'power', test_summary: { status: 'Fail' } }] },
        ],
      },
    })
    expect(readDiag(text)).toMatchObject({ results: [{ test: 'power', status: 'fail', gpus: [] }] })
  })

  test.for(['[]', '{"DCGM Diagnostic": 5}', '{"DCGM Diagnostic": []}'])(
    '%s is no report',
    (text) => {
      expect(readDiag(text)).toMatch(/^(?:no report|the JSON is no report)/)
    },
  )
})

describe('as the check of a repaired device', () => {
  const node = (code: number): CommandLine => [
    process.execPath,
    '-e',
    `console.log('matrix right'); process.exit(${code})`,
  ]

  test.for<
    [name: string, code: number | null, out: string, passed: boolean, detail: string, calls: number]
  >([
    ['the diagnostic alone', null, good, true, 'level 2: 2 passed, 1 skipped, DCGM 4.2.3', 2],
    [
      'after a command that passed',
      0,
      good,
      true,
      'level 2: 2 passed, 1 skipped, DCGM 4.2.3; matrix right',
      2,
    ],
    ['not after one that failed', 1, good, false, 'exit 1: matrix right', 0],
    ['both must pass', 0, '', false, 'dcgmi diag: no report; exit 0', 2],
  ])('%s', async ([, code, out, passed, detail, calls]) => {
    const dcgmi = new FakeDcgmi({ diag: { out } })
    const port = createCommandPort({
      clock,
      ...(code !== null && { validateCommand: node(code) }),
      dcgmDiag: { level: 2, command: dcgmi.command },
      env: dcgmi.env,
    })
    expect(port.canValidate).toBe(true)
    expect(await port.validate('n', uuid(1))).toEqual({ passed, detail })
    expect(dcgmi.calls).toHaveLength(calls)
  })
})
