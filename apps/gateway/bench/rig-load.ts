/**
 * The callers of a benchmark: `wrk` where it is installed, because it leaves the cores to the servers, else sockets of our own.
 * Each connection sends its next request when the last one was answered.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What is sent. */
export interface Ask {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: string
}

/** What came of it. */
export interface Served {
  readonly requests: number
  readonly perSecond: number
  /** Answers that were no 2xx, and broken connections. */
  readonly errors: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const hasWrk = spawnSync('wrk', ['--version']).error === undefined

/** Which generator is used. */
export const generator = hasWrk ? 'wrk' : 'own sockets'

/** Sends for `seconds` over `connections`. */
export function load(
  port: number,
  connections: number,
  seconds: number,
  ask: Ask,
): Promise<Served> {
  return (hasWrk ? byWrk : bySockets)(port, connections, seconds, ask)
}

const script = (ask: Ask): string => `
wrk.method = ${JSON.stringify(ask.method)}
${ask.body === '' ? '' : `wrk.body = ${JSON.stringify(ask.body)}\nwrk.headers["content-type"] = "application/json"`}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("\\n%d %d %d %d %d\\n", summary.requests, summary.duration,
    e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
`

async function byWrk(
  port: number,
  connections: number,
  seconds: number,
  ask: Ask,
): Promise<Served> {
  const dir = mkdtempSync(join(tmpdir(), 'bench-wrk-'))
  try {
    const file = join(dir, 'ask.lua')
    writeFileSync(file, script(ask))
    const child = spawn(
      'wrk',
      [
        '-t1',
        `-c${connections}`,
        `-d${Math.max(1, Math.round(seconds))}s`,
        '-s',
        file,
        `http://127.0.0.1:${port}${ask.path}`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    await once(child, 'close')
    const [requests, micros, errors, p50, p99] = text
      .trimEnd()
      .split('\n')
      .at(-1)!
      .split(' ')
      .map(Number)
    if (requests === undefined || errors === undefined)
      throw new Error(`wrk said nothing:\n${text}`)
    return {
      requests,
      perSecond: requests / (micros! / 1e6),
      errors,
      p50Ms: p50! / 1000,
      p99Ms: p99! / 1000,
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function bySockets(
  port: number,
  connections: number,
  seconds: number,
  ask: Ask,
): Promise<Served> {
  const announced =
    ask.body === ''
      ? ''
      : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(ask.body)}\r\n`
  const request = `${ask.method} ${ask.path} HTTP/1.1\r\nhost: bench\r\n${announced}\r\n${ask.body}`
  const begun = performance.now()
  const until = begun + seconds * 1000
  const took: number[] = []
  let errors = 0
  await Promise.all(
    Array.from(
      { length: connections },
      () =>
        new Promise<void>((resolve) => {
          const socket = connect(port, '127.0.0.1').setNoDelay()
          let sent = 0
          let head = ''
          let missing = -1
          const send = (): void => {
            sent = performance.now()
            head = ''
            missing = -1
            socket.write(request)
          }
          socket.on('connect', send)
          socket.on('data', (piece: Buffer) => {
            if (missing === -1) {
              head += piece.toString('latin1')
              const end = head.indexOf('\r\n\r\n')
              if (end === -1) return
              missing =
                Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0) - (head.length - end - 4)
            } else missing -= piece.length
            if (missing > 0) return
            const now = performance.now()
            took.push(now - sent)
            if (!head.startsWith('HTTP/1.1 2')) errors++
            if (now < until) send()
            else socket.destroy()
          })
          socket.on('error', () => errors++)
          socket.on('close', () => resolve())
        }),
    ),
  )
  took.sort((a, b) => a - b)
  return {
    requests: took.length,
    perSecond: took.length / ((performance.now() - begun) / 1000),
    errors,
    p50Ms: took[took.length >> 1] ?? Number.NaN,
    p99Ms: took[Math.floor(took.length * 0.99)] ?? Number.NaN,
  }
}
