/**
 * Ends an app in the right order: readiness flips, load balancers get time to notice, beacons are waited for, the app closes,
 * and a deadline cuts what is left. Fastify itself answers 503 from the moment it closes, so all waiting comes before.
 */
import { readSeconds, refuseUnknown, type Shutdown, type ShutdownOptions } from '@health/checks'
import type { FastifyInstance } from 'fastify'

export interface SignalOptions extends ShutdownOptions {
  /** Default SIGTERM and SIGINT. A second one ends the process at once. */
  readonly signals?: readonly NodeJS.Signals[]
}

const known = { signals: true, delaySeconds: true, forceSeconds: true } as const satisfies Record<
  keyof SignalOptions,
  true
>

const running = new WeakMap<FastifyInstance, Promise<Shutdown>>()

/** Ends the app; resolves when it is closed, or cut at the deadline. Further calls join the first. */
export function shutdown(app: FastifyInstance, options: ShutdownOptions = {}): Promise<Shutdown> {
  const before = running.get(app)
  if (before !== undefined) return before
  const ended = end(app, options)
  running.set(app, ended)
  return ended
}

async function end(app: FastifyInstance, options: ShutdownOptions): Promise<Shutdown> {
  const force = readSeconds(options.forceSeconds, 30, 0.001, 'shutdown.forceSeconds')
  let cut = false
  const timer = setTimeout(() => {
    cut = true
    app.server.closeAllConnections()
  }, force)
  const waited = await app.health.shutdown(options)
  await app.close()
  clearTimeout(timer)
  return { forced: waited.forced || cut, held: waited.held }
}

const exitCodes: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 }

/** Does the same on a signal. A shutdown that its deadline had to cut ends with exit code 1; a second signal ends the process at once. */
export function shutdownOnSignal(app: FastifyInstance, options: SignalOptions): void {
  refuseUnknown(options, known, 'shutdown')
  const { signals = ['SIGTERM', 'SIGINT'], ...spans } = options
  const force = readSeconds(options.forceSeconds, 30, 0.001, 'shutdown.forceSeconds')
  let begun = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (begun) process.exit(exitCodes[signal] ?? 1)
    begun = true
    app.log.info({ event: 'shutdown.began', signal }, 'shutting down')
    // At the deadline connections are cut and the app closes; whatever keeps the process alive a second later, it ends.
    setTimeout(() => process.exit(1), force + 1000).unref()
    shutdown(app, spans).then(
      ({ forced, held }) => {
        app.log.info({ event: 'shutdown.ended', forced, held }, 'shut down')
        if (forced) process.exitCode = 1
      },
      () => {
        app.log.error({ event: 'shutdown.failed' }, 'closing the app failed')
        process.exitCode = 1
      },
    )
  }
  for (const signal of signals) process.on(signal, onSignal)
  app.addHook('onClose', (_, done) => {
    // Kept while the signal is being served, so that a second one still counts.
    if (!begun) for (const signal of signals) process.off(signal, onSignal)
    done()
  })
}
