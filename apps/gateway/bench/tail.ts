/**
 * What good answers take while some servers of a fleet are bad, as p99 beside that of the seconds before. One p99 says nothing here:
 * it moves by itself, so calls go on until it is steady, then rounds of good and bad take turns and the median of their ratios counts.
 *
 *   node --conditions=@health/source bench/tail.ts [--servers 200] [--bad 5,25] [--faults '503;500;hang'] [--rounds 5] [--seconds 3] [--only gateway]
 */
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Fault } from './rig-fleet.ts'
import { ours, peers, startFleet, type Fleet, type Front } from './rig-front.ts'
import { load } from './rig-load.ts'
import { pace } from './rig-pace.ts'
import type { Server } from './rig-server.ts'
import { median, table, tell } from './rig.ts'

const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '200' },
    bad: { type: 'string', default: '5,25' },
    faults: { type: 'string', default: '503;500;hang' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'gateway;haproxy, observe layer7' },
  },
})
const count = Number(values.servers)
const seconds = Number(values.seconds)
const rounds = Number(values.rounds)
const faults = values.faults.split(';') as readonly Fault[]
const parts = values.bad.split(',').map(Number)
const RATE = { perSecond: 1000, connections: 64 }
const PATH = '/run/bench/app/work'
/** First as many calls as the front takes, for so long, in s: a Node server's code and heap are grown then. */
const FULL_SECONDS = 4
/** Then until two p99 in a row are within this factor; it is given up after so many. */
const STEADY = 1.5
const MOST_TRIES = 8
/** Servers turn bad so long after calls began, in ms. */
const BEFORE_MS = 100
/** Two passed checks bring a server back to HAProxy; ours says when it has. */
const HEAL_MS = 3500

const p99 = async (server: Server, span: number): Promise<number> =>
  (await pace(server.port, PATH, { ...RATE, seconds: span })).p99Ms

/** Calls until the p99 is steady; answers whether it ever was. */
async function warm(server: Server): Promise<boolean> {
  await load(server.port, RATE.connections, FULL_SECONDS, { method: 'GET', path: PATH, body: '' })
  let last = Number.NaN
  for (let n = 0; n < MOST_TRIES; n++) {
    const now = await p99(server, seconds)
    if (Math.max(now, last) < STEADY * Math.min(now, last)) return true
    last = now
  }
  return false
}

/** How many runners of our gateway take work; null of another server. */
async function serving(server: Server): Promise<number | null> {
  const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`)
  const page = await answer.text()
  const counts = page.matchAll(/^health_runners\{.*state="(?:idle|busy)"\} (\d+)$/gm)
  const sum = [...counts].reduce((all, [, one]) => all + Number(one), 0)
  return answer.ok && page.includes('health_runners') ? sum : null
}

async function healed(server: Server): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const now = await serving(server)
    if (now === count) return
    await pause(now === null ? HEAL_MS : 200)
    if (now === null) return
  }
  throw new Error(`${server.name} does not take all servers back`)
}

interface Round {
  readonly good: number
  readonly bad: number
}

interface Result {
  readonly name: string
  readonly fault: Fault
  readonly part: number
  readonly rounds: readonly Round[]
}

async function round(
  fleet: Fleet,
  server: Server,
  fault: Fault,
  part: number,
  n: number,
): Promise<Round> {
  const servers = Array.from(
    { length: part },
    (_, i) => (Math.floor((i + 0.5) * (count / part)) + n) % count,
  )
  const good = await p99(server, seconds)
  const calling = p99(server, seconds)
  await pause(BEFORE_MS)
  await fleet.turn(fault, servers)
  const bad = await calling
  await fleet.turn(null, servers)
  await healed(server)
  return { good, bad }
}

async function measure(name: string, start: Front): Promise<Result[]> {
  const fleet = await startFleet(count)
  const server = await start(fleet.ports)
  try {
    await pause(2000)
    await healed(server)
    if (!(await warm(server))) console.log(`${name} was never steady`)
    const results: Result[] = []
    for (const fault of faults) {
      for (const part of parts) {
        const seen: Round[] = []
        for (let n = 0; n < rounds; n++) seen.push(await round(fleet, server, fault, part, n))
        results.push({ name, fault, part, rounds: seen })
      }
    }
    return results
  } finally {
    await server.close()
    fleet.close()
  }
}

/** Servers that were ended come back soon, yet none is tried again while the bad seconds last: by default that takes half a minute. */
const fronts: Readonly<Record<string, Front | null>> = {
  gateway: (ports) => ours(ports, { policy: { backoffStepSeconds: seconds } }),
  ...peers,
}
const results: Result[] = []
for (const name of values.only.split(';')) {
  const start = fronts[name]
  if (start) results.push(...(await measure(name, start)))
  else console.log(`left out: ${name} is not installed`)
}

const ratios = (one: Result): readonly number[] => one.rounds.map(({ good, bad }) => bad / good)
/** What the p99 of good seconds does by itself: each beside the one before. */
const noise = (name: string): readonly number[] => {
  const goods = results
    .filter((one) => one.name === name)
    .flatMap((one) => one.rounds.map(({ good }) => good))
  return goods.slice(1).map((good, i) => good / goods[i]!)
}
const range = (list: readonly number[]): string =>
  `${Math.min(...list).toFixed(2)}–${Math.max(...list).toFixed(2)}`

console.log(
  `${RATE.perSecond} calls a second to ${count} servers; ${rounds} rounds of ${seconds} s while all are well, ${seconds} s while some are bad`,
)
console.log(
  table(
    ['gateway', 'fault', 'bad servers', 'p99 ms before', 'p99 ms while', 'ratio, median', 'ratios'],
    results.map((one) => [
      one.name,
      one.fault,
      String(one.part),
      median(one.rounds.map(({ good }) => good)).toFixed(2),
      median(one.rounds.map(({ bad }) => bad)).toFixed(2),
      median(ratios(one)).toFixed(2),
      range(ratios(one)),
    ]),
  ),
)
for (const name of new Set(results.map((one) => one.name)))
  console.log(
    `${name}: p99 of good seconds ÷ that of the round before: ${range(noise(name))}, median ${median(noise(name)).toFixed(2)}`,
  )
tell(
  results
    .filter(({ name }) => name === 'gateway')
    .map((one) => ({
      what: `gateway: p99 of good answers while ${one.part} of ${count} are bad ÷ before, ${one.fault}`,
      ours: median(ratios(one)),
      unit: `× (${range(ratios(one))})`,
      beside: null,
      theirs: null,
      goal: '≤ 1.50',
    })),
)
