/**
 * What it costs to ask many runners how they are: this prober beside undici's `request` and HAProxy's checks, each in a process of
 * its own against the same targets, in turns. `node --conditions=@health/source bench/prober.ts [--targets 10000] [--every 15000]
 * [--warm 5] [--seconds 15] [--rounds 1] [--only NAME,NAME]`, times of a round in seconds.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { haproxyVersion, measureHaproxy } from './haproxy.ts'
import type { AskerName, Load, Row } from './load.ts'

const option = (value: string) => ({ type: 'string', default: value }) as const
const { values } = parseArgs({
  options: {
    targets: option('10000'),
    every: option('15000'),
    warm: option('5'),
    seconds: option('15'),
    rounds: option('1'),
    only: option(''),
  },
})
const [count, every, rounds] = [values.targets, values.every, values.rounds].map(Number) as [
  number,
  number,
  number,
]
const warmMs = Number(values.warm) * 1_000
const measureMs = Number(values.seconds) * 1_000

const execArgv = ['--conditions=@health/source', '--disable-warning=ExperimentalWarning']
const start = (file: string, argument: string): ChildProcess =>
  fork(new URL(file, import.meta.url), [argument], { execArgv })
/** The next message of a child; rejects when it ends first. */
async function told<T>(child: ChildProcess): Promise<T> {
  const over = new AbortController()
  const ended = once(child, 'exit', { signal: over.signal }).then(() => {
    throw new Error('a process of the benchmark ended early')
  })
  const [message] = await Promise.race([once(child, 'message'), ended]).finally(() => {
    ended.catch(() => {})
    over.abort()
  })
  return message as T
}

const server = start('target-server.ts', String(count))
const targets = await told<string[]>(server)
const load: Load = { every, warmMs, measureMs, targets }
async function answered(): Promise<number> {
  server.send('count')
  return (await told<{ answered: number }>(server)).answered
}
async function measureNode(name: AskerName): Promise<Row> {
  const child = start('asker.ts', name)
  child.send(load)
  return told<Row>(child)
}

const version = haproxyVersion()
const subjects: Readonly<Record<string, () => Promise<Row>>> = {
  'this prober': () => measureNode('this prober'),
  'undici, pooled': () => measureNode('undici, pooled'),
  'undici, new connection each': () => measureNode('undici, new connection each'),
  ...(version !== null && { haproxy: () => measureHaproxy(load, answered) }),
}
const only = values.only.split(',')
const chosen = Object.entries(subjects).filter(([name]) => only.some((part) => name.includes(part)))
const rows = new Map<string, Row[]>(chosen.map(([name]) => [name, []]))
for (let round = 0; round < rounds; round++)
  for (const [name, measure] of chosen) rows.get(name)?.push(await measure())
server.disconnect()

const medians = new Map([...rows].map(([name, list]) => [name, medianOf(list)]))
console.log(
  `${count} targets every ${every} ms, ${rounds} round(s) of ${values.seconds} s in turns, HAProxy ${version ?? 'not installed'}`,
)
console.table(
  Object.fromEntries(
    [...medians].map(([name, row]) => [
      name,
      Object.fromEntries(Object.entries(row).map(([key, value]) => [key, shown(value)])),
    ]),
  ),
)
tellRows()

function medianOf(list: readonly Row[]): Row {
  const keys = Object.keys(list[0] ?? {}) as (keyof Row)[]
  return Object.fromEntries(
    keys.map((key) => [
      key,
      list
        .map((row) => row[key])
        .toSorted((a, b) => Number(a) - Number(b))
        .at(list.length >> 1),
    ]),
  ) as unknown as Row
}

function shown(value: number | null): number | string {
  return value === null ? '–' : Number(value.toFixed(2))
}

/** Rows for the one table of all benchmarks. The goals are those of the two loads they were set for. */
function tellRows(): void {
  const file = process.env['BENCH_ROWS']
  const mine = medians.get('this prober')
  if (file === undefined || mine === undefined) return
  const wide = every >= 15_000
  const what = `prober: ${count} targets every ${every / 1_000} s`
  const goals: Readonly<Record<string, string | undefined>> = wide
    ? { 'undici, pooled': '≤ 0.45', haproxy: '≤ 1.60' }
    : { haproxy: '≤ 1.50' }
  const tell = (row: object): void => appendFileSync(file, `${JSON.stringify({ what, ...row })}\n`)
  for (const [name, row] of medians) {
    if (row === mine) continue
    const costs = { ours: mine.microsPerProbe, theirs: row.microsPerProbe }
    tell({ ...costs, unit: 'CPU µs/probe', beside: name, goal: goals[name] ?? null })
  }
  if (!wide) return
  const alone = { beside: null, theirs: null }
  tell({ ours: mine.pssMiB, unit: 'MiB', goal: '≤ 130', ...alone })
  tell({ ours: mine.crowded, unit: 'starts in the busiest second ÷ mean', goal: null, ...alone })
  tell({ ours: mine.late99, unit: 'ms late at p99', goal: '≤ 20', ...alone })
}
