/** A supervisor on a temporary folder with a manual clock and fakes, and the ways a test waits for it. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeHost, FakeProber, ManualClock, type FakeLife } from '@health/testkit'
import { onTestFinished } from 'vitest'
import {
  startSupervisor,
  type LogLine,
  type Supervisor,
  type SupervisorOptions,
} from '../src/index.ts'

export interface Stage {
  readonly supervisor: Supervisor
  readonly clock: ManualClock
  readonly host: FakeHost
  readonly prober: FakeProber
  readonly lines: readonly LogLine[]
}

/** A folder that is deleted when the test ends. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'supervisor-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Starts a supervisor; what a test does not end is ended with it. */
export async function stage(
  dataDir: string,
  options: Partial<SupervisorOptions> & {
    readonly life?: FakeLife
    readonly prepare?: (host: FakeHost) => void
  } = {},
): Promise<Stage> {
  const { life, prepare, ...rest } = options
  const clock = new ManualClock()
  const lines: LogLine[] = []
  let host: FakeHost | undefined
  let prober: FakeProber | undefined
  const supervisor = await startSupervisor({
    dataDir,
    clock,
    seed: 1,
    host: (at) => {
      host = new FakeHost(at, life)
      prepare?.(host)
      return host
    },
    prober: (at) => (prober = new FakeProber(at)),
    launchOf: () => ({ command: ['runner'], cwd: '/', env: {} }),
    log: (line) => lines.push(line),
    ...rest,
  })
  onTestFinished(() => supervisor.stop({ keepRunners: true, graceMs: 0 }))
  return { supervisor, clock, host: host!, prober: prober!, lines }
}

/** Lets real work happen (the disk), without moving the manual clock, until something is true. */
export async function until(what: () => boolean, why = 'what the test waits for'): Promise<void> {
  const end = performance.now() + 20_000
  while (!what()) {
    if (performance.now() > end) throw new Error(`timed out: ${why}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Moves the clock in small steps, letting the disk work in between. */
export async function live(
  { clock }: Pick<Stage, 'clock'>,
  ms: number,
  stepMs = 250,
): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    await clock.pass(Math.min(stepMs, ms - passed))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Configures one app and waits until its runners are ready. */
export async function serve(at: Stage, runners = 2): Promise<readonly string[]> {
  at.supervisor.tell({
    type: 'app.configured',
    app: 'demo/echo',
    options: {
      minConcurrency: runners,
      maxConcurrency: runners + 1,
      startupTimeoutSeconds: 10,
      healthCheck: { path: '/health', intervalSeconds: 5, startPeriodSeconds: 0 },
    },
    policy: {},
    revision: '1',
  })
  await until(() => at.host.orders.length >= runners, 'starts')
  await live(at, 1_000)
  return at.host.live
}

/** Every line of the journal's files, parsed, headers left out. */
export function journalOf(dataDir: string, prefix = ''): Record<string, unknown>[] {
  const path = join(dataDir, 'journal')
  return readdirSync(path)
    .filter((name) => new RegExp(`^${prefix}\\d{8}\\.jsonl$`).test(name))
    .sort()
    .flatMap((name) => readFileSync(join(path, name), 'utf8').trimEnd().split('\n').slice(1))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
