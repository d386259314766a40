/** What judging a fleet of GPUs costs: 1 000 nodes of 8 devices, a sample of each node a second. Prints the share of one core. */
import { resolveNodePolicy } from '../src/node-policy.ts'
import type { DeviceSample } from '../src/node-event.ts'
import { Nodes } from '../src/nodes.ts'

const NODES = 1_000
const DEVICES = 8
const SECONDS = 20

const policy = resolveNodePolicy()
let decided = 0
const env = { policy, nextDecision: () => ++decided }
const nodes = new Nodes({ seed: 1 })

/** A healthy, busy device; every 50th node has one that is slowed down by heat. */
function device(node: number, index: number, second: number): DeviceSample {
  const hot = node % 50 === 0 && index === 0
  return {
    uuid: `GPU-${node}-${index}`,
    index,
    pci: `0000:0${index}:00`,
    temperatureC: 60 + ((second + index) % 10),
    memoryTemperatureC: 70,
    memoryMaxC: 95,
    marginC: 30,
    slowdownMarginC: -2,
    smClockMHz: 1900,
    maxSmClockMHz: 1980,
    throttle: hot ? 0x48 : 0x4,
    throttleMs: { hw_thermal_slowdown: hot ? second * 1000 : 0, hw_power_brake_slowdown: 0 },
    powerW: 650,
    eccVolatileUncorrected: 0,
    rowRemapPending: false,
    rowRemapFailed: false,
    recoveryAction: 'none',
    pcieGen: 5,
    pcieMaxGen: 5,
    pcieWidth: 16,
    pcieMaxWidth: 16,
    pcieReplays: second,
    nvlinkErrors: 0,
    utilisationPercent: 99,
    memoryUsedMiB: 70_000,
  }
}

let judged = 0
let spent = 0
for (let second = 1; second <= SECONDS; second++) {
  // Built beforehand: reading and parsing is the source's cost, not the core's.
  const samples = Array.from({ length: NODES }, (_, node) =>
    Array.from({ length: DEVICES }, (_device, index) => device(node, index, second)),
  )
  const begin = process.cpuUsage()
  for (const [node, devices] of samples.entries())
    nodes.step({ type: 'gpu.sampled', node: `node-${node}`, devices, at: second * 1000 }, env)
  const { user, system } = process.cpuUsage(begin)
  spent += (user + system) / 1000
  judged += NODES * DEVICES
}
const share = spent / SECONDS / 10
console.log(`nodes ${NODES}, devices ${DEVICES} each, one sample a second`)
console.log(`CPU per device sample  ${((spent * 1000) / judged).toFixed(2)} µs`)
console.log(`share of one core      ${share.toFixed(1)} %   (goal: at most 20 %)`)
console.log(
  `snapshot               ${(JSON.stringify(nodes.snapshot()).length / NODES / DEVICES).toFixed(0)} B a device`,
)
