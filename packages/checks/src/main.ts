#!/usr/bin/env node
/** The command `health-check`: the same as `health check` of the gateway, for images that have only this package. */
import { checkCommand } from './check-command.ts'

const args = process.argv.slice(2)
// `health check URL` and `health-check URL` may be written alike.
if (args[0] === 'check') args.shift()
process.exitCode = await checkCommand(args, {
  out: (line) => void process.stdout.write(`${line}\n`),
  error: (line) => void process.stderr.write(`${line}\n`),
})
