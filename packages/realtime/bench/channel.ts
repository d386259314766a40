/**
 * What a delivery costs: the channel beside plain `ws`, pre-framed `ws`, raw pre-framed sockets and socket.io, all of them up at once and
 * measured in short turns, so that what else the machine does meets all alike, and started anew every few rounds: of two processes that do
 * the same, one can cost a tenth more than the other for as long as it lives. Singles and bursts of four in one turn; memory of an idle
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

const SINGLE_MS = 150
const BURST_MS = 90
const BURST = 4
/** Turns of each server in a round: server and readers fall into step or out of it by chance, for some broadcasts at a time. */
const PASSES = 3
/** Rounds of the same processes. */
const CAST_ROUNDS = 5

/** What some turns came to: CPU of the server in µs, time in seconds. */
interface Sum {
  deliveries: number
  user: number
  system: number
  seconds: number
}
interface Round {
  readonly single: Sum
  readonly burst: Sum
}
/** A server with its subscribers. */
interface Side {
  readonly server: ChildProcess
  readonly load: ChildProcess
  readonly frameBytes: number
  /** KiB of an idle subscriber: what the process grew by, and what of it is in use. */
  readonly grown: number
  readonly used: number
}
/** All that was measured of one way to deliver, over all its processes. */
interface Tally {
  readonly name: string
  readonly sides: Side[]
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
  const tallies = Object.keys(subjects)
    .filter((name) => name !== PEER || missing === null)
    .map((name): Tally => ({ name, sides: [], rounds: [] }))
  for (let done = 0; done < rounds; done += CAST_ROUNDS) {
    const cast = new Map<Tally, Side>()
    // Another one opens first each time, too.
    for (const tally of turned(tallies, done / CAST_ROUNDS)) {
      const side = await open(tally.name, subscribers)
      cast.set(tally, side)
      tally.sides.push(side)
      // Compiled before it is timed.
      await turn(side, subscribers, 1, SINGLE_MS * PASSES, nothing())
    }
    for (let i = done; i < Math.min(rounds, done + CAST_ROUNDS); i++)
      await round(cast, turned(tallies, i), subscribers)
    for (const side of cast.values()) await close(side)
  }
  report(subscribers, tallies)
}

/** Another one begins each time, and every other time they go backwards: none is always the one after the same. */
function turned<T>(list: readonly T[], times: number): readonly T[] {
  const first = times % list.length
  const order = [...list.slice(first), ...list.slice(0, first)]
  return times % 2 === 0 ? order : order.toReversed()
}

async function round(
  cast: ReadonlyMap<Tally, Side>,
  order: readonly Tally[],
  subscribers: number,
): Promise<void> {
  for (const { rounds } of order) rounds.push({ single: nothing(), burst: nothing() })
  for (let pass = 0; pass < PASSES; pass++)
    for (const tally of order) {
      const side = cast.get(tally)!
      const { single, burst } = tally.rounds.at(-1)!
      // The caches are those of the one before.
      await broadcast(side, subscribers, 1)
      await turn(side, subscribers, 1, SINGLE_MS, single)
      await turn(side, subscribers, BURST, BURST_MS, burst)
    }
}

async function open(name: string, subscribers: number): Promise<Side> {
  const server = start('server', name)
  const [{ port, path, hello, frameBytes }] = (await once(server, 'message')) as [Ready]
  const before = await ask<Weighed>(server, 'weigh')
  const load = start('load', String(port), path, hello, String(subscribers))
  await once(load, 'message')
  // One event for everybody: who never got anything is not a subscriber yet.
  await broadcast({ server, load, frameBytes }, subscribers, 1)
  const after = await ask<Weighed>(server, 'weigh')
  const each = (of: 'rss' | 'used'): number => (after[of] - before[of]) / subscribers / 1024
  return { server, load, frameBytes, grown: each('rss'), used: each('used') }
}

async function close({ load, server }: Side): Promise<void> {
  load.disconnect()
  server.disconnect()
  await Promise.all([once(load, 'exit'), once(server, 'exit')])
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

/** One broadcast after the other, the next when everybody has the one before; added to `sum`. */
async function turn(
  side: Side,
  subscribers: number,
  count: number,
  ms: number,
  sum: Sum,
): Promise<void> {
  const before = await ask<Clocked>(side.server, 'clock')
  const from = performance.now()
  let done = 0
  for (; performance.now() - from < ms; done++) await broadcast(side, subscribers, count)
  sum.seconds += (performance.now() - from) / 1000
  const after = await ask<Clocked>(side.server, 'clock')
  sum.deliveries += done * subscribers * count
  sum.user += after.user - before.user
  sum.system += after.system - before.system
}

function nothing(): Sum {
  return { deliveries: 0, user: 0, system: 0, seconds: 0 }
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

function cpuOf({ user, system, deliveries }: Sum): number {
  return (user + system) / deliveries
}

function rateOf({ deliveries, seconds }: Sum): number {
  return deliveries / seconds
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

function report(subscribers: number, tallies: readonly Tally[]): void {
  const [own, plain, preframed] = tallies as [Tally, Tally, Tally]
  const all = (tally: Tally, of: (round: Round) => number): number => middle(tally.rounds.map(of))
  const idle = ({ sides }: Tally, of: 'grown' | 'used'): number =>
    middle(sides.map((side) => side[of]))
  /** Ours over theirs of the same round; the middle of all rounds. */
  const ratio = (other: Tally, of: (round: Round) => number): number =>
    middle(own.rounds.map((each, i) => of(each) / of(other.rounds[i]!)))
  const singleCpu = ({ single }: Round): number => cpuOf(single)
  const singleRate = ({ single }: Round): number => rateOf(single)
  const burstRate = ({ burst }: Round): number => rateOf(burst)

  console.log(
    `${subscribers} subscribers, ${own.sides[0]!.frameBytes} bytes a frame, medians of ${own.rounds.length} rounds on ${own.sides.length} sets of processes`,
  )
  console.table(
    Object.fromEntries(
      tallies.map((tally) => [
        tally.name,
        {
          'single/s': Math.round(all(tally, singleRate)),
          'µs CPU': rounded(all(tally, singleCpu)),
          'of it user': rounded(all(tally, ({ single }) => single.user / single.deliveries)),
          'burst/s': Math.round(all(tally, burstRate)),
          'burst µs CPU': rounded(all(tally, ({ burst }) => cpuOf(burst))),
          'KiB idle': rounded(idle(tally, 'grown')),
          'KiB in use': rounded(idle(tally, 'used')),
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
  console.log(`G5c idle subscriber: ${idle(own, 'grown').toFixed(1)} KiB (goal 9, at 5000)`)
  console.log(`nobody subscribed: ${nobody.ns.toFixed(1)} ns a publish, ${nobody.kept} events kept`)
  const file = process.env['BENCH_ROWS']
  if (file === undefined) return
  const tell = (row: object): void => appendFileSync(file, `${JSON.stringify(row)}\n`)
  const what = `channel: a message to ${subscribers} subscribers`
  const goals: Readonly<Record<string, string>> = { ws: '≤ 0.85' }
  for (const tally of tallies.slice(1)) {
    const theirs = all(tally, singleCpu)
    const ours = theirs * ratio(tally, singleCpu)
    const unit = 'CPU µs/delivery'
    tell({ what, ours, unit, beside: tally.name, theirs, goal: goals[tally.name] ?? null })
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
    ours: idle(own, 'grown'),
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
