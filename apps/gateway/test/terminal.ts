/** A terminal that remembers what was printed, and a server that answers as told: what the tests of commands stand on. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { runCli } from '../src/command/cli.ts'
import type { Terminal } from '../src/command/command.ts'

/** How a command ended and what it printed. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs one command line to its end. */
export async function run(args: readonly string[], more: Partial<Terminal> = {}): Promise<Ran> {
  let out = ''
  let err = ''
  const code = await runCli(args, {
    out: (text) => void (out += text),
    err: (line) => (err += `${line}\n`),
    interactive: false,
    colour: false,
    env: {},
    cwd: '/',
    caller: '/',
    ended: new AbortController().signal,
    ...more,
  })
  return { code, out, err }
}

/** A server on a free port of loopback; ends with `await using`. */
export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<{ readonly url: string; [Symbol.asyncDispose](): Promise<void> }> {
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => answer(request, response, body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Answers JSON. */
export function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
