/**
 * A machine with GPUs that are not there: a gateway as a process, a recording that the test writes while it is read, and scripts that
 * note how they were called.
 */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { call, startGateway, type End, type GatewayProcess } from './gateway-process.ts'

const RUNNER = fileURLToPath(new URL('./runner.mjs', import.meta.url))

/** What a test reads of a node. */
export interface SeenNode {
  readonly id: string
  readonly state: string
  readonly cordonedBy: string | null
  readonly runners: readonly string[]
  readonly devices: readonly {
    readonly uuid: string
    readonly state: string
    readonly runner: string | null
    readonly temperatureC?: number
    readonly lastXid?: number
  }[]
}

/** What a test reads of a decision. */
export interface SeenDecision {
  readonly subject: { readonly kind: string; readonly id: string }
  readonly from: string
  readonly to: string
  readonly rule: string
}

/** See the head of this file. Disposing ends everything. */
export class GpuScene implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'gpu-scene-'))
  readonly #gateways: GatewayProcess[] = []
  #pipe: number | null = null
  #beat: NodeJS.Timeout | null = null
  #sequence = 0
  url = ''

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Writes the configuration; an app gets runners of its own when `devices` says how many devices each needs. */
  configure(gpu: object, more: { readonly app?: object; readonly policy?: object } = {}): void {
    const app = {
      command: ['node', RUNNER],
      startupTimeoutSeconds: 60,
      terminationGraceSeconds: 2,
      ...more.app,
    }
    const policy = { healthyDelaySeconds: 0.1, drainTimeoutSeconds: 0.5, ...more.policy }
    const config = { gpu, policy, apps: { 'gpu/app': app } }
    writeFileSync(this.path('health.config.json'), JSON.stringify(config))
  }

  /** A command that notes its arguments in a file; `wait`: until a file of that name is there. */
  script(log: string, wait?: string): string[] {
    const text = `
      const { appendFileSync, existsSync } = require('node:fs')
      appendFileSync(${JSON.stringify(this.path(log))}, process.argv.slice(1).join(' ') + '\\n')
      const look = () => existsSync(${JSON.stringify(this.path(wait ?? '.'))}) || setTimeout(look, 20)
      look()`
    return [process.execPath, '-e', text, '{device}', '{node}']
  }

  /** How a script was called, one line a time. */
  called(log: string): readonly string[] {
    const file = this.path(log)
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
  }

  async start(): Promise<GatewayProcess> {
    const gateway = startGateway(['--config', this.path('health.config.json')], {
      folder: this.folder,
    })
    this.#gateways.push(gateway)
    this.url = await gateway.url()
    return gateway
  }

  async stop(gateway: GatewayProcess, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<End> {
    gateway.child.kill(signal)
    return gateway.ended
  }

  /** A recording that is read while it is written. */
  openPipe(): string {
    const file = this.path('live.jsonl')
    execFileSync('mkfifo', [file])
    // Reading and writing, so that neither side ever waits for the other to open it.
    this.#pipe = openSync(file, 'r+')
    return file
  }

  /** Writes one fact to the pipe; it is told at once. */
  feed(fact: object): void {
    writeSync(this.#pipe!, `${JSON.stringify({ at: 0, ...fact })}\n`)
  }

  /** From now on these devices report this, five times a second. */
  report(...temperatures: number[]): void {
    if (this.#beat !== null) clearInterval(this.#beat)
    const tell = (): void => this.feed(sample(0, ...temperatures))
    tell()
    this.#beat = setInterval(tell, 200)
  }

  xid(device: string, xid: number): void {
    this.feed({
      type: 'gpu.xid',
      device,
      xid,
      text: 'as the driver says',
      boot: 'b',
      sequence: ++this.#sequence,
    })
  }

  async node(): Promise<SeenNode> {
    return (await call(this.url, '/v1/nodes/local')).value
  }

  order(order: string, body?: object): Promise<{ readonly status: number; readonly value: any }> {
    return call(this.url, `/v1/nodes/local/${order}`, {
      method: 'POST',
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    })
  }

  /** How the node went, as `from → to rule`. */
  async story(): Promise<readonly string[]> {
    const { decisions } = (await call(this.url, '/v1/decisions?limit=1000')).value as {
      decisions: readonly SeenDecision[]
    }
    return decisions
      .filter(({ subject }) => subject.kind === 'node')
      .map(({ from, to, rule }) => `${from} → ${to} ${rule}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#beat !== null) clearInterval(this.#beat)
    // First the pipe: a gateway that waits for its next line could not end.
    if (this.#pipe !== null) closeSync(this.#pipe)
    for (const gateway of this.#gateways) await gateway[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** One sample of a recording. */
export function sample(at: number, ...temperatures: number[]): object {
  return {
    type: 'gpu.sampled',
    at,
    devices: temperatures.map((temperatureC, index) => ({
      uuid: `GPU-${index}`,
      index,
      name: 'Test GPU',
      temperatureC,
    })),
  }
}
