// The sample check of examples/gpu-check.py: what it says on a machine without a GPU, and against stand-ins of the CUDA driver and of
// PyTorch that are right, wrong, broken or do not come back. No test here ever saw a device.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { createCommandPort } from '@health/gpu'
import { SystemClock } from '@health/testkit'
import { call, root, until } from './gateway-process.ts'
import { GpuScene } from './gpu-scene.ts'

const program = join(root, 'apps/gateway/examples/gpu-check.py')
const here = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'gpu-check-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const missing = prepare()
if (missing !== null && process.env['CI'] === 'true')
  throw new Error(`The sample check cannot be tested here: ${missing}`)
if (missing !== null) console.log(`skipped: the sample check of a GPU, ${missing}`)

/** Builds the stand-ins; a sentence when something is missing for that. */
function prepare(): string | null {
  if (spawnSync('python3', ['--version']).status !== 0) return 'no python3'
  if (spawnSync('gcc', ['--version']).status !== 0) return 'no gcc'
  compile(join(folder, 'libcuda.so.1'), here('cuda-stub.c'))
  mkdirSync(join(folder, 'empty'))
  compile(join(folder, 'empty', 'libcuda.so.1'), '-xc', '/dev/null')
  return null
}

function compile(library: string, ...source: string[]): void {
  const options = ['-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror', '-o', library]
  execFileSync('gcc', [...options, ...source])
}

interface Said {
  readonly code: number | null
  readonly lines: readonly string[]
}

function run(args: readonly string[], env: Readonly<Record<string, string>>): Said {
  const { status, stdout, stderr } = spawnSync('python3', ['-B', program, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  expect(stderr).toBe('')
  return { code: status, lines: stdout.trimEnd().split('\n') }
}
const small = ['--size', '40', '--rounds', '4']
const driver = (mode: string, args: readonly string[] = []): Said =>
  run([...small, '--with', 'driver', ...args], { LD_LIBRARY_PATH: folder, CUDA_STUB: mode })
const torch = (mode: string, args: readonly string[] = []): Said =>
  run([...small, ...args], { PYTHONPATH: here('fake-torch'), TORCH_STUB: mode })

describe.skipIf(missing !== null)('the sample check', () => {
  test('without a driver it says that there is no CUDA device, by its own exit code', () => {
    const { code, lines } = run(['--with', 'driver'], {})
    expect(code).toBe(3)
    expect(lines).toEqual([expect.stringMatching(/^no CUDA device: libcuda\.so\.1: /)])
  })

  describe('by the driver', () => {
    test('every cell of every round on every device, or on the one that is named', () => {
      const { code, lines } = driver('')
      expect([code, lines]).toEqual([
        0,
        [
          expect.stringMatching(/^device 0 \(Stub A\): 4 rounds right, checksum [0-9a-f]{8}$/),
          expect.stringMatching(/^device 1 \(Stub B\): 4 rounds right, checksum [0-9a-f]{8}$/),
          'passed: 2 devices by the driver',
        ],
      ])
      // The same matrices always: the checksum of a size is one number.
      expect(lines[0]!.slice(-8)).toBe(lines[1]!.slice(-8))
      const one = driver('', ['--device', 'GPU-5'])
      expect(one.lines).toEqual([
        `device 0 (Stub GPU-5): 4 rounds right, checksum ${lines[0]!.slice(-8)}`,
        'passed: 1 device by the driver',
      ])
    })

    test.for([
      ['nodevice', 3, 'no CUDA device: cuInit says CUDA_ERROR_NO_DEVICE (100)'],
      ['none', 3, 'no CUDA device: the driver names none'],
      ['wrong', 1, 'wrong result on device 0 (Stub A), round 3: 1 of 40 rows, the first is row 5'],
      ['launch', 4, 'driver error: cuCtxSynchronize says CUDA_ERROR_LAUNCH_FAILED (719)'],
      ['ecc', 4, 'driver error: cuMemcpyDtoH_v2 says CUDA_ERROR_ECC_UNCORRECTABLE (214)'],
      ['compile', 4, 'driver error: cuModuleLoadData says CUDA_ERROR_INVALID_PTX (218)'],
    ] as const)('%s: exit %d', ([mode, code, text]) => {
      const said = driver(mode)
      expect([said.code, said.lines.at(-1)]).toEqual([code, text])
    })

    test('one that does not come back is ended at the time limit', () => {
      const { code, lines } = driver('hang', ['--seconds', '0.5'])
      expect([code, lines]).toEqual([5, ['time limit: no answer within 0.5 s']])
    })

    test('a library without the calls is a broken driver, not a crash', () => {
      const { code, lines } = run(['--with', 'driver'], { LD_LIBRARY_PATH: join(folder, 'empty') })
      expect(code).toBe(4)
      expect(lines).toEqual([expect.stringMatching(/^driver error: the library lacks .*cuInit/)])
    })
  })

  describe('by PyTorch, where it is installed', () => {
    test.for([
      ['', 0, 'passed: 1 device by PyTorch'],
      ['none', 3, 'no CUDA device: PyTorch sees none'],
      ['wrong', 1, 'wrong result on device 0 (Stub all), round 2: not what round 1 gave'],
      [
        'error',
        4,
        'driver error on device 0 (Stub all): CUDA error: an illegal memory access was encountered',
      ],
    ] as const)('"%s": exit %d', ([mode, code, text]) => {
      const said = torch(mode)
      expect([said.code, said.lines.at(-1)]).toEqual([code, text])
    })

    test.for([
      ['GPU-4b2c1a9f8d3e6f7a', 'GPU-4b2c1a9f8d3e6f7a'],
      ['amd-3', '3'],
      ['GPU-00000000-0000-0000-0000-000000000001', 'GPU-00000000-0000-0000-0000-000000000001'],
    ] as const)('%s is told to the runtime as %s', ([device, name]) => {
      expect(torch('', ['--device', device]).lines[0]).toBe(
        `device 0 (Stub ${name}): 4 rounds right`,
      )
    })
  })

  test.for([
    ['--size', '4097'],
    ['--rounds', '0'],
    ['--seconds', '0'],
    ['--with', 'luck'],
  ])('%j is refused with exit 2', (args) => {
    const { status, stderr } = spawnSync('python3', ['-B', program, ...args], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toMatch(/error: .*(size|rounds|seconds|with)/)
  })

  test.for([
    ['', true, 'passed: 1 device by the driver'],
    ['wrong', false, 'exit 1: wrong result on device 0 (Stub GPU-7), round 3: 1 of 40 rows'],
    ['nodevice', false, 'exit 3: no CUDA device'],
  ] as const)('as gpu.validateCommand, "%s": %s', async ([mode, passed, detail]) => {
    const port = createCommandPort({
      clock: new SystemClock(),
      validateCommand: ['python3', program, ...small, '--with', 'driver', '--device', '{device}'],
      env: { LD_LIBRARY_PATH: folder, CUDA_STUB: mode },
    })
    expect(await port.validate('local', 'GPU-7')).toEqual({
      passed,
      detail: expect.stringContaining(detail),
    })
  })

  test('as an app’s invasive check it runs when the device is free, and a wrong result ends the runner', async () => {
    await using scene = new GpuScene()
    const broken = scene.path('broken')
    // The device breaks when the test says so: the stand-in reads its mode from a wrapper that looks.
    writeFileSync(
      scene.path('check.sh'),
      `#!/bin/sh\n[ -e ${broken} ] && export CUDA_STUB=wrong\nexport LD_LIBRARY_PATH=${folder}\nexec python3 -B ${program} ${small.join(' ')} --with driver\n`,
      { mode: 0o755 },
    )
    scene.configure(
      { source: 'none' },
      {
        app: {
          command: ['node', here('gpu-runner.mjs')],
          env: { CHECK: JSON.stringify([scene.path('check.sh')]) },
          minConcurrency: 1,
          healthCheck: { path: '/health', callRegularly: false, timeoutSeconds: 20 },
        },
      },
    )
    await scene.start()
    const runners = async (): Promise<{ id: string; state: string; inFlight: number }[]> =>
      (await call(scene.url, '/v1/runners')).value.runners
    const [first] = await until(runners, (all) => all[0]?.state === 'ready')
    const log = (): string => readFileSync(scene.path(`data/logs/${first!.id}.log`), 'utf8')
    const check = async (): Promise<void> => {
      const asked = await call(scene.url, `/v1/runners/${first!.id}/check`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"manual":true}',
      })
      expect(asked.status).toBe(202)
    }
    // A request is under way: the check waits until the device is free.
    const request = call(scene.url, '/run/gpu/app?ms=1500', { method: 'POST' })
    await until(runners, (all) => all[0]?.inFlight === 1)
    await check()
    expect((await request).status).toBe(200)
    await until(
      () => Promise.resolve(log()),
      (text) => text.includes('check beside'),
    )
    expect(log()).toMatch(/check beside 0 requests: exit 0, passed: 2 devices by the driver\n/)
    expect((await runners())[0]).toMatchObject({ id: first!.id, state: 'ready' })

    writeFileSync(broken, '')
    await check()
    const ended = await until(
      async () => (await call(scene.url, `/v1/runners/${first!.id}`)).value,
      ({ state }) => state === 'terminated',
    )
    expect(ended).toMatchObject({ reason: 'manual_health_check_failed' })
    expect(log()).toMatch(/exit 1, wrong result on device 0 \(Stub A\), round 3/)
  }, 120_000)
})
