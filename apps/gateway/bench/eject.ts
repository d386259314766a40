/**
 * How soon a bad server is left alone: some of 200 begin to answer 503 (with and without a failing health check), 500, nothing,
 * resets, or are gone, under calls at a steady rate. Counted is what still reached them and what callers saw, beside HAProxy and nginx;
 * for our gateway also what became of queued requests, how often it asked a port after 500s, and how soon it knew.
 *
 *   node --conditions=@health/source bench/eject.ts [--servers 200] [--bad 5] [--seconds 7] [--faults '503;hang'] [--beside '503;hang'] [--only gateway]
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Fault, Seen } from './rig-fleet.ts'
import { ours, peers, startFleet, type Fleet } from './rig-front.ts'
import { pace, type Paced } from './rig-pace.ts'
import type { GatewayServer, Server } from './rig-server.ts'
import { median, table, tell, type Row } from './rig.ts'

const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '200' },
    bad: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '7' },
    faults: { type: 'string' },
    beside: { type: 'string' },
    only: { type: 'string' },
  },
})
const count = Number(values.servers)
const badCount = Number(values.bad)
const seconds = Number(values.seconds)
/** Every so many servers one is bad; with `shift` it is another one. */
const some = (shift: number): readonly number[] =>
  Array.from({ length: badCount }, (_, i) => Math.floor((i + 0.5) * (count / badCount)) + shift)
const allFaults: readonly Fault[] = ['503', '503, health 200', '500', 'hang', 'reset', 'gone']
const asked = (list: string | undefined, one: string): boolean =>
  list?.split(';').includes(one) ?? true
const faults = allFaults.filter((fault) => asked(values.faults, fault))
/** What a retry makes good. */
const retried: ReadonlySet<Fault> = new Set(['503', '503, health 200', 'reset', 'gone'])

const WORK = '/run/bench/app/work'
const RATE = { perSecond: 1000, connections: 64 }
/** Servers are well for so long while calls come already, in ms. */
const BEFORE_MS = 300
/** The last of the fleet is an app of its own. */
const alone = count
/** Nobody else holds verdicts back: by its defaults ours ends three at once by doubt, then one in five seconds. */
const unguarded = { doubtBurst: 100, doubtPerSecond: 100 }

interface Result {
  readonly fault: Fault
  readonly name: string
  readonly seen: readonly Seen[]
  readonly calls: Paced
}

/** What only our gateway is asked. */
interface Own {
  /** Servers that it ended. */
  readonly ended: number
  /** From the first request that a bad server saw to the moment that it was ended, in ms. */
  readonly endedMs: readonly number[]
  readonly queue: { readonly jobs: number; readonly failed: number } | null
  readonly bursts: { readonly checks: number; readonly verdictMs: readonly number[] } | null
}

async function ready(server: Server): Promise<void> {
  // Until every server is known to be well, and no longer young.
  await pause(2000)
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://127.0.0.1:${server.port}${WORK}`).catch(() => null)
    await answer?.arrayBuffer()
    if (answer?.status === 200) return
    if (tries > 50) throw new Error(`${server.name} does not serve: ${answer?.status}`)
    await pause(100)
  }
}

async function measure(fault: Fault, name: string, fleet: Fleet, server: Server): Promise<Result> {
  await ready(server)
  await pace(server.port, WORK, { ...RATE, seconds: 1 })
  const calling = pace(server.port, WORK, { ...RATE, seconds: seconds + BEFORE_MS / 1000 })
  await pause(BEFORE_MS)
  await fleet.turn(fault, some(0))
  const calls = await calling
  return { fault, name, seen: await fleet.report(some(0)), calls }
}

/** How many servers a gateway has ended, by its own count. */
async function ended(server: Server): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text()
  const counts = page.matchAll(/^health_terminations_total\{.*enforced="true"\} (\d+)$/gm)
  return [...counts].reduce((sum, [, one]) => sum + Number(one), 0)
}

interface Line {
  readonly type?: string
  readonly at: number
  readonly wall: number
  readonly subject?: { readonly id: string }
  readonly to?: string
}

/** When a gateway ended the servers of `bench/app`, by their place, in Unix ms: its journal says so. */
function endsIn({ dataDir }: GatewayServer): ReadonlyMap<number, number> {
  const folder = join(dataDir, 'journal')
  const lines = readdirSync(folder).flatMap((file) =>
    readFileSync(join(folder, file), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line),
  )
  const began = lines.find(({ type }) => type === 'core.started')!
  const ends = new Map<number, number>()
  for (const { subject, at, to } of lines) {
    const place = /^app-url-(\d+)$/.exec(subject?.id ?? '')?.[1]
    if (place === undefined || to !== 'stopping') continue
    if (!ends.has(Number(place) - 1)) ends.set(Number(place) - 1, began.wall + at - began.at)
  }
  return ends
}

const JOBS = 300

/** Submits while other servers turn bad; counts whose result is not 200. */
async function queued(fault: Fault, fleet: Fleet, server: Server): Promise<Own['queue']> {
  const results: Promise<number>[] = []
  for (let n = 0; n < JOBS; n++) {
    results.push(job(server))
    if (n === JOBS / 4) await fleet.turn(fault, some(1))
    await pause(3)
  }
  const statuses = await Promise.all(results)
  return { jobs: JOBS, failed: statuses.filter((status) => status !== 200).length }
}

/** One queued request; answers the status of its result, 0 when none came in time. */
async function job(server: Server): Promise<number> {
  const base = `http://127.0.0.1:${server.port}/queue/bench/app`
  const submitted = await fetch(`${base}/work`, { method: 'POST', body: '{}' })
  const { request_id: id } = (await submitted.json()) as { readonly request_id: string }
  for (let tries = 0; tries < 100; tries++) {
    const status = await fetch(`${base}/requests/${id}/status`)
    await status.arrayBuffer()
    if (status.status === 200) {
      const result = await fetch(`${base}/requests/${id}`)
      await result.arrayBuffer()
      return result.status
    }
    await pause(100)
  }
  return 0
}

const BURSTS = 8
const BURST = 20

/** Bursts of calls to one server that answers 500 and is well otherwise. */
async function bursts(fleet: Fleet, server: Server): Promise<Own['bursts']> {
  await fleet.turn('500', [alone])
  for (let n = 0; n < BURSTS; n++) {
    await pace(server.port, '/run/bench/alone/work', {
      perSecond: 100_000,
      seconds: BURST / 100_000,
      connections: BURST,
    })
    // A pass younger than a second stands for the next one.
    await pause(1200)
  }
  const [seen] = await fleet.report([alone])
  return { checks: seen!.checks, verdictMs: seen!.verdictMs }
}

async function measureOurs(fault: Fault): Promise<readonly [Result, Own]> {
  const fleet = await startFleet(count + 1)
  const server = await ours(fleet.ports.slice(0, count), {
    alone: fleet.ports[alone]!,
    policy: unguarded,
  })
  try {
    const result = await measure(fault, 'gateway', fleet, server)
    const own = { ended: await ended(server) }
    const ends = endsIn(server)
    const endedMs = some(0).flatMap((place, i) => {
      const [end, first] = [ends.get(place), result.seen[i]!.firstWall]
      // Its journal knows whole ms.
      return end === undefined || first === 0 ? [] : [Math.max(0, end - first)]
    })
    return [
      result,
      {
        ...own,
        endedMs,
        queue: retried.has(fault) ? await queued(fault, fleet, server) : null,
        bursts: fault === '500' ? await bursts(fleet, server) : null,
      },
    ]
  } finally {
    await server.close()
    fleet.close()
  }
}

const results: Result[] = []
const mine = new Map<Fault, Own>()
for (const fault of faults) {
  if (values.only?.split(';').includes('gateway') ?? true) {
    const [result, own] = await measureOurs(fault)
    results.push(result)
    mine.set(fault, own)
  }
  for (const [name, start] of Object.entries(peers)) {
    if (start === null || !asked(values.only, name) || !asked(values.beside, fault)) continue
    const fleet = await startFleet(count)
    const server = await start(fleet.ports)
    try {
      results.push(await measure(fault, name, fleet, server))
    } finally {
      await server.close()
      fleet.close()
    }
  }
}

const requests = ({ seen }: Result): number => seen.reduce((sum, one) => sum + one.requests, 0)
const most = ({ seen }: Result): number => Math.max(...seen.map((one) => one.requests))
const lastMs = ({ seen }: Result): number => Math.max(...seen.map((one) => one.lastMs))
/** Until the last request came, and the last one that was held was taken back; at least, where one is held still. */
const offMs = (one: Result): number =>
  Math.max(lastMs(one), ...one.seen.map(({ heldMs }) => heldMs))
const isHeld = ({ seen }: Result): boolean => seen.some(({ held }) => held > 0)
const worst = (list: readonly number[]): number => Math.max(...list)

console.log(
  `${badCount} of ${count} servers turn bad, ${RATE.perSecond} calls a second, ${seconds} s; checks every 1 s, 1 s each, 3 failures`,
)
console.log(
  table(
    [
      'fault',
      'gateway',
      'requests that reached a bad server',
      'most at one',
      'last one after ms',
      'none held after ms',
      'calls that failed',
      'p99 ms of good ones',
    ],
    results.map((one) => [
      one.fault,
      one.name,
      String(requests(one)),
      String(most(one)),
      lastMs(one).toFixed(0),
      isHeld(one) ? 'never' : offMs(one).toFixed(0),
      String(one.calls.failed),
      one.calls.p99Ms.toFixed(2),
    ]),
  ),
)
for (const [fault, { ended: ends, endedMs, queue, bursts: seen }] of mine) {
  const told = [
    `${ends} servers ended`,
    ...(endedMs.length === 0
      ? []
      : [
          `${median(endedMs).toFixed(1)} ms after the first request, at most ${worst(endedMs).toFixed(1)}`,
        ]),
    ...(queue === null
      ? []
      : [
          `${queue.failed} of ${queue.jobs} queued requests failed while ${badCount} more turned bad`,
        ]),
    ...(seen === null
      ? []
      : [
          `${seen.checks} TCP checks in ${BURSTS} bursts of ${BURST} answers 500`,
          `known ${median(seen.verdictMs).toFixed(1)} ms after the 500, at most ${worst(seen.verdictMs).toFixed(1)}`,
        ]),
  ]
  console.log(`gateway, ${fault}: ${told.join('; ')}`)
}

const row = (
  what: string,
  [value, unit]: readonly [number, string],
  goal: string | null,
  beside: readonly [string, number] | null = null,
): Row => ({
  what: `gateway: ${what}`,
  ours: value,
  unit,
  beside: beside?.[0] ?? null,
  theirs: beside?.[1] ?? null,
  goal,
})

/** What the goals for one fault ask. */
function rowsOf(one: Result, own: Own): Row[] {
  const { fault } = one
  const beside = (name: string): Result | undefined =>
    results.find((other) => other.name === name && other.fault === fault)
  const failedEach = row(
    `failed direct calls for each bad server, ${fault}`,
    [one.calls.failed / badCount, 'calls'],
    '≤ 1',
  )
  const failedJobs = row(
    `failed queued requests of ${own.queue?.jobs}, ${fault}`,
    [own.queue?.failed ?? Number.NaN, 'requests'],
    '≤ 0',
  )
  const reached = beside('haproxy, observe layer7')
  const active = beside('haproxy, active checks')
  switch (fault) {
    case '503':
    case '503, health 200':
      return [
        row(
          `requests that reached ${badCount} bad servers, ${fault}`,
          [requests(one), 'requests'],
          null,
          reached === undefined ? null : [reached.name, requests(reached)],
        ),
        row(
          `requests that reached one bad server at most, ${fault}`,
          [most(one), 'requests'],
          '≤ 1',
        ),
        failedEach,
        failedJobs,
      ]
    case '500':
      return [
        row(`servers ended, ${fault}`, [own.ended, 'servers'], '≤ 0'),
        row(
          `TCP checks for a burst, ${fault}`,
          [(own.bursts?.checks ?? Number.NaN) / BURSTS, 'checks'],
          '≤ 1',
        ),
        row(`from a ${fault} to the verdict`, [median(own.bursts?.verdictMs ?? []), 'ms'], '≤ 5'),
      ]
    case 'hang':
      return [
        row(`until nothing is on a bad server, ${fault}`, [offMs(one), 'ms'], '≤ 4500'),
        ...(active === undefined
          ? []
          : [
              row(`until nothing is on a bad server, ${fault}`, [offMs(one), 'ms'], '≤ 0.80', [
                `${active.name}, until nothing comes`,
                lastMs(active),
              ]),
            ]),
      ]
    case 'reset':
      return [
        failedEach,
        row(`slowest end after the first ${fault}`, [worst(own.endedMs), 'ms'], '≤ 5'),
        failedJobs,
      ]
    case 'gone':
      return [failedEach, failedJobs]
    default:
      return fault satisfies never
  }
}

tell(results.flatMap((one) => (one.name === 'gateway' ? rowsOf(one, mine.get(one.fault)!) : [])))
