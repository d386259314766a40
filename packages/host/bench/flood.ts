/**
 * The worst case of a runner that floods its output: writes as fast as the disk takes them, for some seconds.
 * Prints how large its files became at most, how fast it wrote, and what the bound cost us. Run: `node bench/flood.ts [seconds]`.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '@health/core'
import { createProcessHost } from '../src/process-host.ts'
import { logPath } from '../src/output-log.ts'

const seconds = Number(process.argv[2] ?? 5)
const dir = mkdtempSync(join(tmpdir(), 'flood-'))
const script = join(dir, 'flood.mjs')
const tally = join(dir, 'tally')
writeFileSync(
  script,
  `import fs from 'node:fs'
  const block = Buffer.alloc(65536, 'x'); let bytes = 0
  setTimeout(() => { const end = Date.now() + ${seconds} * 1000
    while (Date.now() < end) bytes += fs.writeSync(1, block)
    fs.writeFileSync(${JSON.stringify(tally)}, String(bytes)) }, 500)`,
)
const clock: Clock = {
  now: () => Math.floor(performance.now()),
  wall: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
const host = createProcessHost({ clock, logDir: join(dir, 'logs') })
const path = logPath(join(dir, 'logs'), 'r1')
const size = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0
let most = 0
const look = setInterval(() => (most = Math.max(most, size(path) + size(`${path}.1`))), 1)
const before = process.cpuUsage()
host.listen((fact) => {
  if (fact.type !== 'process.exited') return
  clearInterval(look)
  const { user, system } = process.cpuUsage(before)
  setTimeout(() => {
    const mib = (bytes: number): string => (bytes / 1_048_576).toFixed(1)
    console.log(
      `written ${mib(Number(readFileSync(tally, 'utf8')) / seconds)} MiB/s · most at a time ${mib(most)} MiB · after the end ${mib(size(path) + size(`${path}.1`))} MiB · our CPU ${((user + system) / 1e4 / seconds).toFixed(1)} % of a core`,
    )
    void host.close({ keep: false }).then(() => rmSync(dir, { recursive: true }))
  }, 500)
})
host.provision({
  runner: 'r1',
  incarnation: 1,
  app: 'bench/flood',
  devices: [],
  url: null,
  launch: { command: [process.execPath, script], cwd: dir, env: {} },
  env: {},
})
