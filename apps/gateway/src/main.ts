#!/usr/bin/env node
/** The binary: hands the process's arguments, streams and folders to the command line, and ends with its exit code. */
import { runCli } from './command/cli.ts'

const ended = new AbortController()
// `health runners | head` closes our stdout: nothing is left to say, and nothing is wrong.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  ended.abort()
})
process.exitCode = await runCli(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (line) => void process.stderr.write(`${line}\n`),
  interactive: process.stdout.isTTY === true,
  colour:
    process.stdout.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
  env: process.env,
  cwd: process.cwd(),
  caller: process.env['INIT_CWD'] || process.cwd(),
  ended: ended.signal,
})
