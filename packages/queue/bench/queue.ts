/**
 * What durability costs: the queue beside bare SQLite (a transaction for each operation, same settings) and bare BullMQ on a
 * Redis that syncs every write, in one run. Jobs carry 1 KB. Each cell is the best of several rounds, for all alike: on a machine
 * that does other work too, the others say more about that work.
 *
 *   node --conditions=@health/source packages/queue/bench/queue.ts [seconds per round] [names] [rounds]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createMemoryQueue, createSqliteQueue } from '../src/index.ts'
import { bareBullmq, bareSqlite, ofPort, type Subject } from './subject.ts'

interface Cell {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

const MS = Number(process.argv[2] ?? 2) * 1_000
const only = process.argv[3]?.split(',')
const ROUNDS = Number(process.argv[4] ?? 3)
let serial = 0

/** The round with the highest rate. */
async function best<T>(measure: () => Promise<T>, rateOf: (result: T) => number): Promise<T> {
  let found = await measure()
  for (let round = 1; round < ROUNDS; round++) {
    const next = await measure()
    if (rateOf(next) > rateOf(found)) found = next
  }
  return found
}

const ofCell = (cell: Cell): number => cell.perSecond

/** `inFlight` callers, each starting the next operation when the last one ended; the first fifth is warm-up. */
async function closedLoop(inFlight: number, operation: () => Promise<unknown>): Promise<Cell> {
  const from = performance.now() + MS / 5
  const to = from + MS
  const took: number[] = []
  const caller = async (): Promise<void> => {
    for (let at = performance.now(); at < to;) {
      await operation()
      const now = performance.now()
      if (at >= from && now <= to) took.push(now - at)
      at = now
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  took.sort((a, b) => a - b)
  return {
    perSecond: (took.length / MS) * 1_000,
    p50: took[took.length >> 1] ?? NaN,
    p99: took[Math.floor(took.length * 0.99)] ?? NaN,
  }
}

async function adding(subject: Subject): Promise<Cell[]> {
  const cells: Cell[] = []
  for (const inFlight of [1, 10, 100])
    cells.push(await best(() => closedLoop(inFlight, () => subject.add(`j${++serial}`)), ofCell))
  return cells
}

/** Handles all that was added before. */
async function draining(subject: Subject, jobs: number): Promise<number> {
  for (let added = 0; added < jobs; added += 100)
    await Promise.all(Array.from({ length: 100 }, () => subject.add(`j${++serial}`)))
  const begin = performance.now()
  let left = jobs
  await new Promise<void>((resolve) => subject.work(100, () => void (--left === 0 && resolve())))
  const perSecond = (jobs / (performance.now() - begin)) * 1_000
  await subject.rest()
  return perSecond
}

/** From the call of `add` to the handler; the next begins when both are through. */
async function endToEnd(subject: Subject): Promise<Cell[]> {
  const cells: Cell[] = []
  const waiting = new Map<string, () => void>()
  for (const inFlight of [1, 10, 100]) {
    subject.work(100, (id) => {
      waiting.get(id)?.()
      waiting.delete(id)
    })
    const one = async (): Promise<void> => {
      const id = `j${++serial}`
      const handled = new Promise<void>((resolve) => waiting.set(id, resolve))
      await Promise.all([subject.add(id), handled])
    }
    cells.push(await best(() => closedLoop(inFlight, one), ofCell))
    await subject.rest()
  }
  return cells
}

interface Held {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** How long the callers' thread is held while 5 000 jobs a second pass through, in bunches of five each millisecond. */
async function holding(subject: Subject): Promise<Held> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  subject.work(100, () => {})
  const pending: Promise<unknown>[] = []
  await new Promise<void>((resolve) => {
    const begin = performance.now()
    delay.enable()
    const tick = setInterval(() => {
      const due = Math.floor((performance.now() - begin) * 5)
      while (pending.length < due) pending.push(subject.add(`j${++serial}`))
      if (performance.now() - begin < MS) return
      clearInterval(tick)
      resolve()
    }, 1)
  })
  delay.disable()
  await Promise.all(pending)
  await subject.rest()
  // The monitor's own timer of 1 ms is part of what it sees.
  const [p50 = 0, p99 = 0, max = 0] = [delay.percentile(50), delay.percentile(99), delay.max].map(
    (nanos) => nanos / 1e6 - 1,
  )
  return { p50, p99, max }
}

const makers: Record<string, (dir: string) => Subject | Promise<Subject>> = {
  queue: async (dir) => ofPort(await createSqliteQueue({ dir, maxLength: 100_000_000 })),
  sqlite: bareSqlite,
  bullmq: bareBullmq,
  memory: () => ofPort(createMemoryQueue({ maxLength: 100_000_000 })),
}
const titles: Record<string, string> = {
  queue: 'this queue',
  sqlite: 'SQLite, a transaction each',
  bullmq: 'BullMQ, AOF always',
  memory: 'this queue, memory',
}

interface Line {
  readonly name: string
  readonly add: readonly Cell[]
  readonly drain: number
  readonly whole: readonly Cell[]
  readonly held: Held
}

const root = mkdtempSync(join(tmpdir(), 'health-bench-'))
const lines: Line[] = []
try {
  for (const [name, make] of Object.entries(makers)) {
    if (only !== undefined && !only.includes(name)) continue
    const phase = async <T>(run: (subject: Subject) => Promise<T>): Promise<T> => {
      const subject = await make(mkdtempSync(join(root, `${name}-`)))
      const result = await run(subject)
      await subject.close()
      return result
    }
    const add = await phase(adding)
    const drain = await phase((subject) =>
      best(() => draining(subject, name === 'sqlite' ? 4_000 : 40_000), Number),
    )
    const whole = await phase(endToEnd)
    lines.push({
      name,
      add,
      drain,
      whole,
      held: await phase((subject) =>
        best(
          () => holding(subject),
          ({ p99 }) => -p99,
        ),
      ),
    })
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}

const rate = (perSecond: number): string => Math.round(perSecond).toLocaleString('en')
const times = (cell: Cell | undefined): string =>
  `${cell?.p50.toFixed(2)} / ${cell?.p99.toFixed(2)}`
const row = (cells: readonly string[]): void => console.log(`| ${cells.join(' | ')} |`)
row([
  'queue',
  'add/s 1',
  '10',
  '100',
  'ms at 1',
  'ms at 100',
  'drain/s',
  'end to end/s 1',
  '10',
  '100',
  'ms at 1',
  'ms at 100',
  'loop held ms, 5 k/s',
])
row(Array.from({ length: 13 }, () => '---'))
for (const { name, add, drain, whole, held } of lines) {
  row([
    titles[name] ?? name,
    ...add.map((cell) => rate(cell.perSecond)),
    times(add[0]),
    times(add[2]),
    rate(drain),
    ...whole.map((cell) => rate(cell.perSecond)),
    times(whole[0]),
    times(whole[2]),
    [held.p50, held.p99, held.max].map((ms) => ms.toFixed(2)).join(' / '),
  ])
}
const mine = lines.find((line) => line.name === 'queue')
for (const { name, add, drain, whole } of lines) {
  if (mine === undefined || name === 'queue') continue
  const ratio = (ours: number, theirs: number | undefined): string =>
    `${(ours / (theirs ?? NaN)).toFixed(2)}×`
  const adds = mine.add.map((cell, at) => ratio(cell.perSecond, add[at]?.perSecond))
  const wholes = mine.whole.map((cell, at) => ratio(cell.perSecond, whole[at]?.perSecond))
  row([
    `this queue / ${titles[name]}`,
    ...adds,
    '',
    '',
    ratio(mine.drain, drain),
    ...wholes,
    '',
    '',
    '',
  ])
}
const load = loadavg().map((value) => value.toFixed(1))
console.log(
  `ms: p50 / p99; loop held: p50 / p99 / max; node ${process.version}, ${cpus().length} cores, load at the end ${load.join(' ')}`,
)
