// The `gpu` section: what it becomes, and the one line that each mistake in it gets.
import { HealthError } from '@health/core'
import { expect, test } from 'vitest'
import { resolveConfig, type Config } from '../src/config.ts'
import { nodeFact } from '../src/gpu-fact.ts'

const app = { command: ['node', 'x.mjs'], healthCheck: { path: '/health' } }
const read = (gpu: object, policy: object = {}): Config =>
  resolveConfig(
    { gpu, policy, apps: { 'a/b': app } },
    '/etc/health/health.config.yaml',
    {},
    {
      env: {},
      cwd: '/',
      caller: '/',
    },
  )

test('paths start at the file, bare programs do not', () => {
  const { gpu } = read({
    source: 'replay',
    replayFile: 'day.jsonl',
    resetCommand: ['./reset.sh', '{device}', './x'],
    rebootCommand: ['systemctl', 'reboot'],
    xid: { 79: 'reset' },
  })
  expect(gpu).toEqual({
    source: 'replay',
    intervalSeconds: 10,
    replayFile: '/etc/health/day.jsonl',
    replaySpeed: 1,
    resetCommand: ['/etc/health/reset.sh', '{device}', './x'],
    rebootCommand: ['systemctl', 'reboot'],
    validateCommand: null,
    dcgmDiagLevel: 0,
    dcgmDiagCommand: null,
    dcgmUrl: null,
    xid: { 79: 'reset' },
  })
})

test.for<readonly [gpu: object, path: string, text: RegExp]>([
  [
    { source: 'nvsmi' },
    'gpu.source',
    /"nvml" or "nvidia-smi" or "dcgm" or "kernel-log" or "amd" or "replay" or "none"/,
  ],
  [{ source: 'replay' }, 'gpu.replayFile', /is missing; allowed is the file of a recording/],
  [{ replaySpeed: 0 }, 'gpu.replaySpeed', /> 0/],
  [{ intervalSeconds: 0.01 }, 'gpu.intervalSeconds', /≥ 0.1/],
  [{ resetCommand: 'nvidia-smi -r' }, 'gpu.resetCommand', /not shown.*no shell/],
  [{ rebootCommand: [] }, 'gpu.rebootCommand', /list of texts/],
  [{ validateCommand: ['x', 1] }, 'gpu.validateCommand', /list of texts/],
  [{ dcgmDiagLevel: 5 }, 'gpu.dcgmDiagLevel', /≤ 4/],
  [{ dcgmDiagLevel: 1.5 }, 'gpu.dcgmDiagLevel', /whole number/],
  [{ dcgmDiagCommand: 'dcgmi' }, 'gpu.dcgmDiagCommand', /no shell/],
  [{ xid: { 79: 'restart' } }, 'gpu.xid.79', /allowed is .* or "restart_runner" or /],
  [{ xid: { seventy: 'reset' } }, 'gpu.xid.seventy', /is not an Xid/],
  [{ xid: ['reset'] }, 'gpu.xid', /an object/],
  [{ dcgmUrl: 'ftp://x' }, 'gpu.dcgmUrl', /http or https/],
  [{ dcgmUrl: 'http://me:secret@x' }, 'gpu.dcgmUrl', /^(?!.*secret).*http or https/],
  [{ resetCommands: ['x'] }, 'gpu.resetCommands', /nearest is resetCommand/],
])('%j is refused at %s', ([gpu, path, text]) => {
  let refused: unknown
  try {
    read(gpu)
  } catch (error) {
    refused = error
  }
  expect(refused).toBeInstanceOf(HealthError)
  expect((refused as HealthError).path).toBe(path)
  expect((refused as HealthError).message).toMatch(text)
})

test.for([
  [{ source: 'nvml', replayFile: 'x' }, /replayFile has no effect/],
  [{ source: 'nvml', dcgmUrl: 'http://x' }, /dcgmUrl has no effect/],
  [{ dcgmDiagCommand: ['dcgmi'] }, /dcgmDiagCommand has no effect/],
  [{ dcgmDiagLevel: 4 }, /raise policy.nodeValidateTimeoutSeconds/],
  [{ resetCommand: ['x', '{gpu}'] }, /\{gpu\} is not replaced/],
] as const)('%j is warned of', ([gpu, text]) => {
  expect(read(gpu).warnings).toEqual([expect.stringMatching(text)])
})

test('a node is told what can be done to it and by what it is judged', () => {
  expect(nodeFact(read({}))).toEqual({
    type: 'node.configured',
    node: 'local',
    devices: [],
    canReset: false,
    canReboot: false,
    canValidate: false,
    policy: { telemetryStalledSeconds: 30 },
  })
  const fact = nodeFact(
    read(
      { intervalSeconds: 60, resetCommand: ['r'], validateCommand: ['v'], xid: { 31: 'record' } },
      { tempHighC: 70, drainTimeoutSeconds: 5, poisonThreshold: 2, dryRun: ['temp.high'] },
    ),
    'boot-1',
  )
  expect(fact).toMatchObject({ canReset: true, canReboot: false, canValidate: true })
  expect(fact).toMatchObject({ boot: 'boot-1' })
  expect(nodeFact(read({ dcgmDiagLevel: 1 }))).toMatchObject({ canValidate: true })
  expect(fact.policy).toEqual({
    telemetryStalledSeconds: 180,
    tempHighC: 70,
    drainTimeoutSeconds: 5,
    dryRun: ['temp.high'],
    xid: { 31: 'record' },
  })
  expect(nodeFact(read({}, { telemetryStalledSeconds: 5 })).policy).toEqual({
    telemetryStalledSeconds: 5,
  })
})
