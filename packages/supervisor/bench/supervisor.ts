/**
 * What the supervisor costs: facts through the whole loop with a journal on disk, a restart by replay, and the longest pause while a
 * snapshot of a large fleet is written. Run: `node --conditions=@health/source packages/supervisor/bench/supervisor.ts [runners]`.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { views } from '@health/core'
import { FakeHost, FakeProber, ManualClock } from '@health/testkit'
import { startSupervisor, type Supervisor, type Untimed } from '../src/index.ts'

const runners = Number(process.argv[2] ?? 10_000)
const dataDir = mkdtempSync(join(tmpdir(), 'bench-'))
const clock = new ManualClock()
const start = (): Promise<Supervisor> =>
  startSupervisor({
    dataDir,
    clock,
    seed: 1,
    host: (at) => {
      const host = new FakeHost(at)
      host.adopt = () => Promise.resolve(true)
      return host
    },
    prober: (at) => new FakeProber(at),
    launchOf: () => ({ command: ['runner'], cwd: '/', env: {} }),
    snapshotSeconds: 1e6,
    journal: { segmentBytes: 1 << 30 },
    log: () => {},
  })
const print = (what: string, value: number, unit: string): void =>
  console.log(`${what.padEnd(56)} ${value.toFixed(value < 10 ? 2 : 0).padStart(10)} ${unit}`)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

try {
  let supervisor = await start()
  // One app of all runners, started at once; the fake host starts them in no time.
  let began = performance.now()
  supervisor.tell({
    type: 'app.configured',
    app: 'bench/app',
    options: { minConcurrency: runners, maxConcurrency: runners, healthCheck: { path: '/' } },
    policy: { startsPerSecond: 1000 },
    revision: '1',
  })
  while ([...views(supervisor.fleet, { states: new Set(['ready']) })].length < runners) {
    for (let i = 0; i < 20; i++) await turn()
    clock.advance(10)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  print(`${runners} runners, started and ready`, performance.now() - began, 'ms')

  const [first] = views(supervisor.fleet)
  const told = async (what: string, count: number, fact: (i: number) => Untimed): Promise<void> => {
    const from = supervisor.fleet.seq
    const since = performance.now()
    for (let i = 0; i < count; i++) {
      supervisor.tell(fact(i))
      if (i % 1_000 === 999) await turn()
    }
    print(what, (supervisor.fleet.seq - from) / ((performance.now() - since) / 1000), 'per s')
  }
  await told('facts without orders, with the kernel once a turn', 200_000, () => ({
    type: 'port.opened',
    runner: first!.id,
    incarnation: 1,
    latencyMs: 1,
  }))
  await told('facts with an order, with the kernel one by one', 50_000, (i) => ({
    type: 'request.expired',
    app: 'bench/app',
    request: `q${i}`,
  }))

  const delay = monitorEventLoopDelay({ resolution: 1 })
  await new Promise((resolve) => setTimeout(resolve, 50))
  delay.enable()
  began = performance.now()
  const stopped = supervisor.stop({ keepRunners: true, graceMs: 0 })
  await stopped
  delay.disable()
  print('end with a snapshot of all runners', performance.now() - began, 'ms')
  print('longest pause of the loop while it is written', delay.max / 1e6, 'ms')
  print(
    'size of the snapshot',
    statSync(join(dataDir, 'snapshots', '00000001.json')).size / 1e6,
    'MB',
  )

  began = performance.now()
  supervisor = await start()
  print('restart from the snapshot, all runners adopted', performance.now() - began, 'ms')
  await supervisor.stop({ keepRunners: true, graceMs: 0 })

  rmSync(join(dataDir, 'snapshots'), { recursive: true })
  const bytes = statSync(join(dataDir, 'journal', '00000001.jsonl')).size
  const facts = supervisor.fleet.seq
  began = performance.now()
  supervisor = await start()
  const seconds = (performance.now() - began) / 1000
  print(
    `restart from the journal alone (${(bytes / 1e6).toFixed(0)} MB)`,
    facts / seconds,
    'facts per s',
  )
  await supervisor.stop({ keepRunners: true, graceMs: 0 })
} finally {
  rmSync(dataDir, { recursive: true, force: true })
}
