/**
 * The child process that talks to NVML: samples and events as JSON lines on its output, until its input closes or it is told to
 * end. It judges nothing and never lives longer than whoever started it.
 */
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { eventTypes, returnNames } from './nvml-field.ts'
import { NvmlLibrary } from './nvml-library.ts'

/** One line of the child's output. */
export type ProbeLine =
  | { readonly type: 'hello'; readonly devices: number; readonly events: boolean }
  | { readonly type: 'sample'; readonly devices: readonly Record<string, unknown>[] }
  | { readonly type: 'xid'; readonly uuid: string | null; readonly xid: number }
  | { readonly type: 'lost'; readonly uuid: string }
  | { readonly type: 'silent'; readonly uuid: string; readonly detail: string }
  /** The driver counts a device that it cannot name. */
  | { readonly type: 'unread'; readonly index: number; readonly detail: string }
  | { readonly type: 'failed'; readonly detail: string }

const WAIT_MS = 500
const FIND_AGAIN_MS = 60_000
const [library = 'libnvidia-ml.so.1', interval = '10000'] = process.argv.slice(2)
const intervalMs = Number(interval)
let ending = false

function say(line: ProbeLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function open(): NvmlLibrary | null {
  try {
    return new NvmlLibrary(library)
  } catch (error) {
    say({ type: 'failed', detail: error instanceof Error ? error.message : String(error) })
    return null
  }
}

/** One sample of all devices, lost ones named apart. Answers how many could be read. */
function sample(nvml: NvmlLibrary): number {
  const devices: Record<string, unknown>[] = []
  for (const device of nvml.devices) {
    const reading = nvml.read(device)
    if (reading.kind === 'sample')
      devices.push(reading.sample as unknown as Record<string, unknown>)
    else if (reading.kind === 'lost') say({ type: 'lost', uuid: device.uuid })
    else
      say({
        type: 'silent',
        uuid: device.uuid,
        detail: returnNames[reading.code] ?? `code ${reading.code}`,
      })
  }
  say({ type: 'sample', devices })
  return devices.length
}

/** Waits a moment, at most until `due`. True when the driver reported something meanwhile. Blocks this process, not its parent. */
async function listen(nvml: NvmlLibrary, events: boolean, due: number): Promise<boolean> {
  const left = Math.max(1, Math.min(WAIT_MS, Math.ceil(due - performance.now())))
  if (!events) {
    await sleep(left)
    return false
  }
  const event = nvml.wait(left)
  // Signals and a closed input are only seen between two waits.
  await turn()
  if (event?.type === eventTypes.xid)
    say({ type: 'xid', uuid: event.device?.uuid ?? null, xid: event.data })
  return event !== null
}

/** Looks for the devices, and names those that do not answer. */
function find(nvml: NvmlLibrary): void {
  nvml.enumerate()
  for (const { index, code } of nvml.unread)
    say({ type: 'unread', index, detail: returnNames[code] ?? `code ${code}` })
}

async function run(nvml: NvmlLibrary): Promise<void> {
  find(nvml)
  let events = nvml.listen()
  let foundAt = performance.now()
  let most = 0
  say({ type: 'hello', devices: nvml.devices.length, events })
  let due = performance.now()
  while (!ending) {
    const read = sample(nvml)
    most = Math.max(most, nvml.devices.length)
    if (read < most && performance.now() - foundAt > FIND_AGAIN_MS) {
      // A device that was reset has another handle. Looking for it is costly, so not at every sample.
      find(nvml)
      events = nvml.listen()
      foundAt = performance.now()
    }
    due = Math.max(due + intervalMs, performance.now())
    // What the driver reports is worth a look at once.
    while (!ending && performance.now() < due) if (await listen(nvml, events, due)) sample(nvml)
  }
}

const end = (): void => {
  ending = true
}
process.on('SIGTERM', end).on('SIGINT', end)
process.stdin.on('end', end).on('error', end).resume()
process.stdout.on('error', end)

const nvml = open()
if (nvml === null) process.exitCode = 1
else {
  try {
    await run(nvml)
  } catch (error) {
    say({ type: 'failed', detail: error instanceof Error ? error.message : String(error) })
    process.exitCode = 1
  } finally {
    nvml.close()
  }
}
process.stdin.destroy()
