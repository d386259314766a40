/** HAProxy as a prober: one process with one thread that checks every target over HTTP, measured from outside. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryOf, type Load, type Row } from './load.ts'

/** Its version, null when it is not installed. */
export function haproxyVersion(): string | null {
  const { error, stdout } = spawnSync('haproxy', ['-v'], { encoding: 'utf8' })
  return error === undefined ? (/\d+\.\d+[\w.]*/.exec(stdout)?.[0] ?? '?') : null
}

/** One round. `answered` asks the targets how many requests they have had. */
export async function measureHaproxy(load: Load, answered: () => Promise<number>): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-haproxy-'))
  const file = join(folder, 'haproxy.cfg')
  writeFileSync(file, configOf(load, join(folder, 'socket')))
  const child = spawn('haproxy', ['-db', '-q', '-f', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  try {
    await pause(load.warmMs, child)
    const [cpu, count, begun] = [cpuNanos(child), await answered(), performance.now()]
    await pause(load.measureMs, child)
    const nanos = cpuNanos(child) - cpu
    const probes = (await answered()) - count
    const seconds = (performance.now() - begun) / 1_000
    const unseen = { p50: null, p99: null, late99: null, crowded: null, failed: null }
    return {
      perSecond: probes / seconds,
      cpuPercent: nanos / seconds / 1e7,
      microsPerProbe: nanos / probes / 1e3,
      ...unseen,
      ...memoryOf(child.pid!),
    }
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}

// By default it spreads the first checks over the interval by itself.
const configOf = ({ targets, every }: Load, socket: string): string => `global
  nbthread 1
  maxconn 100
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  timeout check 5s
frontend needed-to-start
  bind ${socket}
  default_backend targets
backend targets
  option httpchk
  http-check send meth GET uri /health ver HTTP/1.1 hdr Host 127.0.0.1
  default-server check inter ${every}ms fall 3 rise 1
${targets.map((target, index) => `  server t${index} ${target}`).join('\n')}
`

/** Time on the processor of its one thread. */
const cpuNanos = ({ pid }: ChildProcess): number =>
  Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0])

async function pause(ms: number, child: ChildProcess): Promise<void> {
  const over = new AbortController()
  const ended = once(child, 'exit', { signal: over.signal }).then(() => {
    throw new Error('HAProxy ended')
  })
  const waited = new Promise((resolve) => setTimeout(resolve, ms))
  await Promise.race([waited, ended]).finally(() => {
    ended.catch(() => {})
    over.abort()
  })
}
