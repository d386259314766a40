/**
 * Asks a health endpoint once, for people, CI and containers: healthy or not, how long it took, and what failed. It follows no
 * redirect and believes the body over a 200: some endpoints say "down" there alone.
 */
import type { IncomingMessage } from 'node:http'
import { request as secure } from 'node:https'
import { codeOf } from './failure.ts'

// Not imported: an import reads every name of `node:http`, and one of them loads a WebSocket client, 13 MB.
const { request: plain } = process.getBuiltinModule('node:http')

/** What came of asking. */
export interface UrlCheck {
  /** Without user and password. */
  readonly url: string
  /** HTTP status, null when there was no answer. */
  readonly status: number | null
  readonly healthy: boolean
  readonly latencyMs: number
  /** Names of the checks that failed, or one word that says why there is none. */
  readonly failed: readonly string[]
  /** A connection stood, whatever came of it. */
  readonly reached: boolean
}

const longestBody = 1_048_576

/** Asks the URL; `timeout` in ms is for everything together, `headers` are added to the question. Never rejects. */
export async function checkUrl(
  url: URL,
  timeout: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<UrlCheck> {
  const begun = performance.now()
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  const base = { url: shown.href }
  const took = () => Math.round(performance.now() - begun)
  const question: Question = { headers, signal: AbortSignal.timeout(timeout), reached: false }
  try {
    const { status, body } = await get(url, question)
    const latencyMs = took()
    const report = parse(body)
    const healthy = status >= 200 && status < 300 && !isBad(report?.['status'])
    if (healthy) return { ...base, status, healthy, latencyMs, failed: [], reached: true }
    const failed =
      failing(report) ??
      failingLines(body) ??
      (await askMore(url, question)) ??
      reason(report, status)
    return { ...base, status, healthy, latencyMs, failed, reached: true }
  } catch (error) {
    const failed = [question.signal.aborted ? 'timeout' : codeOf(error)]
    const { reached } = question
    return { ...base, status: null, healthy: false, latencyMs: took(), failed, reached }
  }
}

interface Question {
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  reached: boolean
}

/** The short answer names no checks; the long one does, where the server knows `verbose`. */
async function askMore(url: URL, question: Question): Promise<readonly string[] | null> {
  if (url.searchParams.has('verbose')) return null
  const more = new URL(url)
  more.searchParams.set('verbose', '1')
  try {
    const { body } = await get(more, question)
    return failing(parse(body)) ?? failingLines(body)
  } catch {
    // The first answer stands; this one was only to say more about it.
    return null
  }
}

function reason(report: Report | null, status: number): readonly string[] {
  const said = report?.['reason']
  if (typeof said === 'string' && said.length <= 200) return [said.replace(/[^\x20-\x7e]/g, '?')]
  return [`status ${status}`]
}

async function get(url: URL, question: Question): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const send = url.protocol === 'https:' ? secure : plain
  const headers = { accept: 'application/json', 'user-agent': 'health-check', ...question.headers }
  const asked = send(url, { headers, agent: false, signal: question.signal }, resolve)
  asked.once('socket', (socket) =>
    socket.once(send === secure ? 'secureConnect' : 'connect', () => (question.reached = true)),
  )
  asked.once('error', reject)
  asked.end()
  try {
    const answer = await promise
    const pieces: Buffer[] = []
    let size = 0
    for await (const piece of answer as AsyncIterable<Buffer>) {
      size += piece.length
      // What is longer is no health report; the status alone counts then.
      if (size > longestBody) break
      pieces.push(piece)
    }
    return { status: answer.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8') }
  } finally {
    asked.destroy()
  }
}

type Report = Record<string, unknown>

function parse(body: string): Report | null {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Report) : null
  } catch {
    return null
  }
}

const badWords = new Set([
  'unhealthy',
  'fail',
  'down',
  'error',
  'not ready',
  'starting',
  'shutting_down',
  'out_of_service',
])

function isBad(status: unknown): boolean {
  return typeof status === 'string' && badWords.has(status.toLowerCase())
}

/** Names of failing checks, in the words of any of the known formats; null when the report has no checks. */
function failing(report: Report | null): readonly string[] | null {
  const checks = report?.['checks'] ?? report?.['components'] ?? report?.['details']
  if (typeof checks !== 'object' || checks === null) return null
  const lines: (readonly [string, unknown])[] = Array.isArray(checks)
    ? checks.map((line) => [String((line as Report)?.['name']), line] as const)
    : Object.entries(checks).map(([name, line]) => [name, Array.isArray(line) ? line[0] : line])
  const failed = lines
    .filter(([, line]) => isBad(typeof line === 'string' ? line : (line as Report)?.['status']))
    .map(([name]) => name.slice(0, 100).replace(/[^\x20-\x7e]/g, '?'))
  return failed.length === 0 ? null : failed.slice(0, 100)
}

/** Kubernetes prints a line per check, `[-]database failed: reason withheld`; null when there is none. */
function failingLines(body: string): readonly string[] | null {
  const failed = [...body.matchAll(/^\[-\](\S{1,100})/gm)].map(([, name]) =>
    name!.replace(/[^\x20-\x7e]/g, '?'),
  )
  return failed.length === 0 ? null : failed.slice(0, 100)
}
