/**
 * A stage for faults: one configuration and one data directory on which gateways are started, killed and started again, and a
 * view of the machine that does not depend on what a gateway says: which processes of its runners live, and what they saw.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { call, startGateway, until, type GatewayProcess } from './gateway-process.ts'

const RUNNER = fileURLToPath(new URL('./fault-runner.mjs', import.meta.url))

/** The app of every scene. */
export const APP = 'fault/app'

/** What a test reads of a runner. */
export interface Seen {
  readonly id: string
  readonly pid: number
  readonly incarnation: number
  readonly state: string
  readonly substate: string
  readonly reason: string | null
  readonly since: string
  readonly url: string
  readonly failures: number
  readonly replaces: string | null
  readonly lastProbe: { readonly ok: boolean; readonly kind: string } | null
}

/** What a test reads of a decision. */
export interface Decided {
  readonly seq: number
  readonly at: string
  readonly subject: { readonly kind: string; readonly id: string }
  readonly from: string
  readonly to: string
  readonly rule: string
  readonly enforced: boolean
  readonly because: string | null
}

/** What a test reads of a request. */
export interface Entry {
  readonly id: string
  readonly status: string
  readonly attempts: readonly {
    readonly n: number
    readonly runner: string
    readonly outcome: string
    readonly status: number | null
  }[]
  readonly final: { readonly status: number; readonly at: string } | null
}

/** One gateway on the stage. */
export class Actor {
  readonly process: GatewayProcess
  readonly url: string

  constructor(process: GatewayProcess, url: string) {
    this.process = process
    this.url = url
  }

  get pid(): number {
    return this.process.child.pid!
  }

  async runners(filter = ''): Promise<readonly Seen[]> {
    return (await call(this.url, `/v1/runners${filter}`)).value.runners
  }

  ready(count: number): Promise<readonly Seen[]> {
    return until(
      () => this.runners('?state=ready'),
      (list) => list.length === count,
    )
  }

  async decisions(since = 0): Promise<readonly Decided[]> {
    const all: Decided[] = []
    for (let next: number | null = since; next !== null;) {
      const { value } = await call(this.url, `/v1/decisions?since=${next}&limit=1000`)
      all.push(...value.decisions)
      next = value.next
    }
    return all
  }

  /** Submits to the queue; the id is given only when the gateway acknowledged it. */
  async submit(path: string): Promise<string> {
    const { status, value } = await call(this.url, `/queue/${APP}${path}`, { method: 'POST' })
    if (status !== 200) throw new Error(`submit: ${status} ${JSON.stringify(value)}`)
    return String(value.request_id)
  }

  async request(id: string): Promise<Entry> {
    return (await call(this.url, `/v1/requests/${id}`)).value
  }

  completed(id: string): Promise<Entry> {
    return until(
      () => this.request(id),
      ({ status }) => status === 'COMPLETED',
    )
  }

  async result(id: string): Promise<{ readonly status: number; readonly value: any }> {
    return call(this.url, `/queue/${APP}/requests/${id}/response`)
  }

  post(path: string, body?: object): ReturnType<typeof call> {
    return call(this.url, path, {
      method: 'POST',
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    })
  }

  /** Memory of the gateway, in MB. */
  get rssMb(): number {
    return statusOf(this.pid, 'VmRSS') / 1024
  }

  /** As a power cut would: nothing is told, nothing is flushed. */
  async killNow(): Promise<void> {
    this.process.child.kill('SIGKILL')
    await this.process.ended
  }

  /** In order; answers the exit code. */
  async stop(): Promise<number | null> {
    this.process.child.kill('SIGTERM')
    return (await this.process.ended).code
  }
}

/** Options of an app as in the file; `env` adds to that of the scene. */
interface Options {
  readonly env?: object
  readonly [option: string]: unknown
}

/** The stage. Disposing ends what still plays on it. */
export class Scene implements AsyncDisposable {
  readonly folder: string
  readonly file: string
  readonly #started: GatewayProcess[] = []

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'fault-'))
    this.file = join(this.folder, 'health.config.json')
  }

  /** Writes the configuration: one app, quick where a person would wait, and `more` at the top. */
  configure(app: Options = {}, more: object = {}): void {
    writeFileSync(this.file, JSON.stringify({ ...more, apps: { [APP]: this.app(app) } }))
  }

  /** The app as it stands in the configuration. */
  app({
    env,
    ...more
  }: { readonly env?: object; readonly [option: string]: unknown } = {}): object {
    return {
      command: ['node', RUNNER],
      env: { FAULT_SCENE: this.folder, ...env },
      startupTimeoutSeconds: 60,
      terminationGraceSeconds: 2,
      ...more,
    }
  }

  async start(
    args: readonly string[] = [],
    listening: (process: GatewayProcess) => void = () => {},
  ): Promise<Actor> {
    const process = startGateway(['--config', this.file, ...args], { folder: this.folder })
    this.#started.push(process)
    listening(process)
    return new Actor(process, await process.url())
  }

  /** Starts one that ends before it listens. */
  begin(args: readonly string[] = []): GatewayProcess {
    const process = startGateway(['--config', this.file, ...args], { folder: this.folder })
    this.#started.push(process)
    return process
  }

  /** Writes a file that runners read. */
  tell(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text)
  }

  /** How often each request reached a runner, by what the runners themselves wrote. */
  marks(file: 'ran' | 'cancelled'): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    let text = ''
    try {
      text = readFileSync(join(this.folder, file), 'utf8')
    } catch {
      return counts
    }
    for (const line of text.split('\n').slice(0, -1)) {
      const id = line.split(' ')[0]!
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    return counts
  }

  /** Every living process that was started for an app of this scene, with its group; zombies are dead. */
  processes(): readonly { readonly pid: number; readonly group: number }[] {
    const found: { pid: number; group: number }[] = []
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue
      try {
        if (!readFileSync(`/proc/${name}/environ`, 'utf8').includes(`FAULT_SCENE=${this.folder}\0`))
          continue
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        if (state !== 'Z' && state !== 'X') found.push({ pid: Number(name), group: Number(group) })
      } catch {
        // It ended while we looked.
      }
    }
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const gateway of this.#started) {
      if (gateway.child.exitCode !== null || gateway.child.signalCode !== null) continue
      gateway.child.kill('SIGCONT')
      gateway.child.kill('SIGTERM')
      const late = setTimeout(() => gateway.child.kill('SIGKILL'), 20_000)
      await gateway.ended
      clearTimeout(late)
    }
    for (const { pid } of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended by itself meanwhile.
      }
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A port that was free a moment ago, for a gateway that must come back to where it was. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Waits until it holds, for at most so long; what it was is in the error. */
export async function within<T>(
  ms: number,
  ask: () => T | Promise<T>,
  fits: (answer: T) => boolean,
): Promise<T> {
  const from = performance.now()
  for (;;) {
    const answer = await ask()
    if (fits(answer)) return answer
    if (performance.now() - from > ms)
      throw new Error(`Not within ${ms} ms; it is ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** Runs `work` over all of them, a few at a time. */
export async function each<T>(
  all: Iterable<T>,
  work: (one: T) => Promise<void>,
  atOnce = 16,
): Promise<void> {
  const rest = all[Symbol.iterator]()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let next = rest.next(); next.done !== true; next = rest.next()) await work(next.value)
    }),
  )
}

function statusOf(pid: number, field: string): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${field}:`))
  return Number(line?.match(/\d+/)?.[0])
}
