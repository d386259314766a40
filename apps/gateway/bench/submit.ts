/**
 * What durable submits cost the callers beside them: p99 of direct calls at a steady rate, alone, while requests are submitted to the
 * queue, to a queue that commits nothing, while as many direct calls of the same size come, and while as many requests come that are
 * answered from memory, in turns in one run: the callers share the machine's cores with the gateway, and the last two say how much of the
 * tail that is. The ratios count, the numbers are this machine's.
 *
 *   node --conditions=@health/source bench/submit.ts [--rounds 5] [--seconds 2] [--submits 5000] [--calls 500]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fromSource, gateway, nodeServer, type Server } from './rig-server.ts'
import { cores, median, table, tell } from './rig.ts'
import type { Order, Paced } from './submit-load.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    submits: { type: 'string', default: '5000' },
    calls: { type: 'string', default: '500' },
  },
})
const [rounds, seconds, submits, calls] = [
  Number(values.rounds),
  Number(values.seconds),
  Number(values.submits),
  Number(values.calls),
]

/** The slowest hundredth is half as slow once gateway, runner and callers are compiled, which takes so many rounds. */
const WARM_ROUNDS = 4

const startCallers = (): ReturnType<typeof fork> =>
  fork(fileURLToPath(new URL('./submit-load.ts', import.meta.url)), { execArgv: fromSource })
const ask = async (callers: ReturnType<typeof fork>, order: Order): Promise<Paced> => {
  callers.send(order)
  const [paced] = (await once(callers, 'message')) as [Paced]
  return paced
}

/** How long the gateway's first thread has been ready and without a core, in ms: what is not its own doing. */
function coreless(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')
  return Number(fields[1]) / 1e6
}

const behind = await nodeServer('runner')
const apps = {
  'bench/app': { urls: [`http://127.0.0.1:${behind.port}`], maxMultiplexing: 1000 },
  // Nothing of it is ever run: submits alone are measured.
  'bench/queue': { command: ['true'], minConcurrency: 0, maxConcurrency: 0 },
}
const server = await gateway('gateway', { apps })
const unsynced = await gateway('gateway, queue in memory', { apps, queue: { backend: 'memory' } })

async function serves({ name, port }: Server): Promise<void> {
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/run/bench/app/`)
    await answer.arrayBuffer()
    if (answer.ok) return
    if (tries > 200) throw new Error(`${name} does not serve: ${answer.status}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const [direct, beside] = [startCallers(), startCallers()]
try {
  const { port } = server
  await serves(server)
  await serves(unsynced)
  const call: Order = {
    port,
    connections: 16,
    perSecond: calls,
    seconds,
    method: 'GET',
    path: '/run/bench/app/',
    body: '',
  }
  const flood: Order = { ...call, connections: 64, perSecond: submits, seconds: seconds + 0.5 }
  const body = JSON.stringify('a'.repeat(1022))
  const submitting: Order = { ...flood, method: 'POST', path: '/queue/bench/queue', body }
  const floods: Readonly<Record<string, Order | null>> = {
    alone: null,
    submits: submitting,
    'submits to memory': { ...submitting, port: unsynced.port },
    'direct calls': { ...flood, method: 'POST', path: '/run/bench/app/', body },
    'answers from memory': { ...flood, path: '/live' },
  }
  interface Round {
    readonly call: Paced
    readonly flood: Paced | null
    readonly waited: number
  }
  const seen = new Map<string, Round[]>()
  for (let round = -WARM_ROUNDS; round < rounds; round++) {
    for (const [name, order] of Object.entries(floods)) {
      const flooding = order === null ? null : ask(beside, order)
      // The flood is there before the first call is, and after the last.
      await new Promise((resolve) => setTimeout(resolve, 250))
      const { pid, port } = order?.port === unsynced.port ? unsynced : server
      const before = coreless(pid)
      const paced = await ask(direct, { ...call, port })
      const waited = (coreless(pid) - before) / seconds
      const result = { call: paced, waited, flood: await flooding }
      if (round >= 0) seen.set(name, [...(seen.get(name) ?? []), result])
    }
  }
  const of = (name: string, pick: (one: Paced) => number): number =>
    median(seen.get(name)!.map((one) => pick(one.call)))
  const alone = of('alone', (one) => one.p99)
  console.log(
    `${calls} direct calls/s beside ${submits}/s of 1 KB; ${rounds} rounds of ${seconds} s in turns, medians; ${cores} cores, load ${loadavg()[0]!.toFixed(1)}, node ${process.version}`,
  )
  console.log(
    table(
      [
        'beside',
        'its rate/s',
        'its p99 ms',
        'errors',
        'calls/s',
        'p50 ms',
        'p99 ms',
        '÷ alone',
        'without a core, ms/s',
      ],
      [...seen].map(([name, results]) => {
        const floods = results.flatMap(({ flood }) => (flood === null ? [] : [flood]))
        const errors = results.reduce(
          (sum, one) => sum + one.call.errors + (one.flood?.errors ?? 0),
          0,
        )
        return [
          name,
          floods.length === 0 ? '–' : median(floods.map((one) => one.perSecond)).toFixed(0),
          floods.length === 0 ? '–' : median(floods.map((one) => one.p99)).toFixed(2),
          String(errors),
          of(name, (one) => one.perSecond).toFixed(0),
          of(name, (one) => one.p50).toFixed(2),
          of(name, (one) => one.p99).toFixed(2),
          (of(name, (one) => one.p99) / alone).toFixed(2),
          median(results.map(({ waited }) => waited)).toFixed(0),
        ]
      }),
    ),
  )
  tell([
    {
      what: `gateway: p99 of direct calls beside ${submits} submits/s`,
      ours: of('submits', (one) => one.p99),
      unit: 'ms',
      beside: 'without submits',
      theirs: alone,
      goal: '≤ 2.00',
    },
    {
      what: `gateway: the same, beside submits that are committed nowhere`,
      ours: of('submits', (one) => one.p99),
      unit: 'ms',
      beside: 'queue in memory',
      theirs: of('submits to memory', (one) => one.p99),
      goal: '≤ 2.00',
    },
    {
      what: `gateway: the same, beside as many direct calls`,
      ours: of('submits', (one) => one.p99),
      unit: 'ms',
      beside: 'direct calls of that size',
      theirs: of('direct calls', (one) => one.p99),
      goal: '≤ 1.00',
    },
  ])
} finally {
  direct.kill()
  beside.kill()
  await server.close()
  await unsynced.close()
  await behind.close()
}
