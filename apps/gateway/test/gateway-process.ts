/** A gateway as a process of its own, started as people start it: what tests of beginnings and endings stand on. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. */
export const root: string = fileURLToPath(new URL('../../..', import.meta.url))
/** As `npm start` does. */
const { gatewayFlags } = (await import(
  new URL('../../../.ci/node-flags.mjs', import.meta.url).href
)) as { readonly gatewayFlags: readonly string[] }
/** How the binary is run from source. */
export const fromSource: readonly string[] = [
  ...gatewayFlags,
  '--conditions=@health/source',
  join(root, 'apps/gateway/src/main.ts'),
]

/** How it ended. */
export interface End {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
  readonly err: string
}

/** One line of the log. */
export type LogLine = { readonly event: string; readonly [field: string]: unknown }

/** A process, what it printed so far, and its end. */
export class GatewayProcess implements AsyncDisposable {
  readonly child: ChildProcess
  readonly folder: string
  readonly ended: Promise<End>
  #out = ''
  #err = ''
  #over = false
  #waiting = new Set<() => void>()

  constructor(
    command: string,
    args: readonly string[],
    options: {
      readonly env?: Record<string, string>
      readonly detached?: boolean
      readonly folder?: string
    } = {},
  ) {
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'health-gateway-'))
    const {
      PORT: _port,
      HOST: _host,
      HEALTH_KEY: _key,
      HEALTH_ADMIN_KEY: _admin,
      INIT_CWD: _init,
      ...env
    } = process.env
    this.child = spawn(command, args, {
      cwd: root,
      env: { ...env, NO_COLOR: '1', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: options.detached ?? false,
    })
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#hear('out', text))
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => this.#hear('err', text))
    // A test that runs out of time disposes of nothing; the worker's end does.
    const end = (): void => void this.child.kill('SIGTERM')
    process.once('exit', end)
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      this.#over = true
      process.off('exit', end)
      this.#wake()
      return {
        code: code as number | null,
        signal: signal as string | null,
        out: this.#out,
        err: this.#err,
      }
    })
  }

  #hear(stream: 'out' | 'err', text: string): void {
    if (stream === 'out') this.#out += text
    else this.#err += text
    this.#wake()
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }

  /** The log so far; lines that are not JSON (npm's banner) are left out. */
  get lines(): readonly LogLine[] {
    return this.#out
      .split('\n')
      .slice(0, -1)
      .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []))
  }

  /** The first log line that fits, as soon as it is there. Rejects when the process ends without it. */
  line(fits: (line: LogLine) => boolean): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.lines.find(fits)
        if (found === undefined && !this.#over) return
        this.#waiting.delete(look)
        if (found === undefined)
          reject(new Error(`The gateway ended without the line.\n${this.#out}${this.#err}`))
        else resolve(found)
      }
      this.#waiting.add(look)
      look()
    })
  }

  /** The URL, once it listens. */
  async url(): Promise<string> {
    return String((await this.line((line) => line.event === 'gateway.listening'))['url'])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#over) {
      this.child.kill('SIGTERM')
      await this.ended
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** `health start` with a data directory of its own, on a free port. */
export function startGateway(
  args: readonly string[] = [],
  options: { readonly env?: Record<string, string>; readonly folder?: string } = {},
): GatewayProcess {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'health-gateway-'))
  return new GatewayProcess(
    process.execPath,
    [...fromSource, 'start', '--port', '0', '--data-dir', join(folder, 'data'), ...args],
    { ...options, folder },
  )
}

/** One call of the gateway's JSON. */
export async function call(
  url: string,
  path: string,
  init: RequestInit = {},
): Promise<{ readonly status: number; readonly headers: Headers; readonly value: any }> {
  const response = await fetch(url + path, init)
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    value: text === '' ? null : JSON.parse(text),
  }
}

/** Asks until the answer fits. For states that nothing announces to the outside. */
export async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (fits(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** True while a process lives; a zombie does not. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  if (!existsSync('/proc/self/stat')) return true
  try {
    return !/\) Z /.test(readFileSync(stat, 'utf8'))
  } catch {
    return false
  }
}
