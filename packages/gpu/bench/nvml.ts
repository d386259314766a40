/**
 * CPU of one sample of 8 devices by NVML, against the stand-in library: what our side costs, the driver's own time apart. Prints
 * the child's way (library, JSON) and the parent's (line to fact).
 */
import { NvmlLibrary } from '../src/nvml-library.ts'
import { removeFolders } from '../test/recordings.ts'
import { buildStub, healthy, StubScript } from '../test/stub-library.ts'

const DEVICES = 8
const SAMPLES = 2_000

const stub = buildStub()
if ('missing' in stub) {
  console.log(`skipped: ${stub.missing}`)
  process.exit(0)
}
const script = new StubScript()
script.write(Array.from({ length: DEVICES }, () => healthy))
// Writing to process.env reaches the C environment that the stand-in reads.
Object.assign(process.env, script.env)

const nvml = new NvmlLibrary(stub.library)
nvml.enumerate()
const once = (): string =>
  `${JSON.stringify({ type: 'sample', devices: nvml.devices.map((device) => nvml.read(device)) })}\n`
for (let i = 0; i < 200; i++) once()

function measure(what: string, act: () => unknown): number {
  const begin = process.cpuUsage()
  const from = performance.now()
  for (let i = 0; i < SAMPLES; i++) act()
  const { user, system } = process.cpuUsage(begin)
  const cpu = (user + system) / 1000 / SAMPLES
  const wall = (performance.now() - from) / SAMPLES
  console.log(`${what.padEnd(28)} ${cpu.toFixed(3)} ms CPU, ${wall.toFixed(3)} ms wall`)
  return cpu
}

console.log(`NVML through FFI, ${DEVICES} devices, ${SAMPLES} samples, stand-in library`)
const child = measure('child: read and write', once)
const line = once()
const parent = measure('parent: parse', () => JSON.parse(line))
console.log(`together ${(child + parent).toFixed(3)} ms a sample   (goal: at most 1 ms)`)
nvml.close()
removeFolders()
