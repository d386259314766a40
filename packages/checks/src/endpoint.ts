/**
 * Answers health requests for any framework: which path means what, who may see details, which status and format go out. It
 * knows no server; `nodeHandler`, `fetchHandler` and the Fastify plugin hand requests in and answers out.
 */
import {
  chooseFormat,
  isoTime,
  render,
  type Readiness,
  type Report,
  type Selection,
  type Status,
  type View,
} from '@health/core/report'
import type { Checkup } from './checkup.ts'
import { invalid, isName, refuseUnknown } from './option.ts'

export interface EndpointOptions<Request = unknown> {
  /** Put before every path, `/internal` for example. Default none. */
  readonly prefix?: string
  /** Who may see `/health/details` . Without it nobody may. A throw counts as no. */
  readonly authorize?: (request: Request) => boolean | Promise<boolean>
  /** HTTP status by health status. Default 200, 200, 503. */
  readonly statusCodes?: Partial<Record<Status, number>>
  /** Path of Prometheus metrics, `/metrics` for example. Default: not served. */
  readonly metricsPath?: string
}

/** Names of {@link EndpointOptions}. */
export const endpointOptionNames = {
  prefix: true,
  authorize: true,
  statusCodes: true,
  metricsPath: true,
} as const satisfies Record<keyof EndpointOptions, true>

/** One request, as much of it as matters here. */
export interface HealthRequest<Request = unknown> {
  /** Without query. */
  readonly path: string
  /** Without the question mark; empty when there is none. */
  readonly query: string
  readonly accept: string | undefined
  /** Handed to `authorize`. */
  readonly request: Request
}

export interface HealthResponse {
  readonly status: number
  readonly type: string
  readonly body: string
}

type Reply = HealthResponse | Promise<HealthResponse>

/** What the query of a health request may say. */
interface Query {
  readonly verbose: boolean
  readonly exclude: readonly string[]
  readonly format: string | undefined
}

const plain: Query = { verbose: false, exclude: [], format: undefined }
const longestQuery = 2048
const mostExcluded = 64
const json = 'application/json; charset=utf-8'

/** The endpoints of a checkup. Throws HEALTH_POLICY_INVALID for an option out of range. */
export function createEndpoints<Request = unknown>(
  checkup: Checkup,
  options: EndpointOptions<Request> = {},
): Endpoints<Request> {
  return new Endpoints(checkup, options)
}

export class Endpoints<Request = unknown> {
  readonly checkup: Checkup
  /** Every fixed path that is answered, prefix included. Groups and single checks come in addition. */
  readonly paths: readonly string[]
  readonly groupPath: string
  readonly checkPath: string
  readonly #codes: Record<Status, number>
  readonly #authorize: EndpointOptions<Request>['authorize']
  readonly #routes: ReadonlyMap<string, (asked: HealthRequest<Request>) => Reply>
  readonly #healthHead: string
  #lastShort: {
    readonly at: number
    readonly of: Status
    readonly response: HealthResponse
  } | null = null

  constructor(checkup: Checkup, options: EndpointOptions<Request>) {
    refuseUnknown(options, endpointOptionNames, '')
    const prefix = readPath(options.prefix ?? '', 'prefix')
    this.checkup = checkup
    this.#codes = readCodes(options.statusCodes)
    this.#authorize = options.authorize
    const live = () => this.#send(asView('live', 'healthy'), plain, undefined)
    const ready = (asked: HealthRequest<Request>) => this.#ready(asked)
    const startup = (asked: HealthRequest<Request>) => this.#startup(asked)
    const health = (asked: HealthRequest<Request>) => this.health(asked.query, asked.accept)
    const routes: [string, (asked: HealthRequest<Request>) => Reply][] = [
      [
        '/live',
        (asked) => (asked.accept === undefined && asked.query === '' ? live() : this.#live(asked)),
      ],
      ['/ready', ready],
      ['/startup', startup],
      ['/health', health],
      ['/health/detailed', (asked) => this.#detailed(asked)],
    ]
    routes.push(
      ...routes.map(
        ([path, route]) => [path.replace(/^\/\w+/, '$&z'), route] as (typeof routes)[0],
      ),
    )
    if (options.metricsPath !== undefined)
      routes.push([readPath(options.metricsPath, 'metricsPath'), () => this.#metrics()])
    this.#routes = new Map(routes.map(([path, route]) => [prefix + path, route]))
    this.paths = [...this.#routes.keys()]
    this.groupPath = `${prefix}/health/groups/`
    this.checkPath = `${prefix}/health/checks/`
    this.#healthHead = `,"version":${JSON.stringify(checkup.service().version)},"timestamp":"`
  }

  /** The answer to a request, or null when its path is not one of ours. Never throws or rejects: a broken self answers 500. */
  answer(asked: HealthRequest<Request>): Reply | null {
    try {
      const reply = this.#route(asked)
      return reply instanceof Promise ? reply.catch(() => broken) : reply
    } catch {
      return broken
    }
  }

  /** `/health`, the one that is asked most. */
  health(query: string, accept: string | undefined): Reply {
    const { checkup } = this
    const started = checkup.startup()
    if (query === '' && chooseFormat(accept) === 'json' && started.ready) {
      const status = checkup.peekStatus()
      if (status !== null) return this.#short(status)
    }
    const asks = readQuery(query)
    return this.#report({ exclude: asks.exclude }, (report) => {
      // A check of the group `startup` may just have passed.
      const state = checkup.startup()
      const status = state.ready ? report.status : 'unhealthy'
      return this.#send({ ...asView('health', status, state), report }, asks, accept)
    })
  }

  #route(asked: HealthRequest<Request>): Reply | null {
    const route = this.#routes.get(asked.path)
    if (route !== undefined) return route(asked)
    if (asked.path.startsWith(this.checkPath)) {
      const check = asked.path.slice(this.checkPath.length)
      return this.checkup.has(check) ? this.#part(asked, { check }) : missing('check', check)
    }
    if (asked.path.startsWith(this.groupPath)) {
      const group = asked.path.slice(this.groupPath.length)
      return this.checkup.hasGroup(group) ? this.#part(asked, { group }) : missing('group', group)
    }
    return null
  }

  // The same bytes that `render` writes for a view without checks, put together without the view, and once a millisecond: they
  // tell the time, and under load many are asked for in the same one.
  #short(status: Status): HealthResponse {
    const now = Date.now()
    const last = this.#lastShort
    if (last !== null && last.at === now && last.of === status) return last.response
    const uptime = Math.round(process.uptime() * 1000) / 1000
    const body = `{"status":"${status}"${this.#healthHead}${isoTime(now)}","uptime_seconds":${uptime}}`
    const response = { status: this.#codes[status], type: json, body }
    this.#lastShort = { at: now, of: status, response }
    return response
  }

  #live(asked: HealthRequest<Request>): Reply {
    return this.#send(asView('live', 'healthy'), readQuery(asked.query), asked.accept)
  }

  #ready(asked: HealthRequest<Request>): Reply {
    const asks = readQuery(asked.query)
    const { exclude } = asks
    const early = this.checkup.readiness(exclude)
    // While it is leaving there is nothing to look at: the answer must not wait for a check.
    if (early.reason === 'shutting down')
      return this.#send(asView('ready', 'unhealthy', early), asks, asked.accept)
    // Only critical checks decide, so a slow one that is not does not hold up the answer.
    const brief = !asks.verbose && exclude.length === 0 && this.checkup.startup().ready
    return this.#report(brief ? { critical: true } : { exclude }, (report) => {
      const state = this.checkup.readiness(exclude)
      const status = state.ready ? report.status : 'unhealthy'
      return this.#send({ ...asView('ready', status, state), report }, asks, asked.accept)
    })
  }

  #startup(asked: HealthRequest<Request>): Reply {
    const asks = readQuery(asked.query)
    const tell = () => {
      const state = this.checkup.startup()
      const status = state.ready ? 'healthy' : 'unhealthy'
      return this.#send(asView('startup', status, state), asks, asked.accept)
    }
    if (this.checkup.startup().ready) return tell()
    return this.#report({ group: 'startup' }, tell)
  }

  #part(asked: HealthRequest<Request>, part: Selection): Reply {
    const asks = readQuery(asked.query)
    return this.#report({ ...part, exclude: asks.exclude }, (report) =>
      this.#send(
        { ...asView('health', report.status), report },
        { ...asks, verbose: true },
        asked.accept,
      ),
    )
  }

  async #detailed(asked: HealthRequest<Request>): Promise<HealthResponse> {
    if (this.#authorize === undefined)
      return problem(401, 'unauthorized', 'Details need the option `authorize`, which is not set.')
    if (!(await isAllowed(this.#authorize, asked.request)))
      return problem(401, 'unauthorized', 'Details need authorisation.')
    const asks = { ...readQuery(asked.query), verbose: true }
    const report = await this.checkup.report({ exclude: asks.exclude })
    const state = this.checkup.startup()
    const status = state.ready ? report.status : 'unhealthy'
    const history = this.checkup.history.map((change) => ({ ...change, at: isoTime(change.at) }))
    const view = { ...asView('health', status, state), report, detailed: true, history }
    // Read by people and dashboards, so the status is in the body alone.
    return { ...this.#send(view, asks, asked.accept), status: 200 }
  }

  #metrics(): HealthResponse {
    const type = 'text/plain; version=0.0.4; charset=utf-8'
    return { status: 200, type, body: this.checkup.prometheus() }
  }

  #report(selection: Selection, then: (report: Report) => HealthResponse): Reply {
    const known = this.checkup.peek(selection)
    return known === null ? this.checkup.report(selection).then(then) : then(known)
  }

  #send(view: Omit<View, 'service'>, asks: Query, accept: string | undefined): HealthResponse {
    const service = this.checkup.service(view.detailed)
    const complete = { ...view, service, verbose: asks.verbose || view.verbose }
    const { type, body } = render(chooseFormat(accept, asks.format), complete)
    return { status: this.#codes[view.status], type, body }
  }
}

function asView(
  endpoint: View['endpoint'],
  status: Status,
  state: Readiness | null = null,
): Omit<View, 'service'> {
  return { endpoint, status, state, report: null, verbose: false, detailed: false, history: null }
}

async function isAllowed<Request>(
  authorize: (request: Request) => boolean | Promise<boolean>,
  request: Request,
): Promise<boolean> {
  try {
    return (await authorize(request)) === true
  } catch {
    return false
  }
}

function readQuery(query: string): Query {
  if (query === '') return plain
  const given = new URLSearchParams(query.slice(0, longestQuery))
  const verbose = given.get('verbose')
  const exclude = given
    .getAll('exclude')
    .flatMap((names) => names.split(','))
    // What cannot be a name is dropped, so that nothing of a stranger's making is echoed.
    .filter(isName)
  return {
    verbose: verbose !== null && !/^(0|false|no)$/i.test(verbose),
    exclude: [...new Set(exclude)].slice(0, mostExcluded),
    format: given.get('format') ?? undefined,
  }
}

function problem(status: number, error: string, detail: string): HealthResponse {
  const body = JSON.stringify({ detail, error_type: error, message: detail })
  return { status, type: json, body }
}

function missing(what: 'check' | 'group', name: string): HealthResponse {
  const shown = isName(name) ? ` "${name}"` : ''
  return problem(404, `${what}_not_found`, `There is no ${what}${shown}.`)
}

const broken = problem(500, 'health_failed', 'The health check itself failed.')

function readPath(path: string, option: string): string {
  if (path !== '' && !/^\/[\w./-]*[\w-]$/.test(path))
    throw invalid(option, 'must start with "/" and must not end with it')
  return path
}

/** The status of a service is in the body: with these `Response` throws, and node announces a length of what it does not send. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304])

function readCodes(given: EndpointOptions['statusCodes']): Record<Status, number> {
  const codes = { healthy: 200, degraded: 200, unhealthy: 503 }
  refuseUnknown(given ?? {}, codes, 'statusCodes')
  for (const [status, code] of Object.entries(given ?? {})) {
    if (!Number.isInteger(code) || code < 200 || code > 599 || bodiless.has(code))
      throw invalid(
        `statusCodes.${status}`,
        'must be an HTTP status from 200 to 599 whose answer has a body, so not 204, 205 or 304',
      )
  }
  return { ...codes, ...given }
}
