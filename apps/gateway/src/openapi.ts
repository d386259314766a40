/**
 * The API description, OpenAPI 3.1: paths from the server's own list of routes, schemas from the tables that check what is sent. It is
 * made once, when somebody first asks.
 */
import type { FastifyInstance } from 'fastify'
import { ref, type Schema } from './json-schema.ts'
import { operations, type Operation } from './openapi-operation.ts'
import { schemas } from './openapi-schema.ts'

/** A route as the server has it. */
export interface ServedRoute {
  readonly method: string
  /** As it was registered: `/v1/runners/:id`, `/run/*`. */
  readonly url: string
  readonly access: string
}

/** Bodies and answers that only a description needs. */
const small: Readonly<Record<string, Schema>> = {
  Events: { oneOf: [ref('Event'), { type: 'array', items: ref('Event'), maxItems: 1000 }] },
  Replace: {
    type: 'object',
    properties: { replace: { type: 'boolean' } },
    additionalProperties: false,
  },
  Manual: {
    type: 'object',
    properties: { manual: { type: 'boolean' } },
    additionalProperties: false,
  },
  OneDevice: {
    type: 'object',
    properties: { device: { type: 'string' } },
    additionalProperties: false,
  },
  Heartbeat: {
    type: 'object',
    properties: { state: { enum: ['ok', 'setup_failed'] }, detail: { type: 'string' } },
  },
  TokenAsked: {
    type: 'object',
    properties: {
      scope: { enum: ['call', 'read', 'admin'] },
      seconds: { type: 'number', exclusiveMinimum: 0 },
    },
    required: ['scope'],
  },
  Submitted: {
    type: 'object',
    properties: Object.fromEntries(
      ['request_id', 'response_url', 'status_url', 'cancel_url'].map((name) => [
        name,
        { type: 'string' },
      ]),
    ),
    required: ['request_id', 'response_url', 'status_url', 'cancel_url'],
  },
  RequestStatus: {
    type: 'object',
    properties: { status: { enum: ['IN_QUEUE', 'IN_PROGRESS', 'COMPLETED'] } },
    required: ['status'],
  },
  CancelAnswer: {
    type: 'object',
    properties: { status: { type: 'string' } },
    required: ['status'],
  },
}

const said: Readonly<Record<number, string>> = {
  101: 'Switching protocols.',
  200: 'As asked.',
  202: 'Ordered; the object as it is now.',
  400: 'Malformed, or not there yet.',
  401: 'No valid key.',
  403: 'Another key is needed.',
  404: 'There is no such thing.',
  409: 'It is terminated, or the order makes no sense.',
  413: 'The body is too large.',
  415: 'The body is not of a type that is taken.',
  422: 'Well-formed and invalid; `path` names the field.',
  426: 'This is a WebSocket; Upgrade is missing.',
  429: 'Too many; Retry-After says when.',
  501: 'Not in this version.',
  503: 'No runner, or not ready.',
  504: 'Not in time.',
  507: 'The disk is full.',
}

const asTemplate = (url: string): string =>
  url.replace(/:([a-zA-Z]+)/g, '{$1}').replace('*', '{path}')

/** The sentence of an operation that nobody wrote one for. */
export const UNLISTED = 'It has no description.'

/** Which route serves an operation; null: none. */
export function routeOf(
  routes: readonly ServedRoute[],
  key: string,
  operation: Operation,
): ServedRoute | null {
  const [method, path] = key.split(' ') as [string, string]
  return (
    routes.find(
      (route) =>
        route.method === method &&
        (operation.route ?? path) ===
          (operation.route === undefined ? asTemplate(route.url) : route.url),
    ) ?? null
  )
}

/** What is said of a route that the table of operations does not know: it is there all the same. */
const unlisted: Operation = { says: UNLISTED, answers: 200 }

/** Routes of the console and methods that only repeat others are not described. */
const isPlain = ({ method, access }: ServedRoute): boolean =>
  access !== 'page' && ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].includes(method)

const isListed = ({ method, url }: ServedRoute): boolean =>
  Object.hasOwn(operations, `${method} ${asTemplate(url)}`) ||
  Object.values(operations).some(({ route }) => route === url)

/** The whole description: every route, and no operation that no route serves. */
export function describeApi(routes: readonly ServedRoute[], version: string): Schema {
  const paths: Record<string, Record<string, Schema>> = {}
  for (const [key, operation] of Object.entries(operations)) {
    const route = routeOf(routes, key, operation)
    if (route === null) continue
    const [method, path] = key.split(' ') as [string, string]
    paths[path] ??= {}
    paths[path][method.toLowerCase()] = describeOperation(key, operation, route)
  }
  for (const route of routes) {
    if (!isPlain(route) || isListed(route)) continue
    const path = asTemplate(route.url)
    paths[path] ??= {}
    const key = `${route.method} ${path}`
    paths[path][route.method.toLowerCase()] = describeOperation(key, unlisted, route)
  }
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'health gateway',
      version,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        'Runs GPU runners, keeps them healthy, says why. Times are ISO 8601 UTC; durations end in Seconds or Ms.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: { ...schemas, ...small },
      securitySchemes: {
        key: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: '`Key …` or `Bearer …`',
        },
      },
    },
  }
}

function describeOperation(key: string, operation: Operation, { access }: ServedRoute): Schema {
  const { says, query = {}, body, answers, also = [], gives, type, relays, errors = [] } = operation
  const path = key.slice(key.indexOf(' ') + 1)
  const open = access === 'open'
  const refusals = [
    ...new Set([...errors, ...(open ? [] : [401, 403]), ...(takesJson(key) ? misread : [])]),
  ].toSorted((a, b) => a - b)
  return {
    operationId: key
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '_')
      .replace(/_$/, ''),
    summary: says,
    tags: [tagOf(path)],
    'x-access': access,
    ...(open ? { security: [] } : { security: [{ key: [] }] }),
    parameters: [
      ...[...path.matchAll(/\{([a-zA-Z]+)\}/g)].map(([, name]) => ({
        name,
        in: 'path',
        required: true,
        schema: { type: 'string' },
      })),
      ...Object.entries(query).map(([name, description]) => ({
        name,
        in: 'query',
        required: false,
        description,
        schema: { type: 'string' },
      })),
    ],
    ...(body !== undefined && {
      requestBody: {
        required: false,
        content: body === '*' ? { '*/*': {} } : { 'application/json': { schema: ref(body) } },
      },
    }),
    responses: {
      ...Object.fromEntries(
        [answers, ...also].map((status) => [
          status,
          {
            description: said[status] ?? '',
            ...(status !== 101 && { content: contentOf(gives, type) }),
          },
        ]),
      ),
      ...Object.fromEntries(
        refusals.map((status) => [
          status,
          {
            description: said[status] ?? '',
            // A service that is not well says so in its own words, a runner in its; whoever asked wrongly gets an error.
            content:
              relays === true
                ? { 'application/json': { schema: { anyOf: [ref('Error'), {}] } }, '*/*': {} }
                : contentOf(gives === 'Health' && status === 503 ? 'Health' : 'Error'),
          },
        ]),
      ),
      ...(relays === true && {
        default: { description: 'What the runner answered.', content: { '*/*': {} } },
      }),
    },
  }
}

/** Refusals of a body that is read here, before anybody looks what it says. */
const misread = [400, 413, 415, 422]

/** Whether an operation reads a JSON body, be it to say that it takes no field. */
const takesJson = (key: string): boolean => /^(POST|PUT) \/v1\//.test(key)

/** An answer by type; health comes in the format that `Accept` asks for. */
const contentOf = (gives: string | undefined, type = '*/*'): Schema => {
  if (gives === undefined) return { [type]: {} }
  const json = { 'application/json': { schema: ref(gives) } }
  return gives === 'Health' ? { ...json, 'application/health+json': {}, 'text/plain': {} } : json
}

function tagOf(path: string): string {
  if (/^\/(live|ready|startup|health)/.test(path)) return 'health'
  const [, first, second] = path.split('/') as [string, string, string?]
  return first === 'v1' ? (second ?? 'v1') : first
}

/** Notes every route that is added from now on. */
export function noteRoutes(app: FastifyInstance): readonly ServedRoute[] {
  const routes: ServedRoute[] = []
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.later === true) return
    for (const each of [method].flat())
      routes.push({
        method: each,
        url,
        access:
          config?.access ??
          (/^\/(live|ready|startup|health)z?(\/|$)|^\/\.well-known\//.test(url) ? 'open' : 'admin'),
      })
  })
  return routes
}

/** Adds `GET /openapi.json`. */
export function openApiRoutes(
  app: FastifyInstance,
  routes: readonly ServedRoute[],
  version: string,
): void {
  let text: string | null = null
  app.get('/openapi.json', { config: { access: 'call' } }, async (_request, reply) => {
    reply.type('application/json; charset=utf-8')
    return (text ??= JSON.stringify(describeApi(routes, version)))
  })
}
