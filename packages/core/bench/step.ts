/**
 * What the core costs per second and per runner: state changes with their decisions, routine checks, place and judge, memory, slices of
 * a snapshot. `node --expose-gc packages/core/bench/step.ts`; the best of some rounds, runners in random order so that caches are honest.
 */
import {
  beginSnapshot,
  createFleet,
  type Fleet,
  judge,
  nextDue,
  place,
  restore,
  type RunnerHandle,
  snapshot,
  step,
} from '../src/index.ts'

const APP = 'bench/app'
const sizes = [1, 1_000, 10_000, 100_000]
/** Ms of processor time of this thread: what others do on the machine meanwhile does not count. */
const cpu = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
const collect = (): void => (globalThis as { gc?: () => void }).gc?.()

/** `size` ready runners, past their start period; their first checks answered. */
function fleetOf(size: number, slots = 1): Fleet {
  const fleet = createFleet({}, { seed: 1 })
  step(fleet, {
    type: 'app.configured',
    at: 0,
    app: APP,
    options: {
      healthCheck: { path: '/health', startPeriodSeconds: 1 },
      startupTimeoutSeconds: 1,
      minConcurrency: size,
      maxConcurrency: size,
      maxMultiplexing: slots,
    },
    policy: { maxConcurrentProbes: 100_000 },
    revision: 'r1',
  })
  for (const [runner, record] of fleet.runners) {
    const life = { runner, incarnation: 1 }
    step(fleet, { type: 'process.started', at: 1, ...life, pid: 1, url: 'http://127.0.0.1:1' })
    step(fleet, {
      type: 'probe.passed',
      at: 1,
      ...life,
      probe: record.flying,
      kind: 'port',
      latencyMs: 1,
    })
    step(fleet, {
      type: 'probe.passed',
      at: 1,
      ...life,
      probe: record.flying,
      kind: 'regular',
      latencyMs: 1,
    })
  }
  return fleet
}

function shuffled<T>(list: readonly T[]): T[] {
  const out = [...list]
  let seed = 1
  for (let i = out.length - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    const j = seed % (i + 1)
    ;[out[i], out[j]] = [out[j]!, out[i]!]
  }
  return out
}

/** Rounds within about two seconds; per second of the best. */
function best(count: number, round: () => void): number {
  let fastest = Number.POSITIVE_INFINITY
  const until = performance.now() + 2_000
  for (let i = 0; i < 3 || (performance.now() < until && i < 200); i++) {
    const begun = cpu()
    round()
    fastest = Math.min(fastest, cpu() - begun)
  }
  return (count / fastest) * 1_000
}

/** A 500, its TCP check, its pass: two changes of state, two decisions. */
function changes(size: number): number {
  const fleet = fleetOf(size)
  const runners = shuffled([...fleet.runners.values()])
  // Long rounds: the processor time of a thread is told in steps of some milliseconds.
  const repeat = Math.max(1, Math.floor(100_000 / size))
  let decisions = 0
  const rate = best(runners.length * repeat * 2, () => {
    for (let i = 0; i < repeat; i++) {
      for (const runner of runners) {
        const life = { runner: runner.id, incarnation: 1 }
        // A pass younger than a second would be used again.
        runner.tcpPassedAt = -1
        decisions += step(fleet, {
          type: 'attempt.ended',
          at: 11,
          ...life,
          app: APP,
          request: 'q',
          attempt: 1,
          mode: 'run',
          outcome: 'error',
          status: 500,
          inFlight: 0,
        }).decisions.length
        decisions += step(fleet, {
          type: 'probe.passed',
          at: 11,
          ...life,
          probe: runner.flying,
          kind: 'tcp',
          latencyMs: 1,
        }).decisions.length
      }
    }
  })
  if (decisions === 0) throw new Error('nothing changed')
  return rate
}

/** Checks that fall due and pass: nothing changes, nothing is written down. */
function routine(size: number): number {
  const fleet = fleetOf(size)
  const { runners } = fleet
  let probes = 0
  let spent = 0
  const budget = performance.now() + 3_000
  while (performance.now() < budget && probes < 3_000_000) {
    const at = nextDue(fleet)
    const begun = cpu()
    for (const command of step(fleet, { type: 'time.passed', at }).commands) {
      if (command.type !== 'probe') continue
      probes++
      step(fleet, {
        type: 'probe.passed',
        at,
        runner: command.runner,
        incarnation: 1,
        probe: command.probe,
        kind: 'regular',
        latencyMs: 1,
      })
    }
    spent += cpu() - begun
  }
  if (runners.size !== size) throw new Error('a runner was lost')
  return (probes / spent) * 1_000
}

/** A slot taken and given back by a healthy answer. */
function traffic(size: number, slots: number): number {
  const fleet = fleetOf(size, slots)
  const held: RunnerHandle[] = []
  const busy = Math.floor((size * slots) / 2)
  for (let i = 0; i < busy; i++) held.push(place(fleet, APP))
  const count = 1_000_000
  let turn = 0
  return best(count, () => {
    for (let i = 0; i < count; i++) {
      const taken = place(fleet, APP)
      if (taken < 0) throw new Error('no slot is free')
      if (busy === 0) judge(fleet, taken, 1, 'healthy', undefined, true)
      else {
        judge(fleet, held[turn]!, 1, 'healthy', undefined, true)
        held[turn] = taken
        turn = turn + 1 === busy ? 0 : turn + 1
      }
    }
  })
}

function memory(size: number): number {
  collect()
  const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  const fleet = fleetOf(size)
  collect()
  const bytes = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers - before
  if (fleet.runners.size !== size) throw new Error('lost')
  return bytes / size
}

function snapshots(size: number): {
  begin: number
  slice: number
  whole: number
  restored: number
} {
  const fleet = fleetOf(size)
  // A pause is what a clock on the wall sees, collections of garbage included.
  const timed = (what: () => void): number => {
    const begun = performance.now()
    what()
    return performance.now() - begun
  }
  let begin = 0
  let slice = 0
  for (let round = 0; round < 5; round++) {
    let writer = beginSnapshot(fleet)
    writer.close()
    begin = Math.max(
      begin,
      timed(() => (writer = beginSnapshot(fleet))),
    )
    for (let done = false; !done;)
      slice = Math.max(
        slice,
        timed(() => (done = writer.piece(500) === null)),
      )
  }
  let whole = Number.POSITIVE_INFINITY
  let restored = Number.POSITIVE_INFINITY
  const json = JSON.stringify(snapshot(fleet))
  for (let round = 0; round < 3; round++) {
    whole = Math.min(
      whole,
      timed(() => snapshot(fleet)),
    )
    restored = Math.min(
      restored,
      timed(() => restore(JSON.parse(json))),
    )
  }
  return { begin, slice, whole, restored }
}

const only = process.argv[2]
const wants = (part: string): boolean => only === undefined || only === part
const millions = (rate: number): string => `${(rate / 1e6).toFixed(2)} M/s`
const table = (name: string, row: (size: number) => string): void =>
  console.log(name.padEnd(34), ...sizes.map((size) => row(size).padStart(14)))

console.log('runners'.padEnd(34), ...sizes.map((size) => String(size).padStart(14)))
// First, while the heap holds nothing that the other parts left.
if (wants('memory')) table('bytes per idle runner', (size) => memory(size).toFixed(0))
if (wants('changes')) table('state changes, decisions built', (size) => millions(changes(size)))
if (wants('routine')) table('routine checks, nothing changes', (size) => millions(routine(size)))
if (wants('traffic')) {
  table('place and judge, 1 slot each', (size) => millions(traffic(size, 1)))
  table('place and judge, 4 slots each', (size) => millions(traffic(size, 4)))
}
if (wants('snapshot')) {
  table('snapshot: begin, longest slice (ms)', (size) => {
    const { begin, slice } = snapshots(size)
    return `${begin.toFixed(1)} ${slice.toFixed(1)}`
  })
  table('snapshot: whole, restore (ms)', (size) => {
    const { whole, restored } = snapshots(size)
    return `${whole.toFixed(1)} ${restored.toFixed(0)}`
  })
}
