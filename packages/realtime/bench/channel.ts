/**
 * What a delivery costs: the channel beside plain `ws`, pre-framed `ws` and raw pre-framed sockets, in one run, in turns. Singles and bursts of
 * four in one turn; memory of an idle subscriber. `node --conditions=@health/source packages/realtime/bench/channel.ts [SUBSCRIBERS] [RUNS]`
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { subscribe } from './load.ts'
import { frameBytes, serve, subjects, type Order } from './subject.ts'

const ROUND_MS = 1500
const WARM_MS = 500

interface Row {
  readonly perSecond: number
  /** CPU of the server per delivery, in µs. */
  readonly cpu: number
}
interface Result {
  readonly single: Row
  readonly burst: Row
  /** KiB of an idle subscriber. */
  readonly memory: number
}

const [role, ...rest] = process.argv.slice(2)
if (role === 'server') serve(rest[0]!)
else if (role === 'load') await subscribe(Number(rest[0]), Number(rest[1]))
else await compare(Number(role ?? 1000), Number(rest[0] ?? 3))

async function compare(subscribers: number, runs: number): Promise<void> {
  const results = new Map<string, Result[]>(Object.keys(subjects).map((name) => [name, []]))
  for (let run = 0; run < runs; run++)
    for (const [name, list] of results) list.push(await measure(name, subscribers))
  const rows = [...results].map(([name, list]) => ({
    name,
    single: middle(list.map(({ single }) => single.perSecond)),
    singleCpu: middle(list.map(({ single }) => single.cpu)),
    burst: middle(list.map(({ burst }) => burst.perSecond)),
    burstCpu: middle(list.map(({ burst }) => burst.cpu)),
    memory: middle(list.map(({ memory }) => memory)),
  }))
  console.log(`${subscribers} subscribers, ${frameBytes} bytes a frame, medians of ${runs} runs`)
  console.table(
    rows.map(({ name, single, singleCpu, burst, burstCpu, memory }) => ({
      server: name,
      'single/s': Math.round(single),
      'µs CPU': Number(singleCpu.toFixed(2)),
      'burst/s': Math.round(burst),
      'burst µs CPU': Number(burstCpu.toFixed(2)),
      'KiB idle': Number(memory.toFixed(1)),
    })),
  )
  const [own, ws, preframed] = rows
  console.log(
    `G5a CPU per delivery: ${(own!.singleCpu / ws!.singleCpu).toFixed(2)} x ws (goal 0.85), rate ${(own!.single / preframed!.single).toFixed(2)} x pre-framed ws (goal 0.95)`,
  )
  console.log(`G5b bursts: ${(own!.burst / ws!.burst).toFixed(2)} x ws (goal 2.2)`)
  console.log(`G5c idle subscriber: ${own!.memory.toFixed(1)} KiB (goal 9, at 5000)`)
}

async function measure(name: string, subscribers: number): Promise<Result> {
  const server = start('server', name)
  const [{ port, rss }] = (await once(server, 'message')) as [{ port: number; rss: number }]
  const load = start('load', String(port), String(subscribers))
  await once(load, 'message')
  try {
    // One event for everybody: who never got anything is not a subscriber yet.
    load.send({ bytes: subscribers * frameBytes })
    const received = once(load, 'message')
    server.send({ do: 'broadcast', count: 1 } satisfies Order)
    await received
    const { rss: full } = await ask(server)
    const single = await broadcast(server, load, subscribers, 1)
    const burst = await broadcast(server, load, subscribers, 4)
    return { single, burst, memory: (full - rss) / subscribers / 1024 }
  } finally {
    load.disconnect()
    server.disconnect()
    await Promise.all([once(load, 'exit'), once(server, 'exit')])
  }
}

/** One broadcast after the other, the next when everybody has the one before. */
async function broadcast(
  server: ChildProcess,
  load: ChildProcess,
  subscribers: number,
  count: number,
): Promise<Row> {
  const round = async (): Promise<void> => {
    load.send({ bytes: subscribers * count * frameBytes })
    const received = once(load, 'message')
    server.send({ do: 'broadcast', count } satisfies Order)
    await received
  }
  const rounds = async (ms: number): Promise<{ done: number; ms: number }> => {
    const from = performance.now()
    let done = 0
    for (; performance.now() - from < ms; done++) await round()
    return { done, ms: performance.now() - from }
  }
  await rounds(WARM_MS)
  const before = await ask(server)
  const { done, ms } = await rounds(ROUND_MS)
  const after = await ask(server)
  const deliveries = done * subscribers * count
  return { perSecond: (deliveries / ms) * 1000, cpu: (after.cpu - before.cpu) / deliveries }
}

async function ask(server: ChildProcess): Promise<{ cpu: number; rss: number }> {
  server.send({ do: 'measure' } satisfies Order)
  const [answer] = (await once(server, 'message')) as [{ cpu: number; rss: number }]
  return answer
}

function start(...args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(import.meta.url), args, {
    execArgv: ['--conditions=@health/source', '--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
