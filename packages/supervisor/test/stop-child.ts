/** A supervisor whose runners answer over real sockets and that forgives nothing; it is stopped and continued from outside. Arguments: its folder, a port. */
import { connect } from 'node:net'
import type { Clock, Prober } from '@health/core'
import { FakeHost } from '@health/testkit'
import { startSupervisor } from '../src/index.ts'

const port = Number(process.argv[3])

/** Asks the parent, which is never stopped; times out on the given clock, as every prober must. */
const socketProber = (clock: Clock): Prober => ({
  flying: 0,
  probe(order, report) {
    const began = clock.now()
    const socket = connect(port, '127.0.0.1')
    const end = (passed: boolean): void => {
      cancel()
      socket.destroy()
      const latencyMs = clock.now() - began
      report(
        passed ? { result: 'passed', latencyMs } : { result: 'failed', why: 'timeout', latencyMs },
      )
    }
    const cancel = clock.after(order.timeoutMs, () => end(false))
    socket.once('data', () => end(true))
    socket.on('error', () => {})
    return () => {
      cancel()
      socket.destroy()
    }
  },
  close: () => Promise.resolve(),
})

const supervisor = await startSupervisor({
  dataDir: process.argv[2]!,
  seed: 7,
  host: (clock) => new FakeHost(clock),
  prober: socketProber,
  launchOf: () => ({ command: ['runner'], cwd: '/', env: {} }),
  log: () => {},
})
supervisor.tell({
  type: 'app.configured',
  app: 'a',
  options: {
    minConcurrency: 6,
    maxConcurrency: 6,
    startupTimeoutSeconds: 2,
    healthCheck: {
      path: '/',
      intervalSeconds: 0.4,
      timeoutSeconds: 2,
      failureThreshold: 1,
      startPeriodSeconds: 0,
    },
  },
  policy: { capPercent: 100, doubtPerSecond: 100, panicPercent: 100, panicMin: 100 },
  revision: '1',
})
supervisor.observe(({ event }) => {
  if (event.type === 'probe.passed') process.stdout.write('passed\n')
  if (event.type === 'clock.resumed') process.stdout.write('resumed\n')
})
process.on('SIGTERM', () => void supervisor.stop({ keepRunners: true, graceMs: 0 }))
