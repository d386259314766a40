/** What can be read of the fleet under `/v1`: apps, runners, nodes, requests, queues, decisions, and why. Reading changes nothing. */
import {
  beginSearch,
  conclude,
  type Counterfactual,
  type Decision,
  explain,
  type Explanation,
  type HealthEvent,
  mayTurn,
  nearest,
  type NodeView,
  type Recording,
  view,
  views,
  runnerStates,
  runnerWords,
  type QueueEntry,
} from '@health/core'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { CallEntry } from './call-log.ts'
import { refuse } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import { policyRoutes } from './policy-route.ts'
import { appObject, isoOf, nodeObject, nodeObjects, requestObject, runnerObject } from './wire.ts'

/** Most objects of one answer. */
const PAGE = 1000
const DECISIONS = 100
/** Of a word that is refused, in characters. */
const MAX_WORD = 40

/** Adds the routes that read. */
export function fleetRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { fleet, clock, queue, supervisor } = gateway
  const read = { config: { access: 'read' } } as const
  const own = { config: { access: 'own' } } as const

  app.get('/v1/apps', read, async () => ({
    apps: [...fleet.apps.keys()].map((id) => appObject(fleet, id)),
    next: null,
  }))

  app.get('/v1/runners', read, async (request) => {
    const query = new Query(request)
    const states = query.words('state', [...runnerStates, ...runnerWords])
    const app = query.text('app')
    const limit = query.whole('limit', PAGE, { least: 1, most: PAGE })
    const from = query.whole('cursor', 0)
    const runners: unknown[] = []
    let seen = 0
    for (const runner of views(fleet, {
      ...(app !== null && { app }),
      ...(states !== null && { states: new Set(states) }),
    })) {
      if (seen++ < from) continue
      if (runners.length === limit) return { runners, next: String(from + limit) }
      runners.push(runnerObject(clock, runner))
    }
    return { runners, next: null }
  })

  app.get('/v1/runners/:id', read, async (request) =>
    runnerObject(clock, runnerOrRefuse(gateway, idOf(request))),
  )

  app.get('/v1/nodes', read, async () => ({
    nodes: nodeObjects(gateway),
    next: null,
  }))

  app.get('/v1/nodes/:id', read, async (request) =>
    nodeObject(clock, nodeOrRefuse(gateway, idOf(request))),
  )

  app.get('/v1/requests/:id', own, async (request) =>
    requestObject(requestOrRefuse(gateway, request)),
  )

  app.get('/v1/queues/:owner/:alias', read, async (request) => {
    const { size, app: id } = queueOrRefuse(gateway, request)
    const now = clock.wall()
    const { oldest } = queue.size(id, now)
    return { size, oldestSeconds: oldest === null ? 0 : Math.max(0, (now - oldest) / 1000) }
  })

  app.get('/v1/decisions', read, async (request) => {
    const query = new Query(request)
    const limit = query.whole('limit', DECISIONS, { least: 1, most: PAGE })
    const since = query.whole('since', 0)
    const found = supervisor.history.decisions(since, limit + 1)
    const shown = found.slice(0, limit)
    return {
      decisions: shown.map((decision) => decisionObject(gateway, decision)),
      next: found.length > limit ? (shown.at(-1)?.seq ?? null) : null,
    }
  })

  app.get('/v1/runners/:id/explain', read, async (request) => {
    const runner = runnerOrRefuse(gateway, idOf(request))
    return explained(gateway, 'runner', runner.id)
  })
  app.get('/v1/requests/:id/explain', own, async (request) => {
    const entry = requestOrRefuse(gateway, request)
    return 'mode' in entry ? explainedCall(gateway, entry) : explained(gateway, 'request', entry.id)
  })
  app.get('/v1/nodes/:id/explain', read, async (request) =>
    explained(gateway, 'node', nodeOrRefuse(gateway, idOf(request)).id),
  )

  policyRoutes(app, gateway)
}

/** A decision with its time as a date. */
export function decisionObject({ clock }: Gateway, decision: Decision): Record<string, unknown> {
  return { ...decision, at: isoOf(clock.wall(decision.at)) }
}

async function explained(
  gateway: Gateway,
  kind: 'runner' | 'request' | 'node',
  id: string,
): Promise<unknown> {
  const { history } = gateway.supervisor
  const decisions = await history.decisionsOf({ kind, id })
  const seqs = decisions.flatMap((decision) => decision.events)
  const cited = await history.events(seqs)
  const events = kind === 'runner' ? merged(await history.eventsOf(id), cited) : cited
  // An error of its device is told of the device: it is shown beside what the runner did at that moment.
  const errors = kind === 'runner' ? gateway.fleet.nodes.errorsOf(id) : []
  const beside = await history.events(errors.map(({ seq }) => seq))
  const found = explain({ events, decisions, beside }, { kind, id })
  if (found === null) return refuse(404, `${kind}_not_found`, undecided(gateway, kind, id))
  return told(gateway, found)
}

/** What is said of a request about which no rule had to decide anything. */
function uneventful({ id, position, attempts, final }: QueueEntry): string {
  const runner = attempts.at(-1)?.runner
  const where =
    final !== null
      ? `It ended with ${final.status}${runner === undefined ? '' : ` from ${runner}`}`
      : position !== null
        ? `It waits, ${position} ahead of it`
        : 'It is with a runner'
  return `Nothing had to be decided about request ${id}. ${where}.`
}

/** What is said of somebody about whom nothing was decided: of a runner that waits for its start, what it waits for. */
function undecided({ fleet, clock, queue }: Gateway, kind: string, id: string): string {
  const entry = kind === 'request' ? queue.entry(id) : null
  if (entry !== null) return uneventful(entry)
  const runner = kind === 'runner' ? view(fleet, id) : null
  const app = runner === null ? undefined : fleet.apps.get(runner.app)
  if (runner?.substate !== 'backoff' || app === undefined)
    return `Nothing was decided about ${kind} ${id} yet.`
  const before = runner.replaces ?? app.gone.at(-1)?.id ?? null
  const why =
    app.broken !== null
      ? `no runner of ${app.id} can start: ${app.broken}`
      : app.fails > 0
        ? `the last ${app.fails} starts of ${app.id} failed${app.nextStartAt > fleet.now ? `, the next may begin at ${isoOf(clock.wall(app.nextStartAt))}` : ''}`
        : 'it waits for its turn, or for room on a node'
  return `Runner ${id} has not begun: ${why}.${before === null ? '' : ` Ask why ${before} ended.`}`
}

/** An explanation with dates, and the nearest policy where the journal can prove one. */
async function told(gateway: Gateway, found: Explanation): Promise<Record<string, unknown>> {
  const { clock, supervisor } = gateway
  const { decision } = found
  // Nothing is read for a decision that compares no number: it has said so.
  const recording = mayTurn(decision)
    ? await supervisor.history.recording(decision.events.at(-1) ?? 0, decision.at)
    : null
  const { chain, counterfactual } =
    recording === null ? found : conclude(found, await prove(recording, decision), true)
  return {
    ...found,
    decision: decisionObject(gateway, decision),
    chain: chain.map((link) => ({ ...link, at: isoOf(clock.wall(link.at)) })),
    counterfactual,
  }
}

/** Events of both lists, each once, in order: what is about a runner's device does not name the runner. */
function merged(a: readonly HealthEvent[], b: readonly HealthEvent[]): readonly HealthEvent[] {
  const all = new Map([...a, ...b].map((event) => [event.seq ?? 0, event]))
  return [...all.values()].sort((x, y) => (x.seq ?? 0) - (y.seq ?? 0))
}

/** A direct call has no decision of its own: what it did to its runner is the answer. */
async function explainedCall(gateway: Gateway, call: CallEntry): Promise<unknown> {
  const { history } = gateway.supervisor
  const id = call.attempts[0]?.runner ?? ''
  const events = await history.eventsOf(id)
  const end = events.find((event) => event.type === 'attempt.ended' && event.request === call.id)
  const all = await history.decisionsOf({ kind: 'runner', id })
  const cited = all.filter(({ events: seqs }) => end?.seq !== undefined && seqs.includes(end.seq))
  // A crash is judged by the end of the process, which came before the end of the call.
  const decisions = cited.length > 0 ? cited : all
  const found = explain({ events, decisions }, { kind: 'runner', id })
  if (found === null)
    return refuse(
      404,
      'request_not_found',
      `Nothing was decided about the runner of request ${call.id} yet.`,
    )
  return { ...(await told(gateway, found)), kind: 'request', id: call.id }
}

/** Events replayed in one turn: a few ms, then others are served. */
const TURN = 2000

/** Searches for the nearest policy that would have decided otherwise, beside the work. */
async function prove(recording: Recording, decision: Decision): Promise<Counterfactual | null> {
  const search = beginSearch(recording, decision)
  for (;;) {
    const answer = search.advance(TURN)
    if (answer !== undefined) return answer
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** The id in the path, bounded. */
export const idOf = (request: FastifyRequest): string =>
  String((request.params as Record<string, string>)['id'] ?? '').slice(0, 200)

/** The runner that is meant, gone ones included. */
export function runnerOrRefuse(
  { fleet }: Gateway,
  id: string,
): NonNullable<ReturnType<typeof view>> {
  return view(fleet, id) ?? refuse(404, 'runner_not_found', `There is no runner ${id}.`)
}

/** The node that is meant. */
export function nodeOrRefuse({ fleet }: Gateway, id: string): NodeView {
  return fleet.nodes.view(id) ?? refuse(404, 'node_not_found', `There is no node ${id}.`)
}

/** The request that is meant, when the caller may see it. */
function requestOrRefuse(
  gateway: Gateway,
  request: FastifyRequest,
): NonNullable<ReturnType<Gateway['queue']['entry']> | ReturnType<Gateway['calls']['get']>> {
  const id = idOf(request)
  const entry = gateway.queue.entry(id) ?? gateway.calls.get(id)
  const { caller } = request
  if (entry === null || (caller?.scope === 'call' && caller.owner !== entry.owner))
    return refuse(404, 'request_not_found', `There is no request ${id}.`)
  return entry
}

/** The app whose queue is meant. A removed app's queue can still be seen and flushed. */
export function queueOrRefuse(
  { fleet, queue, clock }: Gateway,
  request: FastifyRequest,
): { readonly app: string; readonly size: number } {
  const { owner, alias } = request.params as { owner: string; alias: string }
  const app = `${owner}/${alias}`
  const size = queue.size(app, clock.wall()).all
  if (size === 0 && !fleet.apps.has(app))
    return refuse(404, 'app_not_found', `There is no app ${app.slice(0, 200)}.`)
  return { app, size }
}

/** Reads a query strictly: a number that is none, or a word that is not known, is 422 with its name. */
class Query {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(request: FastifyRequest) {
    this.#values = request.query as Readonly<Record<string, unknown>>
  }

  text(name: string): string | null {
    const value = this.#values[name]
    return typeof value === 'string' && value !== '' ? value : null
  }

  /** Words of a closed set, comma-separated: one that no runner can be at would find nothing, and look like an answer. */
  words(name: string, known: readonly string[]): readonly string[] | null {
    const words = this.text(name)
      ?.split(',')
      // A plus in an address is read as a space, and no word has one: `idle+draining` as people write it.
      .map((word) => word.trim().replaceAll(' ', '+'))
    const wrong = words?.find((word) => !known.includes(word))?.slice(0, MAX_WORD)
    if (wrong !== undefined)
      return refuse(
        422,
        'invalid_value',
        `${name} cannot be ${JSON.stringify(wrong)}; the nearest is ${nearest(wrong, known)}.`,
        { path: name },
      )
    return words ?? null
  }

  /** A whole number from `least`, cut at `most`. */
  whole(
    name: string,
    otherwise: number,
    { least = 0, most = Number.MAX_SAFE_INTEGER }: { least?: number; most?: number } = {},
  ): number {
    const text = this.text(name)
    if (text === null) return otherwise
    if (!/^\d{1,16}$/.test(text) || Number(text) < least)
      return refuse(422, 'invalid_value', `${name} must be a whole number from ${least}.`, {
        path: name,
      })
    return Math.min(Number(text), most)
  }
}
