/**
 * What a delivery costs: the channel beside plain `ws`, pre-framed `ws`, raw pre-framed sockets and socket.io, all of them up at once and
 * measured in short turns, so that what else the machine does meets all alike. Singles and bursts of four in one turn; memory of an idle
 * subscriber; a publish that nobody hears. `node --conditions=@health/source packages/realtime/bench/channel.ts [SUBSCRIBERS] [ROUNDS]`
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createChannel } from '../src/channel.ts'
import { subscribe } from './load.ts'
import { installPeers } from './peer.ts'
import {
  PEER,
  serve,
  subjects,
  type Clocked,
  type Order,
  type Ready,
  type Weighed,
} from './subject.ts'

const WARM_MS = 100
const SINGLE_MS = 500
const BURST_MS = 250
const BURST = 4

/** Deliveries of one turn. CPU of the server in µs per delivery. */
interface Turn {
  readonly perSecond: number
  readonly user: number
  readonly system: number
}
interface Round {
  readonly single: Turn
  readonly burst: Turn
}
/** A server with its subscribers. */
interface Side {
  readonly name: string
  readonly server: ChildProcess
  readonly load: ChildProcess
  readonly frameBytes: number
  /** KiB of an idle subscriber: what the process grew by, and what of it is in use. */
  readonly grown: number
  readonly used: number
  readonly rounds: Round[]
}

const [role, ...rest] = process.argv.slice(2)
if (role === 'server') serve(rest[0]!)
else if (role === 'load')
  await subscribe({ port: Number(rest[0]), path: rest[1]!, hello: rest[2]! }, Number(rest[3]))
else await compare(Number(role ?? 1000), Number(rest[0] ?? 8))

async function compare(subscribers: number, rounds: number): Promise<void> {
  const missing = process.env['BENCH_PEERS'] === 'none' ? 'left out by BENCH_PEERS' : installPeers()
  if (missing !== null) console.log(`no ${PEER}: ${missing}`)
  const sides: Side[] = []
  for (const name of Object.keys(subjects))
    if (name !== PEER || missing === null) sides.push(await open(name, subscribers))
  for (let round = 0; round < rounds; round++) {
    // Another one begins each time: none is always the one after the same.
    for (let i = 0; i < sides.length; i++) {
      const side = sides[(i + round) % sides.length]!
      await turn(side, subscribers, 1, WARM_MS)
      side.rounds.push({
        single: await turn(side, subscribers, 1, SINGLE_MS),
        burst: await turn(side, subscribers, BURST, BURST_MS),
      })
    }
  }
  for (const { load, server } of sides) {
    load.disconnect()
    server.disconnect()
    await Promise.all([once(load, 'exit'), once(server, 'exit')])
  }
  report(subscribers, sides)
}

async function open(name: string, subscribers: number): Promise<Side> {
  const server = start('server', name)
  const [{ port, path, hello, frameBytes }] = (await once(server, 'message')) as [Ready]
  const before = await ask<Weighed>(server, 'weigh')
  const load = start('load', String(port), path, hello, String(subscribers))
  await once(load, 'message')
  const side = { name, server, load, frameBytes, grown: 0, used: 0, rounds: [] }
  // One event for everybody: who never got anything is not a subscriber yet.
  await broadcast(side, subscribers, 1)
  const after = await ask<Weighed>(server, 'weigh')
  const each = (of: 'rss' | 'used'): number => (after[of] - before[of]) / subscribers / 1024
  return { ...side, grown: each('rss'), used: each('used') }
}

/** Resolves when everybody has everything. */
async function broadcast(
  { server, load, frameBytes }: Pick<Side, 'server' | 'load' | 'frameBytes'>,
  subscribers: number,
  count: number,
): Promise<void> {
  load.send({ bytes: subscribers * count * frameBytes })
  const received = once(load, 'message')
  server.send({ do: 'broadcast', count } satisfies Order)
  await received
}

/** One broadcast after the other, the next when everybody has the one before. */
async function turn(side: Side, subscribers: number, count: number, ms: number): Promise<Turn> {
  const before = await ask<Clocked>(side.server, 'clock')
  const from = performance.now()
  let done = 0
  for (; performance.now() - from < ms; done++) await broadcast(side, subscribers, count)
  const seconds = (performance.now() - from) / 1000
  const after = await ask<Clocked>(side.server, 'clock')
  const deliveries = done * subscribers * count
  return {
    perSecond: deliveries / seconds,
    user: (after.user - before.user) / deliveries,
    system: (after.system - before.system) / deliveries,
  }
}

async function ask<T>(server: ChildProcess, what: 'clock' | 'weigh'): Promise<T> {
  server.send({ do: what } satisfies Order)
  const [answer] = (await once(server, 'message')) as [T]
  return answer
}

function start(...args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(import.meta.url), args, {
    // The young generation as `npm start` gives it to the gateway, to all alike: V8's own choice would be counted as their subscribers'.
    execArgv: ['--conditions=@health/source', '--expose-gc', '--max-semi-space-size=4'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

function cpuOf({ user, system }: Turn): number {
  return user + system
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

function report(subscribers: number, sides: readonly Side[]): void {
  const [own, plain, preframed] = sides as [Side, Side, Side]
  const all = (side: Side, of: (round: Round) => number): number => middle(side.rounds.map(of))
  /** Ours over theirs of the same round; the middle of all rounds. */
  const ratio = (other: Side, of: (round: Round) => number): number =>
    middle(own.rounds.map((round, i) => of(round) / of(other.rounds[i]!)))
  const singleCpu = ({ single }: Round): number => cpuOf(single)
  const singleRate = ({ single }: Round): number => single.perSecond
  const burstRate = ({ burst }: Round): number => burst.perSecond

  console.log(
    `${subscribers} subscribers, ${own.frameBytes} bytes a frame, medians of ${own.rounds.length} rounds`,
  )
  console.table(
    Object.fromEntries(
      sides.map((side) => [
        side.name,
        {
          'single/s': Math.round(all(side, singleRate)),
          'µs CPU': rounded(all(side, singleCpu)),
          'of it user': rounded(all(side, ({ single }) => single.user)),
          'burst/s': Math.round(all(side, burstRate)),
          'burst µs CPU': rounded(all(side, ({ burst }) => cpuOf(burst))),
          'KiB idle': rounded(side.grown),
          'KiB in use': rounded(side.used),
        },
      ]),
    ),
  )
  const nobody = costForNobody()
  const said = (value: number): string => value.toFixed(2)
  console.log(
    `G5a CPU per delivery: ${said(ratio(plain, singleCpu))} x ws (goal 0.85), rate ${said(ratio(preframed, singleRate))} x pre-framed ws (goal 0.95), CPU ${said(ratio(preframed, singleCpu))} x pre-framed ws`,
  )
  console.log(`G5b bursts: ${said(ratio(plain, burstRate))} x ws (goal 2.2)`)
  console.log(`G5c idle subscriber: ${own.grown.toFixed(1)} KiB (goal 9, at 5000)`)
  console.log(`nobody subscribed: ${nobody.ns.toFixed(1)} ns a publish, ${nobody.kept} events kept`)
  const file = process.env['BENCH_ROWS']
  if (file === undefined) return
  const tell = (row: object): void => appendFileSync(file, `${JSON.stringify(row)}\n`)
  const what = `channel: a message to ${subscribers} subscribers`
  const goals: Readonly<Record<string, string>> = { ws: '≤ 0.85' }
  for (const side of sides.slice(1)) {
    const theirs = all(side, singleCpu)
    const ours = theirs * ratio(side, singleCpu)
    const unit = 'CPU µs/delivery'
    tell({ what, ours, unit, beside: side.name, theirs, goal: goals[side.name] ?? null })
  }
  const theirs = all(plain, burstRate)
  tell({
    what: 'channel: four messages of one turn',
    ours: theirs * ratio(plain, burstRate),
    unit: 'deliveries/s',
    beside: plain.name,
    theirs,
    goal: '≥ 2.2',
  })
  tell({
    what: `channel: memory of a subscriber, ${subscribers} there`,
    ours: own.grown,
    unit: 'KiB',
    beside: null,
    theirs: null,
    // At a thousand the process's own growth is most of it.
    goal: subscribers >= 5000 ? '≤ 9' : null,
  })
}

/** A publish on a channel with nobody there. */
function costForNobody(): { readonly ns: number; readonly kept: number } {
  const channel = createChannel({ snapshot: () => [] })
  const data = { id: 'r1' }
  const times = 1_000_000
  let from = 0
  for (const many of [times / 10, times]) {
    from = performance.now()
    for (let i = 0; i < many; i++) channel.publish('runners', 'a/b', data)
  }
  const ns = ((performance.now() - from) * 1e6) / times
  return { ns, kept: channel.kept.events }
}

function rounded(value: number): number {
  return Number(value.toFixed(2))
}
