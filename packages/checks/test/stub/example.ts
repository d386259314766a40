/** Runs an example of the docs as its reader would, in a process of its own on a free port. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const folder = new URL('../../../../docs/examples/', import.meta.url)

/** The path of a file of an example. */
export function exampleFile(path: string): URL {
  return new URL(path, folder)
}

export interface Running extends AsyncDisposable {
  readonly url: string
  /** Sends SIGTERM and gives the exit code. */
  stop(): Promise<number | null>
}

/** Starts `path` and waits for the line that says where it listens. */
export async function startExample(
  path: string,
  env: Record<string, string> = {},
): Promise<Running> {
  const args = ['--conditions=@health/source', exampleFile(path).pathname]
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], PORT: '0', SHUTDOWN_DELAY: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit') as Promise<[number | null]>
  const lines = createInterface({ input: child.stdout })
  const line = await Promise.race([
    once(lines, 'line').then(([text]) => String(text)),
    ended.then(([code]) => `ended with ${code}`),
  ])
  const url = /http:\/\/\S+/.exec(line)?.[0]
  if (url === undefined) throw new Error(`${path} did not start: ${line}`)
  return {
    url,
    async stop() {
      child.kill('SIGTERM')
      return (await ended)[0]
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    },
  }
}
