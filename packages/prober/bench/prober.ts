/**
 * What it costs to ask many runners how they are: this prober beside undici's `request` and HAProxy's checks, each in a process of
 * its own against the same targets, in turns; once with many targets that are asked seldom, once with fewer that are asked often.
 * `node --conditions=@health/source bench/prober.ts [--targets 10000 --every 15000 --warm 3 --seconds 15] [--rounds 1]
 * [--only NAME,NAME]`; `every` in ms, the times of a round in seconds.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { haproxyVersion, measureHaproxy } from './haproxy.ts'
import type { AskerName, Load, Row } from './load.ts'

interface Plan {
  readonly count: number
  readonly every: number
  readonly warm: number
  readonly seconds: number
  /** Parts of the names of those that take part. */
  readonly only: string
}
const usual: readonly Plan[] = [
  { count: 10_000, every: 15_000, warm: 3, seconds: 15, only: 'this,pooled,haproxy' },
  { count: 2_000, every: 1_000, warm: 2, seconds: 5, only: '' },
]
const { values } = parseArgs({
  options: {
    targets: { type: 'string' },
    every: { type: 'string', default: '15000' },
    warm: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '15' },
    rounds: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
})
const [every, warm, seconds] = [values.every, values.warm, values.seconds].map(Number) as [
  number,
  number,
  number,
]
const plans =
  values.targets === undefined
    ? usual
    : [{ count: Number(values.targets), every, warm, seconds, only: '' }]
const rounds = Number(values.rounds)

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

const version = haproxyVersion()
console.log(`HAProxy ${version ?? 'not installed'}, ${rounds} round(s) in turns`)
for (const plan of plans) await measure(plan)

async function measure({ count, every, warm, seconds, only }: Plan): Promise<void> {
  const server = start('target-server.ts', String(count))
  const targets = await told<string[]>(server)
  const load: Load = { every, warmMs: warm * 1_000, measureMs: seconds * 1_000, targets }
  const answered = async (): Promise<number> => {
    server.send('count')
    return (await told<{ answered: number }>(server)).answered
  }
  const measureNode = (name: AskerName) => async (): Promise<Row> => {
    const child = start('asker.ts', name)
    child.send(load)
    return told<Row>(child)
  }
  const subjects: Readonly<Record<string, () => Promise<Row>>> = {
    'this prober': measureNode('this prober'),
    'undici, pooled': measureNode('undici, pooled'),
    'undici, new connection each': measureNode('undici, new connection each'),
    ...(version !== null && { haproxy: () => measureHaproxy(load, answered) }),
  }
  const parts = (values.only ?? only).split(',')
  const chosen = Object.entries(subjects).filter(([name]) =>
    parts.some((part) => name.includes(part)),
  )
  const rows = new Map<string, Row[]>(chosen.map(([name]) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const [name, ask] of chosen) rows.get(name)?.push(await ask())
  server.disconnect()
  const medians = new Map([...rows].map(([name, list]) => [name, medianOf(list)]))
  console.log(`${count} targets every ${every} ms, measured for ${seconds} s`)
  console.table(
    Object.fromEntries(
      [...medians].map(([name, row]) => [
        name,
        Object.fromEntries(Object.entries(row).map(([key, value]) => [key, shown(value)])),
      ]),
    ),
  )
  tellRows(`prober: ${count} targets every ${every / 1_000} s`, every >= 15_000, medians)
}

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

/** Rows for the one table of all benchmarks. The goals are those of the two usual loads. */
function tellRows(what: string, wide: boolean, medians: ReadonlyMap<string, Row>): void {
  const file = process.env['BENCH_ROWS']
  const mine = medians.get('this prober')
  if (file === undefined || mine === undefined) return
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
