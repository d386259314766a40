/** The whole way: a driver that reports a fault, a node that is drained, a command that resets, a proof, and back in service. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Nodes, resolveNodePolicy, type NodeEvent, type NodesStep } from '@health/core'
import { SystemClock } from '@health/testkit'
import { createCommandPort } from '../src/command-port.ts'
import { Remediation, type NodeCommand } from '../src/remediation.ts'
import { createTelemetry } from '../src/telemetry.ts'
import { folder, removeFolders } from './recordings.ts'
import { buildStub, healthy, StubScript } from './stub-library.ts'

afterAll(removeFolders)

const stub = buildStub()
const library = 'library' in stub ? stub.library : null
if (library === null)
  console.log(`skipped: the whole way, ${'missing' in stub ? stub.missing : ''}`)

const performed = new Set<string>([
  'cordon',
  'uncordon',
  'reset',
  'reboot',
  'validate',
  'escalate',
  'retire',
])

test.skipIf(library === null)('an Xid 48 is drained, reset, proved and forgotten', async () => {
  const clock = new SystemClock()
  const script = new StubScript()
  script.write([healthy, healthy])
  const trace = join(folder(), 'trace')
  const policy = resolveNodePolicy({ healthyDelaySeconds: 0.3 })
  let decided = 0
  const env = { policy, nextDecision: () => ++decided }
  const nodes = new Nodes({ seed: 1 })
  const states: string[] = []
  const told: string[] = []
  let changed: () => void = () => {}

  const telemetry = await createTelemetry({
    clock,
    node: 'local',
    source: 'nvml',
    intervalSeconds: 0.1,
    kernelLog: false,
    nvml: { library: library!, env: script.env },
  })
  // The reset: it sees that nothing of ours holds the driver, and heals the device.
  const reset = `
    const fs = require('fs')
    fs.appendFileSync(process.argv[1], 'reset ' + process.argv[2] + (fs.existsSync(process.argv[3]) ? ', driver is free' : ', driver is held'))`
  const port = createCommandPort({
    clock,
    resetCommand: [process.execPath, '-e', reset, trace, '{device}', script.shutdown],
    validateCommand: [process.execPath, '-e', ''],
  })
  const remediation = new Remediation({ clock, port, telemetry, report: (fact) => take(fact) })

  function take(fact: NodeEvent): void {
    absorb(nodes.step(fact, env))
  }
  function absorb({ commands, decisions, effects }: NodesStep): void {
    for (const { to, rule } of decisions) states.push(`${to} ${rule}`)
    for (const effect of effects) {
      if (effect.type !== 'runner.drain') continue
      told.push(effect.runner)
      // It ends at once; the fleet would say so.
      absorb(nodes.vacate(effect.runner, clock.now(), env))
    }
    for (const command of commands)
      if (performed.has(command.type)) remediation.perform(command as NodeCommand)
    changed()
  }
  const state = async (wanted: string): Promise<void> => {
    while (nodes.view('local')?.state !== wanted) {
      const due = nodes.nextDue()
      await new Promise<void>((resolve) => {
        changed = resolve
        clock.after(Math.max(1, Math.min(due - clock.now(), 50)), resolve)
      })
      absorb(nodes.elapse(clock.now(), env))
    }
  }

  take({
    type: 'node.configured',
    at: clock.now(),
    node: 'local',
    devices: [],
    canReset: port.canReset,
    canReboot: port.canReboot,
    canValidate: port.canValidate,
  })
  let sampled: () => void = () => {}
  const first = new Promise<void>((resolve) => (sampled = resolve))
  telemetry.listen((fact) => {
    take(fact as NodeEvent)
    if (fact.type === 'gpu.sampled') sampled()
  })
  await first
  const place = nodes.place(1)!
  nodes.occupy('r0', place)
  expect(place.node).toBe('local')

  script.write([{ ...healthy, xid: '48:1' }, healthy])
  await state('validating')
  await state('healthy')
  expect(told).toEqual(['r0'])
  expect(states).toEqual([
    'cordoned xid',
    'draining node.drain',
    'resetting node.reset',
    'validating node.validate',
    'healthy node.uncordon',
  ])
  expect(readFileSync(trace, 'utf8')).toBe(`reset ${place.devices[0]}, driver is free`)
  expect(nodes.view('local')?.devices.map((device) => device.state)).toEqual(['healthy', 'healthy'])
  await telemetry.close()
  await remediation.close()
})
