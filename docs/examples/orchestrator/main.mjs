/**
 * A whole orchestrator in one file: `step` decides, this program only carries out. It keeps two servers of its own alive, sends
 * them work, and when one answers 503 it is ended, replaced, and the reason is told. Run it: npm run example -- orchestrator; where
 * @health/core is installed: node main.mjs
 */
import { spawn } from 'node:child_process'
import { createServer, connect } from 'node:net'
import { performance } from 'node:perf_hooks'
import {
  countTraffic,
  createFleet,
  explain,
  inFlight,
  judge,
  nextDue,
  outcomeOf,
  place,
  runnerOf,
  step,
  handleOf,
  NO_RUNNER,
} from '@health/core'

const APP = 'example/answer'
const SERVER = `
  let sick = false
  require('http').createServer((request, response) => {
    if (request.url === '/break') sick = true
    response.statusCode = sick ? 503 : 200
    response.end(sick ? 'broken' : 'well')
  }).listen(process.env.PORT, '127.0.0.1')`

const fleet = createFleet({}, { seed: 1 })
const events = []
const decisions = []
const children = new Map()
const flights = new Map()
const now = () => Math.round(performance.now())

/** Tells one fact, keeps the record, carries out what is ordered. */
function tell(fact) {
  const event = { at: Math.max(now(), fleet.now), ...fact }
  const result = step(fleet, event)
  if (result.seq > 0) events.push({ ...event, seq: result.seq })
  for (const decision of result.decisions) {
    decisions.push(decision)
    console.log(`${decision.subject.id}: ${decision.from} -> ${decision.to} (${decision.rule})`)
  }
  result.commands.forEach(carryOut)
}

/** One order each. A real host does more; the decisions stay the same. */
function carryOut(command) {
  const life = { runner: command.runner, incarnation: command.incarnation }
  if (command.type === 'provision') {
    const free = createServer().listen(0, '127.0.0.1', () => {
      const { port } = free.address()
      free.close(() => {
        const child = spawn(process.execPath, ['-e', SERVER], {
          env: { PORT: String(port) },
          stdio: 'ignore',
        })
        children.set(command.runner, child)
        child.once('exit', (code, signal) =>
          tell({ type: 'process.exited', ...life, code, signal }),
        )
        tell({ type: 'process.started', ...life, pid: child.pid, url: `http://127.0.0.1:${port}` })
      })
    })
  } else if (command.type === 'probe' && (command.kind === 'port' || command.kind === 'tcp')) {
    const { url } = runnerOf(fleet, handleOf(fleet, command.runner))
    const started = now()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      if (command.kind === 'port')
        tell({ type: 'port.opened', ...life, latencyMs: now() - started })
      else
        tell({
          type: 'probe.passed',
          ...life,
          probe: command.probe,
          kind: 'tcp',
          latencyMs: now() - started,
        })
    })
    socket.once('error', () => {
      if (command.kind === 'port')
        flights.set(
          command.probe,
          setTimeout(() => carryOut(command), command.everyMs),
        )
      else
        tell({
          type: 'probe.failed',
          ...life,
          probe: command.probe,
          kind: 'tcp',
          latencyMs: now() - started,
          why: 'refused',
        })
    })
  } else if (command.type === 'stop') children.get(command.runner)?.kill('SIGTERM')
  else if (command.type === 'kill') children.get(command.runner)?.kill('SIGKILL')
  else if (command.type === 'count')
    setImmediate(() =>
      tell({
        type: 'work.counted',
        ...life,
        inFlight: inFlight(fleet, handleOf(fleet, command.runner)),
      }),
    )
}

/** One request: a place, an answer, a judgement. Healthy answers cost counters only. */
async function call(path) {
  const runner = place(fleet, APP)
  if (runner === NO_RUNNER) return null
  const { id, incarnation, url } = runnerOf(fleet, runner)
  const response = await fetch(url + path)
  await response.text()
  const outcome = outcomeOf(response.status)
  if (judge(fleet, runner, incarnation, outcome, undefined, response.ok) === 'event')
    tell({
      type: 'attempt.ended',
      app: APP,
      runner: id,
      incarnation,
      request: `request-${events.length}`,
      attempt: 1,
      mode: 'run',
      outcome,
      status: response.status,
      inFlight: inFlight(fleet, runner),
    })
  return { id, status: response.status }
}

const wakes = setInterval(() => {
  for (const event of countTraffic(fleet, now())) tell(event)
  if (nextDue(fleet) <= now()) tell({ type: 'time.passed' })
}, 20)
const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20))
}
const ready = () =>
  [...children.keys()].filter(
    (id) => handleOf(fleet, id) !== NO_RUNNER && runnerOf(fleet, handleOf(fleet, id)).accepting,
  )

tell({
  type: 'app.configured',
  app: APP,
  options: { minConcurrency: 2, maxConcurrency: 2 },
  policy: {},
  revision: '1',
})
await until(() => ready().length === 2)
console.log('well:', (await call('/')).status)
const broken = await call('/break')
console.log('broken:', broken.status)
await until(
  () =>
    decisions.some(({ subject, to }) => subject.id === broken.id && to === 'gone') &&
    ready().length === 2,
)
console.log('well again:', (await call('/')).status)
for (const { text } of explain({ decisions, events }, { kind: 'runner', id: broken.id }).chain)
  console.log('why:', text)

tell({ type: 'order.shutdown', by: 'main', keepRunners: false })
await until(() =>
  [...children.values()].every((child) => child.exitCode !== null || child.signalCode !== null),
)
clearInterval(wakes)
