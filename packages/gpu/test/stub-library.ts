/** The C stand-in for NVML, built once per test run where a compiler is there, and the script that drives it. */
import { execFileSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { folder } from './recordings.ts'

/** Builds it; a sentence when there is no compiler. */
export function buildStub(): { library: string } | { missing: string } {
  const library = join(folder(), 'libnvidia-ml.so.1')
  const source = fileURLToPath(new URL('./stub/nvml-stub.c', import.meta.url))
  for (const compiler of ['cc', 'gcc', 'clang'])
    try {
      execFileSync(
        compiler,
        ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', library, source],
        { stdio: 'pipe' },
      )
      return { library }
    } catch (error) {
      const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: Buffer }
      if (code !== 'ENOENT') throw new Error(`${compiler}: ${String(stderr)}`, { cause: error })
    }
  return { missing: 'no C compiler (cc, gcc or clang)' }
}

/** What a device answers; a key that is not there is not supported. */
export type StubDevice = Readonly<Record<string, string | number>>

/** A healthy, busy device. */
export const healthy: StubDevice = {
  name: 'Stub GPU, 80 GB',
  temp: 60,
  margin: 27,
  sm: 1900,
  maxsm: 1980,
  mem: 2600,
  reasons: '0x4',
  power: 650_000,
  limit: 700_000,
  util: 99,
  total: 81_559,
  used: 70_000,
  gen: 5,
  width: 16,
  field4: 0,
  field94: 0,
  field144: 0,
  field145: 0,
  field194: -2,
  field230: 0,
}

/** The script of a stub; written whole, so that it is never read half. */
export class StubScript {
  readonly path: string
  readonly shutdown: string

  constructor() {
    const place = folder()
    this.path = join(place, 'script')
    this.shutdown = join(place, 'shutdown')
  }

  get env(): Record<string, string> {
    return { NVML_STUB_SCRIPT: this.path, NVML_STUB_SHUTDOWN: this.shutdown }
  }

  write(devices: readonly StubDevice[], all: StubDevice = {}): void {
    const lines = Object.entries({ devices: devices.length, ...all }).map(
      ([key, value]) => `* ${key} ${value}`,
    )
    for (const [gpu, device] of devices.entries())
      for (const [key, value] of Object.entries(device)) lines.push(`${gpu} ${key} ${value}`)
    writeFileSync(`${this.path}.new`, `${lines.join('\n')}\n`)
    renameSync(`${this.path}.new`, this.path)
  }
}
