/**
 * `health validate FILE`: reads a configuration as `health start` would and says what is wrong with it, or what works against itself.
 * Nothing is started, and the network is not touched.
 */
import { resolve } from 'node:path'
import { HealthError } from '@health/core'
import { loadConfig } from '../config.ts'
import { exits, painter, printJson, readArguments, required, type Command } from './command.ts'

/** The command. */
export const validate: Command = {
  help: `usage: health validate FILE [--json]

Exit codes: 0 valid, warnings included; 1 invalid.
`,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, { json: { type: 'boolean' } }, 1)
    const file = resolve(terminal.caller, required(positionals[0], 'FILE'))
    const paint = painter(terminal)
    try {
      // PORT and HOST of this shell are the gateway's at its start, not the file's.
      const { PORT: _port, HOST: _host, ...env } = terminal.env
      const config = await loadConfig(
        { config: file },
        { env, cwd: terminal.cwd, caller: terminal.caller },
      )
      if (values.json === true)
        printJson(terminal, {
          file,
          valid: true,
          apps: [...config.apps.keys()],
          warnings: config.warnings,
          error: null,
        })
      else {
        for (const warning of config.warnings)
          terminal.out(`${paint('yellow', 'warning')}  ${warning}\n`)
        terminal.out(
          `${paint('green', 'valid')}  ${file}: ${config.apps.size} app${config.apps.size === 1 ? '' : 's'}, ${config.warnings.length} warning${config.warnings.length === 1 ? '' : 's'}\n`,
        )
      }
      return exits.ok
    } catch (error) {
      if (values.json !== true || !(error instanceof HealthError)) throw error
      printJson(terminal, {
        file,
        valid: false,
        apps: [],
        warnings: [],
        error: { code: error.code, path: error.path ?? null, message: error.message },
      })
      return exits.usage
    }
  },
}
