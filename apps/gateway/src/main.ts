#!/usr/bin/env node
/** The binary: hands the process's arguments, streams and folders to the command line, and ends with its exit code. */
import { runCli } from './command/cli.ts'
import { exits } from './command/command.ts'
import { openOutlet } from './outlet.ts'

const ended = new AbortController()
// `health runners | head` closes our stdout: nothing is left to say, and nothing is wrong.
const stdout = openOutlet(process.stdout, () => ended.abort())
const stderr = openOutlet(process.stderr, () => {})
const code = await runCli(process.argv.slice(2), {
  out: (text) => stdout.write(text),
  err: (line) => void stderr.write(`${line}\n`),
  interactive: process.stdout.isTTY === true,
  colour:
    process.stdout.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
  env: process.env,
  cwd: process.cwd(),
  caller: process.env['INIT_CWD'] || process.cwd(),
  ended: ended.signal,
})
// A stream tells of a write that failed in a later turn.
await new Promise((resolve) => setImmediate(resolve))
// A gateway that ran on has done its work; whoever asked a question has no answer.
if (stdout.failure !== null && code === exits.ok && process.argv[2] !== 'start') {
  stderr.write(`health: stdout cannot be written (${stdout.failure})\n`)
  process.exitCode = exits.usage
} else process.exitCode = code
