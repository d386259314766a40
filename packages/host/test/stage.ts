/** What every test of a process host needs: a folder, scripts in it, a host, its facts to wait for, and proof that nothing is left. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Host, HostFact, ProvisionOrder } from '@health/core'
import { SystemClock } from '@health/testkit'
import { onTestFinished } from 'vitest'
import { createProcessHost, type ProcessHostOptions } from '../src/process-host.ts'
import { isDead, linuxTable } from '../src/process-table.ts'

export type FactOf<T extends HostFact['type']> = Extract<HostFact, { type: T }>

export class Stage {
  readonly dir = mkdtempSync(join(tmpdir(), 'health-host-'))
  readonly logDir = join(this.dir, 'logs')
  readonly clock = new SystemClock()
  readonly facts: HostFact[] = []
  readonly warnings: string[] = []
  readonly host: Host
  readonly #waiting = new Set<() => void>()
  readonly #hosts: Host[] = []

  constructor(options: Partial<ProcessHostOptions> = {}) {
    this.host = this.open(options)
    onTestFinished(async () => {
      for (const host of this.#hosts) await host.close({ keep: false })
      const groups = this.facts.flatMap((fact) =>
        fact.type === 'process.started' && fact.pid !== null ? [fact.pid] : [],
      )
      for (const group of groups) {
        const left = await alive(group)
        if (left.length > 0)
          throw new Error(`processes ${left.join(', ')} of group ${group} are left`)
      }
      rmSync(this.dir, { recursive: true, force: true })
    })
  }

  /** Another host on the same folder: the next supervisor. */
  open(options: Partial<ProcessHostOptions> = {}): Host {
    const warn = (text: string): void => void this.warnings.push(text)
    const host = createProcessHost({
      clock: this.clock,
      logDir: this.logDir,
      leftoverGraceMs: 200,
      watchMs: 50,
      warn,
      ...options,
    })
    this.#hosts.push(host)
    host.listen((fact) => {
      this.facts.push(fact)
      for (const check of this.#waiting) check()
    })
    return host
  }

  /** Writes a script and answers the command that runs it. */
  script(name: string, body: string): string[] {
    const path = join(this.dir, `${name}.mjs`)
    writeFileSync(path, body)
    return [process.execPath, path]
  }

  order(
    runner: string,
    command: readonly string[],
    rest: Partial<ProvisionOrder> = {},
  ): ProvisionOrder {
    return {
      runner,
      incarnation: 1,
      app: 'demo/echo',
      devices: [],
      url: null,
      launch: { command, cwd: this.dir, env: {} },
      env: {},
      ...rest,
    }
  }

  /** The first fact of this type about this runner, now or when it comes. */
  async fact<T extends HostFact['type']>(type: T, runner: string): Promise<FactOf<T>> {
    const found = (): HostFact | undefined =>
      this.facts.find((fact) => fact.type === type && fact.runner === runner)
    await this.until(() => found() !== undefined)
    return found() as FactOf<T>
  }

  /** Resolves when `holds` does: asked after each fact, and every 10 ms for what only the machine knows. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!holds()) return
        clearInterval(timer)
        this.#waiting.delete(check)
        resolve()
      }
      const timer = setInterval(check, 10)
      this.#waiting.add(check)
      check()
    })
  }

  /** What the runner wrote so far. */
  output(runner: string): string {
    try {
      return readFileSync(join(this.logDir, `${runner}.log`), 'utf8')
    } catch {
      return ''
    }
  }
}

/** Living processes of a group. */
export async function alive(group: number): Promise<number[]> {
  const all = await linuxTable().all()
  return all.filter((each) => each.group === group && !isDead(each)).map((each) => each.pid)
}
