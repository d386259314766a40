/** A supervisor that is told facts without pause and says which it acknowledged; it is killed from outside. Argument: its folder. */
import { writeSync } from 'node:fs'
import { FakeHost, FakeProber } from '@health/testkit'
import { startSupervisor } from '../src/index.ts'

const supervisor = await startSupervisor({
  dataDir: process.argv[2]!,
  seed: 7,
  host: (clock) => new FakeHost(clock, { startAfterMs: 3, stopAfterMs: 2 }),
  prober: (clock) => new FakeProber(clock),
  launchOf: () => ({ command: ['runner'], cwd: '/', env: {} }),
  journal: { segmentBytes: 20_000 },
  snapshotSeconds: 0.1,
  log: (line) => {
    if (line.level === 'error') writeSync(2, `${JSON.stringify(line)}\n`)
  },
})
supervisor.tell({
  type: 'app.configured',
  app: 'a',
  options: {
    minConcurrency: 4,
    maxConcurrency: 6,
    startupTimeoutSeconds: 5,
    healthCheck: { path: '/', intervalSeconds: 0.1, timeoutSeconds: 0.05 },
  },
  policy: {},
  revision: '1',
})
let n = 0
const work = (): void => {
  for (let i = 0; i < 3; i++) {
    const change = { capPercent: 1 + (n++ % 99) }
    const { seq } = supervisor.tell({
      type: 'policy.changed',
      app: 'a',
      change,
      by: `child ${process.pid}`,
    })
    writeSync(1, `${seq}\n`)
  }
  setTimeout(work, 2)
}
work()
