/**
 * CPU per probe of this prober beside undici's `request`, each in a process of its own against the same server process, in turns.
 * Run: `node --conditions=@health/source bench/prober.ts [--targets 2000] [--every 1000] [--seconds 4] [--rounds 3]`
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Clock } from '@health/core'
import { createProber } from '../src/prober.ts'

interface Load {
  readonly targets: number
  readonly every: number
  readonly seconds: number
  readonly ports: readonly number[]
}
interface Row {
  readonly perSecond: number
  readonly cpuPercent: number
  readonly microsPerProbe: number
  readonly p50: number
  readonly p99: number
  readonly late99: number
  readonly failed: number
  readonly rssMiB: number
}
/** What of undici is used. */
type Request = (
  url: string,
  options: object,
) => Promise<{ readonly statusCode: number; readonly body: { dump(): Promise<void> } }>
type Ask = (url: string, done: (passed: boolean) => void) => void

/** Each target is asked once at least before the measurement, so that pools are there. */
const WARM_MS = 2_000
const TICK_MS = 5

const clock: Clock = {
  now: () => Math.floor(performance.now()),
  wall: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

/** Who is measured. */
const askers: Record<string, () => Ask> = {
  'this prober': () => {
    const prober = createProber({ clock, maxFlying: 20_000 })
    let probe = 0
    return (url, done) => {
      prober.probe(
        {
          runner: url,
          incarnation: 1,
          probe: ++probe,
          kind: 'regular',
          url,
          method: 'GET',
          path: '/health',
          timeoutMs: 5_000,
        },
        ({ result }) => done(result === 'passed'),
      )
    }
  },
  'undici, new connection each': () => undici({ reset: true }),
  'undici, pooled': () => undici({}),
}

/** The peer comes from the gateway's dependencies: this package has none. */
function undici(options: { readonly reset?: boolean }): Ask {
  const require = createRequire(new URL('../../../apps/gateway/package.json', import.meta.url))
  const { request } = require('undici') as { readonly request: Request }
  return (url, done) => {
    request(`${url}/health`, { ...options, headersTimeout: 5_000 })
      .then(async ({ statusCode, body }) => {
        await body.dump()
        done(statusCode === 200)
      })
      .catch(() => done(false))
  }
}

/** Listens on so many ports and answers everything with 200. */
async function serve(count: number): Promise<void> {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n'
  const ports: number[] = []
  for (let index = 0; index < count; index++) {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('data', (data) => {
        if (data.includes('lose\r\n'))
          socket.end(`${answer}Connection: close\r\n\r\n{"status":"ok"}\n`)
        else socket.write(`${answer}\r\n{"status":"ok"}\n`)
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports.push((server.address() as AddressInfo).port)
  }
  process.send?.(ports)
}

/** Asks all targets evenly over the interval and tells what it cost. */
function measure(name: string, { targets, every, seconds, ports }: Load): void {
  const ask = askers[name]?.()
  if (!ask) throw new Error(`unknown: ${name}`)
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  const latencies: number[] = []
  const lates: number[] = []
  let [asked, failed, measuring] = [0, 0, false]
  const start = performance.now()
  const tick = setInterval(() => {
    const now = performance.now()
    for (
      let due = start + (asked * every) / targets;
      due <= now;
      due = start + (asked * every) / targets
    ) {
      const url = urls[asked++ % urls.length] ?? ''
      if (measuring) lates.push(now - due)
      const began = performance.now()
      ask(url, (passed) => {
        if (!measuring) return
        latencies.push(performance.now() - began)
        if (!passed) failed++
      })
    }
  }, TICK_MS)
  setTimeout(
    () => {
      measuring = true
      const before = process.cpuUsage()
      setTimeout(() => {
        clearInterval(tick)
        const { user, system } = process.cpuUsage(before)
        const at = (list: number[], share: number): number =>
          list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0
        const row: Row = {
          perSecond: latencies.length / seconds,
          cpuPercent: (user + system) / seconds / 1e4,
          microsPerProbe: (user + system) / latencies.length,
          p50: at(latencies, 0.5),
          p99: at(latencies, 0.99),
          late99: at(lates, 0.99),
          failed,
          rssMiB: process.memoryUsage.rss() / 1_048_576,
        }
        process.send?.(row, () => process.exit(0))
      }, seconds * 1_000)
    },
    Math.max(WARM_MS, every),
  )
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      targets: { type: 'string', default: '2000' },
      every: { type: 'string', default: '1000' },
      seconds: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '3' },
    },
  })
  const [targets, every, seconds, rounds] = [
    values.targets,
    values.every,
    values.seconds,
    values.rounds,
  ].map(Number) as [number, number, number, number]
  const self = fileURLToPath(import.meta.url)
  const server = fork(self, ['server', String(targets)])
  const [ports] = (await once(server, 'message')) as [number[]]
  const rows = new Map<string, Row[]>(Object.keys(askers).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, list] of rows) {
      const child = fork(self, ['measure', name])
      child.send({ targets, every, seconds, ports } satisfies Load)
      const [row] = (await once(child, 'message')) as [Row]
      list.push(row)
    }
  }
  server.kill()
  console.log(
    `${targets} targets every ${every} ms, ${rounds} rounds of ${seconds} s in turns, medians`,
  )
  console.table(Object.fromEntries([...rows].map(([name, list]) => [name, medians(list)])))
}

function medians(rows: readonly Row[]): Record<string, number> {
  const keys = Object.keys(rows[0] ?? {}) as (keyof Row)[]
  return Object.fromEntries(
    keys.map((key) => [
      key,
      Number(
        (rows.map((row) => row[key]).toSorted((a, b) => a - b)[rows.length >> 1] ?? 0).toFixed(2),
      ),
    ]),
  )
}

const [role, argument] = process.argv.slice(2)
if (role === 'server') await serve(Number(argument))
else if (role === 'measure')
  process.once('message', (load) => measure(argument ?? '', load as Load))
else await main()
