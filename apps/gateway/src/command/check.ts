/**
 * `health check URL`: one health check for CI and Docker. Asking, judging and printing are those of `@health/checks`, whose binary does the
 * same in images that have no gateway; here the key of our own gateway is added, and of no other address.
 */
import { checkCommand, checkUsage } from '@health/checks/check-command'
import type { Command } from './command.ts'
import { gatewayKey, gatewayUrl } from './gateway-client.ts'

/** The command. */
export const check: Command = {
  help: `${checkUsage}\n`,
  run(args, terminal) {
    const { env } = terminal
    return checkCommand(
      args,
      { out: (line) => terminal.out(`${line}\n`), error: (line) => terminal.err(line) },
      (url) =>
        env['HEALTH_KEY'] && url.origin === gatewayUrl(env).origin
          ? { authorization: `Key ${gatewayKey(env)}` }
          : {},
    )
  },
}
