/**
 * `health start`: reads the configuration, runs the gateway and ends it when it is told to. The first signal drains, a second one ends the
 * process at once.
 */
import { HealthError } from '@health/core'
import { composeGateway, type RunningGateway } from '../compose.ts'
import { loadConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { watchSignals } from '../signal.ts'
import { version } from './version.ts'
import { exits, readArguments, type Command } from './command.ts'

/** The command. */
export const start: Command = {
  help: `usage: health start [--config FILE] [--port N] [--host H] [--data-dir FOLDER] [--keep-runners]

  --config FILE      TypeScript, JavaScript, JSON or YAML (health.config.* of this folder; none: the built-in demo)
  --port N           listen.port (8080; 0 is any free one; PORT)
  --host H           listen.host (127.0.0.1; HOST)
  --data-dir FOLDER  dataDir (.health; HEALTH_DATA_DIR)
  --keep-runners     leave the runners running at the end, for the next gateway

SIGTERM and SIGINT drain, a second one ends at once, runners too (130, 143); SIGHUP reads the configuration again.
Exit codes: 0 ended as told; 1 usage or invalid configuration; 2 cannot listen; 3 data directory.
`,
  async run(args, terminal) {
    const { values } = readArguments(
      args,
      {
        config: { type: 'string' },
        port: { type: 'string' },
        host: { type: 'string' },
        'data-dir': { type: 'string' },
        'keep-runners': { type: 'boolean' },
      },
      0,
    )
    const flags = {
      config: values.config,
      port: values.port,
      host: values.host,
      dataDir: values['data-dir'],
      keepRunners: values['keep-runners'],
    }
    const place = {
      env: terminal.env,
      cwd: terminal.cwd,
      caller: terminal.caller,
      terminal: process.stdout.isTTY === true,
    }
    const read = (): ReturnType<typeof loadConfig> => loadConfig(flags, place)
    const underNpm = terminal.env['HEALTH_BOOT'] === '1'
    let running: RunningGateway | null = null
    const told = Promise.withResolvers<void>()
    // Listened to from the first moment: a signal during the start ends it as soon as it has come up.
    const unwatch = watchSignals(process, underNpm, () => performance.now(), {
      end: () => told.resolve(),
      // Nobody would be left to end them, and a GPU stays taken for as long as its process lives.
      endNow: (code) => {
        running?.killRunners()
        process.exit(code)
      },
      reload: () =>
        void running?.reload().catch((error: unknown) => {
          log({
            level: 'error',
            event: 'config.invalid',
            error: error instanceof HealthError ? `${error.code}: ${error.message}` : String(error),
          })
        }),
    })
    let log: ReturnType<typeof createLog>
    try {
      const config = await read()
      log = createLog({
        level: config.logs.level,
        format: config.logs.format,
        colour: terminal.colour,
        write: (text) => terminal.out(text) !== false,
        waiting: () => process.stdout.writableLength,
        now: () => Date.now(),
      })
      running = await composeGateway({ config, read, log, version: version() })
      await told.promise
      log({ level: 'info', event: 'gateway.stopping' })
      await running.stop()
      log({ level: 'info', event: 'gateway.stopped' })
      return exits.ok
    } finally {
      unwatch()
      // The channel to npm's side would keep the process.
      if (underNpm && process.connected) process.disconnect()
    }
  },
}
